"""The operations of a network, each with its tensors: what symmetries are read from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from metarep.networks.architecture import Architecture, Tensor
from metarep.networks.naming import split_name
from metarep.networks.symmetry_groups import Member

AFFINE = ("linear", "conv1d", "conv2d")
NORMS = ("batch_norm", "layer_norm", "rms_norm")
PLAIN_ROLES = frozenset({"weight", "bias", "scale", "shift", "running_mean", "running_var", "counter"})


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
        """The output and the input axis of the weight: as names and the graph say (`Tensor.axes`), else (0, 1) as in PyTorch,
        or (1, 0) where the bias says so."""
        weight = self.weight
        if weight is not None and weight.axes is not None:
            return weight.axes
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

    @property
    def layer(self) -> int:
        """Its number in order of depth."""
        return self.tensors[0].layer

    @property
    def plain(self) -> bool:
        """Whether it is a linear layer, a convolution or a norm and nothing besides, such as spectral norms or adapters."""
        known = all(tensor.kind == self.kind and tensor.role in PLAIN_ROLES for tensor in self.tensors)
        return known and (self.kind in NORMS or (self.kind in AFFINE and self.weight is not None))

    @property
    def has_statistics(self) -> bool:
        """Whether it keeps a running mean: a batch norm, whereas scale and shift alone may be a group norm's."""
        return any(tensor.role == "running_mean" for tensor in self.tensors)

    def feeding(self) -> tuple[Member, ...]:
        """The members through which the operation feeds its output units."""
        own = tuple(Member(v.name, 0, "in") for v in self.vectors if v.shape[0] == self.n_out)
        return (Member(self.weight.name, self.axes[0], "in"), *own)

    @property
    def channels_last(self) -> bool:
        """Whether its weight is a convolution's as Keras and Flax keep it, whose channels stand behind the pixels."""
        return self.kind != "linear" and 0 not in self.axes

    def reading(self, positions: int = 1, *, channels_last: bool = False) -> Member:
        """The member through which the operation reads its input units, several positions each: neighbours, or far apart."""
        outer, inner = (positions, 1) if channels_last else (1, positions)
        return Member(self.weight.name, self.axes[1], "out", outer=outer, inner=inner)

    def owning(self) -> tuple[Member, ...]:
        """The members of a norm, which belong to the units that it stands on."""
        return tuple(Member(vector.name, 0, "own") for vector in self.vectors)


def operations_of(architecture: Architecture) -> Iterator[Operation]:
    """Its operations in order of depth."""
    by_layer: dict[int, Operation] = {}
    for tensor in architecture.tensors:
        module = ".".join(split_name(tensor.name).module)
        operation = by_layer.setdefault(tensor.layer, Operation(tensor.kind, module))
        operation.tensors.append(tensor)
        if operation.kind == "bias":
            operation.kind = tensor.kind
    yield from by_layer.values()
