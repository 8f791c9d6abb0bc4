"""The wiring of a network from the names and shapes of its tensors, since a state dict has no graph.

A plain chain of linear and convolutional layers, with norms between them, is wired from end to end. Anything else (skip
connections, attention, shapes that do not fit) is wired only where names leave no doubt: the hidden units of a
transformer's MLP, the units of a recurrent layer inside it. Whatever is in doubt is a group that is not free: a false
symmetry would be worse than a missed one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from metarep.checkpoints.architecture import Architecture, Tensor
from metarep.checkpoints.naming import split_name
from metarep.windows.wiring import Member, Units, Wiring

AFFINE = ("linear", "conv1d", "conv2d")
NORMS = ("batch_norm", "layer_norm", "rms_norm")
GATES = {"lstm": 4, "gru": 3}
_SKIPS = re.compile(
    r"down_?sample|short_?cut|skip|highway|gate|dense_?block|res(idual|net|_?block|_?\d|$)|(layer|block|stage|group)s?_?\d+\.\d+\.",
    re.I,
)
"""Modules around which a network may go: those that say so, and numbered blocks of numbered parts, as in residual networks."""

MLP_PAIRS = {
    "fc1": "fc2",
    "linear1": "linear2",
    "lin1": "lin2",
    "c_fc": "c_proj",
    "wi": "wo",
    "wi_0": "wo",
    "w1": "w2",
    "dense_h_to_4h": "dense_4h_to_h",
    "up_proj": "down_proj",
    "intermediate.dense": "output.dense",
    "mlp_in": "mlp_out",
    "ffn.0": "ffn.2",
    "mlp.0": "mlp.2",
}
"""The layer that feeds the hidden units of a transformer's MLP, and the one that reads them, by the ends of their modules."""

GATED = (("gate_proj", "up_proj"), ("wi_0", "wi_1"), ("w1", "w3"))


@dataclass
class Operation:
    """The tensors of one layer."""

    kind: str
    module: str
    tensors: list[Tensor] = field(default_factory=list)

    @property
    def weight(self) -> Tensor | None:
        """Its one weight of two axes or more; None where it has none or several."""
        found = [tensor for tensor in self.tensors if len(tensor.shape) > 1]
        return found[0] if len(found) == 1 and found[0].role == "weight" else None

    @property
    def vectors(self) -> list[Tensor]:
        return [tensor for tensor in self.tensors if len(tensor.shape) == 1 and tensor.role != "counter"]

    @property
    def axes(self) -> tuple[int, int]:
        """The output and the input axis of the weight: (0, 1) as in PyTorch, (1, 0) where a bias or a `kernel` says so."""
        weight = self.weight
        if weight is not None and len(weight.shape) == 2:
            lengths = {vector.shape[0] for vector in self.vectors}
            if lengths == {weight.shape[1]} and (
                weight.shape[0] != weight.shape[1] or split_name(weight.name).leaf == "kernel"
            ):
                return 1, 0
        return 0, 1

    @property
    def n_out(self) -> int:
        return self.weight.shape[self.axes[0]]

    @property
    def n_in(self) -> int:
        return self.weight.shape[self.axes[1]]

    def feeding(self) -> tuple[Member, ...]:
        """The members through which the operation feeds its output units."""
        own = tuple(Member(v.name, 0, "in") for v in self.vectors if v.shape[0] == self.n_out)
        return (Member(self.weight.name, self.axes[0], "in"), *own)


def wiring_of(architecture: Architecture, *, relu: bool = False) -> Wiring:
    """The groups of units that names and shapes tell of; `relu`: a ReLU is known to stand behind every hidden layer."""
    operations = list(_operations(architecture))
    chain = _chain(operations, relu)
    if chain is not None:
        return Wiring(chain)
    return Wiring(tuple(_certain(operations)))


def _operations(architecture: Architecture) -> Iterator[Operation]:
    by_layer: dict[int, Operation] = {}
    for tensor in architecture.tensors:
        module = ".".join(split_name(tensor.name).module)
        operation = by_layer.setdefault(tensor.layer, Operation(tensor.kind, module))
        operation.tensors.append(tensor)
        if operation.kind == "bias":
            operation.kind = tensor.kind
    yield from by_layer.values()


