"""What a model makes of some networks of one architecture: the states of their tokens, gathered by layer and by unit.

Networks are read in the windows of their plan, those of all networks side by side. Every parameter counts once. Memory holds
sums, not states: it grows with the number of units, not of windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from metarep.devices import fast_products, is_gpu, without_waiting
from metarep.embeddings.registry import STATES, Tokens
from metarep.errors import MetarepError
from metarep.model.batches import Segment
from metarep.model.behaviour import ProbeSpace
from metarep.model.transformer import ClozeModel, unit_states
from metarep.model.windows import Plan, Shape

N_THIRDS = 3
GPU_FACTOR = 16
"""So many times the tokens are read at once on a GPU, which would wait for the next ones otherwise."""


class Moments:
    """Sums and sums of squares of vectors (V,), and their counts, in bins (B, K)."""

    def __init__(self, n_networks: int, n_bins: int, width: int, *, device: str | torch.device = "cpu"):
        self.shape = (n_networks, n_bins)
        self.count = torch.zeros(n_networks * n_bins, dtype=torch.float64, device=device)
        self.total = torch.zeros(n_networks * n_bins, width, dtype=torch.float64, device=device)
        self.square = torch.zeros_like(self.total)

    def add(self, network: torch.Tensor, bins: torch.Tensor, chosen: torch.Tensor, vectors: torch.Tensor) -> None:
        """Adds those of vectors (W, T, V) that are `chosen` (W, T) bool to their bins (W, T) of networks (W,).

        Where they are is found on the CPU, so that a GPU need not be waited for.
        """
        at = chosen.flatten().nonzero().squeeze(1)
        index = without_waiting((network[:, None] * self.shape[1] + bins).flatten()[at], vectors.device)
        vectors = vectors.flatten(0, 1)[without_waiting(at, vectors.device)].double()
        self.count.index_add_(0, index, torch.ones(len(index), dtype=torch.float64, device=index.device))
        self.total.index_add_(0, index, vectors)
        self.square.index_add_(0, index, vectors.square())

    def cpu(self) -> Moments:
        """The same on the CPU, where it is taken from a GPU."""
        found = copy(self)
        found.count, found.total, found.square = self.count.cpu(), self.total.cpu(), self.square.cpu()
        return found

    def gathered(self, groups: torch.Tensor, n: int) -> Moments:
        """Bins (K,) taken together in n groups."""
        found = Moments(self.shape[0], n, self.total.shape[1])
        index = (torch.arange(self.shape[0])[:, None] * n + groups).flatten()
        for name in ("count", "total", "square"):
            getattr(found, name).index_add_(0, index, getattr(self, name))
        return found

    @property
    def mean(self) -> torch.Tensor:
        """(B, K, V); 0 for empty bins."""
        return (self.total / self.count.clamp_min(1).unsqueeze(-1)).view(*self.shape, -1)

    @property
    def spread(self) -> torch.Tensor:
        """(B, K, V): the standard deviation; 0 for empty bins."""
        mean, second = self.mean, (self.square / self.count.clamp_min(1).unsqueeze(-1)).view(*self.shape, -1)
        return (second - mean.square()).clamp_min(0).sqrt()


@dataclass(frozen=True)
class UnitGroup:
    """Units that have vectors: the number of their symmetry group, its name, how many, and whether they are hidden units."""

    group: int
    name: str
    n: int
    hidden: bool


@dataclass(eq=False)
class Readout:
    """B networks of one architecture as a model sees them; vectors of tokens are V wide.

    `layers` are the moments of tokens by layer, `units` the vectors (B, n, W) of each group's units, by its number, `windows`
    (B, M, W) those of windows where these were asked for. `segment` holds the networks where each is one window.
    """

    model: ClozeModel
    plan: Plan
    tokens: Tokens
    n_layers: int
    layers: Moments
    groups: tuple[UnitGroup, ...]
    units: dict[int, torch.Tensor]
    windows: torch.Tensor | None
    segment: Segment | None
    space: ProbeSpace | None
    copies: list[Readout] = field(default_factory=list)

    @property
    def layer_states(self) -> torch.Tensor:
        """(B, L, W): the vectors of layers."""
        return self.tokens.read(self.layers.mean)

    @cached_property
    def thirds(self) -> Moments:
        """The moments of tokens by thirds of the depth."""
        third = torch.arange(self.n_layers) * N_THIRDS // max(1, self.n_layers)
        return self.layers.gathered(third, N_THIRDS)

    @cached_property
    def whole(self) -> Moments:
        """The moments of all tokens."""
        return self.layers.gathered(torch.zeros(self.n_layers, dtype=torch.int64), 1)

    @property
    def hidden_units(self) -> list[torch.Tensor]:
        """(B, n, W) of each group of hidden units, in order of depth. Raises MetarepError where there are none."""
        found = [self.units[one.group] for one in self.groups if one.hidden]
        if not found:
            fix = "embed kind=layers, which needs no units"
            raise MetarepError("these networks have no hidden units that could be found", fix=fix)
        return found


def read_networks(
    model: ClozeModel,
    plan: Plan,
    tensors: dict[str, torch.Tensor],
    *,
    tokens: Tokens = STATES,
    tokens_per_batch: int = 65_536,
    with_units: bool = True,
    with_windows: bool = False,
    space: ProbeSpace | None = None,
) -> Readout:
    """Reads networks (B, *shape) of one architecture on the model's device; what is gathered comes to the CPU at the end.

    Tensors that lie on that device already stay there.
    """
    architecture = plan.views[0].architecture
    b, width, device = len(next(iter(tensors.values()))), tokens.width(model), model.device
    layers = Moments(b, architecture.n_layers, width, device=device)
    apart = plan.views if with_units and not plan.whole else ()
    by_unit = {view.group: Moments(b, view.n_units, width, device=device) for view in apart}
    whole_units: list[torch.Tensor] = []
    windows = torch.zeros(b, plan.n_windows, width, device=device) if with_windows else None
    values = plan.view_values(tensors)
    tokens_per_batch *= GPU_FACTOR if is_gpu(device) else 1
    first_window = 0
    with torch.no_grad(), fast_products(device):
        for shape in plan.shapes:
            for network, at, segment in _segments(plan, shape, values, b, tokens_per_batch):
                vectors, firsts = tokens.vectors(model, segment.to(device)), shape.firsts[at]
                if plan.whole and with_units:
                    whole_units.append(unit_states(vectors, shape.layout.units))
                _gather_layers(layers, plan, shape, network, firsts, vectors)
                if by_unit:
                    _gather_units(by_unit, plan, shape, network, firsts, vectors)
                if windows is not None:
                    windows[network, first_window + torch.from_numpy(at)] = vectors.mean(dim=1)
            first_window += shape.n_windows
    segment = None
    if plan.whole:
        shape = plan.shapes[0]
        shown = {name: value.cpu() for name, value in tensors.items()}
        segment = Segment(shape.layout, plan.whole_values(shown), torch.zeros(b, dtype=torch.int64), tensors=shown)
    groups = unit_groups(plan)
    units = {number: moments.mean.cpu() for number, moments in by_unit.items()}
    if plan.whole and with_units:
        parts = torch.cat(whole_units).cpu().split([one.n for one in groups], dim=1)
        units = {one.group: part for one, part in zip(groups, parts, strict=True)}
    units = {number: tokens.read(means).float() for number, means in units.items()}
    windows = None if windows is None else tokens.read(windows.cpu())
    return Readout(model, plan, tokens, architecture.n_layers, layers.cpu(), groups, units, windows, segment, space)


def unit_groups(plan: Plan) -> tuple[UnitGroup, ...]:
    """The groups whose units have vectors: hidden ones in a network of one window and several groups, else all that have a
    view.
    """
    views = [view for view in plan.views if view.is_hidden or not plan.whole or len(plan.views) == 1]
    return tuple(UnitGroup(view.group, view.units.name, view.n_units, view.is_hidden) for view in views)


def _segments(
    plan: Plan, shape: Shape, values: list[torch.Tensor], b: int, tokens_per_batch: int
) -> Iterator[tuple[torch.Tensor, np.ndarray, Segment]]:
    """(network of each window, numbers of the windows in the shape, segment), a batch at a time: all windows of some networks,
    or some of one.
    """
    size = max(1, tokens_per_batch // shape.layout.n_tokens)
    n_networks = max(1, size // shape.n_windows)
    for network in range(0, b, n_networks):
        own = [part[network : network + n_networks] for part in values]
        for at in range(0, shape.n_windows, size):
            number = np.arange(at, min(at + size, shape.n_windows))
            shown = plan.window_values(shape, own, shape.firsts[number])
            which = torch.arange(network, network + len(shown)).repeat_interleave(len(number))
            number = np.tile(number, len(shown))
            yield which, number, Segment(shape.layout, shown.flatten(0, 1), torch.from_numpy(shape.firsts[number]))


def _gather_layers(
    layers: Moments, plan: Plan, shape: Shape, network: torch.Tensor, firsts: np.ndarray, vectors: torch.Tensor
) -> None:
    counted = torch.from_numpy(plan.counted(shape, firsts)).expand(vectors.shape[:2])
    layers.add(network, shape.layout.layer, counted, vectors)


def _gather_units(
    by_unit: dict[int, Moments], plan: Plan, shape: Shape, network: torch.Tensor, firsts: np.ndarray, vectors: torch.Tensor
) -> None:
    central = torch.from_numpy(plan.central(shape, firsts))
    unit = torch.from_numpy(firsts[:, None] + shape.unit_of_token())
    moments = by_unit[plan.views[shape.stretches[0].view].group]
    moments.add(network, unit, central, vectors)
