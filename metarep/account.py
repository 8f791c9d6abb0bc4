"""What was passed over, set aside or guessed while networks were read: the account that goes with an imported zoo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Subject = Literal["file", "key", "tensor", "buffer", "member", "architecture", "column", "run", "copy"]


@dataclass(frozen=True)
class Entry:
    """One thing that a user should know: `what` was met in which file, network or architecture (`where`), and why it matters.

    `where` is "" for what concerns the whole zoo. With `doubt`, a wrong guess would change results: `--strict` refuses it.
    `n_networks` have the architecture that it is about, of which `where` is one.
    """

    subject: Subject
    where: str
    what: str
    why: str
    doubt: bool = False
    n_networks: int = 1


def counted(n: int, noun: str) -> str:
    """A number with its noun: 1 network, 3 networks."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(names: Sequence[object], few: int = 3, between: str = ", ") -> str:
    """The first few of some names, and how many more there are."""
    return between.join(map(str, names[:few])) + (f" and {len(names) - few:,} more" if len(names) > few else "")