def _chain(operations: list[Operation], relu: bool) -> tuple[Units, ...] | None:
    """The groups of a plain chain, input first; None for anything else."""
    if any(_SKIPS.search(operation.module) for operation in operations) or not operations:
        return None
    groups: list[Units] = []
    current: Units | None = None
    for operation in operations:
        if operation.kind in NORMS and current is not None and _fits_norm(operation, current):
            own = tuple(Member(v.name, 0, "own") for v in operation.vectors)
            current = replace(current, members=current.members + own, positive_scale=False)
            continue
        if operation.kind not in AFFINE or operation.weight is None:
            return None
        if current is not None and _depthwise(operation, current):
            current = replace(current, members=current.members + operation.feeding(), positive_scale=False)
            continue
        name = f"units of {operation.module or operation.weight.name}"
        source = current or Units("inputs", operation.n_in, (), free=False)
        inner = operation.n_in // source.n if source.n else 0
        if inner * source.n != operation.n_in or (inner > 1 and operation.kind != "linear"):
            return None
        reading = Member(operation.weight.name, operation.axes[1], "out", inner=inner)
        groups.append(replace(source, members=(*source.members, reading)))
        current = Units(name, operation.n_out, operation.feeding(), free=True, positive_scale=relu)
    if current is None:
        return None
    return (*groups, replace(current, free=False, positive_scale=False))


def _fits_norm(operation: Operation, units: Units) -> bool:
    return bool(operation.vectors) and all(vector.shape == (units.n,) for vector in operation.vectors)


def _depthwise(operation: Operation, units: Units) -> bool:
    shape = operation.weight.shape
    return len(shape) > 2 and shape[1] == 1 and shape[0] == units.n and units.n > 1


def _certain(operations: list[Operation]) -> Iterator[Units]:
    """Groups for any other network: of each operation its output units, free where names leave no doubt who reads them."""
    readers = _mlp_readers(operations)
    taken: set[int] = set()
    for number, operation in enumerate(operations):
        if operation.kind in GATES:
            yield from _recurrent(operation)
            continue
        if operation.weight is None or operation.kind == "embedding" or number in taken:
            continue
        name = f"units of {operation.module or operation.weight.name}"
        if number not in readers:
            yield Units(name, operation.n_out, operation.feeding(), free=False)
            continue
        feeders, reader = readers[number]
        taken.update(feeders)
        members = tuple(member for index in feeders for member in operations[index].feeding())
        down = operations[reader]
        yield Units(name, operation.n_out, (*members, Member(down.weight.name, down.axes[1], "out")), free=True)


def _mlp_readers(operations: list[Operation]) -> dict[int, tuple[tuple[int, ...], int]]:
    """For the first layer of each transformer MLP: the layers that feed its hidden units, and the one that reads them."""
    places = {operation.module: n for n, operation in enumerate(operations) if operation.weight is not None}
    found: dict[int, tuple[tuple[int, ...], int]] = {}
    for up, down in MLP_PAIRS.items():
        for module, number in places.items():
            stem = module[: len(module) - len(up)]
            reader = places.get(stem + down)
            if not (module == up or module.endswith("." + up)) or reader is None:
                continue
            n = operations[number].n_out
            gates = [places.get(stem + other) for pair in GATED if up in pair for other in pair if other != up]
            feeders = tuple(gate for gate in gates if gate is not None and operations[gate].n_out == n)
            if operations[reader].n_in == n:
                found[min(number, *feeders) if feeders else number] = ((number, *feeders), reader)
    return found


def _recurrent(operation: Operation) -> Iterator[Units]:
    """The hidden units of an LSTM or GRU layer; who reads its output is not known, so they are not free."""
    gates = GATES[operation.kind]
    hidden = next((t for t in operation.tensors if t.role == "hidden" and len(t.shape) == 2), None)
    if hidden is None or hidden.shape[0] != gates * hidden.shape[1]:
        return
    n = hidden.shape[1]
    rows = tuple(
        Member(t.name, 0, "in", outer=gates)
        for t in operation.tensors
        if t.shape and t.shape[0] == gates * n and len(t.shape) < 3
    )
    yield Units(f"units of {hidden.name}", n, (*rows, Member(hidden.name, 1, "out")), free=False)
