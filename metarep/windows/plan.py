"""Which windows a network is read in.

A network that fits into the context is one window, every parameter once. A larger one is read unit by unit: neighbouring
units of a group share a window as far as they fit, windows overlap, and a unit that is larger than the context is read in
overlapping stretches. Every parameter counts once: in the view whose windows show it most, there in the window in
whose middle its unit lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from metarep.networks.architecture import Architecture
from metarep.networks.symmetry_groups import Symmetries
from metarep.windows.tokens import Places, Slice, View, build_views, joined


class Stretch(NamedTuple):
    """Tokens start … stop of each of some neighbouring units of a view."""

    view: int
    first: int
    n_units: int
    start: int
    stop: int


Window = tuple[Stretch, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """The views of an architecture and the windows over them."""

    views: tuple[View, ...]
    windows: tuple[Window, ...]
    whole: bool

    def values(self, tensors: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """For each view the values (n units, S, chunk) of a network, as `readable_tensors` gives it."""
        return [view.values(tensors) for view in self.views]

    def window_values(self, window: Window, values: list[torch.Tensor]) -> torch.Tensor:
        """(T, chunk): what a window shows, in the order of its places."""
        parts = [values[s.view][s.first : s.first + s.n_units, s.start : s.stop].flatten(0, 1) for s in window]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def places(self, window: Window) -> Places:
        """Where the tokens of a window stand."""
        return joined([self.views[s.view].places(s.first, s.n_units, s.start, s.stop) for s in window])

    def unit_of_token(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """(T,) view and (T,) unit that each token is seen with."""
        view = np.concatenate([np.full(s.n_units * (s.stop - s.start), s.view) for s in window])
        unit = np.concatenate([np.repeat(np.arange(s.first, s.first + s.n_units), s.stop - s.start) for s in window])
        return view, unit

    def layer_of_token(self, window: Window) -> np.ndarray:
        """(T,) the operation that each token belongs to."""
        return np.concatenate([np.tile(self.views[s.view].layer_of_token[s.start : s.stop], s.n_units) for s in window])

    def central(self, window: Window) -> np.ndarray:
        """(T,) bool: the tokens that no other window of the same view shows with more context."""
        return np.concatenate([self._central_stretch(s) for s in window])

    def counted(self, window: Window) -> np.ndarray:
        """(T,) bool: the tokens whose parameters this window speaks for. Over all windows each parameter is counted once."""
        here = [np.tile(self._chosen[s.view][s.start : s.stop], s.n_units) for s in window]
        return self.central(window) & np.concatenate(here)

    def _central_stretch(self, s: Stretch) -> np.ndarray:
        if self.whole:
            return np.ones(s.n_units * (s.stop - s.start), dtype=bool)
        units, tokens = self._homes[s.view]
        here = units[s.first : s.first + s.n_units] == s.first
        return (here[:, None] & (tokens[s.start : s.stop] == s.start)).reshape(-1)

    @cached_property
    def _homes(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """For each view the first unit of the window in whose middle each unit lies, and the same of tokens and stretches."""
        shapes: dict[int, tuple[set[int], set[int], Stretch]] = {}
        for (s,) in self.windows:
            firsts, starts, _ = shapes.setdefault(s.view, (set(), set(), s))
            firsts.add(s.first)
            starts.add(s.start)
        return {
            number: (
                most_central(sorted(firsts), s.n_units, self.views[number].n_units),
                most_central(sorted(starts), s.stop - s.start, self.views[number].n_tokens),
            )
            for number, (firsts, starts, s) in shapes.items()
        }

    @cached_property
    def _chosen(self) -> list[np.ndarray]:
        """For each view (S,) bool: the tokens of a unit whose tensor counts here, the view that shows most of it at once."""
        shown = {}
        for window in self.windows:
            for s in window:
                shown[s.view] = max(shown.get(s.view, 0), s.n_units * (s.stop - s.start))
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
    """(n,) the start of that stretch of `length` in whose middle each place lies; of two alike the first.

    The stretches at both ends are as good as endless there: no context is missing where nothing follows.
    """
    home, best = np.zeros(n, np.int64), np.full(n, -1)
    for start in starts:
        place = np.arange(start, start + length)
        before = place - start if start else np.full(length, n)
        after = place[::-1] - start if start + length < n else np.full(length, n)
        context = np.minimum(before, after)
        better = context > best[place]
        home[place[better]], best[place[better]] = start, context[better]
    return home


def stretch_starts(n: int, length: int, overlap: float) -> np.ndarray:
    """Where overlapping stretches of `length` ≤ n begin so that all n places are covered; the last ends with the last place."""
    step = max(1, round(length * (1 - overlap)))
    return np.unique(np.append(np.arange(0, max(1, n - length), step), n - length))


def build_plan(architecture: Architecture, symmetries: Symmetries, *, chunk: int, context: int, overlap: float) -> Plan:
    """How networks of an architecture are read in windows of at most `context` tokens."""
    views = build_views(architecture, symmetries, chunk=chunk, context=context)
    whole = _whole_network(views)
    if sum(view.n_units * view.n_tokens for view in whole) <= context:
        stretches = tuple(Stretch(number, 0, view.n_units, 0, view.n_tokens) for number, view in enumerate(whole))
        return Plan(whole, (stretches,), whole=True)
    windows = []
    for number, view in enumerate(views):
        n_units = min(view.n_units, max(1, context // view.n_tokens))
        length = min(view.n_tokens, context)
        starts = stretch_starts(view.n_tokens, length, overlap)
        for first in stretch_starts(view.n_units, n_units, overlap if n_units > 1 else 0.0):
            windows += [(Stretch(number, int(first), n_units, int(start), int(start) + length),) for start in starts]
    return Plan(views, tuple(windows), whole=False)


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
