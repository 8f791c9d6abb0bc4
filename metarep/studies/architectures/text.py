"""What is carried over to other architectures, in claims and sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from metarep.report.wording import num
from metarep.studies.settings import ArchitecturesConfig
from metarep.studies.study import Claim

METRICS = {"masked_r2": "Masked R²", "task": "Task, balanced accuracy", "log_error": "Error, R² of its logarithm"}
TITLES = {"others": "model of other architectures", "all": "model of all", "untrained": "untrained"}
Rows = list[dict[str, Any]]


def picked(rows: Rows, metric: str, representation: str, fitted_on: str = "") -> dict[str, dict[str, Any]]:
    """The rows of one metric and representation by target."""
    wanted = (metric, representation, fitted_on)
    return {row["target"]: row for row in rows if (row["metric"], row["representation"], row["fitted_on"]) == wanted}


def claims(rows: Rows) -> tuple[Claim, ...]:
    """The mean share of what the model of all architectures reaches that the model of other ones keeps."""
    found = []
    for metric, fitted, title in (("task", "others", "task by a linear probe"), ("masked_r2", "", "masked R²")):
        kept, bound = picked(rows, metric, "others", fitted), picked(rows, metric, "all", fitted and "itself")
        shares = [kept[target]["value"] / bound[target]["value"] for target in kept if bound[target]["value"] > 0]
        name = f"{title}: share of what a model and a probe of the target itself reach, mean over architectures never seen"
        if shares:
            span = {"low": min(shares), "high": max(shares), "over": "architectures"}
            found.append(Claim(name, float(np.mean(shares)), decimals=2, **span))
    return tuple(found) or (Claim("architectures on which the model of all predicts anything", 0),)


def sentences(rows: Rows, config: ArchitecturesConfig, counts: dict[str, int]) -> tuple[str, ...]:
    """In plain words."""
    seen, left_out = counts.values()
    said = [
        f"{seen:,} networks of {', '.join(config.seen)} and {left_out:,} of {', '.join(config.left_out)}, trained on "
        f"{', '.join(config.tasks)}; the model of the others reads the latter first when it is tested."
    ]
    for metric, title in METRICS.items():
        fitted = "" if metric == "masked_r2" else "others"
        names = dict.fromkeys(row["representation"] for row in rows if row["metric"] == metric)
        parts = [_median(TITLES.get(name, name), picked(rows, metric, name, fitted)) for name in names]
        own = picked(rows, metric, "all", "itself") if fitted else {}
        more = f" Fitted on the target itself: {_median('model of all', own)}." if own else ""
        said.append(f"{title}, median of {len(config.left_out)} architectures: {'; '.join(parts)}.{more}")
    return tuple(said)


def _median(title: str, cells: dict[str, dict[str, Any]]) -> str:
    least = min(cells, key=lambda target: cells[target]["value"])
    middle = float(np.median([cell["value"] for cell in cells.values()]))
    return f"{title} {num(middle)} (least on {least}: {num(cells[least]['value'])})"
