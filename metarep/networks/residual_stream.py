"""The symmetries of a residual stream that layers of one width read and add to: transformers, residual linear networks.

The stream is interchangeable where every tensor of the network has a role that is known by name, and all that touch the
stream agree on its width d: embeddings, class tokens, input layers, norms, attention, MLPs, heads. All of these change
places together; so do the outputs of a layer between the stream and the head that is d wide as well (a pooler), which is
right whichever of the two the head reads. Not interchangeable, since names and shapes leave it open:
- a network without a head, whose outputs are the stream; a tied head that was not saved is taken for one where the
  embeddings say that they are a language model's (`transformer.wte`, `model.embed_tokens`) or its bias is left;
- attention without positions that are kept with the weights (or known to be rotary or relative): they may be sines by
  formula, which give every place of the stream a meaning of its own;
- cross-attention, experts with a router, adapters, group norms, and whatever else no rule here knows.
Heads' own dimensions (queries, keys, values) are in no group: how many heads there are is not in a state dict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from metarep.networks.architecture import Tensor, readable
from metarep.networks.naming import split_name
from metarep.networks.operations import AFFINE, Operation
from metarep.networks.symmetry_groups import Member, SymmetryGroup

MLP_PAIRS = (
    ("fc1", "fc2"),
    ("linear1", "linear2"),
    ("linear_1", "linear_2"),
    ("lin1", "lin2"),
    ("c_fc", "c_proj"),
    ("wi", "wo"),
    ("wi_0", "wo"),
    ("w1", "w2"),
    ("dense_h_to_4h", "dense_4h_to_h"),
    ("up_proj", "down_proj"),
    ("intermediate.dense", "output.dense"),
    ("mlp_in", "mlp_out"),
    ("mlp.in", "mlp.out"),
    ("ffn.0", "ffn.2"),
    ("ffn.0", "ffn.3"),
    ("mlp.0", "mlp.2"),
    ("mlp.0", "mlp.3"),
)
"""The layer that feeds the hidden units of a transformer's MLP, and the one that reads them, by the ends of their modules."""

GATED = (("gate_proj", "up_proj"), ("wi_0", "wi_1"), ("w1", "w3"), ("mlp.gate", "mlp.in"))


def _words(pattern: str) -> re.Pattern[str]:
    """Matches the end of a module's path, in lower case."""
    return re.compile(rf"(?:.*\.)?(?:{pattern})$")


_FOREIGN = re.compile(r"cross|multihead_attn|enc_?dec|encoder_attn|mix|mlp_tokens|spatial|sgu|fourier")
"""Attention to another stream, and what mixes places instead of the stream's units, or both."""

