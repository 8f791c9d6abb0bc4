"""Which of the networks in a file are taken: all that are apart, one by its name, or each of those side by side as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from metarep.account import Entry
from metarep.formats.contents import Checkpoint, Held
from metarep.networks.architecture import Architecture

ALL = "all"
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
        why = f"--member {components[0]} takes one of them, --member {ALL} each as a network of its own"
        yield Entry("member", held.member, what, why, doubt=True)


def _parts(held: Held, components: Sequence[str]) -> list[Held]:
    """The networks side by side in one, without the prefix that tells them apart; the network itself where it is one."""
    return [_part(held, prefix) for prefix in components] or [held]


def _part(held: Held, prefix: str) -> Held:
    tensors = {
        name[len(prefix) + 1 :]: value
        for name, value in held.checkpoint.tensors.items()
        if name.replace("/", ".").startswith(prefix + ".")
    }
    member = f"{held.member}/{prefix}" if held.member else prefix
    return replace(held, member=member, checkpoint=Checkpoint(tensors, held.checkpoint.ordered))
