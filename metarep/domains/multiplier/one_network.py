"""One 2-2-1 network from anywhere: its labels, and where its scores stand among random initialisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER, Labels, label_modes
from metarep.domains.multiplier.scan import random_initialisations
from metarep.domains.multiplier.scores import SCORES
from metarep.domains.multiplier.settings import ScanConfig


@dataclass(frozen=True)
class Score:
    """A score, and the share of random initialisations that score lower."""

    value: float
    percentile: float


@dataclass(frozen=True)
class Portrait:
    """Labels of one network (arrays of length 1), its scores by scan, and how many initialisations they are set against."""

    labels: Labels
    scores: Mapping[str, Score]
    n_random: int


def portray(params: np.ndarray, config: ScanConfig) -> Portrait:
    """What the scans without labels say of one network params (9,)."""
    random = random_initialisations(config.n_random, seed=config.seed)
    scores = {}
    for name, score in SCORES.items():
        value = float(score(params[None])[0])
        scores[name] = Score(value, 100 * float((score(random) < value).mean()))
    return Portrait(label_modes(MULTIPLIER, params[None]), scores, len(random))