_INNER = re.compile(r"(?:^|\.)(?:[a-z_]*(?:attn|attention|mlp|ffn|feed_?forward)|intermediate|experts?)\d*\.")
_NORM = _words(
    r"(?:layer_?norm|rms_?norm|norm|ln)(?:_?(?:[0-2f]|final|pre|post|emb\w*|before|after))?"
    r"|(?:input|output|final|sa|self_attn|attention|attn|post_attention|pre_feedforward|post_feedforward|pre|post"
    r"|embed|embeddings|vocab|encoder|decoder)_(?:layer_?norm|norm)|(?:ffn|ff)_norm"
)
_NORM_OF_HEADS = _words(r"[qk]_(?:layer_?norm|norm)")
_NORM_BEHIND_ATTENTION = _words(r"attention\.output\.layernorm")
_TABLE = _words(r"wte|wpe|\w*(?:tok|pos|word|type|segment)\w*")
_INPUT = _words(
    r"patch_?embed(?:ding)?s?(?:\.proj(?:ection)?)?|conv_proj|(?:input|in)(?:_?(?:proj\w*|layer|linear|fc))?|stem"
    r"|embed(?:ding)?(?:_in)?|(?:fc|linear)_?in"
)
_BETWEEN = _words(r"pooler(?:\.dense)?|(?:transform|lm_head|classifier)\.dense|pre_classifier|vocab_transform")
_HEAD = _words(
    r"(?:lm_|cls_)?head|fc(?:_?out)?|classifier(?:\.out_proj)?|decoder|out|output(?:_?(?:layer|proj\w*))?|linear(?:_?out)?"
    r"|logits|to_logits|embed_out|unembed|score|qa_outputs|seq_relationship|vocab_projector"
)
_HEAD_BIAS = _words(r"(?:lm_)?head|predictions")
_TIED = _words(r"transformer\.wte|model\.(?:decoder\.)?embed_tokens")
_TOKEN = re.compile(r"(?:cls|class|dist|mask|reg|register)_?(?:tokens?|embedding)$")
_POSITION = re.compile(r"(?:^|[._])(?:wpe|pe|pos|pos_?emb\w*|pos_?enc\w*|position\w*)(?:[._]|$)")
_ROTARY = re.compile(r"(?:^|\.)(?:rotary\w*|rope)\.|freqs_cis")
_MASK = re.compile(r"(?:^|\.)attn\.(?:masked_)?bias$")
_LAYER_SCALE = re.compile(r"(?:ls[12]\.gamma|(?:gamma|lambda)_[12])$")
_NUMBER = re.compile(r"(?:^|\.)\d+(?:\.|$)")
_BLOCK = re.compile(r".*?(?:^|\.)\d+\.")

Found = tuple[Member, ...]


def stream_of(operations: Sequence[Operation]) -> SymmetryGroup | None:
    """The residual stream with every tensor axis that runs over it, interchangeable; None where there is none, and in doubt."""
    readers = mlp_readers(operations)
    ups = {number for feeders, _ in readers.values() for number in feeders}
    downs = {reader for _, reader in readers.values()}
    widths = {operations[number].n_in for number in ups} or _widths_of_attention(operations)
    foreign = any(_FOREIGN.search(operation.module.lower()) for operation in operations)
    if len(widths) != 1 or foreign or not _has_both_ends(operations) or not _knows_places(operations, readers):
        return None
    (d,) = widths
    transposed = _keeps_inputs_first(operations)
    members: list[Member] = []
    for number, operation in enumerate(operations):
        if number in ups | downs:
            fitting = _fits_layout(operation, transposed)
            found = ((operation.reading(),) if number in ups else operation.feeding()) if fitting else None
        else:
            found = _touching(operation, d, transposed)
        if found is None:
            return None
        members += found
    shapes = {tensor.name: tensor.shape for operation in operations for tensor in operation.tensors}
    if any(shapes[member.tensor][member.axis] != d for member in members):
        return None
    return SymmetryGroup("residual stream", d, tuple(members))


def _widths_of_attention(operations: Sequence[Operation]) -> set[int]:
    """How wide the stream is where no MLP tells it: as what attention puts out."""
    return {
        tensor.shape[0] for o in operations for tensor in o.tensors if tensor.role == "output_bias" and len(tensor.shape) == 1
    }


def _has_both_ends(operations: Sequence[Operation]) -> bool:
    """Whether something other than places is embedded, and there is a head that reads the stream."""
    modules = [(operation, operation.module.lower()) for operation in operations]
    embeds = any(
        (o.kind == "embedding" and not _POSITION.search(o.tensors[0].name.lower()))
        or (o.kind in AFFINE and _INPUT.match(module) and not _NUMBER.search(module))
        for o, module in modules
    )
    heads = any(
        (o.kind == "linear" and _HEAD.match(module) and not _NUMBER.search(module))
        or (o.kind == "bias" and _HEAD_BIAS.match(module))
        or (o.kind == "embedding" and _TIED.match(o.path.lower()))
        for o, module in modules
    )
    return embeds and heads


