"""Runs on several zoos side by side: every representation on every label and property; a table, a figure, sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from metarep.artefact import MANIFEST, Artefact, open_artefact, write_whole, writing
from metarep.evaluation.costs import costs
from metarep.progress import Progress
from metarep.report.representations import BASELINE, CLOZE, LOOKS, MAIN_MODEL, ORACLE, key_of, representation_of
from metarep.report.results import NATIVE, compared_runs
from metarep.report.settings import ReportConfig
from metarep.report.style import INK, amounts_map, cells, drawing, png_of
from metarep.report.wording import compare, num, plain, score_of, spoken
from metarep.tables import first, read_csv, where, write_tables

COMPARISONS = {"clusters": "network", "units": "unit"}
"""The comparisons of a run, and of what their representations are."""

READINGS = {
    "linear": "linear probe",
    "nearest_neighbours": "neighbours",
    "kmeans": "k-means, ARI",
    "gmm": "mixture, ARI",
    "within": "clusters within a network, ARI",
}
"""How a task is solved: by a probe, or by clusters at the k that is chosen without labels."""

CAVEAT = (
    "Representations are frozen; probes and clusters are fitted on training runs and measured on test runs. The best of each "
    "group is picked on these same test runs, among baselines as among embeddings. Intervals (95 %) are over runs, for one "
    "pretraining seed; where models of further seeds were compared their values follow."
)


def benchmark(
    runs: Sequence[Path],
    out: Path | str,
    *,
    config: ReportConfig | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes `benchmark.csv`, `costs.csv`, `findings.md` and `figures/benchmark.png` of runs into the folder `out`; returns it.

    Raises MetarepError for a folder that is no run with a comparison, and where two runs have one name.
    """
    config, progress = config or ReportConfig(), progress or Progress()
    inputs, rows, paid = {}, [], []
    for run in compared_runs(runs):
        for stage, artefact in comparisons(run).items():
            inputs[f"{run.name}/{stage}"] = artefact
            about = {"run": run.name, "part": COMPARISONS[stage]}
            rows += [about | row for row in score_rows(run, stage)]
            progress.say(f"benchmark: what the representations of {run.name} ({COMPARISONS[stage]}s) cost")
            paid += [about | row for row in costs(artefact)]
    with writing(out, "benchmark", config=config.resolved(), seed=None, inputs=inputs, overwrite=overwrite) as folder:
        write_tables(folder, {"benchmark": rows, "costs": paid}, {"n_rows": len(rows), "n_runs": len(runs)})
        write_whole(folder / "findings.md", "\n".join(["# Benchmark", "", CAVEAT, "", *sentences(rows), ""]))
        write_whole(folder / "figures" / "benchmark.png", png_of(benchmark_figure(rows), dpi=config.dpi))
    progress.say(f"benchmark: {len(rows):,} rows of {len(runs)} runs")
    return Path(out)


# -- the table


def comparisons(run: Path) -> dict[str, Artefact]:
    """The finished comparisons of a run, by stage."""
    return {stage: open_artefact(run / stage, "clusters") for stage in COMPARISONS if (run / stage / MANIFEST).is_file()}


def score_rows(run: Path, stage: str) -> Iterator[dict]:
    """A row for each representation, task (a label or property) and reading of one comparison of a run: metric, k, value, low,
    high, null, n and n_runs.
    """
    tables = {file.stem: read_csv(file) for file in (run / stage).glob("*.csv")}
    models = (run / "models").glob(f"*/{MANIFEST}")
    objectives = {file.parent.name: open_artefact(file.parent).config.get("objective", "cloze") for file in models}
    shown = {key_of(row): representation_of(row, objectives) for row in tables["representations"]}
    chosen = where(tables.get("agreement", ()), chosen=1, space=NATIVE, metric="ari")
    found = [(row, row["target"], row["probe"]) for row in tables.get("probes", ())]
    found += [(row, row["label"], row["clusterer"]) for row in chosen]
    found += [(row, row["label"], "within") for row in tables.get("within", ())]
    for row, task, reading in found:
        if reading in READINGS:
            about = {name: row[name] for name in ("representation", "model", "kind", "untrained")}
            about |= {"group": shown[key_of(row)].group, "title": shown[key_of(row)].title, "task": task, "reading": reading}
            scores = {name: row[name] for name in ("metric", "value", "low", "high", "null", "n", "n_runs")}
            yield about | {"k": row.get("k", "")} | scores


