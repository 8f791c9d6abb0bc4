"""Which windows a network is read in: windows follow units.

A network that fits into the context is one window, every parameter once. A larger one is read unit by unit: neighbouring
units of a group share a window as far as they fit, windows overlap, and a unit that is larger than the context is read in
overlapping stretches. Every parameter counts once: in the view whose windows show it most, there in the window in
whose middle its unit lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch

from metarep.model.layout import Layout, Stretch, layout_of
from metarep.model.tokens import Slice, View, build_views
from metarep.networks.architecture import Architecture
from metarep.networks.symmetry_groups import Symmetries
from metarep.networks.tensor_symmetry import permuted


@dataclass(frozen=True, eq=False)
class Shape:
    """Windows of one shape: W windows that begin at the units `firsts` (W,) and share a layout.

    A whole network is the one window of its shape, of several stretches.
    """

    stretches: tuple[Stretch, ...]
    firsts: np.ndarray
    layout: Layout

    @property
    def n_windows(self) -> int:
        return len(self.firsts)

    def unit_of_token(self) -> np.ndarray:
        """(T,) the unit that each token is seen with, counted from the first of the window or, in a whole network, of the
        view.
        """
        return np.concatenate([np.repeat(np.arange(s.n_units), s.stop - s.start) for s in self.stretches])


@dataclass(frozen=True, eq=False)
class Plan:
    """The views of an architecture and the windows over them; `whole` where one window holds the network."""

    views: tuple[View, ...]
    shapes: tuple[Shape, ...]
    whole: bool

    @property
    def n_windows(self) -> int:
        return sum(shape.n_windows for shape in self.shapes)

    def view_values(self, tensors: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """For each view the values (…, n units, S, C) of networks whose tensors are (…, *shape)."""
        return [view.values(tensors) for view in self.views]

    def whole_values(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(…, T, C): what the one window of whole networks shows."""
        return self.window_values(self.shapes[0], self.view_values(tensors), self.shapes[0].firsts).squeeze(-3)

    def window_values(self, shape: Shape, values: Sequence[torch.Tensor], firsts: np.ndarray) -> torch.Tensor:
        """(…, W, T, C): what the windows that begin at `firsts` (W,) show of networks; `values` from `view_values`."""
        if self.whole:
            return torch.cat([part.flatten(-3, -2) for part in values], dim=-2).unsqueeze(-3)
        (s,) = shape.stretches
        units = torch.from_numpy(np.asarray(firsts)[:, None] + np.arange(s.n_units)).to(values[s.view].device)
        return values[s.view][..., units, s.start : s.stop, :].flatten(-3, -2)

    def moved(self, symmetries: Symmetries, orders: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """(B, M): where each of the M values that the one window of whole networks shows has stood before units were permuted
        by `orders`, as `networks.tensor_symmetry.permuted` has them.
        """
        tensors, n = {}, 0
        for tensor in self.views[0].architecture.tensors:  # every value numbered, permuted, and looked up where it lands
            tensors[tensor.name] = torch.arange(n, n + tensor.size).view(1, *tensor.shape)
            n += tensor.size
        present, b = self.shapes[0].layout.present, max([1, *(len(order) for order in orders if order is not None)])
        many = {name: value.expand(b, *value.shape[1:]) for name, value in tensors.items()}
        before, after = self.whole_values(tensors)[0][present], self.whole_values(permuted(many, symmetries, orders))
        position = torch.empty(n, dtype=torch.int64)
        position[before] = torch.arange(len(before))
        return position[after[:, present]]

    def counted(self, shape: Shape, firsts: np.ndarray) -> np.ndarray:
        """(W, T) bool: the tokens whose parameters each window speaks for. Over all windows each parameter is counted once."""
        if self.whole:
            return np.ones((1, shape.layout.n_tokens), dtype=bool)
        (s,) = shape.stretches
        return self.central(shape, firsts) & np.tile(self._chosen[s.view][s.start : s.stop], s.n_units)

    @cached_property
    def speaking(self) -> list[np.ndarray]:
        """For each shape (W,) bool: the windows that speak for some parameter. What others show is shown there with as much
        around it.
        """
        return [self.counted(shape, shape.firsts).any(axis=1) for shape in self.shapes]

    def central(self, shape: Shape, firsts: np.ndarray) -> np.ndarray:
        """(W, T) bool: the tokens that no other window of the same view shows with more context."""
        if self.whole:
            return np.ones((1, shape.layout.n_tokens), dtype=bool)
        (s,) = shape.stretches
        units, tokens = self._homes[s.view]
        here = units[np.asarray(firsts)[:, None] + np.arange(s.n_units)] == np.asarray(firsts)[:, None]
        return (here[:, :, None] & (tokens[s.start : s.stop] == s.start)).reshape(len(firsts), -1)

    @cached_property
    def _homes(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """For each view the first unit of the window in whose middle each unit lies, and the same of tokens and stretches."""
        found: dict[int, tuple[set[int], set[int], Stretch]] = {}
        for shape in self.shapes:
            (s,) = shape.stretches
            firsts, starts, _ = found.setdefault(s.view, (set(), set(), s))
            firsts.update(shape.firsts.tolist())
            starts.add(s.start)
        return {
            number: (
                most_central(sorted(firsts), s.n_units, self.views[number].n_units),
                most_central(sorted(starts), s.stop - s.start, self.views[number].n_tokens),
            )
            for number, (firsts, starts, s) in found.items()
        }

    @cached_property
    def _chosen(self) -> list[np.ndarray]:
        """For each view (S,) bool: the tokens of a unit whose tensor counts here, the view that shows most of it at once."""
        shown: dict[int, int] = {}
        for shape in self.shapes:
            for s in shape.stretches:
                shown[s.view] = max(shown.get(s.view, 0), s.n_tokens)
        best: dict[str, tuple[int, int, int]] = {}
        for number, view in enumerate(self.views):
            for index, part in enumerate(view.slices):
                key = (-shown[number], number, index)
                best[part.tensor.name] = min(best.get(part.tensor.name, key), key)
        pairs = {(number, index) for _, number, index in best.values()}
        return [
            np.array([(number, index) in pairs for index in range(len(view.slices))])[view.slice_of_token]
            for number, view in enumerate(self.views)
        ]


def most_central(starts: Sequence[int], length: int, n: int) -> np.ndarray:
    """(n,) the start of that stretch of `length` in whose middle each position lies; of two alike the first.

    The stretches at both ends are as good as endless there: no context is missing where nothing follows.
    """
    home, best = np.zeros(n, np.int64), np.full(n, -1)
    for start in starts:
        position = np.arange(start, start + length)
        before = position - start if start else np.full(length, n)
        after = position[::-1] - start if start + length < n else np.full(length, n)
        context = np.minimum(before, after)
        better = context > best[position]
        home[position[better]], best[position[better]] = start, context[better]
    return home


def stretches(n: int, most: int, overlap: float) -> tuple[np.ndarray, int]:
    """Where overlapping stretches begin so that all n positions are covered, and their length, `most` at most.

    As few stretches as allow it, evenly spaced and no longer than needed; two share at least `overlap` of `most`.
    """
    if n <= most:
        return np.zeros(1, np.int64), n
    shared = min(round(most * overlap), most - 1)
    count = -(-(n - shared) // (most - shared))
    length = -(-(n + (count - 1) * shared) // count)
    return np.unique(np.linspace(0, n - length, count).round().astype(np.int64)), length


@lru_cache(maxsize=512)
def plan_of(
    architecture: Architecture, symmetries: Symmetries, *, chunk: int, context: int, overlap: float, indexed: bool = False
) -> Plan:
    """The plan of an architecture, made once. With `indexed` every unit has an identity, as if none were interchangeable."""
    if indexed:
        symmetries = Symmetries(tuple(replace(units, interchangeable=False) for units in symmetries.groups))
    return build_plan(architecture, symmetries, chunk=chunk, context=context, overlap=overlap)


def build_plan(architecture: Architecture, symmetries: Symmetries, *, chunk: int, context: int, overlap: float) -> Plan:
    """How networks of an architecture are read in windows of at most `context` tokens."""
    views = build_views(architecture, symmetries, chunk=chunk, context=context)
    whole = _whole_network(views)
    if sum(view.n_units * view.n_tokens for view in whole) <= context:
        everything = tuple(Stretch(number, 0, view.n_units, 0, view.n_tokens) for number, view in enumerate(whole))
        return Plan(whole, (Shape(everything, np.zeros(1, np.int64), layout_of(whole, everything)),), whole=True)
    shapes = []
    for number, view in enumerate(views):
        firsts, n_units = stretches(view.n_units, max(1, context // view.n_tokens), overlap)
        starts, length = stretches(view.n_tokens, context, overlap)
        for start in starts.tolist():
            stretch = (Stretch(number, 0, n_units, start, start + length),)
            shapes.append(Shape(stretch, firsts, layout_of(views, stretch)))
    return Plan(views, tuple(shapes), whole=False)


def _whole_network(views: tuple[View, ...]) -> tuple[View, ...]:
    """The same views with every tensor in one of them alone: with the units that it feeds, where it is seen so."""
    homes: dict[str, tuple[bool, int, int]] = {}
    for number, view in enumerate(views):
        for index, part in enumerate(view.slices):
            key = (part.member.side == "out", number, index)
            homes[part.tensor.name] = min(homes.get(part.tensor.name, key), key)
    kept: dict[int, list[Slice]] = {}
    for _, number, index in sorted(homes.values()):
        kept.setdefault(number, []).append(views[number].slices[index])
    return tuple(replace(views[number], slices=tuple(parts)) for number, parts in sorted(kept.items()))