def _knows_places(operations: Sequence[Operation], readers: Mapping[int, object]) -> bool:
    """Whether attention is told of places by something that is no fixed pattern on the stream.

    Without attention: whether there are no places to be seen, as in a residual network of linear layers. There each MLP
    has a numbered block of its own (a second one may run along places), and nothing is embedded (a Fourier transform,
    which has no tensors, may mix what is).
    """
    tensors = [tensor for operation in operations for tensor in operation.tensors if readable(tensor)]
    kinds = {tensor.kind for tensor in tensors}
    if "attention" not in kinds:
        blocks = [_BLOCK.match(operations[number].module) for number in readers]
        return "embedding" not in kinds and None not in blocks and len({block[0] for block in blocks}) == len(blocks)
    if any(_POSITION.search(tensor.name.lower()) or _ROTARY.search(tensor.name.lower()) for tensor in tensors):
        return True
    gated = any(operation.module.endswith(("gate_proj", "w3")) for operation in operations)
    return gated and any(operation.kind == "rms_norm" for operation in operations)  # LLaMA and its kin: rotary


def _keeps_inputs_first(operations: Sequence[Operation]) -> bool | None:
    """Whether layers named c_… keep (in, out), as in GPT-2; None where their fused attention leaves it open."""
    shapes = {t.shape for o in operations for t in o.tensors if t.role == "qkv" and split_name(t.name).last == "c_attn"}
    first = {len(shape) == 2 and shape[1] == 3 * shape[0] for shape in shapes}
    known = all(len(shape) == 2 and 3 * min(shape) == max(shape) for shape in shapes)
    return None if len(first) > 1 or not known else first == {True}


def _axes(tensor: Tensor, transposed: bool | None) -> tuple[int, int] | None:
    """The output and the input axis of a weight; None in doubt, and where a graph or a bias says otherwise than the name."""
    parts, named = split_name(tensor.name), None
    if len(tensor.shape) == 2 and parts.leaf == "kernel":
        named = (1, 0)
    elif parts.last.startswith("c_"):
        named = {True: (1, 0), False: (0, 1), None: None}[transposed]
    elif parts.leaf == "weight" or parts.leaf.endswith("proj_weight"):
        named = (0, 1)
    elif parts.leaf == "w" and len(tensor.shape) == 2:
        named = tensor.axes or (0, 1)
    return named if tensor.axes in (None, named) else None


def _fits_layout(operation: Operation, transposed: bool | None) -> bool:
    return operation.plain and operation.axes == _axes(operation.weight, transposed)


def _touching(operation: Operation, d: int, transposed: bool | None) -> Found | None:
    """The members of an operation on the stream; None where it is not known."""
    if operation.plain and operation.kind in ("layer_norm", "rms_norm"):
        return _norm(operation)
    if operation.plain and operation.kind in AFFINE:
        return _layer(operation, d) if _fits_layout(operation, transposed) else None
    found: list[Member] = []
    for tensor in operation.tensors:
        one = _alone(tensor, d, transposed) if readable(tensor) else ()
        if one is None:
            return None
        found += one
    return tuple(found)


def _norm(operation: Operation) -> Found | None:
    module = operation.module.lower()
    if _NORM_OF_HEADS.match(module):
        return ()
    inside = _INNER.search(module) and not _NORM_BEHIND_ATTENTION.match(module)
    return operation.owning() if _NORM.match(module) and not inside else None


def _layer(operation: Operation, d: int) -> Found | None:
    """A layer outside of the blocks: between stream and head, at the end, or in front."""
    module, n_in, n_out = operation.module.lower(), operation.n_in, operation.n_out
    if _NUMBER.search(module):
        return None
    if _BETWEEN.match(module):
        return (operation.reading(), *operation.feeding())
    surely = n_in != n_out or "." not in module
    if _HEAD.match(module) and operation.kind == "linear" and surely:
        return (operation.reading(),)
    if _INPUT.match(module) and surely:
        table = n_out != d and len(operation.tensors) == 1 and operation.kind == "linear"
        return (Member(operation.weight.name, 1, "in"),) if table else operation.feeding()
    return None


