"""Runs side by side, one change a row: what each choice of the cloze model does to what comes out.

Every run's first model is the row "base"; its further models say by their names what they change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from metarep.artefact import MANIFEST, Artefact, canonical_json, open_artefact, write_whole, writing
from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.report.page import png_of
from metarep.report.results import UNTRAINED, group_of
from metarep.report.settings import ReportConfig
from metarep.report.style import FAINT, INK, PALETTE, use_style
from metarep.report.wording import ari, clusterer_title, compare, listed, num
from metarep.run_settings import RunConfig
from metarep.settings import load_config
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
    "kmeans_ari": ("k-means: ARI", "kmeans_null_ari_p95"),
    "gmm_ari": ("Gaussian mixture: ARI", "gmm_null_ari_p95"),
    "mode_linear": ("linear probe of the mode", "mode_linear_null_p95"),
    "masked_r2": ("masked R²", "imputed_r2"),
}
"""The figures that are drawn: title, and the column of what shuffled labels score, or a simple imputer."""
MASKED_R2 = ("masked_r2", "masked_r2_low", "masked_r2_high")

LISTED_FROM = 3
LISTED = ("profile", "certainty", "pooled", "beliefs")
"""Of a row with so many embeddings all are put into words, not the best alone; these always."""

CAVEAT = (
    "Each row is one model of one seed; k is chosen for each row, without labels. Intervals (95 %) are over test networks. "
)
ONE_SEED = "They do not say how far another seed would move a row."
SEVERAL_SEEDS = (
    "The base was trained with up to {} seeds: where a range over them is given, another row is clearly above or below if its "
    "interval leaves all of theirs, from the lowest end to the highest."
)
GROUPS = {1: "clearly above", 0: "level", -1: "clearly below"}


def ablations(
    runs: Sequence[Path],
    out: Path | str,
    *,
    config: ReportConfig | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes `ablations.csv`, `findings.md`, `metrics.json` and `figures/RUN.png` of runs into the folder `out`; returns it.

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
        write_whole(
            folder / "findings.md", "\n".join(["# What each change does", "", caveat(rows), "", *ablation_sentences(rows), ""])
        )
        write_whole(folder / "metrics.json", canonical_json({"n_rows": len(rows)}) + "\n")
        (folder / "figures").mkdir()
        for run, own in by_run(rows).items():
            drawn = ablation_figure(own, repeats_of(own, rows))
            write_whole(folder / "figures" / f"{run}.png", png_of(drawn, dpi=config.dpi))
    progress.say(f"ablations: {len(rows)} rows of {len(inputs)} runs")
    return Path(out)


def run_rows(run: Path) -> list[dict]:
    """A row for each trained embedding of a run: the clusterers at the chosen k, the probes, the model's masked R².

    `base_model` is the hash of the run's first model; `repeats_base` says that a model differs from it by its seed alone.
    """
    tables = {name: read_csv(run / "clusters" / f"{name}.csv") for name in ("agreement", "chosen_k", "probes")}
    chosen = {(r["representation"], r["clusterer"]): r["k"] for r in tables["chosen_k"]}
    agree = {(r["representation"], r["clusterer"], r["k"]): r for r in tables["agreement"] if r["label"] == "mode"}
    probes = {(r["representation"], r["target"], r["metric"]): r for r in tables["probes"]}
    rows, base, repeats = [], base_model(run), other_seeds(run)
    for name in dict.fromkeys(r["representation"] for r in tables["probes"]):
        model, _, kind = name.rpartition("-")
        if name.startswith(UNTRAINED) or (group_of(name) in ("baseline", "oracle") and not model):
            continue
        row = {"run": run.name, "row": model or BASE, "embedding": kind, "base_model": base, "repeats_base": model in repeats}
        for clusterer in CLUSTERERS:
            found = agree.get((name, clusterer, chosen.get((name, clusterer))), {})
            row |= {f"{clusterer}_k": found.get("k", math.nan)}
            for figure in ("ari", "ari_low", "ari_high", "null_ari_p95", "stability_ari"):
                row[f"{clusterer}_{figure}"] = found.get(figure, math.nan)
        for column, probe in PROBES.items():
            found = probes.get((name, *probe), {})
            row[column] = found.get("mean", math.nan)
            row |= {f"{column}_{figure}": found.get(figure, math.nan) for figure in ("low", "high", "null_p95")}
        rows.append(row | masked_r2(run / "models" / model if model else run / "model"))
    return rows


def base_model(run: Path) -> str:
    """The first digits of the hash of a run's first model; empty where there is none."""
    return open_artefact(run / "model").digest[:12] if (run / "model" / MANIFEST).is_file() else ""


def other_seeds(run: Path) -> set[str]:
    """The models of a run that differ from the first by the seed of pretraining and by nothing else."""
    if not (run / "config.yaml").is_file():
        return set()
    config = load_config(RunConfig, run / "config.yaml")
    seed = {"seed": config.pretrain.seed}
    return {
        name
        for name, model in config.models.items()
        if model.embed == config.embed and model.pretrain != config.pretrain == model.pretrain.model_copy(update=seed)
    }


