"""Runs side by side, one change a row: what each choice of the cloze model does to what comes out.

Every run's first model is the row "base"; its further models say by their names what they change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from metarep.artefact import MANIFEST, Artefact, canonical_json, open_artefact, write_whole, writing
from metarep.config import ReportConfig
from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.report.page import png_of
from metarep.report.results import UNTRAINED, group_of
from metarep.report.style import FAINT, INK, MUTED, PALETTE, use_style
from metarep.report.wording import ari, clusterer_title, compare, listed, num
from metarep.tables import read_csv, to_csv

BASE = "base"
CLUSTERERS = ("kmeans", "gmm")
PROBES = {
    "mode_linear": ("mode", "linear_balanced_accuracy"),
    "mode_neighbours": ("mode", "nearest_neighbours_balanced_accuracy"),
    "quadrant_linear": ("quadrant_code", "linear_balanced_accuracy"),
    "error_r2": ("log10_valid_mse", "linear_r2"),
}
PANELS = {
    "kmeans_ari": "k-means: ARI",
    "gmm_ari": "Gaussian mixture: ARI",
    "mode_linear": "linear probe",
    "masked_r2": "masked R²",
}


def ablations(
    runs: Sequence[Path],
    out: Path | str,
    *,
    config: ReportConfig | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes `ablations.csv`, `findings.md`, `metrics.json` and `ablations.png` of runs into the folder `out`, and returns it.

    Raises MetarepError for a folder that is no run with a comparison, and where two runs have one name.
    """
    config, progress = config or ReportConfig(), progress or Progress()
    inputs: dict[str, Artefact] = {}
    rows: list[dict] = []
    for run in map(Path, runs):
        if not (run / "clusters" / MANIFEST).is_file():
            raise MetarepError(
                f"{run} is no run with a comparison", expected="a finished clusters stage", fix="run it to its end"
            )
        if run.name in inputs:
            raise MetarepError("two runs have one name", met=run.name, fix="rename one folder")
        inputs[run.name] = open_artefact(run / "clusters", "clusters", check_hashes=True)
        rows += run_rows(run)
    with writing(out, "ablations", config=config.resolved(), seed=None, inputs=inputs, overwrite=overwrite) as folder:
        write_whole(folder / "ablations.csv", to_csv(rows))
        write_whole(folder / "findings.md", "\n".join(["# What each change does", "", *ablation_sentences(rows), ""]))
        write_whole(folder / "metrics.json", canonical_json({"n_rows": len(rows)}) + "\n")
        write_whole(folder / "ablations.png", png_of(ablation_figure(rows), dpi=config.dpi))
    progress.say(f"ablations: {len(rows)} rows of {len(inputs)} runs")
    return Path(out)


def run_rows(run: Path) -> list[dict]:
    """A row for each trained embedding of a run: the clusterers at the chosen k, the probes, the model's masked R²."""
    tables = {name: read_csv(run / "clusters" / f"{name}.csv") for name in ("agreement", "chosen_k", "probes")}
    chosen = {(r["representation"], r["clusterer"]): r["k"] for r in tables["chosen_k"]}
    agree = {(r["representation"], r["clusterer"], r["k"]): r for r in tables["agreement"] if r["label"] == "mode"}
    probes = {(r["representation"], r["target"], r["metric"]): r["mean"] for r in tables["probes"]}
    rows = []
    for name in dict.fromkeys(r["representation"] for r in tables["probes"]):
        model, _, kind = name.rpartition("-")
        if name.startswith(UNTRAINED) or (group_of(name) in ("baseline", "oracle") and not model):
            continue
        row = {"run": run.name, "row": model or BASE, "embedding": kind}
        for clusterer in CLUSTERERS:
            found = agree.get((name, clusterer, chosen.get((name, clusterer))), {})
            row |= {f"{clusterer}_k": found.get("k", math.nan)}
            for figure in ("ari", "ari_low", "ari_high", "null_ari_p95", "stability_ari"):
                row[f"{clusterer}_{figure}"] = found.get(figure, math.nan)
        row |= {column: probes.get((name, *probe), math.nan) for column, probe in PROBES.items()}
        rows.append(row | {"masked_r2": masked_r2(run / "models" / model if model else run / "model")})
    return rows


def masked_r2(model: Path) -> float:
    """The R² of the cloze model on hidden values of test networks, each hidden in turn; NaN where there is no cloze."""
    file = model / "masked_r2.csv"
    found = read_csv(file) if file.is_file() else []
    own = [r for r in found if (r["masking"], r["predictor"], r["group"]) == ("leave_one_out", "cloze", "all")]
    return float(own[0]["r2"]) if own else math.nan


