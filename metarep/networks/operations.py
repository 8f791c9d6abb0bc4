"""The operations of a network, each with its tensors: what symmetries are read from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from metarep.networks.architecture import Architecture, Tensor
from metarep.networks.axes import LENS_LAYERS
from metarep.networks.naming import OTHER, split_name, split_names
from metarep.networks.symmetry_groups import Member

AFFINE = ("linear", "conv1d", "conv2d")
NORMS = ("batch_norm", "layer_norm", "rms_norm")
PLAIN_ROLES = frozenset({"weight", "bias", "scale", "shift", "running_mean", "running_var", "counter"})
_ELEMENTWISE = re.compile(r"(.*_)?(p?relu|act\w*|alphas?|slopes?|gains?|scale|layer_?scale|snake|nonlin\w*)_?\d*|\d+", re.I)
"""Modules of slopes and gains, one for each unit or one for all."""

RECURRENT = re.compile(
    r"(?:^|[._])(?:h2h|hh|h_?to_?h|hid(?:den)?_?(?:2|to)_?hid(?:den)?|w_?hh?|w_?rec|rec(?:urrent)?(?:_?(?:layer|linear|fc))?)"
    r"(?:[._]|$)",
    re.I,
)
"""Layers that read what they put out a step before."""

TRANSPOSED = re.compile(r"de_?conv|conv_?t(?:rans|\d|$|[._])|t(?:rans)?_?conv|transpos|(?:^|[._])(?:up|dec|gen|netg|g\.)", re.I)
"""Modules of transposed convolutions, and of networks that put out pictures."""


@dataclass
class Operation:
    """The tensors of one layer: `path` is the module in their names, `module` what is left of it without a shared prefix.

    `may_be_grouped`: a convolution that reads fewer channels than the one before it in the file puts out, which may be a
    convolution in groups, or one that stands elsewhere. `may_be_transposed`: a layer as wide in as out, of which names or
    neighbours say that its inputs may stand first, or nothing says that they do not. `attention` over a graph weighs what a
    layer and those `beside` it put out, head by head.
    """

    kind: str
    path: str
    module: str = ""
    tensors: list[Tensor] = field(default_factory=list)
    may_be_grouped: bool = False
    may_be_transposed: bool = False
    attention: Operation | None = None
    beside: list[Operation] = field(default_factory=list)

    @property
    def weight(self) -> Tensor | None:
        """Its one weight of two axes or more; None where it has none or several. The lengths of its rows, which weight
        normalisation keeps apart, are vectors."""
        found = [tensor for tensor in self.tensors if len(tensor.shape) > 1 and tensor not in self.vectors]
        return found[0] if len(found) == 1 and found[0].role == "weight" else None

    @property
    def vectors(self) -> list[Tensor]:
        lengths = [t for t in self.tensors if t.role == "scale" and t.shape and t.size == t.shape[0]]
        return [t for t in self.tensors if (len(t.shape) == 1 or t in lengths) and t.role != "counter"]

    @property
    def label(self) -> str:
        """What it is called in sentences and in structures; two directions of a recurrent layer are told apart."""
        if self.gates:
            return self.with_role("hidden").name
        return self.module or (self.weight or self.tensors[0]).name

    @property
    def reader(self) -> Tensor:
        """The weight, of a recurrent layer the one that reads its inputs."""
        return self.with_role("input") if self.gates else self.weight

    @property
    def axes(self) -> tuple[int, int]:
        """The output and the input axis of the weight."""
        return self.reader.layout

    @property
    def n_out(self) -> int:
        return self.reader.shape[self.axes[0]] // (self.gates or 1)

    @property
    def n_in(self) -> int:
        return self.reader.shape[self.axes[1]]

    @property
    def layer(self) -> int:
        """Its number in order of depth."""
        return self.tensors[0].layer

    @property
    def is_layer(self) -> bool:
        """Whether it is a linear layer or a convolution with one weight."""
        return self.kind in AFFINE and self.weight is not None

    @property
    def plain(self) -> bool:
        """Whether it is a linear layer, a convolution or a norm and nothing besides, such as spectral norms or adapters."""
        known = all(tensor.kind == self.kind and tensor.role in PLAIN_ROLES for tensor in self.tensors)
        return known and (self.kind in NORMS or self.is_layer)

    @property
    def known_whole(self) -> bool:
        """Whether every vector beside the weight runs over its outputs, no attention weighs these, and no pixels stand where
        channels are looked for."""
        pixels_first = self.weight.axes is None and len(self.weight.shape) > 2
        foreign = any(vector.shape[0] != self.n_out for vector in self.vectors)
        return not foreign and self.attention is None and not (pixels_first and split_name(self.weight.name).leaf == "kernel")

    @property
    def has_lengths(self) -> bool:
        """Whether the lengths of its rows are kept apart from the rows, so that a factor on what it reads does not come out."""
        return self.kind in AFFINE and self.with_role("scale") is not None

    @property
    def scores(self) -> list[Tensor]:
        """The tensors (1, heads, units) by which attention over a graph weighs units; [] for any other operation."""
        return [tensor for tensor in self.tensors if tensor.kind == OTHER and tensor.role == "query"]

    @property
    def has_statistics(self) -> bool:
        """Whether it keeps a running mean: a batch norm, whereas scale and shift alone may be a group norm's."""
        return any(tensor.role == "running_mean" for tensor in self.tensors)

    @property
    def is_elementwise(self) -> bool:
        """Whether it is slopes or gains by its name, vectors of which there is one value for each unit."""
        return bool(self.vectors) and bool(_ELEMENTWISE.fullmatch(self.module.rpartition(".")[2] or "0"))

    @cached_property
    def gates(self) -> int:
        """The blocks of rows of an LSTM, GRU or plain recurrent layer in one direction; 0 for any other operation."""
        inputs, hidden = self.with_role("input"), self.with_role("hidden")
        if inputs is None or hidden is None or self.with_role("projection") or not len(inputs.shape) == len(hidden.shape) == 2:
            return 0
        rows, columns = hidden.layout
        n, total = hidden.shape[columns], hidden.shape[rows]
        biases = [tensor for tensor in self.tensors if tensor.role.endswith("bias")]
        whole = len(biases) + 2 == len(self.tensors) and all(tensor.shape[-1:] == (total,) for tensor in biases)
        return total // n if n and whole and total in (n, 3 * n, 4 * n) and inputs.shape[rows] == total else 0

    def with_role(self, role: str) -> Tensor | None:
        """The last of its tensors that has a role."""
        return next((tensor for tensor in reversed(self.tensors) if tensor.role == role), None)

    def feeding(self) -> tuple[Member, ...]:
        """The members through which the operation feeds its output units, and through which recurrent ones read each other."""
        if self.gates:
            hidden, (rows, columns) = self.with_role("hidden"), self.axes
            axes = {tensor.name: len(tensor.shape) - 1 for tensor in self.tensors} | {self.reader.name: rows, hidden.name: rows}
            tensors = (self.reader, hidden, *(tensor for tensor in self.tensors if tensor.role.endswith("bias")))
            fed = (Member(tensor.name, axes[tensor.name], "in", outer=self.gates) for tensor in tensors)
            return (*fed, Member(hidden.name, columns, "out"))
        own = tuple(Member(v.name, 0, "in") for v in self.vectors if v.shape[0] == self.n_out)
        return (Member(self.weight.name, self.axes[0], "in"), *own)

    @property
    def channels_last(self) -> bool:
        """Whether its weight is a convolution's as Keras and Flax keep it, whose channels stand behind the pixels."""
        return self.kind != "linear" and 0 not in self.axes

    def reading(self) -> Member:
        """The member through which the operation reads its input units."""
        return Member(self.reader.name, self.axes[1], "out")

    def owning(self) -> tuple[Member, ...]:
        """The members of a norm, which belong to the units that it stands on."""
        return tuple(Member(vector.name, 0, "own") for vector in self.vectors)


