"""One writer a folder: a lock beside it that ends with the process that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from metarep.errors import MetarepError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock `<folder>.lock` for the block; that of a process which has died on this host is taken over.

    Raises MetarepError, naming the process that writes the folder, where another one does.
    """
    from filelock import SoftFileLock, Timeout

    folder = folder.absolute()
    file = folder.with_name(folder.name + ".lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = SoftFileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        fix = f"wait until it ends, or choose another --out; if it no longer runs, delete {file}"
        raise MetarepError(f"{folder} is being written by {_holder(file)}", fix=fix) from error
    try:
        yield
    finally:
        lock.release()


def _holder(file: Path) -> str:
    try:
        process, host, *_ = file.read_text().split()
        since = datetime.fromtimestamp(file.stat().st_mtime)
    except (OSError, ValueError):
        return "another process"
    return f"process {process} on {host} since {since:%Y-%m-%d %H:%M:%S}"