def ablation_figure(rows: Sequence[dict]) -> Figure:
    """A line a row, a panel a figure; runs stand in groups, each under its base. All embeddings of a model are drawn."""
    shown = _ordered(rows)
    with use_style():
        figure = Figure(figsize=(12.5, 1.4 + 0.27 * len(shown)), layout="constrained")
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for ax, (column, title) in zip(axes, PANELS.items(), strict=True):
            for y, row in enumerate(shown):
                colour = INK if row["row"] == BASE else PALETTE[0]
                low, high = (row.get(f"{column}_{end}", math.nan) for end in ("low", "high"))
                ax.plot([low, high], [y, y], color=colour, lw=2, alpha=0.5, solid_capstyle="butt")
                ax.plot(row[column], y, "o", color=colour, ms=6, mec="white", mew=0.7)
            ax.set_title(title, fontsize=11)
            ax.grid(axis="x", color=FAINT)
            ax.set_axisbelow(True)
            ax.tick_params(axis="y", length=0)
        axes[0].set(yticks=range(len(shown)), ylim=(len(shown) - 0.4, -0.6))
        axes[0].set_yticklabels([f"{row['row']}, {row['embedding']}" for row in shown], fontsize=8.5)
        for y in np.flatnonzero([a["run"] != b["run"] for a, b in pairwise(shown)]):
            for ax in axes:
                ax.axhline(y + 0.5, color=MUTED, lw=0.7)
        for run in dict.fromkeys(row["run"] for row in shown):
            first = next(y for y, row in enumerate(shown) if row["run"] == run)
            name = run.removeprefix("ablations-")
            axes[-1].annotate(name, (1.02, first), xycoords=("axes fraction", "data"), va="center", fontsize=9.5, color=INK)
    return figure


def ablation_sentences(rows: Sequence[dict]) -> list[str]:
    """A paragraph a run: which changes lift the agreement with the modes clearly above that of the base, which lower it, and
    what becomes of the linear probe. A change is read off the base's first embedding, or its own best where it has another.
    """
    found = []
    for run in dict.fromkeys(row["run"] for row in rows):
        own = [row for row in rows if row["run"] == run]
        shown = next(row["embedding"] for row in own if row["row"] == BASE)
        parts = [_against_base(own, shown, clusterer) for clusterer in CLUSTERERS]
        probe = {row["row"]: row["mode_linear"] for row in own if row["embedding"] == shown}
        text = f"The mode is read off {shown} linearly with {num(probe[BASE])}"
        others = {name: value for name, value in probe.items() if name != BASE}
        if others:
            low, high = min(others, key=lambda name: others[name]), max(others, key=lambda name: others[name])
            text += f", at best with {num(others[high])} ({high}), at worst with {num(others[low])} ({low})"
        found.append(f"- **{run.removeprefix('ablations-')}**: {' '.join([part for part in parts if part])} {text}.")
    return found


def _against_base(rows: Sequence[dict], shown: str, clusterer: str) -> str:
    """The base's ARI by one clusterer, and the changes that lie clearly above, not clearly apart, and clearly below."""
    names = {figure: f"{clusterer}_{figure}" for figure in ("ari", "ari_low", "ari_high")}
    figures: dict[str, dict] = {}
    for row in sorted(rows, key=lambda row: (row["embedding"] == shown, row[names["ari"]])):  # the last one stays
        figures[row["row"]] = {figure: row[name] for figure, name in names.items()} | {"embedding": row["embedding"]}
    base = figures.pop(BASE)
    if math.isnan(base["ari"]):
        return ""
    groups: dict[int, list[str]] = {1: [], 0: [], -1: []}
    for name, row in figures.items():
        other = "" if row["embedding"] == shown else f", {row['embedding']}"
        groups[compare(row, base)].append(f"{name} ({num(row['ari'])}{other})")
    said = [
        f"{word} {listed(groups[side])}"
        for side, word in ((1, "clearly above:"), (0, "level:"), (-1, "clearly below:"))
        if groups[side]
    ]
    return f"{clusterer_title(clusterer)} on {shown}: ARI {ari(base)}; {'; '.join(said)}."


def _ordered(rows: Sequence[dict]) -> list[dict]:
    """Runs in their order; in each the base first, then its rows, embeddings of one model together."""
    runs = list(dict.fromkeys(row["run"] for row in rows))
    return sorted(rows, key=lambda row: (runs.index(row["run"]), row["row"] != BASE))
