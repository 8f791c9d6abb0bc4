"""Other networks that compute the same function: what a contrastive representation learns to ignore.

Units are permuted and rescaled (`augment`). Of ReLU chains there are further networks with other parameters and the same
outputs: a unit that is off may hold anything, and where units are on everywhere only the product of the layers counts.
Noise is drawn along these directions and pulled back onto the set of equal outputs; a network whose outputs still move
stays as it is.
"""

from __future__ import annotations

import numpy as np
import torch

from metarep.model.augment import draw_further, permute_units, scale_units
from metarep.model.data import WholeNetworks
from metarep.model.settings import PretrainConfig
from metarep.networks.chain_forward import Chain
from metarep.networks.forward import forward, jacobians
from metarep.networks.spec import NetworkSpec

N_POINTS = 144
"""About so many inputs on a grid, corners included, on which outputs are held."""
N_CORRECTIONS = 4
TOLERANCE = 0.01
"""The root mean square of the outputs' change that is let through, relative to that of the outputs."""
RANK_TOLERANCE = 1e-7
"""Directions whose squared effect on the outputs is below this share of the largest count as without effect."""


def same_function(
    tensors: dict[str, torch.Tensor], subject: WholeNetworks, config: PretrainConfig, *, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Networks that compute what networks (B, *shape) do, with units permuted and rescaled, and noise where that is
    possible.
    """
    spec = spec_of(subject)
    if spec is not None and config.view_noise > 0:
        names = [tensor.name for tensor in subject.plan.views[0].architecture.tensors]
        flat = torch.cat([tensors[name].flatten(1) for name in names], dim=1)
        held = HeldOutputs(flat, spec, input_grid(spec.widths[0], *config.probe_range))
        parts = held.moved(config.view_noise, generator=generator).split([tensors[name][0].numel() for name in names], dim=1)
        tensors = {name: part.view_as(tensors[name]) for name, part in zip(names, parts, strict=True)}
    if config.further_symmetries:
        tensors = draw_further(tensors, subject.symmetries, config.view_scale, generator=generator)
    if config.view_scale > 0:
        tensors = scale_units(tensors, subject.symmetries, config.view_scale, generator=generator)
    return permute_units(tensors, subject.symmetries, generator=generator)


def spec_of(subject: WholeNetworks) -> NetworkSpec | None:
    """The spec of a chain of linear layers with ReLU whose parameters stand weight before bias; None for any other network."""
    chain = subject.forward
    if not isinstance(chain, Chain) or chain.activation != "relu" or len(chain.input_shape) > 1:
        return None
    widths = (chain.n_inputs, *(layer.operation.n_out for layer in chain.layers))
    spec = NetworkSpec(widths, chain.output_activation == "relu")
    shapes = [shape for pair in spec.shapes for shape in pair]
    own = [tensor.shape for tensor in subject.plan.views[0].architecture.tensors]
    return spec if shapes == own else None


def input_grid(d: int, low: float, high: float, *, n_points: int = N_POINTS) -> np.ndarray:
    """(S, d) float64: a grid from `low` to `high` with at most `n_points` points, but two along each axis at least."""
    n_axis = max(2, int(n_points ** (1 / d) + 1e-9))
    axes = np.meshgrid(*[np.linspace(low, high, n_axis)] * d, indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, d)


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
        """Networks (N, P) float32: noise without effect to first order, corrected by Gauss–Newton steps.

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
    params, index = params.clone(), spec.unpack(torch.arange(spec.n_params))
    values = x
    for layer, (weight, bias) in enumerate(spec.unpack(params)[:-1]):
        values = (values @ weight.transpose(-1, -2) + bias.unsqueeze(-2)).clamp(min=0)
        own = torch.cat([index[layer][0], index[layer][1][:, None], index[layer + 1][0].T], dim=1).to(params.device)
        network, unit = (values.amax(dim=1) <= 0).nonzero(as_tuple=True)
        donor = torch.randperm(len(network), generator=generator).to(params.device)
        params[network[:, None], own[unit]] = params[network[donor][:, None], own[unit[donor]]]
    return params


def rms(values: torch.Tensor) -> torch.Tensor:
    """(N,): the root mean square of rows (N, S)."""
    return values.square().mean(dim=1).sqrt()
