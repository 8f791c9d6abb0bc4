"""Which networks train, validate and test: a function of the run alone."""

from __future__ import annotations

import hashlib

SPLITS = (("train", 0.7), ("valid", 0.8), ("test", 1.0))
"""Each split ends at this share of the hash of `run_id`."""


def split_of(run_id: str) -> str:
    """train (70 %), valid (10 %) or test (20 %): a function of the run alone, so that relatives stay together."""
    share = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big") / 2**64
    return next(name for name, end in SPLITS if share < end)
