"""The symmetries of a residual stream that layers of one width read and add to: transformers, residual linear networks.

The stream is interchangeable where every tensor of the network has a role that is known by name, and all that touch the
stream agree on its width d: embeddings, class tokens, input layers, norms, attention, MLPs, heads. All of these are
permuted together; so are the outputs of a layer between the stream and the head that is d wide as well (a pooler), which is
right whichever of the two the head reads. Not interchangeable, since names and shapes leave it open:
- a network without a head, whose outputs are the stream; a tied head that was not saved is taken for one where the
  embeddings say that they are a language model's (`transformer.wte`, `model.embed_tokens`) or its bias is left;
- attention without positions that are kept with the weights (or known to be rotary or relative): they may be sines by
  formula, which give every position of the stream a meaning of its own;
- cross-attention, experts with a router, adapters, group norms, and whatever else no rule here knows.
Heads' own dimensions (queries, keys, values) are in no group: how many heads there are is not in a state dict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from metarep.networks.architecture import Tensor, is_weight
from metarep.networks.naming import split_name
from metarep.networks.operations import AFFINE, Operation
from metarep.networks.structure import Structure, row
from metarep.networks.symmetry_groups import Member, SymmetryGroup

MLPS = """
    gate_proj*up_proj down_proj, wi_0*wi_1 wo, w1*w3 w2, mlp.gate*mlp.in mlp.out, fc1 fc2, linear1 linear2, linear_1 linear_2,
    lin1 lin2, c_fc c_proj, wi wo, wi_0 wo, w1 w2, dense_h_to_4h dense_4h_to_h, up_proj down_proj,
    intermediate.dense output.dense, mlp_in mlp_out, mlp.in mlp.out, ffn.0 ffn.2, ffn.0 ffn.3, mlp.0 mlp.2, mlp.0 mlp.3,
    net.0.proj net.2, gate_up_proj down_proj, w12 w3,
    ffwd.net.0 ffwd.net.2, feed_forward.net.0 feed_forward.net.2, feed_forward.0 feed_forward.2, feed_forward.0 feed_forward.3
"""
"""The layer that feeds the hidden units of an MLP, or the two whose products they are, and the one that reads them: the ends of
their modules' paths."""

HALVES = ("net.0.proj", "gate_up_proj", "w12")
"""The first layers of MLPs that may put out what units are, and behind all of it the gates of these."""

ROLES = {
    role: re.compile(rf"(?:.*\.)?(?:{pattern})")
    for role, pattern in {
        # attention to another stream, and what mixes positions instead of the stream's units, or both
        "foreign": r".*(?:cross|multihead_attn|enc_?dec|encoder_attn|mix|mlp_tokens|spatial|sgu|fourier).*",
        "inner": r"(?:[a-z_]*(?:attn|attention|mlp|ffn|feed_?forward)|intermediate|experts?)\d*\..*",
        "norm": r"(?:layer_?norm|rms_?norm|norm|ln)(?:_?(?:[0-2f]|final|pre|post|emb\w*|before|after))?"
        r"|(?:input|output|final|sa|self_attn|attention|attn|post_attention|pre_feedforward|post_feedforward|pre|post"
        r"|embed|embeddings|vocab|encoder|decoder)_(?:layer_?norm|norm)|(?:ffn|ff)_norm",
        "norm of heads": r"[qk]_(?:layer_?norm|norm)",
        "norm behind attention": r"attention\.output\.layernorm",
        "table": r"wte|wpe|\w*(?:tok|pos|word|type|segment)\w*",
        "input": r"patch_?embed(?:ding)?s?(?:\.proj(?:ection)?)?|conv_proj|(?:input|in)(?:_?(?:proj\w*|layer|linear|fc))?|stem"
        r"|embed(?:ding)?(?:_in)?|(?:fc|linear)_?in",
        "between": r"pooler(?:\.dense)?|(?:transform|lm_head|classifier)\.dense|pre_classifier|vocab_transform",
        "head": r"(?:lm_|cls_)?head|fc(?:_?out)?|classifier(?:\.out_proj)?|decoder|out|output(?:_?(?:layer|proj\w*))?"
        r"|linear(?:_?out)?|logits|to_logits|embed_out|unembed|score|qa_outputs|seq_relationship|vocab_projector",
        "bias of a head": r"(?:lm_)?head|predictions",
        "tied": r"transformer\.wte|model\.(?:decoder\.)?embed_tokens",
        "token": r"(?:cls|class|dist|mask|reg|register)_?(?:tokens?|embedding)",
        "position": r"(?:.*[._])?(?:wpe|pe|pos|pos_?emb\w*|pos_?enc\w*|position\w*)(?:[._].*)?",
        "rotary": r"(?:rotary\w*|rope)\..*|.*freqs_cis.*",
        "mask": r"attn\.(?:masked_)?bias",
        "scale": r".*(?:ls[12]\.gamma|(?:gamma|lambda)_[12])",
    }.items()
}
"""What modules and tensors are to a stream, by the end of their path in lower case."""

