"""What a file holds: its networks, an account of what was left in it, and which of them are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from metarep.account import Entry
from metarep.errors import MetarepError
from metarep.networks.architecture import Architecture, Named, read_architecture
from metarep.networks.components import component_of, stem
from metarep.networks.graph import Graph

ALL = "all"


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
    def ties(self) -> dict[str, str]:
        """The names of tensors that lie where another one before them lies, and its name."""
        first: dict[tuple[Any, ...], str] = {}
        known = {
            name: first.setdefault((value.data_ptr(), value.shape, value.stride(), value.dtype), name)
            for name, value in self.tensors.items()
            if value.numel() > 1
        }
        return {name: other for name, other in known.items() if other != name}

    @property
    def architecture(self) -> Architecture:
        """What its tensors are, as names, shapes, the file's graph and shared values say."""
        found = read_architecture(self.named, ordered=self.ordered, graph=self.graph)
        return found.changed({name: {"tied_to": other} for name, other in self.ties.items()})


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
class FileContents:
    """The networks of a file in its order; none where it holds something else, such as the state of an optimiser.

    Entries tell what was left in the file or guessed; their `where` is a member, "" for the file as a whole.
    """

    networks: tuple[Held, ...]
    entries: tuple[Entry, ...] = ()


def only(tensors: dict[str, torch.Tensor], ordered: bool = True, graph: Graph | None = None) -> FileContents:
    """The contents of a file that holds one network and nothing else."""
    return FileContents((Held("", Checkpoint(tensors, ordered, graph)),))


def dtype_name(dtype: torch.dtype) -> str:
    """ "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")


def dtype_of(name: str) -> torch.dtype:
    """The inverse of `dtype_name`. Raises MetarepError for other texts."""
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise MetarepError("no dtype of PyTorch", met=name, expected="such as float32")
    return dtype


Read = Callable[[Checkpoint], Architecture]


def chosen_members(networks: Sequence[Held], member: str | None, read: Read) -> tuple[list[Held], list[Entry]]:
    """The networks of a file that are imported, and what is in doubt about them.

    Networks that lie in one set of names side by side are one network for `member` None, each its own for "all". Any other
    `member` is the path of keys to a network, to several of them, or the prefix of names of one that stands beside others.
    `where` of an entry is a member.
    """
    if member is None:
        return list(networks), [entry for held in networks for entry in _beside(held, read(held.checkpoint).components)]
    parts = [part for held in networks for part in _parts(held, read(held.checkpoint).components)]
    if member == ALL:
        return parts, []
    return _called(member, networks) or _called(member, parts), []


def _called(member: str, networks: Sequence[Held]) -> list[Held]:
    """The network of that name, or those beneath it."""
    path = member.replace(".", "/") + "/"
    return [held for held in networks if f"{held.member}/".replace(".", "/").startswith(path)]


def _beside(held: Held, components: Sequence[str]) -> Iterator[Entry]:
    if components:
        what = f"{len(components)} networks side by side, read as one: {', '.join(components)}"
        first = "/".join(filter(None, (held.member, components[0])))
        why = f"--member {first} takes one of them, --member {ALL} each as a network of its own"
        yield Entry("member", held.member, what, why, doubt=True)


def _parts(held: Held, components: Sequence[str]) -> list[Held]:
    """The networks side by side in one, without the prefix that tells them apart; the network itself where it is one."""
    return [_part(held, components, at) for at in range(len(components))] or [held]


def _part(held: Held, components: Sequence[str], at: int) -> Held:
    prefix = components[at]
    tensors = {
        name[len(stem(prefix)) :]: value
        for name, value in held.checkpoint.tensors.items()
        if component_of(name.replace("/", "."), components) == at
    }
    member = f"{held.member}/{prefix}" if held.member else prefix
    return replace(held, member=member, checkpoint=Checkpoint(tensors, held.checkpoint.ordered))
