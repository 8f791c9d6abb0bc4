"""How the kernels are compiled: cached on disk, floats re-associated, NaN kept.

`fastmath` stays at re-association and contraction: assuming that there is no NaN or
infinity breaks Adam's division for dead networks.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

if "NUMBA_CACHE_DIR" not in os.environ and not os.access(Path(__file__).parent, os.W_OK):
    # A read-only install: numba would try a folder in the home, which may be read-only as well.
    os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / f"metarep-numba-{os.getuid()}")

import numba

kernel = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"}, error_model="numpy")
"""For a function that runs on one thread."""

strict_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")
"""The same with IEEE arithmetic throughout, where every bit counts."""

parallel_kernel = numba.njit(cache=True, nogil=True, parallel=True, error_model="numpy")
"""For a loop over networks with `prange`: one network is one thread's, so results know no thread count."""
