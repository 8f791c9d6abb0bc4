"""Fits many sine networks side by side, each to one signal.

Units are sin(ω (w·x + b)) with ω in front (Sitzmann et al., "Implicit Neural Representations with Periodic Activation
Functions", 2020). First weights are those of the code of Navon et al., "Equivariant Architectures for Learning in Deep Weight
Spaces", 2023: uniform between ±√(6 / inputs) / ω in every sine layer, biases 0, one half added to the output. What is kept has
ω and this half in its weights and biases, so that the units are sin(w·x + b).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from metarep.domains.inr.settings import InrConfig

MIDDLE = 0.5
"""Added to every output."""

CHECK_EVERY = 10
"""Steps between two looks at which networks are good enough."""


def fit_networks(
    config: InrConfig, coordinates: np.ndarray, values: np.ndarray, seeds: Sequence[int], *, device: str = "cpu"
) -> dict[str, torch.Tensor]:
    """Parameters `layers.0.weight` (B, out, in) and so on, `mse` (B,) and `n_steps` (B,) of networks that were fitted to values
    (B, S) at coordinates (S, d). What becomes of one follows from its own seed, up to rounding, whatever it is fitted beside.
    """
    x, y = (torch.tensor(one, dtype=torch.float32, device=device) for one in (coordinates, values))
    each = [first_parameters(config, x.shape[1], seed) for seed in seeds]
    parameters = [torch.stack(own).to(device).requires_grad_() for own in zip(*each, strict=True)]
    optimiser = torch.optim.Adam(parameters, lr=config.lr, weight_decay=config.weight_decay)
    kept = [one.detach().clone() for one in parameters]
    done = torch.zeros(len(y), dtype=torch.bool, device=device)
    mse, n_steps = torch.full((len(y),), torch.nan, device=device), torch.full((len(y),), config.n_steps, device=device)
    for step in range(config.n_steps + 1):
        errors = (outputs(parameters, x, config.frequency) - y).square().mean(dim=1)
        if step % CHECK_EVERY == 0 or step == config.n_steps:
            with torch.no_grad():
                ends = ~done & (errors <= config.enough) if step < config.n_steps else ~done
                for own, one in zip(kept, parameters, strict=True):
                    own[ends] = one[ends]
                mse[ends], n_steps[ends], done = errors[ends], step, done | ends
            if bool(done.all()):
                break
        optimiser.zero_grad()
        errors.sum().backward()
        optimiser.step()
    return folded(kept, config.frequency) | {"mse": mse.cpu(), "n_steps": n_steps.cpu()}


def first_parameters(config: InrConfig, n_inputs: int, seed: int) -> list[torch.Tensor]:
    """Weights (out, in) and biases (out,) of one network in turn; the last layer as PyTorch's `Linear` draws it."""
    generator, found = torch.Generator().manual_seed(seed), []
    widths = (n_inputs, *config.widths)
    for n_in, n_out in pairwise(widths):
        bound = (6 / n_in) ** 0.5 / config.frequency
        found += [(2 * torch.rand(n_out, n_in, generator=generator) - 1) * bound, torch.zeros(n_out)]
    bound = widths[-1] ** -0.5
    return found + [(2 * torch.rand(shape, generator=generator) - 1) * bound for shape in ((1, widths[-1]), (1,))]


def outputs(parameters: Sequence[torch.Tensor], x: torch.Tensor, frequency: float) -> torch.Tensor:
    """(B, S): of networks with parameters (B, …) at coordinates (S, d)."""
    h = x.expand(len(parameters[0]), *x.shape)
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        h = torch.sin(frequency * torch.baddbmm(bias.unsqueeze(1), h, weight.mT))
    return torch.baddbmm(parameters[-1].unsqueeze(1), h, parameters[-2].mT).squeeze(-1) + MIDDLE


def folded(parameters: Sequence[torch.Tensor], frequency: float) -> dict[str, torch.Tensor]:
    """The same networks as tensors with names whose units are sin(w·x + b)."""
    found = {}
    for number, (weight, bias) in enumerate(zip(parameters[::2], parameters[1::2], strict=True)):
        last = 2 * number == len(parameters) - 2
        found[f"layers.{number}.weight"] = (weight if last else frequency * weight).cpu()
        found[f"layers.{number}.bias"] = (bias + MIDDLE if last else frequency * bias).cpu()
    return found
