"""Pretraining by several processes, which `torchrun` starts: each computes the gradients of its share of every batch.

All draw the same batches; gradients and losses are added up, so that a batch gives what it gives one process, but for rounding.
The first process alone writes and speaks. Of PyTorch's own collectives one a step is needed, so nothing is wrapped around them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed

from metarep.devices import is_gpu
from metarep.errors import MetarepError
from metarep.model.batches import Batch, Segment


@dataclass(frozen=True)
class Team:
    """This process, by its number, among all; `device` is the one that it computes on."""

    device: str
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            distributed.barrier()

    @contextmanager
    def written_by_the_first(self, opened: AbstractContextManager[Path], path: Path) -> Iterator[Path]:
        """A folder that the first process opens, and which is at `path` for the others."""
        if not self.leads:
            self.wait()
            yield path
            return
        with opened as folder:
            self.wait()
            yield folder

    def pieces(self, batch: Batch, masks: Sequence[torch.Tensor], n: int) -> Iterator[tuple[list[Segment], list[torch.Tensor]]]:
        """This process's share of a batch, in n pieces. Raises MetarepError for a batch that has not a window for each."""
        if sum(map(len, batch)) < n * self.size:
            expected = f"at least {n * self.size}, for {self.size} processes and accumulate={n}"
            raise MetarepError("a batch is too small to be shared", met=f"{sum(map(len, batch))} windows", expected=expected)
        for own in range(self.rank * n, (self.rank + 1) * n):
            at, found = 0, []
            for segment, mask in zip(batch, masks, strict=True):
                rows = torch.arange((own - at) % (n * self.size), len(segment), n * self.size)
                at += len(segment)
                found += [(segment.take(rows), mask[rows])] if len(rows) else []
            yield [segment for segment, _ in found], [mask for _, mask in found]

    def add_up(self, parameters: Sequence[torch.nn.Parameter], loss: torch.Tensor) -> torch.Tensor:
        """The sum of the gradients of all processes, in each; returns that of their losses ()."""
        if self.size == 1:
            return loss
        known = loss.new_tensor([one.grad is not None for one in parameters])
        gradients = [(torch.zeros_like(one) if one.grad is None else one.grad).flatten() for one in parameters]
        flat = torch.cat([loss.view(1), known, *gradients])
        distributed.all_reduce(flat)
        total, known, *gradients = flat.split([1, len(parameters), *(one.numel() for one in parameters)])
        for one, is_known, gradient in zip(parameters, known.tolist(), gradients, strict=True):
            one.grad = gradient.view_as(one) if is_known else None
        return total[0]


ALONE = Team("cpu")


@contextmanager
def joined_team(device: str) -> Iterator[Team]:
    """The processes that `torchrun` started together, or this one alone; each takes a GPU of its own."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(device)
        return
    own = f"cuda:{os.environ['LOCAL_RANK']}" if is_gpu(device) else device
    distributed.init_process_group("nccl" if is_gpu(device) else "gloo")
    try:
        yield Team(own, distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
