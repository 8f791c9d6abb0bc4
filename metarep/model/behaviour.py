"""From parameters to what units do: the second thing the model may be asked to fill in.

The behaviour of a network is masked altogether, and predicted from the parameters that are seen: for each hidden unit and
each probe, whether the unit is off there, and else what it contributes to an output. It follows from the parameters, so this
needs no label; it says over which inputs parameters matter. A *probe* is an input and an output that is looked at there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from metarep.devices import without_waiting
from metarep.model.heads import Rectified, RectifiedHead

MAX_GRID_INPUTS = 3


@dataclass(frozen=True, eq=False)
class Probes:
    """S probes: inputs (S, d), flattened, and the output (S,) int64 that is looked at."""

    inputs: torch.Tensor
    outputs: torch.Tensor
    n_outputs: int

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def space(self) -> str:
        """Networks of as many inputs and outputs share a space of probes, such as "2 to 1"."""
        return space_name(self.inputs.shape[1], self.n_outputs)

    def to(self, device: str | torch.device) -> Probes:
        """On another device."""
        return Probes(without_waiting(self.inputs, device), without_waiting(self.outputs, device), self.n_outputs)

    def take(self, index: torch.Tensor) -> Probes:
        """Some of them."""
        return Probes(self.inputs[index], self.outputs[index], self.n_outputs)


@dataclass(frozen=True, eq=False)
class Behaviour:
    """What the U units of B windows contribute at S probes: contributions (B, U, S), exactly 0 where a unit is off."""

    probes: Probes
    contributions: torch.Tensor

    def take(self, rows: torch.Tensor | slice) -> Behaviour:
        """Of some windows."""
        return Behaviour(self.probes, self.contributions[rows])

    def to(self, device: str | torch.device) -> Behaviour:
        """On another device."""
        return Behaviour(self.probes.to(device), without_waiting(self.contributions, device))


class ProbeSpace(nn.Module):
    """The probes of networks with as many inputs and outputs: how they are drawn, and how they enter the decoder.

    Inputs are uniform between `low` and `high`, or rows of a pool that came with the data. `scale` is the unit in which
    contributions are predicted.
    """

    def __init__(self, d_model: int, n_inputs: int, n_outputs: int, low: float, high: float, n_pool: int = 0):
        super().__init__()
        self.n_inputs, self.n_outputs, self.low, self.high = n_inputs, n_outputs, low, high
        self.inputs = nn.Linear(n_inputs, d_model)
        self.outputs = nn.Embedding(n_outputs, d_model) if n_outputs > 1 else None
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("pool", torch.zeros(n_pool, n_inputs))

    def forward(self, probes: Probes) -> torch.Tensor:
        """(S, D)."""
        x = self.inputs(probes.inputs)
        return x if self.outputs is None else x + self.outputs(probes.outputs)

    def random(self, n: int, *, generator: torch.Generator) -> Probes:
        """n probes on the CPU, with random outputs."""
        if len(self.pool):
            inputs = self.pool.cpu()[torch.randint(len(self.pool), (n,), generator=generator)]
        else:
            inputs = self.low + (self.high - self.low) * torch.rand(n, self.n_inputs, generator=generator)
        return Probes(inputs, torch.randint(self.n_outputs, (n,), generator=generator), self.n_outputs)

    def fixed(self, n: int) -> Probes:
        """About n probes, always the same, that stand for the domain: midpoints of equal cells for up to three inputs, else
        drawn at random or the first rows of the pool. Outputs take turns."""
        if len(self.pool):
            inputs = self.pool.cpu()[:n]
        elif self.n_inputs <= MAX_GRID_INPUTS:
            n_axis = max(2, round(n ** (1 / self.n_inputs)))
            axis = self.low + (self.high - self.low) * (torch.arange(n_axis) + 0.5) / n_axis
            inputs = torch.cartesian_prod(*[axis] * self.n_inputs).view(-1, self.n_inputs)
        else:
            draw = torch.rand(n, self.n_inputs, generator=torch.Generator().manual_seed(0))
            inputs = self.low + (self.high - self.low) * draw
        return Probes(inputs, torch.arange(len(inputs)) % self.n_outputs, self.n_outputs)


class BehaviourDecoder(nn.Module):
    """Contributions of units at any probe, from the units' states.

    A probe is embedded linearly, scaled and shifted by the unit's state (so that a half-plane is one step away), and
    read by a small MLP.
    """

    def __init__(self, d_model: int, spaces: Mapping[str, Mapping[str, float]], n_components: int):
        super().__init__()
        self.spaces = nn.ModuleDict({name: ProbeSpace(d_model, **settings) for name, settings in spaces.items()})
        self.unit = nn.Linear(d_model, 2 * d_model)
        self.mix = nn.Linear(d_model, d_model)
        self.head = RectifiedHead(d_model, n_components)

    def forward(self, units: torch.Tensor, probes: Probes) -> Rectified:
        """States of units (B, U, D) -> a prediction for each unit and probe (B, U, S), in units of the space's scale."""
        scale, shift = self.unit(units).unsqueeze(-2).chunk(2, dim=-1)
        x = F.gelu(self.spaces[probes.space](probes) * scale + shift)
        log_off, log_on, on = self.head(F.gelu(self.mix(x)))
        return Rectified(log_off.squeeze(-1), log_on.squeeze(-1), type(on)(*(part.squeeze(-2) for part in on)))

    def loss(self, units: torch.Tensor, behaviour: Behaviour) -> torch.Tensor:
        """(B, U, S): the negative log-likelihood, in nats, of what units contribute."""
        truth = behaviour.contributions / self.spaces[behaviour.probes.space].scale
        return -self(units, behaviour.probes).log_density(truth)

    def fit_scale(self, behaviours: list[Behaviour]) -> None:
        """Sets the unit of each space: the root mean square of contributions on training networks."""
        for name, space in self.spaces.items():
            found = [b.contributions.double().square().flatten() for b in behaviours if b.probes.space == name]
            if found:
                space.scale.copy_(torch.cat(found).mean().sqrt().clamp_min(1e-6))


def space_name(n_inputs: int, n_outputs: int) -> str:
    """The name of a space of probes, such as "2 to 1"."""
    return f"{n_inputs} to {n_outputs}"