def _alone(tensor: Tensor, d: int, transposed: bool | None) -> Found | None:
    """The members of a tensor of attention, of an embedding, or of one that stands alone."""
    name, shape = tensor.name.lower(), tensor.shape
    if tensor.kind == "attention":
        return _attention(tensor, d, transposed)
    if tensor.kind == "embedding" and len(shape) == 2 and split_name(name).module:
        module = ".".join(split_name(name).module)
        if shape[0] == shape[1] and not _TABLE.match(module):
            return None  # a linear layer, perhaps
        return (Member(tensor.name, 0 if shape[0] == d != shape[1] else 1, "in"),)
    leaf = name.rpartition(".")[2]
    if tensor.kind == "embedding" or _TOKEN.match(leaf) or _POSITION.match(leaf):
        return (Member(tensor.name, len(shape) - 1, "in"),) if shape and d not in shape[:-1] else None
    if _LAYER_SCALE.search(name) and len(shape) == 1:
        return (Member(tensor.name, 0, "own"),)
    head = tensor.kind == "bias" and _HEAD_BIAS.match(".".join(split_name(name).module)) and shape != (d,)
    mask = _MASK.search(name) and len(shape) != 1
    return () if head or mask or _ROTARY.search(name) else None


def _attention(tensor: Tensor, d: int, transposed: bool | None) -> Found | None:
    if tensor.role.endswith("_bias"):
        return (Member(tensor.name, 0, "in"),) if tensor.role == "output_bias" else ()
    side = "in" if tensor.role == "output" else "out"
    if len(tensor.shape) == 3:  # with an axis of heads, as TransformerLens and Flax have it
        along = [axis for axis, n in enumerate(tensor.shape) if n == d and axis > 0]
        if len(along) == 2 and split_name(tensor.name).leaf == "w":
            along = [2] if tensor.role == "output" else [1]
        return (Member(tensor.name, along[0], side),) if len(along) == 1 else None
    axes = _axes(tensor, transposed)
    if axes is None or len(tensor.shape) != 2:
        return None
    return (Member(tensor.name, axes[0 if side == "in" else 1], side),)


def mlp_readers(operations: Sequence[Operation]) -> dict[int, tuple[tuple[int, ...], int]]:
    """For the first layer of each transformer MLP: the layers that feed its hidden units, and the one that reads them."""
    places = {operation.module: n for n, operation in enumerate(operations) if operation.weight is not None}
    found: dict[int, tuple[tuple[int, ...], int]] = {}
    for up, down in MLP_PAIRS:
        for module, number in places.items():
            stem = module[: len(module) - len(up)]
            reader = places.get(stem + down)
            if not (module == up or module.endswith("." + up)) or reader is None:
                continue
            n = operations[number].n_out
            gates = [places.get(stem + other) for pair in GATED if up in pair for other in pair if other != up]
            feeders = tuple(gate for gate in gates if gate is not None and operations[gate].n_out == n)
            if operations[reader].n_in == n and not _norm_between(operations, stem + up.rpartition(".")[0], n):
                found[min(number, *feeders) if feeders else number] = ((number, *feeders), reader)
    return found


def _norm_between(operations: Sequence[Operation], place: str, n: int) -> bool:
    """Whether a norm, or anything else without a weight, may stand on the n hidden units of an MLP at some place."""
    beside = [operation for operation in operations if operation.module.startswith(place)]
    attention = any(tensor.kind == "attention" for operation in beside for tensor in operation.tensors)
    return any(
        operation.weight is None
        and any(vector.shape == (n,) and vector.kind != "attention" for vector in operation.vectors)
        and not (attention and _norm(operation))
        for operation in beside
    )
