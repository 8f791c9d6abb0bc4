"""Other networks that compute the same function: what a contrastive representation is told to ignore.

Beyond the exact symmetries (see `augment`) there are networks with other parameters and the same outputs: a
unit that is off may hold anything, and where units are on everywhere only the product of the layers counts. Noise is
drawn along these directions and pulled back onto the set of equal outputs; a network whose outputs still move stays as it is.
"""

from __future__ import annotations

import numpy as np
import torch

from metarep.cloze.augment import permute_units, scale_units
from metarep.cloze.tokens import TokenLayout
from metarep.networks.forward import forward
from metarep.networks.gradients import jacobians
from metarep.networks.spec import NetworkSpec

N_POINTS = 144
"""About so many inputs on a grid, corners included, on which outputs are held."""
N_CORRECTIONS = 4
TOLERANCE = 0.01
"""The root mean square of the outputs' change that is let through, relative to that of the outputs."""
RANK_TOLERANCE = 1e-7
"""Directions whose squared effect on the outputs is below this share of the largest count as without effect."""


def input_grid(d: int, low: float, high: float, *, n_points: int = N_POINTS) -> np.ndarray:
    """(S, d) float64: a grid from `low` to `high` with at most `n_points` points, but two along each axis at least."""
    n_axis = max(2, int(n_points ** (1 / d) + 1e-9))
    axes = np.meshgrid(*[np.linspace(low, high, n_axis)] * d, indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, d)


def views(
    params: torch.Tensor, spec: NetworkSpec, x: np.ndarray, *, noise: float, scale: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two networks (N, P) each that compute what params (N, P) do at the inputs x (S, d).

    Each with function-preserving noise of standard deviation `noise`, log-normal unit scales of `scale` and units shuffled.
    """
    held = HeldOutputs(params, spec, x)
    found = []
    for _ in range(2):
        view = held.moved(noise, generator=generator) if noise > 0 else params
        view = scale_units(view, spec, scale, generator=generator) if scale > 0 else view
        found.append(permute_units(view, spec, generator=generator))
    return found[0], found[1]


class HeldOutputs:
    """The set of networks with the same outputs as params (N, P) at the inputs x (S, d), near each of them."""

    def __init__(self, params: torch.Tensor, spec: NetworkSpec, x: np.ndarray):
        self.spec, self.params = spec, params.double()
        self.x = torch.from_numpy(x).to(self.params)
        self.outputs = self._outputs(self.params)
        self.jacobian = jacobians(spec, self.params, self.x).by_params.flatten(1, 2)
        effect, self.directions = torch.linalg.eigh(self.jacobian.transpose(1, 2) @ self.jacobian)
        felt = effect > RANK_TOLERANCE * effect[:, -1:].clamp(min=1e-30)
        self.without_effect = (~felt).double()
        self.inverse = torch.where(felt, 1 / effect.clamp(min=1e-30), 0.0)

    def moved(self, noise: float, *, generator: torch.Generator) -> torch.Tensor:
        """Networks (N, P), in the dtype of params: noise without effect to first order, corrected by Gauss–Newton steps.

        Units that are off at every input take the parameters of another network's unit that is off.
        """
        start = redraw_dead_units(self.params, self.spec, self.x, generator=generator)
        draw = noise * torch.randn(self.params.shape, generator=generator, dtype=torch.float64).to(self.params.device)
        draw = torch.where(start == self.params, draw, 0.0)
        moved = start + self._along(self.without_effect, draw)
        for _ in range(N_CORRECTIONS):
            gap = self._outputs(moved) - self.outputs
            moved = moved - self._along(self.inverse, (self.jacobian.transpose(1, 2) @ gap.unsqueeze(-1)).squeeze(-1))
        same = rms(self._outputs(moved) - self.outputs) <= TOLERANCE * rms(self.outputs)
        return torch.where(same.unsqueeze(-1), moved, self.params).float()

    def _along(self, factors: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors (N, P) with each of the directions (N, P, P) times its factor (N, P)."""
        parts = (vectors.unsqueeze(1) @ self.directions).squeeze(1) * factors
        return (self.directions @ parts.unsqueeze(-1)).squeeze(-1)

    def _outputs(self, params: torch.Tensor) -> torch.Tensor:
        return forward(self.spec, params, self.x).flatten(1)


def redraw_dead_units(params: torch.Tensor, spec: NetworkSpec, x: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
    """params (N, P) where the units that are off at all of x (S, d) exchange their parameters, layer by layer.

    In the first hidden layer they stay off for certain; behind it the inputs differ from network to network.
    """
    params, first = params.clone(), 0
    units = TokenLayout(spec).hidden_units
    for layer, width in enumerate(spec.hidden_widths):
        places = torch.from_numpy(np.stack(units[first : first + width])).to(params.device)
        first += width
        network, unit = (activations(spec, params, x, layer).amax(dim=1) <= 0).nonzero(as_tuple=True)
        donor = torch.randperm(len(network), generator=generator).to(params.device)
        params[network[:, None], places[unit]] = params[network[donor][:, None], places[unit[donor]]]
    return params


def activations(spec: NetworkSpec, params: torch.Tensor, x: torch.Tensor, layer: int) -> torch.Tensor:
    """(N, S, H): what hidden layer `layer` of networks (N, P) passes on at the inputs x (S, d)."""
    values = x
    for weight, bias in spec.unpack(params)[: layer + 1]:
        values = (values @ weight.transpose(-1, -2) + bias.unsqueeze(-2)).clamp(min=0)
    return values


def rms(values: torch.Tensor) -> torch.Tensor:
    """(N,): the root mean square of rows (N, S)."""
    return values.square().mean(dim=1).sqrt()