def operations_of(architecture: Architecture) -> Iterator[Operation]:
    """Its operations in order of depth, without buffers."""
    by_layer: dict[int, Operation] = {}
    parts = split_names({tensor.name: tensor.shape for tensor in architecture.tensors})
    for tensor in architecture.tensors:
        if tensor.role == "buffer" or (not tensor.shape and tensor.role != "counter"):
            continue
        operation = by_layer.setdefault(tensor.layer, Operation(tensor.kind, ".".join(parts[tensor.name].module)))
        operation.tensors.append(tensor)
        if operation.kind == "bias":
            operation.kind = tensor.kind
    found = [by_layer[layer] for layer in sorted(by_layer)]
    prefix = shared_prefix([operation.path for operation in found])
    for operation in found:
        operation.module = operation.path[len(prefix) :]
    found = _with_attention(_with_biases(found))
    convolutions = [operation for operation in found if operation.kind.startswith("conv") and operation.is_layer]
    for before, operation in pairwise(convolutions):
        operation.may_be_grouped = operation.n_in < before.n_out and before.n_out % operation.n_in == 0
    transposed = {_word(operation) for operation in convolutions if operation.weight.axes == (1, 0)}
    for operation in convolutions if architecture.groups is None else ():
        square = operation.weight.axes is None and operation.n_in == operation.n_out > 1
        operation.may_be_transposed = square and (_word(operation) in transposed or bool(TRANSPOSED.search(operation.path)))
    bare = [o for o in found if o.kind == "linear" and o.is_layer and parts[o.weight.name].leaf == "w"]
    if architecture.groups is None and all(o.n_in == o.n_out and parts[o.weight.name].own not in LENS_LAYERS for o in bare):
        for operation in bare:  # nothing says whether they stand in front of what they read, or behind it
            operation.may_be_transposed = True
    yield from found


