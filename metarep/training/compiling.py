"""How the kernels are compiled, cached on disk, floats re-associated, NaN kept; and how networks are spread over threads.

`fastmath` stays at re-association and contraction: assuming that there is no NaN or
infinity breaks Adam's division for dead networks.

Numba would keep a kernel while its own file is unchanged, even when a kernel that it calls
has changed elsewhere. So the cache lies in a folder named after the source of all of them: beside the
code, or where that is read-only in the user's cache or the temporary folder.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba

HERE = Path(__file__).parent


def cache_folder() -> Path:
    """The first of the three places that can be written to."""
    sources = b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))
    name = f"kernels-{hashlib.sha256(sources).hexdigest()[:16]}"
    user_cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "metarep"
    for parent in (HERE / "__pycache__", user_cache):
        try:
            (parent / name).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(parent / name, os.W_OK):
            return parent / name
    return Path(tempfile.gettempdir()) / f"metarep-{os.getuid()}" / name


def compiled(**options) -> Callable:
    """`numba.njit` with our cache; division by zero gives infinity, as in NumPy."""

    def decorate(function: Callable) -> Callable:
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(cache_folder())  # read when the function is decorated, and only then
        try:
            return numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        finally:
            numba.config.CACHE_DIR = before

    return decorate


kernel = compiled(fastmath={"reassoc", "contract"})
"""For a function that runs on one thread."""

strict_kernel = compiled()
"""The same with IEEE arithmetic throughout, where every bit counts."""

PIECES_PER_THREAD = 8
"""Into which networks are cut, since some take longer than others."""


def over_networks(kernel: Callable, n: int, *args: object) -> None:
    """Calls `kernel(first, stop, *args)` for pieces of n networks, on as many threads as numba has.

    One network is one thread's, so results know no thread count. Kernels hold no lock of the interpreter; numba's own parallel
    loops would take half as long again to compile.
    """
    n_threads = numba.config.NUMBA_NUM_THREADS
    size = max(1, -(-n // (PIECES_PER_THREAD * n_threads)))
    with ThreadPoolExecutor(n_threads) as threads:
        for _ in threads.map(lambda first: kernel(first, min(first + size, n), *args), range(0, n, size)):
            pass
