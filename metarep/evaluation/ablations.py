"""Runs side by side, one change a row: a run's own model is the row "base", its further models say what they change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from metarep.artefact import MANIFEST, Artefact, open_artefact
from metarep.errors import MetarepError
from metarep.tables import read_csv

BASE, MODEL = "base", "model"
CLUSTERERS = ("kmeans", "gmm")
PROBES = {"linear": "linear", "neighbours": "nearest_neighbours"}
"""Columns of probes for the main label, and the probes' names."""

ENDS = ("low", "high", "null")


def ablation_rows(runs: Sequence[Path]) -> tuple[list[dict], dict[str, Artefact]]:
    """The rows of all runs, and the comparison that each run's are read from, by its name.

    Raises MetarepError for a folder that is no run with a comparison, and where two runs have one name.
    """
    inputs: dict[str, Artefact] = {}
    rows: list[dict] = []
    for run in map(Path, runs):
        if not (run / "clusters" / MANIFEST).is_file():
            what = f"{run} is no run with a comparison"
            raise MetarepError(what, expected="a finished clusters stage", fix="run it to its end")
        if run.name in inputs:
            raise MetarepError("two runs have one name", met=run.name, fix="rename one folder")
        inputs[run.name] = open_artefact(run / "clusters", "clusters", check_hashes=True)
        rows += run_rows(run)
    return rows, inputs


def run_rows(run: Path) -> list[dict]:
    """A row for each trained embedding of a run: for the main label the ARI of each clusterer at its own k and the probes, for
    the first property the linear R², and the model's masked R²; each with low, high and null.

    `base_model` is the hash of the run's own model; `repeats_base` says that a model differs from it by its seed alone.
    """
    names = ("representations", "agreement", "k_curve", "probes")
    tables = {name: read_csv(run / "clusters" / f"{name}.csv") for name in names}
    targets = dict.fromkeys(row["target"] for row in tables["probes"] if row["metric"] == "r2")
    about = {"label": next((row["label"] for row in tables["agreement"]), ""), "property": next(iter(targets), "")}
    base, repeats, rows = base_model(run), other_seeds(run), []
    for one in tables["representations"]:
        if one["origin"] != "embedding" or one["untrained"]:
            continue
        model = BASE if one["model"] == MODEL else one["model"]
        row = {"run": run.name, "row": model, "embedding": one["kind"], "base_model": base, "repeats_base": model in repeats}
        key = {name: one[name] for name in ("representation", "model", "untrained")}
        rows.append(row | about | _scores(tables, key, **about) | masked_r2(run, model))
    return rows


def _scores(tables: Mapping[str, list[dict]], key: Mapping, label: str, property: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for clusterer in CLUSTERERS:
        arm = {**key, "clusterer": clusterer, "space": "native", "chosen": 1}
        score = _first(tables["agreement"], **arm, label=label, metric="ari")
        curve = _first(tables["k_curve"], **arm)
        found |= {f"{clusterer}_k": score.get("k", math.nan), f"{clusterer}_stability": curve.get("stability", math.nan)}
        found |= _columns(f"{clusterer}_ari", score)
    for column, probe in PROBES.items():
        found |= _columns(column, _first(tables["probes"], **key, target=label, probe=probe, metric="balanced_accuracy"))
    return found | _columns("property_r2", _first(tables["probes"], **key, target=property, probe="linear", metric="r2"))


def _first(rows: Iterable[Mapping], **equal) -> Mapping:
    return next((row for row in rows if all(row[name] == value for name, value in equal.items())), {})


def _columns(name: str, score: Mapping) -> dict[str, float]:
    return {name: score.get("value", math.nan)} | {f"{name}_{end}": score.get(end, math.nan) for end in ENDS}


def base_model(run: Path) -> str:
    """The first digits of the hash of a run's own model; "" where there is none."""
    return open_artefact(run / MODEL).digest[:12] if (run / MODEL / MANIFEST).is_file() else ""


def other_seeds(run: Path) -> set[str]:
    """The models of a run that differ from its own by the seed of pretraining and by nothing else."""
    if not (run / MODEL / MANIFEST).is_file():
        return set()
    base = open_artefact(run / MODEL).config
    others = {file.parent.name: open_artefact(file.parent).config for file in (run / "models").glob(f"*/{MANIFEST}")}
    return {name for name, own in others.items() if own != base and own | {"seed": None} == base | {"seed": None}}


def masked_r2(run: Path, model: str) -> dict[str, float]:
    """Masked R² under the run's first masking, with its interval, and `imputed_r2` of the best simple predictor, or NaN."""
    file = run / ("masked_r2" if model == BASE else f"masked_r2_by_model/{model}") / "masked_r2.csv"
    rows = [row for row in read_csv(file) if row["group"] == "all"] if file.is_file() else []
    rows = [row for row in rows if (row["masking"], row["ratio"]) == (rows[0]["masking"], rows[0]["ratio"])]
    scores = {row["predictor"]: row for row in rows}
    cloze = scores.pop("cloze", {})
    found = {"masked_r2": cloze.get("r2", math.nan)}
    found |= {f"masked_r2_{end}": cloze.get(end, math.nan) for end in ("low", "high")}
    return found | {"imputed_r2": max((row["r2"] for row in scores.values()), default=math.nan)}
