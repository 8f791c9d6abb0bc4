"""The symmetries of residual networks of convolutions: the units inside their blocks, and the streams that blocks add to.

Names are those of torchvision and of what follows it: a convolution in front (`conv1`, `stem`), numbered blocks (`layer2.0`,
`blocks.3`) of numbered convolutions and norms (`conv1`, `bn1` …) with a convolution across where the width changes
(`downsample`, `shortcut`), one linear layer at the end, of pooled channels. All that is added to a stream and all that
reads it changes places together; a convolution across ends one stream and begins the next. Norms must be batch norms with
running statistics.

Units inside a block need only the block to be known. The streams need the whole network: with one tensor more (squeeze
and excitation, a second head), a width that changes without a convolution across (padded with zeros), a stack of
channels (DenseNet), or a linear layer that reads each channel more than once, none of them is interchangeable. That blocks
add at all is a convention of names; where they do not, the order of a stream's units is interchangeable all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from metarep.networks.chain import chain_of
from metarep.networks.operations import Operation
from metarep.networks.symmetry_groups import SymmetryGroup

_NUMBERED = r"(?:res(?:idual)?_?)?(?:layer|stage|group|block)s?[._]?"
_BLOCK = re.compile(
    rf"(?P<before>(?:.*?\.)??)(?P<block>{_NUMBERED}\d+\.(?:(?:{_NUMBERED})?\d+\.)*)(?P<part>[a-z].*)$", re.IGNORECASE
)
_CONV = re.compile(r"conv_?(\d)$", re.IGNORECASE)
_NORM = re.compile(r"(?:bn|norm|batch_?norm)_?(\d)$", re.IGNORECASE)
_ACROSS = re.compile(r"(?:down_?sample|(?:conv_?)?short_?cut|skip)(?:\.(\d+|conv\d?|bn\d?|norm\d?))?$", re.IGNORECASE)
_STEM = re.compile(
    r"(?:conv_?[01]?|conv_?(?:in|init|stem|first)|(?:in|init|stem|first|input)_?(?:conv|block|layer)?)(?:\.(?:\d+|conv\d?))?$",
    re.IGNORECASE,
)
_HEAD = re.compile(r"(?:.*\.)?(?:fc|linear|head|classifier|output|out|logits)(?:\.\d+)?$", re.IGNORECASE)

NormPlace = Literal["behind", "before"]
"""Whether norm k of a block stands behind convolution k, or before it as in He et al., "Identity mappings", 2016."""


@dataclass
class Block:
    """The operations of one block: convolutions and norms by number, what leads across, and whether all of it is known."""

    convs: dict[int, Operation] = field(default_factory=dict)
    norms: dict[int, Operation] = field(default_factory=dict)
    across: list[Operation] = field(default_factory=list)
    known: bool = True

    def add(self, part: str, operation: Operation) -> None:
        """Takes in an operation by its name inside the block."""
        conv, norm, across = (pattern.match(part) for pattern in (_CONV, _NORM, _ACROSS))
        is_conv = operation.plain and operation.kind.startswith("conv")
        is_norm = operation.plain and operation.has_statistics
        if conv and is_conv:
            self.convs[int(conv[1])] = operation
        elif norm and is_norm:
            self.norms[int(norm[1])] = operation
        elif across and (is_conv or is_norm):
            self.across.append(operation)
        else:
            self.known = False

    @property
    def complete(self) -> bool:
        """Whether it is a block as one knows them: convolutions, each norm with one of them, one convolution across at most."""
        kinds = [operation.kind.startswith("conv") for operation in self.across]
        return (
            self.known and bool(self.convs) and self.norms.keys() <= self.convs.keys() and kinds in ([], [True], [True, False])
        )

    def path(self, place: NormPlace) -> list[Operation]:
        """Its convolutions and norms one behind the other."""
        found: list[Operation] = []
        for number in sorted(self.convs):
            both = [self.convs[number], *([self.norms[number]] if number in self.norms else [])]
            found += both if place == "behind" else both[::-1]
        return found


@dataclass(frozen=True)
class Root:
    """What stands outside of the blocks: the convolution in front, norms, the linear layer at the end; and whether there is one
    norm, named as that of the convolution in front is (conv1 and bn1, stem.0 and stem.1)."""

    stem: Operation
    norms: tuple[Operation, ...]
    head: Operation
    norm_of_stem: bool


def residual_conv(operations: Sequence[Operation]) -> tuple[SymmetryGroup, ...]:
    """The interchangeable groups of a residual network of convolutions, streams first; () for others, and in doubt."""
    found, root = _split(operations)
    blocks = [block for block in found if block.complete]
    place = _norm_place(blocks, root)
    if place is None:
        return ()
    ends = [_through(block.path(place)) for block in blocks]
    inner = tuple(units for groups in ends for units in groups[1:-1])
    if root is None or len(blocks) < len(found) or not all(ends):
        return inner
    return (*_streams(root, blocks, ends, place), *inner)


def _split(operations: Sequence[Operation]) -> tuple[list[Block], Root | None]:
    """The blocks in order of their numbers, and what stands outside; no blocks in doubt."""
    blocks: dict[tuple[int, ...], Block] = {}
    others, places = [], set()
    for operation in operations:
        match = _BLOCK.match(operation.module)
        if match is None:
            others.append(operation)
            continue
        places.add(match["before"])
        numbers = tuple(int(number) for number in re.findall(r"\d+", match["block"]))
        blocks.setdefault(numbers, Block()).add(match["part"], operation)
    if len(places) != 1 or len({len(numbers) for numbers in blocks}) != 1:
        return [], None
    (before,) = places
    return [blocks[numbers] for numbers in sorted(blocks)], _root({o.module.removeprefix(before): o for o in others})


def _root(others: Mapping[str, Operation]) -> Root | None:
    """What stands outside of the blocks, by name; None where it is more or less than a Root holds."""
    plain = all(operation.plain for operation in others.values())
    stems = [name for name, operation in others.items() if operation.kind.startswith("conv") and _STEM.match(name)]
    heads = [name for name, operation in others.items() if operation.kind == "linear" and _HEAD.match(name)]
    norms = [name for name, operation in others.items() if operation.has_statistics]
    if not plain or len(stems) != 1 or len(heads) != 1 or len(others) != 2 + len(norms):
        return None
    (stem,), (head,) = stems, heads
    paired = len(norms) == 1 and _same_layer(stem, norms[0])
    return Root(others[stem], tuple(others[name] for name in norms), others[head], paired)


def _same_layer(conv: str, norm: str) -> bool:
    (conv_in, _, _), (norm_in, _, _) = conv.rpartition("."), norm.rpartition(".")
    return re.sub("batch_?norm|norm|bn", "conv", norm.lower()) == conv.lower() or conv_in == norm_in != ""


def _norm_place(blocks: Sequence[Block], root: Root | None) -> NormPlace | None:
    """Where the norms of all blocks stand, by their sizes; None in doubt.

    Where all widths are alike, sizes say nothing. Then the order in the file has to, together with the norm outside of the
    blocks: in front of them where norms stand behind convolutions, and at the end, if there is one, where they stand before.
    """
    pairs = [(block.convs[number], norm) for block in blocks for number, norm in block.norms.items()]
    behind = all(norm.vectors[0].shape[0] == conv.n_out for conv, norm in pairs)
    before = all(norm.vectors[0].shape[0] == conv.n_in for conv, norm in pairs)
    if not pairs or behind != before:
        return ("behind" if behind else "before") if blocks else None
    if not behind or root is None:
        return None
    layers = [operation.layer for pair in pairs for operation in pair]
    if root.norm_of_stem and root.norms[0].layer < min(layers) and all(conv.layer < norm.layer for conv, norm in pairs):
        return "behind"
    if all(norm.layer > max(layers) for norm in root.norms) and all(norm.layer < conv.layer for conv, norm in pairs):
        return "before"
    return None


def _through(path: Sequence[Operation]) -> tuple[SymmetryGroup, ...]:
    """The groups along a path: what it reads, units inside, what it feeds; () where its layers do not fit."""
    first = next(operation for operation in path if operation.kind.startswith("conv"))
    groups = chain_of(path, start=SymmetryGroup("inputs", first.n_in, (), interchangeable=False))
    return groups if groups is not None and len(groups) > 1 else ()


def _streams(
    root: Root, blocks: Sequence[Block], ends: Sequence[tuple[SymmetryGroup, ...]], place: NormPlace
) -> tuple[SymmetryGroup, ...]:
    """The streams from the convolution in front to the linear layer at the end; () where anything does not fit."""
    found = [_stream(root.stem, SymmetryGroup("", root.stem.n_out, root.stem.feeding()))]
    for block, (source, *_, result) in zip(blocks, ends, strict=True):
        across = _through(block.across) if block.across else ()
        if len(across) != min(2, 2 * len(block.across)) or (place == "before" and len(block.across) > 1):
            return ()
        for units, begins in ((source, False), *zip(across, (False, True), strict=False), (result, False)):
            if begins:
                found.append(_stream(block.across[0], units))
            elif units.n == found[-1].n:
                found[-1] = replace(found[-1], members=found[-1].members + units.members)
            else:
                return ()
    for norm in root.norms:
        at = _stream_of_norm(norm, found, root, place)
        if at is None:
            return ()
        found[at] = replace(found[at], members=found[at].members + norm.owning())
    reading = chain_of((root.head,), start=found[-1])
    return () if reading is None else (*found[:-1], reading[0])


def _stream(operation: Operation, units: SymmetryGroup) -> SymmetryGroup:
    return SymmetryGroup(f"stream from {operation.module}", units.n, units.members)


def _stream_of_norm(norm: Operation, streams: Sequence[SymmetryGroup], root: Root, place: NormPlace) -> int | None:
    """Which stream a norm outside of the blocks stands on, the first or the last; None in doubt."""
    fitting = {number for number in (0, len(streams) - 1) if all(v.shape == (streams[number].n,) for v in norm.vectors)}
    if len(fitting) == 2 and root.norm_of_stem and place == "behind":
        return 0
    return fitting.pop() if len(fitting) == 1 else None