def tasks_of(rows: Sequence[Mapping]) -> dict[tuple[str, ...], list[Mapping]]:
    """The rows of each (run, part, task, reading)."""
    found: dict[tuple[str, ...], list[Mapping]] = {}
    for row in rows:
        found.setdefault((row["run"], row["part"], row["task"], row["reading"]), []).append(row)
    return found


def best_of(rows: Sequence[Mapping], group: str) -> Mapping:
    """The row of a group with the highest value, of the run's own model where it has embeddings of several; or an empty one."""
    found = [row for row in where(rows, group=group) if not math.isnan(row["value"])]
    own = [row for row in found if row["model"] in ("", *MAIN_MODEL)]
    return max(own or found, key=lambda row: row["value"], default={})


# -- in words


def sentences(rows: Sequence[Mapping]) -> list[str]:
    """A paragraph a run and part, a sentence a task and reading: the best embedding beside the best baseline and controls."""
    found: dict[tuple[str, str], list[str]] = {}
    for (run, part, task, reading), own in tasks_of(rows).items():
        if said := _sentence(own):
            found.setdefault((run, part), []).append(f"  - {plain(task)}, {READINGS[reading]}: {said}")
    return [line for (run, part), lines in found.items() for line in (f"- **{run}**, {part}s", *lines)]


def _sentence(rows: Sequence[Mapping]) -> str:
    ours, rival = best_of(rows, CLOZE), best_of(rows, BASELINE)
    if not ours or not rival:
        return ""
    side = {1: "clearly above", 0: "level with", -1: "clearly below"}[compare(score_of(ours), score_of(rival))]
    said = f"{ours['title']} {spoken(score_of(ours))}, {side} {rival['title']} {spoken(score_of(rival))}"
    others = [row for row in where(rows, group=CLOZE, kind=ours["kind"]) if row["model"] != ours["model"]]
    if others:
        said += f"; {ours['kind']} of other models {', '.join(num(row['value']) for row in others)}"
    for group in LOOKS:
        if group not in (CLOZE, BASELINE) and (control := best_of(rows, group)):
            said += f"; {LOOKS[group].title} {num(control['value'])} ({control['title']})"
    return said + "."


# -- the figure


def benchmark_figure(rows: Sequence[Mapping]) -> Figure:
    """Representations down, tasks across: of labels a linear probe and k-means, of properties a linear probe. Those are shown
    that are the best of their group in some task; a frame marks the best that is no oracle, and all whose intervals reach it.
    """
    columns = {key: own for key, own in tasks_of(rows).items() if key[3] in ("linear", "kmeans")}
    shown = {(best["group"], best["title"]) for own in columns.values() for g in LOOKS if (best := best_of(own, g))}
    names = sorted(shown, key=lambda one: (list(LOOKS).index(one[0]), one[1]))
    values = np.full((len(names), len(columns)), np.nan)
    framed = []
    for x, own in enumerate(columns.values()):
        best = max((best_of(own, g) for g in LOOKS if g != ORACLE), key=lambda row: row.get("value", -math.inf))
        for y, (group, title) in enumerate(names):
            row = first(own, group=group, title=title)
            values[y, x] = row.get("value", math.nan)
            if row and group != ORACLE and compare(score_of(best), score_of(row)) == 0:
                framed.append((x, y))
    texts = np.vectorize(lambda value: "" if math.isnan(value) else num(value))(values)
    titles = [f"{run}, {part}s: {plain(task)}, {READINGS[reading].split(',')[0]}" for run, part, task, reading in columns]
    with drawing(3.6 + 0.62 * len(columns), 2.6 + 0.27 * len(names)) as figure:
        ax = figure.subplots()
        shade = {"vmin": 0, "vmax": 1, "cmap": amounts_map()}
        cells(ax, np.nan_to_num(values).clip(0, 1), texts, [title for _, title in names], titles, fontsize=8, **shade)
        ax.tick_params(axis="x", labelrotation=40, labelsize=8)
        for label in ax.get_xticklabels():
            label.set_horizontalalignment("right")
            label.set_rotation_mode("anchor")
        for x, y in framed:
            ax.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fill=False, edgecolor=INK, linewidth=1.4))
        for y in np.flatnonzero([one[0] != other[0] for one, other in pairwise(names)]):
            ax.axhline(y + 0.5, color=INK, linewidth=0.8)
    return figure
