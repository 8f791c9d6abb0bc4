"""Experiment 1 in words."""

from __future__ import annotations

import numpy as np


def spread_sentence(params: np.ndarray, best: np.ndarray, published: np.ndarray) -> str:
    """How far the trained parameters (N, 3) scatter about the optimum."""
    bias, spread = (params - best).mean(axis=0), params.std(axis=0)
    off = np.abs(published - best) / spread
    return (
        f"The trained parameters scatter about the optimum by {spread[0]:.4f}, {spread[1]:.4f} and {spread[2]:.4f} (standard "
        f"deviations; their means are off by {np.abs(bias).max():.4f} at most); the published ones lie at most {off.max():.1f} "
        "standard deviations from it."
    )