def masked_r2(model: Path) -> dict[str, float]:
    """The R² on hidden values of test networks, each hidden in turn: `masked_r2` of the cloze model, with its interval, and
    `imputed_r2` of the best imputer beside it; NaN where there is no cloze.
    """
    file = model / "masked_r2.csv"
    found = read_csv(file) if file.is_file() else []
    rows = {r["predictor"]: r for r in found if (r["masking"], r["group"]) == ("leave_one_out", "all")}
    cloze = rows.pop("cloze", {})
    figures = {name: cloze.get(column, math.nan) for name, column in zip(MASKED_R2, ("r2", "low", "high"), strict=True)}
    return figures | {"imputed_r2": max((r["r2"] for r in rows.values()), default=math.nan)}


def by_run(rows: Sequence[dict]) -> dict[str, list[dict]]:
    """The rows of each run, the base first, embeddings of one model together."""
    return {
        run: sorted((row for row in rows if row["run"] == run), key=lambda row: row["row"] != BASE)
        for run in dict.fromkeys(row["run"] for row in rows)
    }


def repeats_of(own: Sequence[dict], rows: Sequence[dict]) -> list[dict]:
    """Of the rows of all runs the base of one run, `own`, and its repeats with other seeds, whichever run they stand in."""
    base = own[0].get("base_model")
    first = [row for row in own if row["row"] == BASE]
    return first + [row for row in rows if row.get("repeats_base") and row["base_model"] == base]


def ablation_figure(rows: Sequence[dict], repeats: Sequence[dict] = ()) -> Figure:
    """The rows of one run: a line an embedding, those of one model together; a panel a figure, with its 95 % interval.

    A tick is the 95th percentile of what shuffled labels score, of masked R² the best simple imputer; the dotted line is the
    base's first embedding, the band behind it the range of its intervals over `repeats`, the base with other seeds.
    """
    models = [row["row"] for row in rows]
    y = np.arange(len(rows)) + 0.5 * np.cumsum([0, *(a != b for a, b in pairwise(models))])
    with use_style():
        figure = Figure(figsize=(10, 1.3 + 0.27 * (y[-1] + 1)), layout="constrained")
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for ax, (column, (title, null)) in zip(axes, PANELS.items(), strict=True):
            for model in dict.fromkeys(models):
                own = [(at, row) for at, row in zip(y, rows, strict=True) if row["row"] == model]
                if column == "masked_r2":  # a figure of the model, whatever is made of it
                    own = [(np.mean([at for at, _ in own]), own[0][1])]
                for at, row in own:
                    _draw(ax, at, row, column, null)
            if band := _band(repeats, rows[0]["embedding"], column):
                ax.axvspan(*band, color=FAINT, alpha=0.7, lw=0, zorder=0)
            ax.axvline(rows[0][column], color=INK, lw=0.8, ls=":", zorder=0)
            ax.set_title(title)
            ax.grid(axis="x", color=FAINT)
            ax.set_axisbelow(True)
            ax.tick_params(axis="y", length=0)
        firsts = [0, *(i for i in range(1, len(rows)) if models[i] != models[i - 1])]
        labels = [f"{row['row']}:  {row['embedding']}" if i in firsts else row["embedding"] for i, row in enumerate(rows)]
        axes[0].set(yticks=y, ylim=(y[-1] + 0.7, -0.7))
        axes[0].set_yticklabels(labels, color=INK)
        figure.legend(handles=_keys(rows[0], n_seeds(repeats)), ncols=4, loc="outside lower right")
    return figure


def _draw(ax: Axes, y: float, row: dict, column: str, null: str) -> None:
    colour = INK if row["row"] == BASE else PALETTE[0]
    ends = [row.get(f"{column}_{end}", math.nan) for end in ("low", "high")]
    ax.plot(ends, [y, y], color=colour, lw=2.5, alpha=0.45, solid_capstyle="butt")
    ax.plot(row[column], y, "o", color=colour, ms=6, mec="white", mew=0.7)
    ax.plot(row.get(null, math.nan), y, "|", color=PALETTE[1], ms=9, mew=1.6)


def _keys(first: dict, seeds: int) -> list[Artist]:
    band = [Patch(color=FAINT, alpha=0.7, lw=0, label=f"of {seeds} seeds, with intervals")] if seeds > 1 else []
    return [
        Line2D([], [], color=PALETTE[0], marker="o", mec="white", lw=2.5, label="value, 95 % interval"),
        Line2D(
            [], [], color=PALETTE[1], marker="|", ms=9, mew=1.6, ls="", label="shuffled labels, 95th percentile; simple imputer"
        ),
        Line2D([], [], color=INK, lw=0.8, ls=":", label=f"{first['row']}, {first['embedding']}"),
        *band,
    ]


def n_seeds(repeats: Sequence[dict]) -> int:
    """With how many seeds the base was trained."""
    return len({(row["run"], row["row"]) for row in repeats})


def caveat(rows: Sequence[dict]) -> str:
    """What the intervals say, and what they do not."""
    most = max((n_seeds(repeats_of(own, rows)) for own in by_run(rows).values()), default=1)
    return CAVEAT + (SEVERAL_SEEDS.format(most) if most > 1 else ONE_SEED)


