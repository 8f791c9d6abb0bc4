"""Which files lie under a folder, and what is said of those that are no networks."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metarep.account import Entry
from metarep.formats.readers import TRAINERS, is_pointer, suffix_of
from metarep.formats.torch_files import is_saved
from metarep.zoos.account import Account

CACHES = (".git", ".hg", ".svn", ".cache", ".ipynb_checkpoints", "__pycache__", "__MACOSX", "node_modules")
"""Folders of other programs, of which nothing is said."""

UNFINISHED = "a download that is not finished"
FOREIGN = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".dill"), "a pickle, and nothing but tensors is ever unpickled"),
    **dict.fromkeys((".index", ".meta", ".data-00000-of-00001", ".pb", ".tflite"), "TensorFlow's, which is not read"),
    **dict.fromkeys(
        (".pdparams", ".params", ".caffemodel", ".t7", ".mlmodel", ".ggml", ".mat", ".tar", ".gz"), "of no known format"
    ),
    **dict.fromkeys((".bin", ".ckpt"), "not written by PyTorch"),
    **dict.fromkeys((".part", ".partial", ".crdownload", ".download", ".incomplete", ".aria2"), UNFINISHED),
    ".npy": "one array without names; weights.npy with metrics.csv beside it is read, and .npz archives are",
}
"""Ends of files that may hold weights and are not read, and why."""


def files_under(folder: Path, account: Account) -> list[Path]:
    """Every file under a folder, in natural order. Links to folders are followed, each folder once.

    Hidden files and folders are passed over; the account names them, and links that lead nowhere or in a circle.
    """
    found: list[Path] = []
    inside, links = deque([folder]), deque()
    seen: set[str] = set()
    above = {os.path.realpath(parent) for parent in folder.absolute().parents}
    while inside or links:
        here = inside.popleft() if inside else links.popleft()
        real = os.path.realpath(here)
        if real in seen or real in above:
            account.add(
                Entry("file", shown(here, folder), "a link", "the folder it leads to is read already or holds this one")
            )
            continue
        seen.add(real)
        for entry in _entries(here, folder, account):
            path = Path(entry.path)
            if entry.name.startswith("."):
                if entry.is_dir() or suffix_of(path):
                    account.add(Entry("file", shown(path, folder), "hidden", "a name that begins with a dot is passed over"))
            elif entry.is_dir():
                (links if entry.is_symlink() else inside).append(path)
            elif entry.is_file():
                found.append(path)
            elif entry.is_symlink():
                account.add(Entry("file", shown(path, folder), "a link", "it leads nowhere"))
    return sorted(found, key=natural)


def _entries(here: Path, folder: Path, account: Account) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(here) as entries:
            yield from sorted((entry for entry in entries if entry.name not in CACHES), key=lambda entry: entry.name)
    except OSError as error:
        account.add(Entry("file", shown(here, folder), "a folder that cannot be opened", str(error), doubt=True))


def no_network(path: Path) -> str | None:
    """Why a file that may look like one is not read as a network; None where nothing of the kind is known."""
    if not _is_text(path):
        return "its path is no text in UTF-8, which no reader opens: rename it"
    if TRAINERS.fullmatch(path.name):
        return "what a training script keeps beside a network"
    if suffix_of(path):
        return None
    if is_saved(path):
        return "torch.save wrote it, which its name does not say: rename it to end in .pt"
    name = path.name.lower()
    known = next((why for suffix, why in FOREIGN.items() if name.endswith(suffix)), None)
    return "a Git LFS pointer: git lfs pull" if known and is_pointer(path) else known


def _is_text(path: Path) -> bool:
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:
        return False


def shown(path: Path, root: Path) -> str:
    """The path relative to the root, with slashes; the root's own name for the root.

    Characters that no terminal shows, and bytes that are no text, are spelt out.
    """
    name = path.relative_to(root).as_posix() if path != root else (root.resolve().name or "run")
    return "".join(char if char.isprintable() or unicodedata.category(char) == "Zs" else _spelt(char) for char in name)


def _spelt(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()


def natural(path: Path) -> tuple[Any, ...]:
    """A key that sorts n2 before n10."""
    return tuple((int(part[:18]), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.as_posix()))