_BLOCK = re.compile(r".*?(?:^|\.)\d+\.")
Found = tuple[Member, ...]


def stream_of(operations: Sequence[Operation]) -> SymmetryGroup | None:
    """The residual stream with every tensor axis that runs over it, interchangeable; None where there is none, and in doubt."""
    mlps = mlps_of(operations)
    ups = {name for tree in mlps for name in tree.modules()[:-1]}
    downs = {tree.modules()[-1] for tree in mlps}
    widths = {o.n_in for o in operations if o.module in ups and o.weight is not None} or _widths_of_attention(operations)
    foreign = any(_is("foreign", operation.module) for operation in operations)
    if len(widths) != 1 or foreign or not _has_both_ends(operations) or not _knows_positions(operations, mlps):
        return None
    (d,) = widths
    members: list[Member] = []
    for operation in operations:
        if operation.weight is not None and operation.module in ups | downs:
            found = ((operation.reading(),) if operation.module in ups else operation.feeding()) if operation.plain else None
        else:
            found = _touching(operation, d)
        if found is None:
            return None
        members += found
    shapes = {tensor.name: tensor.shape for operation in operations for tensor in operation.tensors}
    if any(shapes[member.tensor][member.axis] != d for member in members):
        return None
    return SymmetryGroup("residual stream", d, tuple(members))


def mlps_of(operations: Sequence[Operation]) -> list[Structure]:
    """The MLPs of a network that has the look of a transformer: blocks inside it, or norms, attention, embeddings beside its
    layers. In any other the layers fc1 and fc2 may be read by further ones."""
    if len({o.module.rpartition(".")[0] for o in operations}) == 1 and {o.kind for o in operations} <= {*AFFINE}:
        return []
    by_name = {operation.module: operation for operation in operations if operation.weight is not None}
    found: dict[str, Structure] = {}
    for names in MLPS.split(","):
        up, down = names.split()
        ups = tuple(up.split("*"))
        for tree in row(ups[0] if len(ups) == 1 else Structure("elementwise", ups), down).occurrences(by_name):
            *feeders, reader = tree.modules()
            n, block = by_name[reader].n_in, reader.removesuffix(down) + ups[-1].rpartition(".")[0]
            fits = all(by_name[one].n_out == n or _puts_halves(by_name[one], n) for one in feeders)
            if fits and not _norm_between(operations, block, n):
                found.setdefault(reader, tree)
    return list(found.values())


def _puts_halves(operation: Operation, n: int) -> bool:
    return operation.n_out == 2 * n and operation.module.endswith(HALVES)


def gated_by_halves(mlps: Sequence[Structure], operations: Sequence[Operation]) -> Iterator[SymmetryGroup]:
    """The units of MLPs whose first layer puts out units and gates one behind the other."""
    by_name = {operation.module: operation for operation in operations if operation.weight is not None}
    for up, down in ([by_name[name] for name in tree.modules()[-2:]] for tree in mlps):
        if _puts_halves(up, down.n_in):
            feeding = (replace(member, outer=2) for member in up.feeding())
            yield SymmetryGroup(f"units of {up.label}", down.n_in, (*feeding, down.reading()))


def _norm_between(operations: Sequence[Operation], block: str, n: int) -> bool:
    """Whether a norm, or anything else without a weight, may stand on the n hidden units of the MLP of a block."""
    beside = [operation for operation in operations if operation.module.startswith(block)]
    attention = any(tensor.kind == "attention" for operation in beside for tensor in operation.tensors)
    return any(
        operation.weight is None
        and any(vector.shape == (n,) and vector.kind != "attention" for vector in operation.vectors)
        and not (attention and _norm(operation))
        for operation in beside
    )


def _is(role: str, name: str) -> bool:
    return bool(ROLES[role].fullmatch(name.lower()))


def _is_numbered(module: str) -> bool:
    return any(part.isdigit() for part in module.split("."))


def _widths_of_attention(operations: Sequence[Operation]) -> set[int]:
    """How wide the stream is where no MLP tells it: as what attention puts out."""
    return {
        tensor.shape[0] for o in operations for tensor in o.tensors if tensor.role == "output_bias" and len(tensor.shape) == 1
    }


def _has_both_ends(operations: Sequence[Operation]) -> bool:
    """Whether something other than positions is embedded, and there is a head that reads the stream."""
    outside = [o for o in operations if not _is_numbered(o.module)]
    embeds = any(o.kind == "embedding" and not _is("position", o.tensors[0].name) for o in operations)
    heads = any((o.kind == "bias" and _is("bias of a head", o.module)) or _is("tied", o.path) for o in operations)
    return (embeds or any(o.kind in AFFINE and _is("input", o.module) for o in outside)) and (
        heads or any(o.kind == "linear" and _is("head", o.module) for o in outside)
    )


