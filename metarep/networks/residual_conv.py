"""The symmetries of residual networks of convolutions: the units inside their blocks, and the streams that blocks add to.

Names are those of torchvision and of what follows it: a convolution in front (`conv1`, `stem`), numbered blocks (`layer2.0`,
`blocks.3`) of numbered convolutions and norms (`conv1`, `bn1` …) with a convolution across where the width changes
(`downsample`, `shortcut`), one linear layer at the end, of pooled channels. All that is added to a stream and all that
reads it is permuted together; a convolution across ends one stream and begins the next. Norms must be batch norms with
running statistics.

Units inside a block need only the block to be known. The streams need the whole network: with one tensor more (squeeze
and excitation, a second head), a width that changes without a convolution across (padded with zeros), a stack of
channels (DenseNet), or a linear layer that reads each channel more than once, none of them is interchangeable. That blocks
add at all is a convention of names; where they do not, the order of a stream's units is interchangeable all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from metarep.networks.inside import inner_groups
from metarep.networks.operations import Operation
from metarep.networks.plain import sequence
from metarep.networks.structure import Structure, residual
from metarep.networks.symmetry_groups import SymmetryGroup

_NUMBERED = r"(?:res(?:idual)?_?)?(?:layer|stage|group|block)s?[._]?"
_BLOCK = re.compile(
    rf"(?P<before>(?:.*?\.)??)(?P<block>{_NUMBERED}\d+\.(?:(?:{_NUMBERED})?\d+\.)*)(?P<part>[a-z].*)$", re.IGNORECASE
)
ROLES = {
    "conv": r"conv_?(\d)",
    "norm": r"(?:bn|norm|batch_?norm)_?(\d)",
    "across": r"(?:down_?sample|(?:conv_?)?short_?cut|skip)(?:\.(?:\d+|conv\d?|bn\d?|norm\d?))?",
    "stem": r"(?:conv_?[01]?|conv_?(?:in|init|stem|first)|(?:in|init|stem|first|input)_?(?:conv|block|layer)?)"
    r"(?:\.(?:\d+|conv\d?))?",
    "head": r"(?:.*\.)?(?:fc|linear|head|classifier|output|out|logits)(?:\.\d+)?",
}
"""What a part of a block is (the first three), and what stands outside of the blocks, by name in lower case."""

NormPosition = Literal["behind", "before"]
"""Whether norm k of a block stands behind convolution k, or before it as in He et al., "Identity mappings", 2016."""


class ResidualBlock(NamedTuple):
    """The operations of one block: convolutions and norms by number, a slope of one value by that of the convolution before it,
    and what leads across."""

    convs: dict[int, Operation]
    norms: dict[int, Operation]
    slopes: dict[int, Operation]
    across: list[Operation]

    def path(self, position: NormPosition) -> list[Operation]:
        """Its convolutions, norms and slopes one behind the other."""
        each = [[part[n] for part in (self.convs, self.norms, self.slopes) if n in part] for n in sorted(self.convs)]
        return [operation for part in each for operation in (part if position == "behind" else part[::-1])]


class Root(NamedTuple):
    """What stands outside of the blocks: the convolution in front, norms, the linear layer at the end; and whether there is one
    norm, named as that of the convolution in front is (conv1 and bn1, stem.0 and stem.1)."""

    stem: Operation
    norms: tuple[Operation, ...]
    head: Operation
    norm_of_stem: bool


def residual_conv(operations: Sequence[Operation]) -> tuple[SymmetryGroup, ...]:
    """The interchangeable groups of a residual network of convolutions, streams among them; () for others, and in doubt."""
    found, root = _split(operations)
    blocks = [block for block in found if block is not None]
    position = _norm_position(blocks, root)
    if position is None:
        return ()
    by_name = {operation.label: operation for operation in operations}
    if root is not None and len(blocks) == len(found):
        whole = _whole(root, blocks, position)
        groups = inner_groups(whole, by_name) if whole is not None else ()
        if groups:
            return groups
    return tuple(units for block in blocks for units in inner_groups(sequence(block.path(position)), by_name))


def _whole(root: Root, blocks: Sequence[ResidualBlock], position: NormPosition) -> Structure | None:
    """The whole network; None where it is not known which stream a norm outside of the blocks stands on, where the layer at
    the end reads each channel more than once, and for norms across in front of convolutions."""
    ends = {"first": root.stem.n_out, "last": next(o for o in reversed(blocks[-1].path(position)) if o.is_layer).n_out}
    outside: dict[str, list[Operation]] = {"first": [], "last": []}
    for norm in root.norms:
        fitting = [end for end, n in ends.items() if all(vector.shape == (n,) for vector in norm.vectors)]
        if len(fitting) == 2 and any(block.across for block in blocks):
            fitting = ["first"] if root.norm_of_stem and position == "behind" else []
        if not fitting:
            return None
        outside[fitting[0]].append(norm)
    if root.head.n_in != ends["last"] or (position == "before" and any(len(block.across) > 1 for block in blocks)):
        return None
    middle = [residual(*sequence(block.path(position)).parts, across=sequence(block.across).parts) for block in blocks]
    first, last = (sequence(norms).parts for norms in outside.values())
    return Structure("sequence", (root.stem.label, *first, *middle, *last, root.head.label))


def _split(operations: Sequence[Operation]) -> tuple[list[ResidualBlock | None], Root | None]:
    """The blocks in order of their numbers, None for those that are not known, and what stands outside; no blocks in doubt."""
    blocks: dict[tuple[int, ...], dict[str, Operation]] = {}
    others, positions = [], set()
    for operation in operations:
        match = _BLOCK.match(operation.module)
        if match is None:
            others.append(operation)
            continue
        positions.add(match["before"])
        numbers = tuple(int(number) for number in re.findall(r"\d+", match["block"]))
        blocks.setdefault(numbers, {})[match["part"]] = operation
    if len(positions) != 1:
        return [], None
    (before,) = positions
    found = [_block(blocks[numbers]) for numbers in sorted(blocks)]
    if len({len(numbers) for numbers in blocks}) != 1:
        return found, None
    return found, _root({o.module.removeprefix(before): o for o in others})


def _is(role: str, name: str) -> re.Match[str] | None:
    return re.fullmatch(ROLES[role], name.lower())


def _block(parts: Mapping[str, Operation]) -> ResidualBlock | None:
    """A block as one knows them: convolutions, each norm with one of them, one convolution across at most; None for others."""
    block = ResidualBlock({}, {}, {}, [])
    for name, operation in parts.items():
        is_conv = operation.plain and operation.kind.startswith("conv")
        is_norm = operation.plain and operation.has_statistics
        if is_conv and (match := _is("conv", name)):
            block.convs[int(match[1])] = operation
        elif is_norm and (match := _is("norm", name)):
            block.norms[int(match[1])] = operation
        elif operation.is_elementwise and block.convs and all(tensor.size == 1 for tensor in operation.tensors):
            block.slopes[max(block.convs)] = operation
        elif (is_conv or is_norm) and _is("across", name):
            block.across.append(operation)
        else:
            return None
    across = [operation.kind.startswith("conv") for operation in block.across]
    return block if block.convs and block.norms.keys() <= block.convs.keys() and across in ([], [True], [True, False]) else None


def _root(others: Mapping[str, Operation]) -> Root | None:
    """What stands outside of the blocks, by name; None where it is more or less than a Root holds."""
    stems = [name for name, operation in others.items() if operation.kind.startswith("conv") and _is("stem", name)]
    heads = [name for name, operation in others.items() if operation.kind == "linear" and _is("head", name)]
    norms = [name for name, operation in others.items() if operation.has_statistics]
    plain = all(operation.plain for operation in others.values())
    if not plain or len(stems) != 1 or len(heads) != 1 or len(others) != 2 + len(norms):
        return None
    paired = len(norms) == 1 and _same_layer(stems[0], norms[0])
    return Root(others[stems[0]], tuple(others[name] for name in norms), others[heads[0]], paired)


def _same_layer(conv: str, norm: str) -> bool:
    (conv_in, _, _), (norm_in, _, _) = conv.rpartition("."), norm.rpartition(".")
    return re.sub("batch_?norm|norm|bn", "conv", norm.lower()) == conv.lower() or conv_in == norm_in != ""


def _norm_position(blocks: Sequence[ResidualBlock], root: Root | None) -> NormPosition | None:
    """Where the norms of all blocks stand, by their sizes; None in doubt.

    Where all widths are alike, sizes say nothing. Then the order in the file has to, together with the norm outside of the
    blocks: in front of them where norms stand behind convolutions, and at the end, if there is one, where they stand before.
    """
    pairs = [(block.convs[number], norm) for block in blocks for number, norm in block.norms.items()]
    behind = all(norm.vectors[0].shape[0] == conv.n_out for conv, norm in pairs)
    before = all(norm.vectors[0].shape[0] == conv.n_in for conv, norm in pairs)
    if not pairs or behind != before:
        return ("behind" if behind else "before") if blocks else None
    in_order = all(conv.layer < norm.layer for conv, norm in pairs)
    if behind and root is None and in_order and any(block.slopes for block in blocks):
        return "behind"
    if not behind or root is None:
        return None
    layers = [operation.layer for pair in pairs for operation in pair]
    if root.norm_of_stem and root.norms[0].layer < min(layers) and in_order:
        return "behind"
    if all(norm.layer > max(layers) for norm in root.norms) and all(norm.layer < conv.layer for conv, norm in pairs):
        return "before"
    return None
