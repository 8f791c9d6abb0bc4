"""What a page is made of: sections, and the blocks that a section holds. The template shows each block by its `kind`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from matplotlib.figure import Figure

from metarep.report.wording import Finding


@dataclass(frozen=True)
class Text:
    """A paragraph; `small` is for what explains, not for what is found."""

    kind: ClassVar[str] = "text"
    text: str
    small: bool = False


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Drawing:
    """A figure: the name of its file, what draws it, and what it shows, in a few words for those who cannot see it."""

    kind: ClassVar[str] = "drawing"
    name: str
    draw: Callable[[], Figure]
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """Cells as text; the first `n_left` columns are words. `groups` {row number: its group} mark rows, `folded` hides it."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_left: int = 1
    folded: str = ""
    groups: Mapping[int, str] = field(default_factory=dict)
    notes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """A small figure, if there is one, a title, lines below it, and a bar of shares [(share, colour)]."""

    title: str
    lines: Sequence[str]
    drawing: Drawing | None = None
    bar: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class Cards:
    """Cards side by side, or in wide rows, below a key {name: colour}."""

    kind: ClassVar[str] = "cards"
    cards: Sequence[Card]
    colours: Mapping[str, str] = field(default_factory=dict)
    wide: bool = False


Block = Text | Heading | Drawing | Table | Cards


@dataclass(frozen=True)
class Section:
    """A numbered part of the page; what it has to say in short goes to the head of the page."""

    name: str
    title: str
    blocks: Sequence[Block]
    findings: Sequence[Finding] = ()
    is_absent: bool = False

    def drawings(self) -> Iterator[Drawing]:
        """Its figures, in order."""
        for block in self.blocks:
            if isinstance(block, Drawing):
                yield block
            elif isinstance(block, Cards):
                yield from (card.drawing for card in block.cards if card.drawing)


def absent(name: str, title: str, command: str) -> Section:
    """What stands in place of a section whose stage was not run."""
    text = f"{title}: this stage was not run, so there is nothing to show: metarep {command} runs it."
    return Section(name, title, [Text(text, small=True)], is_absent=True)