def _word(operation: Operation) -> str:
    """The first part of its module, without a number."""
    return re.sub(r"_?\d+$", "", operation.module.partition(".")[0])


def _with_biases(operations: Sequence[Operation]) -> list[Operation]:
    """Biases beside the module of their weight (`conv1.bias`, `conv1.lin.weight`), as in PyTorch Geometric, join it."""
    found: list[Operation] = []
    for operation in operations:
        inner = [o for o in operations if o.module.startswith(operation.module + ".") and o.is_layer and not o.vectors]
        alone = operation.kind == "bias" and len(operation.tensors) == 1 and bool(operation.module)
        if alone and len(inner) == 1 and inner[0].n_out == operation.tensors[0].shape[0]:
            inner[0].tensors.append(operation.tensors[0])
        else:
            found.append(operation)
    return found


def _with_attention(operations: Sequence[Operation]) -> list[Operation]:
    """Attention over graphs (`conv1.att_src`) joins the layers inside its module (`conv1.lin`), whose units it weighs."""
    taken: list[Operation] = []
    for attention in operations:
        inner = [o for o in operations if o.module.startswith(attention.module + ".") and o.is_layer]
        if attention.scores and {o.n_out for o in inner} == {tensor.size for tensor in attention.scores}:
            inner[0].attention, inner[0].beside = attention, inner[1:]
            taken += [attention, *inner[1:]]
    return [operation for operation in operations if operation not in taken]


def shared_prefix(modules: Sequence[str]) -> str:
    """What all modules begin with, such as "module." or "model.net.": whole components, none of them in front of a number."""
    if len(modules) < 2:
        return ""
    prefix = ""
    while True:
        rest = [module[len(prefix) :].split(".") for module in modules]
        if len({parts[0] for parts in rest}) > 1 or any(len(parts) < 2 or parts[1].isdigit() for parts in rest):
            return prefix
        prefix += rest[0][0] + "."
