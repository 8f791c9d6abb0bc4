"""What a file holds: its networks, and an account of what was left in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from metarep.account import Entry
from metarep.errors import MetarepError
from metarep.networks.architecture import Architecture, Named, read_architecture
from metarep.networks.graph import Graph


@dataclass(frozen=True)
class Checkpoint:
    """A network's tensors by name; `ordered` where they stand as in the network. Values may lie in the file until used.

    `graph` is what the file itself says is done with them.
    """

    tensors: dict[str, torch.Tensor]
    ordered: bool = True
    graph: Graph | None = None

    @property
    def named(self) -> tuple[Named, ...]:
        """(name, shape, dtype) of each tensor."""
        return tuple((name, tuple(value.shape), dtype_name(value.dtype)) for name, value in self.tensors.items())

    @property
    def n_values(self) -> int:
        """How many values its floating-point tensors hold."""
        return sum(value.numel() for value in self.tensors.values() if value.is_floating_point())

    @property
    def architecture(self) -> Architecture:
        """What its tensors are, as names, shapes and the file's graph say."""
        return read_architecture(self.named, ordered=self.ordered, graph=self.graph)


@dataclass(frozen=True)
class Held:
    """One network of a file. `member` is "" for a file's only network, else its path of keys, such as "state_dicts/3".

    A `snapshot` is an earlier state of a network that the same file holds in a later one.
    """

    member: str
    checkpoint: Checkpoint
    epoch: int | None = None
    snapshot: bool = False

    def holding(self, tensors: dict[str, torch.Tensor]) -> Held:
        """The same with other tensors."""
        return replace(self, checkpoint=replace(self.checkpoint, tensors=tensors))


@dataclass(frozen=True)
class Contents:
    """The networks of a file in its order; none where it holds something else, such as the state of an optimiser.

    Entries tell what was left in the file or guessed; their `where` is a member, "" for the file as a whole.
    """

    networks: tuple[Held, ...]
    entries: tuple[Entry, ...] = ()


def only(tensors: dict[str, torch.Tensor], ordered: bool = True, graph: Graph | None = None) -> Contents:
    """The contents of a file that holds one network and nothing else."""
    return Contents((Held("", Checkpoint(tensors, ordered, graph)),))


def dtype_name(dtype: torch.dtype) -> str:
    """ "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")


def dtype_of(name: str) -> torch.dtype:
    """The inverse of `dtype_name`. Raises MetarepError for other texts."""
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise MetarepError("no dtype of PyTorch", met=name, expected="such as float32")
    return dtype
