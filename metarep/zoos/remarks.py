"""What the account says of the architectures of a zoo: tensors unread or unknown, buffers, units without symmetry, sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from metarep.account import Entry, counted, listed
from metarep.networks.architecture import BUFFER_ROLES, OTHER, Architecture, Tensor, readable
from metarep.networks.further_inference import assumed
from metarep.networks.symmetry_groups import Symmetries

MUCH = 0.1
"""A share of the values of a network that is worth a doubt where it is not read."""

TIMES_LARGER = 100
"""Networks so many times as large as the median one are named."""


def remarks(architecture: Architecture, symmetries: Symmetries) -> Iterator[Entry]:
    """Entries on one architecture."""
    tensors = architecture.tensors
    n_values = sum(tensor.size for tensor in tensors)
    buffers = [tensor for tensor in tensors if tensor.role == "buffer"]
    if buffers:
        yield Entry("buffer", "", f"set aside: {_listed(buffers)}", "kept, but neither counted nor read")
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors if _unread(tensor)):
        unread = [tensor for tensor in tensors if tensor.dtype == dtype and _unread(tensor)]
        size = sum(tensor.size for tensor in unread)
        what = f"{size:,} values of {dtype} are not read: {_listed(unread)}"
        yield Entry("tensor", "", what, "kept as they are, for export alone", doubt=size > MUCH * n_values)
    weights = [tensor for tensor in tensors if readable(tensor)]
    unknown = [tensor for tensor in weights if tensor.kind == OTHER]
    if unknown:
        be = "is" if len(unknown) == 1 else "are"
        what = f"{len(unknown)} of {counted(len(weights), 'tensor')} {be} of no known kind: {_listed(unknown)}"
        yield Entry(
            "tensor", "", what, "a file given to --architecture can say what they are", doubt=len(unknown) == len(weights)
        )
    for note in (*symmetries.notes, *assumed(symmetries)):
        yield Entry("architecture", "", note, "")
    for name in (name for name, found in architecture.evidence if found == "refuted"):
        yield Entry("architecture", "", f"{name}: no symmetry", "a random draw moves the outputs; it is dropped", doubt=True)


def remark_on_units(symmetries: Sequence[Symmetries], n_networks: Sequence[int]) -> Iterator[Entry]:
    """In how many networks of some architectures interchangeable units were found."""
    found = [any(units.interchangeable for units in one.groups) for one in symmetries]
    n = sum(number for number, has in zip(n_networks, found, strict=True) if has)
    what = f"interchangeable units were found in {n:,} of {counted(sum(n_networks), 'network')}"
    yield Entry("architecture", "", what, "")


def remark_on_sizes(network_id: Sequence[str], n_params: Sequence[int]) -> Iterator[Entry]:
    """An entry where a few networks are far larger than all others."""
    sizes = np.asarray(n_params)
    large = np.flatnonzero(sizes > TIMES_LARGER * np.median(sizes))
    if len(large):
        first = int(large[sizes[large].argmax()])
        what = f"{sizes[first]:,} parameters among networks of {int(np.median(sizes)):,} (the median)"
        why = f"it holds {sizes[first] / sizes.sum():.0%} of all parameters, and so much of the time that reading the zoo takes"
        yield Entry("architecture", network_id[first], what, why)


def _unread(tensor: Tensor) -> bool:
    """Whether a tensor of more than one value is left out because of its dtype."""
    return tensor.size > 1 and tensor.role not in BUFFER_ROLES and not readable(tensor)


def _listed(tensors: Sequence[Tensor]) -> str:
    return listed([f"{tensor.name} {'x'.join(map(str, tensor.shape)) or 'scalar'}" for tensor in tensors])
