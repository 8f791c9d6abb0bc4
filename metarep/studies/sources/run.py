"""Question 2: does it transfer? A matrix of sources and targets: `cells` says what is measured, `source_zoos` on what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config

from metarep.studies.multipliers import question_model
from metarep.studies.settings import SourceName
from metarep.studies.sources.cells import METRICS, Measuring, carry_over
from metarep.studies.sources.figures import figures
from metarep.studies.sources.text import claims, main_source, sentences
from metarep.studies.sources.zoos import SOURCES, source_zoos, taken
from metarep.studies.study import Context, Result
from metarep.zoos.zoo import Zoo

COLUMNS = (
    "source",
    "target",
    "representation",
    "metric",
    "value",
    "low",
    "high",
    "null",
    "n",
    "own",
    "retained",
    "retained_low",
    "retained_high",
    "retained_beyond_chance",
    "unseen",
)
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
    networks = network_rows(zoos)
    source = main_source(rows)
    return Result(
        claims(rows),
        sentences(rows),
        tables={"matrix": matrix_rows(rows), "cells": rows, "networks": networks},
        figures=figures(rows, source),
        numbers={"n_sources": len(zoos), "n_pairs": len(zoos) ** 2},
        shown=("matrix", "networks"),
    )


def measured_cells(context: Context, zoos: Mapping[SourceName, Zoo]) -> list[dict[str, Any]]:
    """The rows of all sources, in order, each source by a process of one thread."""
    own = context.config.sources
    settings = question_model(context, n_steps=own.n_steps)
    context.models({f"source_{name}": (settings, [zoo.artefact.path]) for name, zoo in zoos.items()})
    networks = list(taken(dict(zoos), context))
    measuring = Measuring(own.k, context.config.n_bootstraps, context.config.seed)
    work = partial(carry_over, targets=networks, measuring=measuring)
    found: list[dict[str, Any]] = []
    with (
        context.progress.task("carry over", len(networks), "sources") as task,
        parallel_config("loky", inner_max_num_threads=1),
    ):
        parallel = Parallel(n_jobs=min(cpu_count(), len(networks)), return_as="generator")
        jobs = (delayed(work)(one, model_path=context.model_artefact(f"source_{one.name}").path) for one in networks)
        for one, rows in zip(networks, parallel(jobs), strict=True):
            found += rows
            task.advance(1, SOURCES[one.name].title)
    return found


def with_own(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with COLUMNS: beside each value the one of the same kind that was fitted on the target itself.

    `retained` is their ratio, with an interval where both were resampled (the same networks each time), and
    `retained_beyond_chance` that of what lies above chance, for the probe.
    """
    key = lambda row: (row["target"], row["representation"], row["metric"])  # noqa: E731
    own = {key(row): row for row in rows if row["source"] == row["target"]}
    complete = []
    for row in rows:
        full = {**row, **compared(row, own[key(row)])}
        complete.append({name: full.get(name) for name in COLUMNS})
    return complete


def compared(row: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, float | None]:
    """The columns of `with_own` for one row; None where they are not defined."""
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


def matrix_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a target, for the page: the main source's model, the target's own, and the CONTROLS, metric by metric."""
    source = main_source(rows)
    found: dict[SourceName, dict[str, Any]] = {}
    for row in rows:
        metric, name = row["metric"], row["representation"]
        if row["source"] != source or name not in ("cloze", *CONTROLS[metric]):
            continue
        entry = found.setdefault(row["target"], {"target": SOURCES[row["target"]].title})
        own = {metric: row["value"], f"{metric}_own": row["own"]}
        entry |= own if name == "cloze" else {f"{metric}_{name}": row["value"]}
    names = [f"{metric}{end}" for metric in METRICS for end in ("", "_own", *(f"_{name}" for name in CONTROLS[metric]))]
    return [{"target": entry["target"], **{name: entry.get(name) for name in names}} for entry in found.values()]


def network_rows(zoos: Mapping[SourceName, Zoo]) -> list[dict[str, Any]]:
    """How many networks each zoo has, by split, what architecture, and their median validation error."""
    rows = []
    for name, zoo in zoos.items():
        counts = {split: int((zoo["split"] == split).sum()) for split in ("train", "valid", "test")}
        error = float(np.median(zoo["valid_mse"]))
        rows.append({"zoo": SOURCES[name].title, "group": SOURCES[name].group, "spec": str(zoo.spec), **counts, "mse": error})
    return rows
