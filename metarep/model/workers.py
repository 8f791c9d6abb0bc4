"""Batches for a GPU, drawn ahead of it by processes of their own: threads would wait for the one that launches its work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from metarep.model.batches import Segment
from metarep.model.behaviour import Behaviour, Probes
from metarep.model.layout import Layout

Drawn = tuple[list[Segment], list[torch.Tensor], torch.Generator]
"""Segments and their masks on the CPU, and the generator of whatever else a step draws."""
AHEAD = 4
"""Batches that each process draws ahead."""


class _Packed(NamedTuple):
    """A segment and its mask as arrays, which travel faster than tensors; its layout by the number that it has here."""

    layout: int
    values: np.ndarray
    firsts: np.ndarray
    moved: bool
    mask: np.ndarray
    probes: tuple[np.ndarray, np.ndarray, int] | None
    contributions: np.ndarray | None
    tensors: dict[str, np.ndarray] | None


class _Batches(Dataset):
    def __init__(self, draw: Callable[[int], Drawn], numbers: dict[Layout, int]):
        self.draw, self.numbers = draw, numbers

    def __getitem__(self, step: int) -> tuple[list[_Packed], np.ndarray]:
        batch, masks, generator = self.draw(step)
        pairs = zip(batch, masks, strict=True)
        return [_pack(segment, mask, self.numbers) for segment, mask in pairs], generator.get_state().numpy()


def drawn_by_workers(
    draw: Callable[[int], Drawn], steps: range, layouts: Sequence[Layout], *, n_workers: int
) -> Iterator[Drawn]:
    """draw(step) of each step in order. What draws must not touch a GPU."""
    batches = _Batches(draw, {layout: number for number, layout in enumerate(layouts)})
    how = {"num_workers": n_workers, "prefetch_factor": AHEAD, "multiprocessing_context": "fork"}
    for packed, state in DataLoader(batches, batch_size=None, sampler=steps, collate_fn=_as_it_is, **how):
        generator = torch.Generator()
        generator.set_state(torch.from_numpy(state))
        yield [_segment(one, layouts) for one in packed], [torch.from_numpy(one.mask) for one in packed], generator


def _as_it_is(batch: object) -> object:
    return batch


def _pack(segment: Segment, mask: torch.Tensor, numbers: dict[Layout, int]) -> _Packed:
    behaviour, tensors = segment.behaviour, segment.tensors
    probes = None if behaviour is None else behaviour.probes
    return _Packed(
        numbers[segment.layout],
        segment.values.numpy(),
        segment.firsts.numpy(),
        segment.moved,
        mask.numpy(),
        None if probes is None else (probes.inputs.numpy(), probes.outputs.numpy(), probes.n_outputs),
        None if behaviour is None else behaviour.contributions.numpy(),
        None if tensors is None else {name: value.numpy() for name, value in tensors.items()},
    )


def _segment(packed: _Packed, layouts: Sequence[Layout]) -> Segment:
    values, firsts = torch.from_numpy(packed.values), torch.from_numpy(packed.firsts)
    behaviour = None
    if packed.probes is not None:
        inputs, outputs, n_outputs = packed.probes
        probes = Probes(torch.from_numpy(inputs), torch.from_numpy(outputs), n_outputs)
        behaviour = Behaviour(probes, torch.from_numpy(packed.contributions))
    tensors = None if packed.tensors is None else {name: torch.from_numpy(one) for name, one in packed.tensors.items()}
    return Segment(layouts[packed.layout], values, firsts, behaviour, tensors, packed.moved)
