"""Question 2: does it transfer? A matrix of sources and targets: `cells` says what is measured, `zoos` on what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from metarep.studies.multipliers import question_model
from metarep.studies.rows import Row, Rows, by
from metarep.studies.settings import SourceName
from metarep.studies.sources.cells import METRICS, Measuring, carry_over
from metarep.studies.sources.figures import figures
from metarep.studies.sources.text import claims, main_source, sentences
from metarep.studies.sources.zoos import SOURCES, Networks, source_zoos
from metarep.studies.study import Context, Result
from metarep.zoos.zoo import Zoo

RETAINED = ("own", "retained", "retained_low", "retained_high", "retained_beyond_chance")
COLUMNS = ("source", "target", "representation", "metric", "value", "low", "high", "null", "n", *RETAINED, "unseen")
CONTROLS = {
    "masked_r2": ("source_mean", "linear_gaussian"),
    "unit_probe": ("untrained", "raw"),
    "clusters_ari": ("untrained", "raw"),
}
"""What is shown beside the model on the page, carried over in the same way."""

LEAST_OWN = 0.05
"""Of a smaller value of the target's own model no share can be retained."""


def run(context: Context) -> Result:
    """Every source's model, probes and clusters on every target, beside the target's own model and baselines."""
    zoos = source_zoos(context)
    rows = with_own(measured_cells(context, zoos))
    networks = [
        {
            "zoo": SOURCES[name].title,
            "group": SOURCES[name].group,
            "spec": str(zoo.spec),
            **{split: int((zoo["split"] == split).sum()) for split in ("train", "valid", "test")},
            "mse": float(np.median(zoo["valid_mse"])),
        }
        for name, zoo in zoos.items()
    ]
    return Result(
        claims(rows),
        sentences(rows),
        tables={"matrix": matrix_rows(rows), "cells": rows, "networks": networks},
        figures=figures(rows, main_source(rows)),
        numbers={"n_sources": len(zoos), "n_pairs": len(zoos) ** 2},
        shown=("matrix", "networks"),
    )


def measured_cells(context: Context, zoos: Mapping[SourceName, Zoo]) -> list[dict[str, Any]]:
    """The rows of all sources, in order."""
    own = context.config.sources
    settings = question_model(context, n_steps=own.n_steps)
    context.models({f"source_{name}": (settings, [zoo.artefact.path]) for name, zoo in zoos.items()})
    take = {"max_fit": own.max_fit_networks, "max_test": own.max_test_networks}
    networks = [Networks.of(name, zoo, **take) for name, zoo in zoos.items()]
    measuring = Measuring(own.k, context.config.n_bootstraps, context.config.seed)
    paths = {one.name: context.model_artefact(f"source_{one.name}").path for one in networks}
    jobs = {SOURCES[one.name].title: partial(carry_over, one, networks, paths[one.name], measuring) for one in networks}
    return list(chain.from_iterable(context.side_by_side("carry over", jobs)))


def with_own(rows: Rows) -> list[dict[str, Any]]:
    """The rows with COLUMNS: beside each value the one of the same kind that was fitted on the target itself.

    `retained` is their ratio, with an interval where both were resampled (the same networks each time), and
    `retained_beyond_chance` that of what lies above chance, for the probe. None where they are not defined.
    """
    key = ("target", "representation", "metric")
    own = by([row for row in rows if row["source"] == row["target"]], *key)
    full = [row | compared(row, own[tuple(row[name] for name in key)]) for row in rows]
    return [{name: row.get(name) for name in COLUMNS} for row in full]


def compared(row: Row, own: Row) -> dict[str, float | None]:
    """The columns RETAINED of one row, those that are defined."""
    found: dict[str, float | None] = {"own": own["value"]}
    if row["value"] is None or own["value"] is None or own["value"] < LEAST_OWN:
        return found
    found["retained"] = row["value"] / own["value"]
    if "draws" in row and (own["draws"] > 0).all():
        low, high = np.quantile(row["draws"] / own["draws"], [0.025, 0.975])
        found |= {"retained_low": float(low), "retained_high": float(high)}
    chance = own.get("chance")
    if chance is not None and own["value"] - chance >= LEAST_OWN:
        found["retained_beyond_chance"] = (row["value"] - chance) / (own["value"] - chance)
    return found


def matrix_rows(rows: Rows) -> list[dict[str, Any]]:
    """A row a target, for the page: the main source's model, the target's own, and the CONTROLS, metric by metric."""
    cells = by(rows, "target", "metric", "representation", source=main_source(rows))
    found = []
    for target in dict.fromkeys(target for target, *_ in cells):
        row = {"target": SOURCES[target].title}
        for metric in METRICS:
            model = cells[target, metric, "cloze"]
            row |= {metric: model["value"], f"{metric}_own": model["own"]}
            row |= {f"{metric}_{name}": cells[target, metric, name]["value"] for name in CONTROLS[metric]}
        found.append(row)
    return found
