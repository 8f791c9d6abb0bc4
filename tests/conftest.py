"""One thread a test process, numba's too, whose kernels would set PyTorch's: two processes use two cores, and more threads
would only wait for each other. Set before anything heavy is imported.
"""

import os

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