def _band(repeats: Sequence[dict], embedding: str, column: str) -> tuple[float, float] | None:
    """The lowest and the highest end of the base's intervals over its seeds; None of one seed alone."""
    own = [_interval(row, column) for row in repeats if row["embedding"] == embedding and not math.isnan(row[column])]
    if len(own) < 2:
        return None
    ends = [[value for value in row.values() if not math.isnan(value)] for row in own]
    return min(map(min, ends)), max(map(max, ends))


def ablation_sentences(rows: Sequence[dict]) -> list[str]:
    """A paragraph a run, each model by its best embedding: which changes lie clearly above the base and which below it, in
    agreement with the modes by each clusterer and in the linear probe, and what becomes of masked R². An embedding is named
    where it is not the base's. Where the base was trained with several seeds, all of their intervals are left.
    """
    found = []
    for run, own in by_run(rows).items():
        repeats = repeats_of(own, rows)
        parts = [_against_base(own, repeats, f"{c}_ari", f"{clusterer_title(c)}: ARI", level=True) for c in CLUSTERERS]
        parts += [_against_base(own, repeats, "mode_linear", "The mode is read off linearly with", level=False), _hidden(own)]
        found.append(f"- **{run.removeprefix('ablations-')}**: {' '.join(part for part in parts if part)}")
    return found


def best_embeddings(rows: Sequence[dict], column: str) -> dict[str, dict]:
    """For each model the row of its best embedding by one figure; none where no embedding has it."""
    best: dict[str, dict] = {}
    for row in rows:
        if not math.isnan(row[column]) and (row["row"] not in best or row[column] > best[row["row"]][column]):
            best[row["row"]] = row
    return best


def _against_base(rows: Sequence[dict], repeats: Sequence[dict], column: str, title: str, *, level: bool) -> str:
    """The base's figure, and the changes that lie clearly above, not clearly apart, and clearly below, by their intervals.

    With `level` every change is named, and further embeddings where there are many; without it those that differ.
    """
    best = best_embeddings(rows, column)
    if BASE not in best:
        return ""
    base, usual = _interval(best[BASE], column), best[BASE]["embedding"]
    band = _band(repeats, usual, column)
    rival = base if band is None else base | {"ari_low": band[0], "ari_high": band[1]}
    groups: dict[int, list[str]] = {side: [] for side in GROUPS}
    for name, row in best.items():
        if name != BASE:
            other = "" if row["embedding"] == usual else f", {row['embedding']}"
            groups[compare(_interval(row, column), rival)].append(f"{name} ({num(row[column])}{other})")
    said = [f"{_spoken(base)} ({usual})"]
    if band is not None:
        said[0] = f"{said[0][:-1]}; {num(band[0])} to {num(band[1])} over {n_seeds(repeats)} seeds)"
    if any(groups.values()) and not groups[1] and not math.isnan(base["ari_low"]):
        said.append("none clearly above")
    said += [f"{word}: {listed(groups[side])}" for side, word in GROUPS.items() if groups[side] and (level or side)]
    if level:
        said += [text for name, row in best.items() if (text := _further(rows, name, row, column))]
    return f"{title} {'; '.join(said)}."


def _further(rows: Sequence[dict], name: str, best: dict, column: str) -> str:
    """The other embeddings of a model, all where there are many of them and else those that are always listed."""
    own = [row for row in rows if row["row"] == name]
    others = [row for row in own if row is not best and (len(own) >= LISTED_FROM or row["embedding"] in LISTED)]
    figures = [f"{row['embedding']} ({num(row[column])})" for row in others]
    return f"other embeddings of {name}: {listed(figures)}" if figures else ""


def _interval(row: dict, column: str) -> dict[str, float]:
    """A figure with its interval, which older tables lack, in the words of `compare`."""
    return {"ari": row[column]} | {f"ari_{end}": row.get(f"{column}_{end}", math.nan) for end in ("low", "high")}


def _spoken(figure: dict[str, float]) -> str:
    """What `_interval` gives, in words; without the interval where there is none."""
    return num(figure["ari"]) if math.isnan(figure["ari_low"]) else ari(figure)


def _hidden(rows: Sequence[dict]) -> str:
    """Masked R² of the base and of the best and the worst change, each beside the best simple imputer."""
    models = best_embeddings(rows, "masked_r2")
    if BASE not in models:
        return ""
    said = {name: f"{_spoken(_interval(row, 'masked_r2'))} ({name}{_beside(row)})" for name, row in models.items()}
    changes = sorted(models.keys() - {BASE}, key=lambda name: (models[name]["masked_r2"], name))
    text = f"Masked R² {said[BASE]}"
    if len(changes) > 1:
        text += f", from {said[changes[0]]} to {said[changes[-1]]}"
    elif changes:
        text += f", and {said[changes[0]]}"
    return text + "."


def _beside(row: dict) -> str:
    imputed = row.get("imputed_r2", math.nan)
    return "" if math.isnan(imputed) else f"; simple imputer {num(imputed)}"
