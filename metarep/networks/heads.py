"""The heads of attention as units: they can be permuted with all their queries, keys, values and what is read of them.

How many there are is known where shapes keep an axis of heads, as TransformerLens (heads, d_model, d_head) and Flax
(d_model, heads, d_head) do, or where it is declared; matrices of PyTorch do not tell it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metarep.networks.architecture import Tensor, is_weight
from metarep.networks.naming import split_name
from metarep.networks.operations import Operation
from metarep.networks.symmetry_groups import Member, SymmetryGroup

SOURCES = ("query", "key", "value")


def heads_of(operations: Sequence[Operation], n_heads: int | None = None) -> Iterator[SymmetryGroup]:
    """A group for each attention whose heads are known and of which every tensor is."""
    for operation in operations:
        if operation.kind != "attention" or any(tensor.kind != "attention" for tensor in operation.tensors):
            continue
        tensors = [tensor for tensor in operation.tensors if is_weight(tensor)]
        counts = {n for tensor in tensors if (n := _n_heads(tensor, n_heads)) is not None}
        roles = {tensor.role for tensor in tensors}
        if len(roles) < len(tensors):
            yield from _values_of_modules(operation, tensors)
            continue
        whole = "output" in roles and ("qkv" in roles or set(SOURCES) <= roles)
        if len(counts) != 1 or not whole or _has_biases_of_heads(operation, operations, min(counts)):
            continue
        (n,) = counts
        members = [member for tensor in tensors if tensor.role != "output_bias" for member in [_member(tensor, n)]]
        if n > 1 and None not in members and _lie_alike(tensors):
            yield SymmetryGroup(f"heads of {operation.module}", n, tuple(members))


def _values_of_modules(operation: Operation, tensors: Sequence[Tensor]) -> Iterator[SymmetryGroup]:
    """Of heads that are modules of their own (`heads.0.value`), what each puts out, which stands in their order in what is read
    of all of them."""
    weights = [tensor for tensor in tensors if len(tensor.shape) == 2]
    values, outputs = ([t for t in weights if t.role == role] for role in ("value", "output"))
    if len(outputs) != 1 or outputs[0].shape[outputs[0].layout[1]] != sum(t.shape[t.layout[0]] for t in values):
        return
    start = 0
    for value in values:
        n, module = value.shape[value.layout[0]], split_name(value.name).module
        biases = [t for t in tensors if t.role == "value_bias" and split_name(t.name).module == module]
        feeding = [Member(value.name, value.layout[0], "in"), *(Member(bias.name, 0, "in") for bias in biases)]
        reading = Member(outputs[0].name, outputs[0].layout[1], "out", start=start)
        start += n
        yield SymmetryGroup(f"values of {'.'.join(module)}", n, (*feeding, reading))


def _lie_alike(tensors: Sequence[Tensor]) -> bool:
    """Whether an output matrix is (d, heads · d_head) beside queries that are (heads, d_head, d)."""
    outputs = [tensor.shape for tensor in tensors if tensor.role == "output" and len(tensor.shape) == 2]
    sources = [t.shape for t in tensors if t.role in SOURCES and len(t.shape) == 3 and split_name(t.name).leaf != "kernel"]
    return all(n * d_head == inner and width == d for d, inner in outputs for n, d_head, width in sources)


def n_attentions(operations: Sequence[Operation]) -> int:
    """The number of attention layers whose heads share their matrices."""
    alone = [o for o in operations if len({tensor.role for tensor in o.tensors}) == len(o.tensors)]
    return sum(operation.kind == "attention" for operation in alone)


def _axis_of_heads(tensor: Tensor) -> int | None:
    """The axis of a tensor that runs over heads alone; None where heads and what is in them share one."""
    kernel = split_name(tensor.name).leaf == "kernel"
    if len(tensor.shape) == 3:
        return 1 if kernel and tensor.role != "output" else 0
    return 0 if tensor.role.endswith("_bias") and len(tensor.shape) == 2 else None


def _n_heads(tensor: Tensor, declared: int | None) -> int | None:
    axis = _axis_of_heads(tensor)
    return declared if axis is None else tensor.shape[axis]


def _member(tensor: Tensor, n: int) -> Member | None:
    """The member of a tensor that runs over n heads; None where they do not fit, or lie in a way that names leave open."""
    reads = tensor.role == "output"
    side = "out" if reads else "in"
    axis = _axis_of_heads(tensor)
    if axis is not None:
        return Member(tensor.name, axis, side) if tensor.shape[axis] == n else None
    if split_name(tensor.name).last == "query_key_value":
        return None  # by head or by kind
    outer = {"qkv": 3, "qkv_bias": 3, "key_value": 2, "key_value_bias": 2}.get(tensor.role, 1)
    out, source = tensor.layout
    axis = 0 if len(tensor.shape) == 1 else source if reads else out
    inner, left = divmod(tensor.shape[axis], outer * n)
    return Member(tensor.name, axis, side, outer=outer, inner=inner) if inner and not left else None


def _has_biases_of_heads(operation: Operation, operations: Sequence[Operation], n: int) -> bool:
    """Whether something else may stand on single heads: position biases, a norm over all heads, tables of head by head."""
    block = operation.module.rpartition(".")[0] if operation.module else ""
    total = {size for tensor in operation.tensors if tensor.role == "output" for size in tensor.shape}
    for other in operations:
        if other is operation:
            continue
        near = other.module.startswith(operation.module + ".")
        beside = bool(block) and other.module.startswith(block + ".") and "bias" in other.module
        for tensor in other.tensors:
            if (near and (n in tensor.shape or set(tensor.shape) & total)) or (beside and n in tensor.shape):
                return True
            if "relative" in tensor.name.lower() and n in tensor.shape:
                return True
    return False