def _knows_positions(operations: Sequence[Operation], mlps: Sequence[Structure]) -> bool:
    """Whether attention is told of positions by something that is no fixed pattern on the stream.

    Without attention: whether there are no positions to be seen, as in a residual network of linear layers. There each MLP
    has a numbered block of its own (a second one may run along positions), and nothing is embedded (a Fourier transform,
    which has no tensors, may mix what is).
    """
    tensors = [tensor for operation in operations for tensor in operation.tensors if is_weight(tensor)]
    kinds = {tensor.kind for tensor in tensors}
    if "attention" not in kinds:
        blocks = [_BLOCK.match(tree.modules()[0]) for tree in mlps]
        return "embedding" not in kinds and None not in blocks and len({block[0] for block in blocks}) == len(blocks)
    if any(_is("position", tensor.name) or _is("rotary", tensor.name) for tensor in tensors):
        return True
    gated = any(operation.module.endswith(("gate_proj", "w3")) for operation in operations)
    return gated and any(operation.kind == "rms_norm" for operation in operations)  # LLaMA and its kin: rotary


def _touching(operation: Operation, d: int) -> Found | None:
    """The members of an operation on the stream; None where it is not known."""
    if operation.plain and operation.kind in ("layer_norm", "rms_norm"):
        return _norm(operation)
    if operation.plain and operation.kind in AFFINE:
        return _layer(operation, d)
    found: list[Member] = []
    for tensor in operation.tensors:
        one = _alone(tensor, d) if is_weight(tensor) else ()
        if one is None:
            return None
        found += one
    return tuple(found)


def _norm(operation: Operation) -> Found | None:
    module = operation.module
    if _is("norm of heads", module):
        return ()
    inside = _is("inner", module) and not _is("norm behind attention", module)
    return operation.owning() if _is("norm", module) and not inside else None


def _layer(operation: Operation, d: int) -> Found | None:
    """A layer outside of the blocks: between stream and head, at the end, or in front."""
    module, n_in, n_out = operation.module, operation.n_in, operation.n_out
    if _is_numbered(module):
        return None
    if _is("between", module):
        return (operation.reading(), *operation.feeding())
    surely = n_in != n_out or "." not in module
    if _is("head", module) and operation.kind == "linear" and surely:
        return (operation.reading(),)
    if _is("input", module) and surely:
        table = n_out != d and len(operation.tensors) == 1 and operation.kind == "linear"
        return (Member(operation.weight.name, 1, "in"),) if table else operation.feeding()
    return None


def _alone(tensor: Tensor, d: int) -> Found | None:
    """The members of a tensor of attention, of an embedding, or of one that stands alone."""
    name, shape, module = tensor.name, tensor.shape, ".".join(split_name(tensor.name).module)
    if tensor.kind == "attention":
        return _attention(tensor, d)
    if tensor.kind == "embedding" and len(shape) == 2 and module:
        if shape[0] == shape[1] and not _is("table", module):
            return None  # a linear layer, perhaps
        return (Member(name, 0 if shape[0] == d != shape[1] else 1, "in"),)
    leaf = name.rpartition(".")[2]
    if tensor.kind == "embedding" or _is("token", leaf) or _is("position", leaf):
        return (Member(name, len(shape) - 1, "in"),) if shape and d not in shape[:-1] else None
    if _is("scale", name) and len(shape) == 1:
        return (Member(name, 0, "own"),)
    head = tensor.kind == "bias" and _is("bias of a head", module) and shape != (d,)
    mask = _is("mask", name) and len(shape) != 1
    return () if head or mask or _is("rotary", name) else None


def _attention(tensor: Tensor, d: int) -> Found | None:
    """The axis of queries, keys and values that reads the stream, that of the output that adds to it."""
    if tensor.role.endswith("_bias"):
        return (Member(tensor.name, 0, "in"),) if tensor.role == "output_bias" else ()
    parts, side = split_name(tensor.name), "in" if tensor.role == "output" else "out"
    if len(tensor.shape) == 3:  # with an axis of heads, as TransformerLens and Flax have it
        along = [axis for axis, n in enumerate(tensor.shape) if n == d and axis > 0]
        if len(along) == 2 and parts.leaf == "w":
            along = [2] if tensor.role == "output" else [1]
        return (Member(tensor.name, along[0], side),) if len(along) == 1 else None
    known = parts.leaf in ("weight", "kernel", "w") or parts.leaf.endswith("proj_weight")
    known &= parts.last != "c_attn" or 3 * min(tensor.shape) == max(tensor.shape)
    if len(tensor.shape) != 2 or not known:
        return None
    return (Member(tensor.name, tensor.layout[side == "out"], side),)
