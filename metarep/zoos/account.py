"""The account of an import: what was passed over, set aside or guessed, on the screen and beside the networks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from metarep.account import Entry, Subject, counted, listed
from metarep.artefact import write_whole
from metarep.errors import MetarepError
from metarep.networks.architecture import BUFFER_ROLES, OTHER, Architecture, Tensor, is_weight, readable
from metarep.networks.further_inference import assumed
from metarep.networks.symmetry_groups import Symmetries
from metarep.tables import read_csv, to_csv
from metarep.zoos.properties import plain_text

ACCOUNT = "account.csv"
"""The table of entries in a zoo: subject, where, what, why, doubt."""

SUBJECTS: dict[str, str] = {
    "file": "files",
    "key": "keys left in files",
    "tensor": "tensors",
    "buffer": "buffers, which are no weights",
    "member": "several networks in a file",
    "architecture": "architectures",
    "column": "columns",
    "run": "training runs",
    "copy": "copies",
}
"""What each subject is called where entries are printed; in this order."""

FEW = 3
"""Entries of a subject, and places of an entry, that are printed."""

NOT_READ = "not read"
"""What an entry says of a file that `--skip-damaged` left out."""


MUCH = 0.1
"""A share of the values of a network that is worth a doubt where it is not read."""

TIMES_LARGER = 100
"""Networks so many times as large as the median one are named."""


@dataclass
class Account:
    """Gathers entries. Damaged files are gathered too, and with `skip_damaged` entries like others."""

    skip_damaged: bool = False
    entries: list[Entry] = field(default_factory=list)
    damaged: list[tuple[str, MetarepError]] = field(default_factory=list)

    def add(self, *entries: Entry) -> None:
        """Adds entries."""
        self.entries += entries

    @contextmanager
    def catching(self, file: str) -> Iterator[None]:
        """Notes a MetarepError of the block under the name of the file."""
        try:
            yield
        except MetarepError as error:
            self.damaged.append((file, error))

    def require_whole(self, n_read: int) -> None:
        """Raises MetarepError that lists the damaged files, unless they are left out; `n_read` networks were read."""
        if not self.damaged:
            return
        reasons = [str(error) for _, error in self.damaged]
        if not self.skip_damaged:
            fix = "--skip-damaged leaves them out" if n_read else ""
            if len(reasons) == 1:
                raise MetarepError(reasons[0], fix=fix.replace("them", "it")) from self.damaged[0][1]
            shown = " | ".join(reasons[: 3 * FEW]) + (" | …" if len(reasons) > 3 * FEW else "")
            raise MetarepError(f"{len(reasons):,} files cannot be read: {shown}", fix=fix)
        self.add(*(Entry("file", file, NOT_READ, plain_text(_reason(file, error))) for file, error in self.damaged))

    def require_certain(self) -> None:
        """Raises MetarepError that lists what is in doubt."""
        doubts = [entry for entry in self.entries if entry.doubt]
        if doubts:
            shown = " | ".join(_written(group) for group in _alike(doubts))
            raise MetarepError(f"--strict: {len(doubts):,} doubts: {shown}", fix="settle them, or import without --strict")

    def write(self, folder: Path) -> None:
        """Writes the entries into a zoo."""
        if self.entries:
            write_whole(folder / ACCOUNT, to_csv([asdict(entry) for entry in self.entries]))


def _reason(file: str, error: MetarepError) -> str:
    """What an error says of a file, without the file's name at its head."""
    head, name, rest = str(error).partition(file)
    at_its_head = name and rest.startswith((" ", ":")) and " " not in head
    return rest.lstrip(": ").removeprefix("is ") if at_its_head else str(error)


def read_account(zoo: Path) -> list[Entry]:
    """The entries of an imported zoo; none for a zoo without any, and for one that was built."""
    return [Entry(**row) for row in read_csv(zoo / ACCOUNT)] if (zoo / ACCOUNT).is_file() else []


def account_lines(entries: Sequence[Entry], zoo: Path) -> list[str]:
    """The entries grouped by what they say, the first few of each subject, of the whole zoo and doubts before others; and where
    all of them are.
    """
    if not entries:
        return []
    lines = []
    for subject, groups in by_subject(entries).items():
        lines.append(f"{SUBJECTS[subject]}:")
        lines += ["  " + _written(group) for group in groups[:FEW]]
        lines += [f"  and {len(groups) - FEW:,} more"] if len(groups) > FEW else []
    n_doubts = sum(entry.doubt for entry in entries)
    doubts = f"{n_doubts:,} in doubt, marked with ?" if n_doubts else "none in doubt"
    return [
        f"account: {len(entries):,} {'entry' if len(entries) == 1 else 'entries'}, {doubts}; all of them: {zoo / ACCOUNT}",
        *("  " + line for line in lines),
    ]


def by_subject(entries: Sequence[Entry]) -> dict[str, list[list[Entry]]]:
    """{subject: entries that say the same, together; of the whole zoo and doubts first}, for the subjects that there are."""
    found = {subject: _alike([one for one in entries if one.subject == subject]) for subject in get_args(Subject)}
    return {subject: sorted(groups, key=_rank) for subject, groups in found.items() if groups}


def _rank(group: Sequence[Entry]) -> tuple[bool, bool]:
    return bool(group[0].where), not group[0].doubt


def _alike(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries that say the same of several places, together; what they list behind a colon may differ."""
    groups: dict[tuple[str, str, str, bool], list[Entry]] = {}
    for entry in entries:
        head, colon, _ = entry.what.partition(": ")
        said = re.sub(r"[\d,]+", "#", head) if colon else head
        groups.setdefault((entry.subject, said, entry.why, entry.doubt), []).append(entry)
    return list(groups.values())


def _written(group: Sequence[Entry]) -> str:
    return "? " * group[0].doubt + ": ".join(filter(None, line_of(group)))


def line_of(group: Sequence[Entry]) -> tuple[str, str, str]:
    """Entries that say the same as one line: where, what, why."""
    first = group[0]
    places = [place for place in dict.fromkeys(entry.where for entry in group) if place]
    n_networks = sum(entry.n_networks for entry in group)
    if n_networks > len(group):
        n_more = n_networks - 1
        where = f"{first.where} and {counted(n_more, 'more network')}"
        where += f" of {len(group):,} architectures" if len(group) > 1 else " of its architecture"
    else:
        where = listed(places, FEW)
    return where, first.what + (", …" if len({entry.what for entry in group}) > 1 else ""), first.why


def remarks(architecture: Architecture, symmetries: Symmetries) -> Iterator[Entry]:
    """Entries on one architecture."""
    tensors = architecture.tensors
    n_values = sum(tensor.size for tensor in tensors)
    buffers = [tensor for tensor in tensors if tensor.role == "buffer"]
    if buffers:
        yield Entry("buffer", "", f"set aside: {_listed(buffers)}", "kept, but neither counted nor read")
    if ties := [f"{tensor.name} = {tensor.tied_to}" for tensor in tensors if tensor.tied_to]:
        yield Entry(
            "tensor", "", f"{counted(len(ties), 'tensor')} in the place of others: {listed(ties)}", "counted and read once"
        )
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
    return tensor.size > 1 and tensor.role not in BUFFER_ROLES and not is_weight(tensor)


def _listed(tensors: Sequence[Tensor]) -> str:
    return listed([f"{tensor.name} {'x'.join(map(str, tensor.shape)) or 'scalar'}" for tensor in tensors])
