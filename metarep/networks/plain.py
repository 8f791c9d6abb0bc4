"""The structure of networks of plain layers by names and widths: chains, towers, heads, variational autoencoders.

A network is plain where every layer with units is linear, a convolution, a norm, an embedding or recurrent, and no name says
that something goes around them. Layers that no word sets apart stand one behind the other; words such as `policy_net` and
`value_net` make towers, which begin where the others end. Where widths do not fit that, there is no plain structure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import takewhile
from os.path import commonprefix

from metarep.networks.operations import NORMS, RECURRENT, TRANSPOSED, Operation
from metarep.networks.structure import Structure

Tree = Structure | str

_SKIPS = re.compile(
    r"down_?sample|short_?cut|skip|highway|gate|dense_?(?:block|layer)|res(?:idual|net|_?block|_?conv|blk|_?\d|$)|inception|fire"
    r"|(?:^|[._])(?:se|sq|ca|cbam)(?:[._]?\d*[._]|[._]?(?:block|layer|module|fc))|squeeze|excit|channel_?att"
    r"|(?:layer|block|stage|group)s?_?\d+\.\d+\.|(?:layer|block|stage|group)s?[._]?\d+\.[a-z_]+\d|blocks[._]?\d+\."
    r"|unet|(?:^|[._])(?:up|down)_?(?:conv|blocks?|layers?|path|\d|$|\.)|lateral|fpn|merge|concat",
    re.IGNORECASE,
)
"""Modules around which a network may go: those that say so, and numbered blocks of numbered parts, as in residual networks."""

_PLACE = r"(?:(?:fc|linear|lin|layer|conv|z|latent|q|enc|encoder|to|hid(?:den)?_?2|h2)_?)?"
_TOWERS: Mapping[str, str] = {
    "policy": r"(?:pi|actor|policy|action|act)(?:_?(?:net|network|head|layer|logits|out|mean|fc|linear|encoder))?|pi_\w+",
    "value": r"(?:v|vf|critic|val(?:ue)?s?|baseline)(?:_?(?:net|network|head|layer|out|fc|linear|stream|encoder))?|vf_\w+",
    "advantage": r"(?:adv|advantage)s?(?:_?(?:net|network|head|layer|out|fc|linear|stream))?",
    "mean": _PLACE + r"(?:mu|means?|loc)(?:_?(?:layer|head|linear|fc|net|z))?",
    "spread": _PLACE
    + r"(?:log_?var(?:iance)?s?|log_?sigma2?|log_?std|sigma|var(?:iance)?|std)(?:_?(?:layer|head|linear|fc|net|z|x))?",
    "query": r"query|q_proj|q",
    "key": r"key|k_proj|k",
}
"""Words for layers that stand beside others, by the tower that they belong to."""

_NUMBERED_TOWER = re.compile(
    r"(?:branch|tower|path|head|b|q|qf|critic|expert|task|classifiers?)_?(\d+[ab]?|[ab])|(\w+)_(?:head|branch|tower)"
)
_LISTED_TOWERS = re.compile(r"(?:branches|towers|paths|heads|experts|critics|tasks|outputs|output_layers|classifiers)")
_PATTERNS = {tower: re.compile(pattern) for tower, pattern in _TOWERS.items()}
_ASIDE = re.compile(
    r"(?:^|\.)(?:(?:b_(?:dec|pre)|pre_bias|decoder_bias|dec_bias)|log_?(?:std|stddev|sigma|var|alpha)s?|logit_scale|temperature|action_(?:scale|bias)|max_action)\d*$"
)
"""Vectors that scale what is put out."""

_FIELD = tuple(
    re.compile(rf"(?:fc_|layers_)?{part}(?:_?(?:linear|layer)s?)?(?:\.\d+)*")
    for part in ("(?:alpha|sigma|density)", "feat(?:ure)?s?", "(?:dir|view)s?", "(?:rgb|colou?r)")
)
"""The layers of a radiance field (Mildenhall et al., "NeRF", 2020) behind its trunk: density, features, view, colour."""

_PLACES = re.compile(r"pos|time|segment", re.I)
"""Embeddings of positions, by their module: attention may stand behind them."""

_STAGES = re.compile(r"layer|block|stage|group", re.I)

_BLOCK = re.compile(r"(.*?(?:^|[._a-zA-Z])\d+)\.(.+)")
"""A numbered block and a part of it."""


def plain_structure(operations: Sequence[Operation]) -> Structure | None:
    """The tree of a network of plain layers, its leaves the labels of operations; None for others and in doubt."""
    operations = [operation for operation in operations if not _stands_aside(operation, operations)]
    operations.sort(key=lambda operation: operation.tensors[0].name.endswith("log_std"))  # kept before what it is read with
    if not operations or may_be_gone_around(operations) or _looks_like_a_transformer(operations):
        return None
    if field := _radiance_field(operations):
        return field
    if copies := _copies(operations):
        return copies
    tables = list(takewhile(lambda operation: operation.kind == "embedding", operations))
    if len(tables) > 1:
        return _behind_tables(tables, operations[len(tables) :])
    towers: dict[str, list[Operation]] = {}
    trunk: list[Operation] = []
    tail: list[Operation] = []
    for operation in operations:
        tower = tower_of(operation.module or operation.label)
        (towers.setdefault(tower, []) if tower else tail if towers else trunk).append(operation)
    for number, operation in enumerate(tail if _are_heads(tail, trunk, towers) else ()):
        towers[f"head {number}"] = [operation]
        tail = tail[: -number - 1]
    if (
        "policy" in towers and len(towers.get("spread", [])) == 1 and not trunk
    ):  # a matrix of spreads, read beside the last layer
        last = Structure("parallel", (towers["policy"].pop().label, towers.pop("spread")[0].label))
        policy = Structure("sequence", (*sequence(towers.pop("policy")).parts, last))
        return Structure("parallel", (policy, *(sequence(part) for part in towers.values())))
    heads = tuple(sequence(part) for part in towers.values())
    if set(towers) == {"mean", "spread"} and not tail and trunk:
        positions = _latent_positions(trunk, towers["mean"])
        if len(positions) > 1 or (positions and trunk[0].n_in != trunk[-1].n_out):
            return None
        trunk, tail = (trunk[: positions[0]], trunk[positions[0] :]) if positions else (trunk, [])
    if not towers or (len(towers) == 1 and not tail):
        return _row([*trunk, *(one for part in towers.values() for one in part)])
    if not tail:
        return Structure("sequence", (*sequence(trunk).parts, Structure("parallel", heads)))
    if set(towers) == {"mean", "spread"}:
        return Structure("sequence", (*sequence(trunk).parts, Structure("elementwise", heads), *sequence(tail).parts))
    return None


def _copies(operations: Sequence[Operation]) -> Structure | None:
    """Several networks of one form in one list of layers, which all read the inputs (two critics: l1 to l3, l4 to l6)."""
    widths = [(o.kind, o.n_in, o.n_out) for o in operations if o.is_layer]
    if len(widths) < len(operations) or widths[-1][2] in (widths[0][1], widths[-1][1]):
        return None
    for n in range(2, len(widths) // 2 + 1):
        if widths == widths[:n] * (len(widths) // n):
            return Structure("parallel", tuple(sequence(operations[at : at + n]) for at in range(0, len(widths), n)))
    return None


def _behind_tables(tables: Sequence[Operation], rest: Sequence[Operation]) -> Structure | None:
    """Several embeddings and what reads them: units of one width are permuted alike, whether values are added, multiplied or
    joined in any order. Embeddings of several widths, or beside other inputs, keep theirs; several recurrent layers may each
    have one of their own."""
    recurrent = {operation.module for operation in rest if operation.gates}
    in_doubt = len(recurrent) > 1 or any(_PLACES.search(table.module) for table in tables)
    tree = None if in_doubt else plain_structure(rest)
    if tree is None:
        return None
    n, first = tables[0].n_out, rest[0]
    times = first.n_in / n if first.is_layer or first.gates else 0
    joined = range(1, len(tables) + 1) if first.kind == "linear" else (1,)
    if times not in joined or any(table.n_out != n for table in tables):
        return tree
    return Structure("sequence", (Structure("elementwise", tuple(table.label for table in tables)), tree))


def branches(operations: Sequence[Operation], fits: Callable[[Sequence[Operation]], bool]) -> Structure | None:
    """Chains that begin anew where a layer does not fit, and behind them a layer that reads the ends of all; None for others.

    `fits` says whether layers stand one behind the other. A chain begins at inputs: with a width that nothing before puts out;
    recurrent layers of one width may hand on their states.
    """
    chains: list[list[Operation]] = []
    operations = [operation for operation in operations if not _stands_aside(operation, operations)]
    for at, operation in enumerate(operations):
        made = [[o.n_out for o in chain if o.is_layer or o.gates or o.kind == "embedding"] for chain in chains]
        if chains and fits([*chains[-1], operation]):
            chains[-1].append(operation)
        elif operation.kind == "embedding":
            chains.append([operation])
        elif not (operation.is_layer or operation.gates) or any(operation.n_in in widths for widths in made):
            return None
        elif len(chains) > 1 and operation.kind == "linear" and operation.n_in == sum(widths[-1] for widths in made):
            states = [n for chain in chains for n in {one.n_out for one in chain if one.gates}]
            towers = Structure("parallel", tuple(sequence(chain) for chain in chains))
            return sequence([towers, *operations[at:]]) if len(states) == len(set(states)) else None
        else:
            chains.append([operation])
    return None


def _latent_positions(trunk: Sequence[Operation], mean: Sequence[Operation]) -> list[int]:
    """Where inside a trunk the layers of a latent may stand that the file keeps behind it: between encoder and decoder."""
    if not all(operation.is_layer for operation in mean):
        return []
    read, made = mean[0].n_in, mean[-1].n_out
    found = []
    for at, decoder in enumerate(trunk):
        layers = [operation for operation in trunk[:at] if operation.is_layer]
        fits = bool(layers) and (
            layers[-1].n_out == read or (layers[-1].kind.startswith("conv") and read % layers[-1].n_out == 0)
        )
        found += [at] if fits and decoder.is_layer and decoder.n_in == made else []
    return found


def _radiance_field(operations: Sequence[Operation]) -> Structure | None:
    """The trunk, behind which density stands beside features, view and colour; None where one of them is not there."""
    density, *colour = [[o for o in operations if part.fullmatch(o.module.lower())] for part in _FIELD]
    behind = [o for part in (density, *colour) for o in part]
    trunk = [o for o in operations if o not in behind]
    if not (trunk and density and all(colour)):
        return None
    seen = sequence([o for part in colour for o in part])
    return Structure("sequence", (*sequence(trunk).parts, Structure("parallel", (sequence(density), seen))))


def sequence(items: Sequence[Operation | Structure]) -> Structure:
    """Operations and trees one behind the other; the directions of one recurrent layer stand side by side."""
    parts: list[Tree] = []
    for item in items:
        name = item if isinstance(item, Structure) else item.label
        if isinstance(name, str) and name.endswith("_reverse") and parts and parts[-1] == name.removesuffix("_reverse"):
            parts[-1] = Structure("parallel", (parts[-1], name))
        else:
            parts.append(name)
    return Structure("sequence", tuple(parts))


def tower_of(module: str) -> str | None:
    """The tower that a module stands in by its name; None for the trunk."""
    parts = module.lower().split(".")
    for at, part in enumerate(parts):
        if _LISTED_TOWERS.fullmatch(part) and at + 1 < len(parts) and parts[at + 1].isdigit():
            return f"{part} {parts[at + 1]}"
        known = next((tower for tower, pattern in _PATTERNS.items() if pattern.fullmatch(part)), None)
        if known is not None:
            return known
        if _NUMBERED_TOWER.fullmatch(part):
            return part
    return None


def may_be_gone_around(operations: Sequence[Operation]) -> bool:
    """Whether names say that something may go around layers.

    Numbered blocks of several layers that put out as many units as they read may be gone around, those of layers without names
    (`body.0.2`) where there are several; a list of single layers (`layers.0.linear`) is not. Layers that are recurrent by name
    read themselves. What names cannot say stays: x + f(x) in a network of layers called conv1, conv2, conv3.
    """
    if any(_SKIPS.search(o.module) or (o.is_layer and o.n_in == o.n_out and RECURRENT.search(o.module)) for o in operations):
        return True
    blocks: dict[tuple[str, bool], list[Operation]] = {}
    heads = [operation.module.split(".")[:-1] for operation in operations]
    shared = commonprefix(heads)  # noqa: RUF071 (of lists: whole components; net.0. before all names is no block)
    for operation in operations:
        part = _BLOCK.fullmatch(".".join(operation.module.split(".")[len(shared) :]))
        if part and operation.is_layer:
            in_list = bool(re.fullmatch(r"[\d.]+", part[2])) and not _STAGES.search(part[1])
            blocks.setdefault((part[1], in_list), []).append(operation)
    if _filters_side_by_side(operations) or _squeezes(operations):
        return True
    around = [in_list for (_, in_list), block in blocks.items() if len(block) > 1 and block[0].n_in == block[-1].n_out]
    return not all(around) or len(around) > 1


def _filters_side_by_side(operations: Sequence[Operation]) -> bool:
    """Whether a list holds convolutions as wide in as out whose filters all have lengths of their own."""
    lists: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.is_layer and operation.kind != "linear":
            lists.setdefault(operation.module.rpartition(".")[0], []).append(operation)
    each = [listed for listed in lists.values() if len(listed) > 1 and all(o.n_in == o.n_out > 1 for o in listed)]
    return any(len({o.weight.shape for o in listed}) == len(listed) for listed in each)


def _squeezes(operations: Sequence[Operation]) -> bool:
    """Whether two linear layers stand between convolutions and read and put out a value a channel, fewer in between: by these
    values channels may be scaled (squeeze and excitation)."""
    layers = [operation for operation in operations if operation.is_layer]
    for one, first, second, other in zip(layers, layers[1:], layers[2:], layers[3:], strict=False):
        kinds = [layer.kind.startswith("conv") for layer in (one, first, second, other)]
        same = len({one.n_out, first.n_in, second.n_out, other.n_in}) == 1
        if kinds == [True, False, False, True] and same and first.n_out < first.n_in and not TRANSPOSED.search(other.module):
            return True
    return False


def _looks_like_a_transformer(operations: Sequence[Operation]) -> bool:
    """Whether ids are embedded and either norms or the two layers of an MLP stand behind them, around which a stream may go."""
    if not any(operation.kind == "embedding" for operation in operations):
        return False
    widths = {operation.n_out for operation in operations if operation.is_layer}
    returns = any(operation.is_layer and operation.n_in in widths for operation in operations)
    names = {operation.module.rpartition(".")[2] for operation in operations}
    pairs = any(pair <= names for pair in ({"fc1", "fc2"}, {"linear1", "linear2"}, {"w1", "w2"}, {"lin1", "lin2"}))
    return returns and (pairs or any(operation.kind in ("layer_norm", "rms_norm") for operation in operations))


def _stands_aside(operation: Operation, operations: Sequence[Operation]) -> bool:
    """Whether an operation has no weight and no vector as long as a hidden layer is wide, or is known to scale outputs."""
    if any(len(tensor.shape) > 1 for tensor in operation.tensors) or operation.kind in NORMS:
        return False
    if all(_ASIDE.search(tensor.name.lower()) for tensor in operation.tensors):
        return True
    layers = [one for one in operations if one.is_layer]
    hidden = {
        one.n_out for at, one in enumerate(layers) if one.kind != "linear" or any(r.n_in == one.n_out for r in layers[at:])
    }
    hidden |= {one.n_out for one in operations if one.gates}
    lengths = {tensor.shape[0] for tensor in operation.tensors if tensor.shape} - {1}
    return not lengths & hidden and not operation.is_elementwise


def _are_heads(tail: Sequence[Operation], trunk: Sequence[Operation], towers: Mapping[str, Sequence[Operation]]) -> bool:
    """Whether each layer of a tail reads what the trunk puts out, and none of them another."""
    if not trunk or not all(_is_head(one, trunk, towers) for one in tail):
        return False
    return len(tail) < 2 or trunk[-1].n_out not in {one.n_out for one in tail}


def _is_head(operation: Operation, trunk: Sequence[Operation], towers: Mapping[str, Sequence[Operation]]) -> bool:
    """Whether a layer reads what the trunk puts out, and cannot read the towers."""
    if operation.kind != "linear" or not operation.is_layer or not trunk[-1].is_layer:
        return False
    widths = [tower[-1].n_out for tower in towers.values() if tower[-1].is_layer]
    return operation.n_in == trunk[-1].n_out and operation.n_in not in (*widths, sum(widths))


def _row(operations: Sequence[Operation]) -> Structure:
    """A sequence; layers alike that cannot stand one behind the other stand side by side (mean and spread of a variational
    autoencoder, whose decoder reads a sample of both; filters of several lengths), and so do the heads that end it."""
    end = len(operations) - _heads_at_end(operations)
    items: list[Operation | Structure] = []
    at = 0
    while at < end:
        alike = [operations[at], *takewhile(partial(_alike, operations[at]), operations[at + 1 : end])]
        behind = operations[at + len(alike) : end]
        if len(alike) > 1:
            summed = bool(behind) and behind[0].is_layer and behind[0].n_in == alike[0].n_out
            items.append(Structure("elementwise" if summed else "parallel", tuple(one.label for one in alike)))
        else:
            items.append(operations[at])
        at += len(alike)
    heads = tuple(one.label for one in operations[end:])
    return sequence([*items, *([Structure("parallel", heads)] if heads else [])])


def _alike(one: Operation, other: Operation) -> bool:
    layers = one.is_layer and other.is_layer and one.kind == other.kind
    return layers and (one.n_in, one.n_out) == (other.n_in, other.n_out) and one.n_in != one.n_out


def _heads_at_end(operations: Sequence[Operation]) -> int:
    """How many of the last layers read one and the same value: linear ones, or convolutions of single pixels, that do not fit
    each other."""
    if len(operations) < 3 or not _is_pointwise(operations[-1]):
        return 0
    width, n = operations[-1].n_in, 0
    while n < len(operations) - 1:
        one = operations[-1 - n]
        alike = _is_pointwise(one) and one.kind == operations[-1].kind and bool(one.vectors) == bool(operations[-1].vectors)
        if not (alike and one.n_in == width and one.n_out != width) or (n and 2 * one.n_out == width):
            break  # two of the values that such a layer puts out may be what the last one reads
        n += 1
    before = [operation for operation in operations[: len(operations) - n] if operation.is_layer]
    return n if n > 1 and before and before[-1].n_out == width else 0


def _is_pointwise(operation: Operation) -> bool:
    return operation.is_layer and operation.weight.size == operation.n_in * operation.n_out
