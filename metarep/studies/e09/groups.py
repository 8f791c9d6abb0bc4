"""Networks by mode and by quadrant code."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.modes import MODES, sign_patterns
from metarep.evaluation.resampling import wilson
from metarep.studies.published import PUBLISHED
from metarep.zoos.zoo import Zoo

NAMED = tuple(PUBLISHED["9"]["modes"])
"""The modes that the notes name."""


def group_rows(zoo: Zoo, column: str, *, of: int | None = None) -> list[dict]:
    """One row a group, largest first: n, share of `of` networks with its Wilson interval, quartiles of the validation
    error, the median active areas, the commonest sign pattern, and the network at the middle of the group.
    """
    n_all, rows = of or len(zoo), []
    for name in sorted(set(zoo[column])):
        group = zoo.where(**{column: name})
        low, high = wilson(len(group), n_all)
        q1, q2, q3 = np.quantile(group["valid_mse"], [0.25, 0.5, 0.75])
        areas = np.median(np.sort(group["active_area"], axis=1), axis=0)
        signs, counts = np.unique(sign_patterns(group.spec, group.params).astype(str), return_counts=True)
        rows.append(
            {
                "group": name,
                "n": len(group),
                "share": len(group) / n_all,
                "low": low,
                "high": high,
                "mse_q1": float(q1),
                "mse_median": float(q2),
                "mse_q3": float(q3),
                "active_area_low": float(areas[0]),
                "active_area_high": float(areas[1]),
                "output_signs": str(signs[counts.argmax()]),
                "output_signs_share": float(counts.max() / len(group)),
                "typical": group["network_id"][typical(group)],
            }
        )
    return sorted(rows, key=lambda row: -row["n"])


def typical(zoo: Zoo) -> int:
    """The index of the network nearest to the middle: median active areas, quadrant areas and log error, each in units
    of its spread over the group.
    """
    error = np.log10(np.maximum(zoo["valid_mse"], 1e-12))[:, None]
    features = np.concatenate([np.sort(zoo["active_area"], axis=1), zoo["quadrant_area"], error], axis=1)
    spread = features.std(axis=0)
    scaled = (features - np.median(features, axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    return int(np.square(scaled).sum(axis=1).argmin())


def crossed(zoo: Zoo) -> list[dict]:
    """Counts by quadrant code and mode."""
    rows = []
    for code in sorted(set(zoo["quadrant_code"])):
        of_code = zoo["mode"][zoo["quadrant_code"] == code]
        rows.append({"quadrant_code": code, **{f"mode {mode}": int((of_code == mode).sum()) for mode in MODES}})
    return rows
