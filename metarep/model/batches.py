"""Windows as the model reads them: segments of windows that share a layout, packed one behind the other without padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from metarep.devices import without_waiting
from metarep.model.behaviour import Behaviour
from metarep.model.layout import Layout


@dataclass(frozen=True, eq=False)
class Segment:
    """B windows of one layout: values (B, T, C) as they stand in networks, and the first unit (B,) of each.

    `behaviour` is what their units do at probe inputs, where that is known and asked for. `tensors` are the networks
    themselves, (B, *shape) each, where every window is a whole network. `moved` says whether a window may begin at another
    unit than the first; it is looked up where it is not given, so that no GPU has to be asked later. `guess` (B, T, C) is what
    the mixtures of a model take masked values to be, in normalised units (`ClozeModel.guessed`).
    """

    layout: Layout
    values: torch.Tensor
    firsts: torch.Tensor
    behaviour: Behaviour | None = None
    tensors: dict[str, torch.Tensor] | None = None
    moved: bool | None = None
    guess: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if self.moved is None:
            object.__setattr__(self, "moved", bool(self.firsts.any()))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def n_tokens(self) -> int:
        """Tokens of all windows."""
        return len(self) * self.layout.n_tokens

    @property
    def no_mask(self) -> torch.Tensor:
        """(B, T, C) bool: nothing masked."""
        return torch.zeros(self.values.shape, dtype=torch.bool, device=self.values.device)

    def take(self, rows: torch.Tensor | slice) -> Segment:
        """Some of its windows."""
        return self._changed(lambda value: value[rows], self.behaviour and self.behaviour.take(rows))

    def split(self, n: int) -> Iterator[Segment]:
        """In pieces of at most n windows."""
        for at in range(0, len(self), n):
            yield self.take(slice(at, at + n))

    def to(self, device: str | torch.device) -> Segment:
        """On another device; the layout stays on the CPU, where models look it up."""
        return self._changed(lambda value: without_waiting(value, device), self.behaviour and self.behaviour.to(device))

    def _changed(self, change: Callable[[torch.Tensor], torch.Tensor], behaviour: Behaviour | None) -> Segment:
        """With another behaviour, and every tensor changed in one way."""
        found = {name: change(getattr(self, name)) for name in ("values", "firsts")}
        guess = None if self.guess is None else change(self.guess)
        tensors = None if self.tensors is None else {name: change(value) for name, value in self.tensors.items()}
        return replace(self, **found, behaviour=behaviour, guess=guess, tensors=tensors)


Batch = Sequence[Segment]
