"""One thread a test process, numba's too, whose kernels would set PyTorch's, and no processes beside it: two test processes use
two cores, more would only wait for each other, and each would import everything anew. Triton interprets its kernels, and has to
know before anything imports it. Set before anything heavy is imported. And the order of the files.
"""

import os

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["LOKY_MAX_CPU_COUNT"] = "1"
os.environ["TRITON_INTERPRET"] = "1"

FIRST = (
    "tests/training/test_engines.py",
    "tests/evaluation/test_clusters.py",
    "tests/model/",
    "tests/networks/",
    "tests/formats/",
    "tests/domains/multiplier/test_expected_error.py",
    "tests/evaluation/test_compare.py",
    "tests/test_smoke.py",
    "tests/studies/",
    "tests/report/",
    "tests/map/",
    "tests/domains/",
    "tests/evaluation/",
    "tests/training/",
    "tests/parts/",
)
"""On a fresh machine the first file compiles the kernels of the engines for a minute and a half, while the other process
compiles UMAP and runs files that need no kernel; the next file compiles those of the exact error. Then slow files come first,
so that neither process is left with a long one at the end.
"""


def pytest_collection_modifyitems(items):
    """Sorts the tests by FIRST; pytest itself forgets the order of paths that lie in one another."""
    items.sort(key=lambda item: next((place for place, path in enumerate(FIRST) if item.nodeid.startswith(path)), len(FIRST)))
