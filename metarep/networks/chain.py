"""The symmetries of a plain chain of layers, which is a whole network or a part of one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from metarep.networks.naming import split_name
from metarep.networks.operations import AFFINE, NORMS, Operation
from metarep.networks.symmetry_groups import SymmetryGroup


def chain_of(
    operations: Iterable[Operation], *, relu: bool = False, start: SymmetryGroup | None = None
) -> tuple[SymmetryGroup, ...] | None:
    """The groups of layers that stand one behind the other, those that are read first; None where they do not fit.

    `start` are the units that the first layer reads, without it the inputs. The last group, the outputs, is not
    interchangeable. A norm behind a convolution counts only with running statistics: it may be a group norm, which is no
    symmetry's friend. Only behind a convolution may a linear layer read several positions of each unit, the pixels of a
    flattened channel: else it is a second head or another network, whose inputs happen to be a multiple. Keras and Flax
    flatten pixel by pixel, each with all its channels.
    """
    groups: list[SymmetryGroup] = []
    current, convolved, channels_last = start, False, False
    for operation in operations:
        if operation.kind in NORMS and current is not None and _fits_norm(operation, current):
            if convolved and not operation.has_statistics:
                return None
            current = replace(current, members=current.members + operation.owning(), positive_scale=False)
            continue
        if operation.kind not in AFFINE or operation.weight is None or not _known_whole(operation):
            return None
        flattened, convolved = convolved, operation.kind != "linear"
        if current is not None and _depthwise(operation, current):
            current = replace(current, members=current.members + operation.feeding(), positive_scale=False)
            continue
        source = current or SymmetryGroup("inputs", operation.n_in, (), interchangeable=False)
        inner = operation.n_in // source.n if source.n else 0
        if inner * source.n != operation.n_in or (inner > 1 and not (flattened and operation.kind == "linear")):
            return None
        groups.append(replace(source, members=(*source.members, operation.reading(inner, channels_last=channels_last))))
        channels_last = operation.channels_last
        name = f"units of {operation.module or operation.weight.name}"
        current = SymmetryGroup(name, operation.n_out, operation.feeding(), interchangeable=True, positive_scale=relu)
    if current is None:
        return None
    return (*groups, replace(current, interchangeable=False, positive_scale=False))


def _fits_norm(operation: Operation, units: SymmetryGroup) -> bool:
    return bool(operation.vectors) and all(vector.shape == (units.n,) for vector in operation.vectors)


def _depthwise(operation: Operation, units: SymmetryGroup) -> bool:
    return operation.kind != "linear" and operation.n_in == 1 and operation.n_out == units.n and units.n > 1


def _known_whole(operation: Operation) -> bool:
    """Whether every vector beside the weight runs over its outputs, and no pixels stand where channels are looked for."""
    pixels_first = operation.weight.axes is None and len(operation.weight.shape) > 2
    foreign = any(vector.shape[0] != operation.n_out for vector in operation.vectors)
    return not foreign and not (pixels_first and split_name(operation.weight.name).leaf == "kernel")
