"""Runs side by side, one change a row: a table, sentences, a figure a run.

A run's own model is the row "base"; its further models say by their names what they change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from metarep.artefact import MANIFEST, Artefact, open_artefact, write_whole, writing
from metarep.progress import Progress
from metarep.report.dots import Panel, Series, dots_figure
from metarep.report.representations import key_of
from metarep.report.results import NATIVE, compared_runs
from metarep.report.settings import ReportConfig
from metarep.report.style import FAINT, INK, PALETTE, png_of
from metarep.report.wording import Score, arm_title, compare, listed, num, plain, score_of, spoken
from metarep.tables import first, read_csv, write_tables

BASE, MODEL = "base", "model"
CLUSTERERS = ("kmeans", "gmm")
PANELS = {
    "kmeans_ari": ("k-means: ARI", "kmeans_ari_null"),
    "gmm_ari": ("Gaussian mixture: ARI", "gmm_ari_null"),
    "linear": ("linear probe of the {label}", "linear_null"),
    "property_r2": ("R² of the {property}", "property_r2_null"),
    "masked_r2": ("masked R²", "imputed_r2"),
}
"""The metrics that are drawn: title, and the column of what permuted labels reach, or a simple imputer."""

CAVEAT = "Each row is one model of one seed; k is chosen without labels. Intervals (95 %) are over test networks. "
ONE_SEED = "They do not say how far another seed would move a row."
SEVERAL_SEEDS = "The base has up to {} seeds: where a range over them is given, a row is compared with all of it."
SIDES = {1: "clearly above", 0: "level", -1: "clearly below"}


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
    rows, inputs = ablation_rows(runs)
    with writing(out, "ablations", config=config.resolved(), seed=None, inputs=inputs, overwrite=overwrite) as folder:
        write_tables(folder, {"ablations": rows}, {"n_rows": len(rows)})
        text = ["# What each change does", "", caveat(rows), "", *ablation_sentences(rows), ""]
        write_whole(folder / "findings.md", "\n".join(text))
        for run, own in by_run(rows).items():
            drawn = ablation_figure(own, repeats_of(own, rows))
            write_whole(folder / "figures" / f"{run}.png", png_of(drawn, dpi=config.dpi))
    progress.say(f"ablations: {len(rows)} rows of {len(inputs)} runs")
    return Path(out)


# -- the table


def ablation_rows(runs: Sequence[Path]) -> tuple[list[dict], dict[str, Artefact]]:
    """The rows of all runs, and the comparison that each run's are read from, by its name.

    Raises MetarepError for a folder that is no run with a comparison, and where two runs have one name.
    """
    inputs: dict[str, Artefact] = {}
    rows: list[dict] = []
    for run in compared_runs(runs):
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
    label, target = first(tables["agreement"]).get("label", ""), first(tables["probes"], metric="r2").get("target", "")
    base, repeats, rows = base_model(run), other_seeds(run), []
    for one in tables["representations"]:
        if one["origin"] != "embedding" or one["untrained"]:
            continue
        agreement, curve, probes = ([row for row in tables[name] if key_of(row) == key_of(one)] for name in names[1:])
        model = BASE if one["model"] == MODEL else one["model"]
        row = {"run": run.name, "row": model, "embedding": one["kind"], "base_model": base, "repeats_base": model in repeats}
        row |= {"label": label, "property": target}
        for clusterer in CLUSTERERS:
            arm = {"clusterer": clusterer, "space": NATIVE, "chosen": 1}
            score = first(agreement, **arm, label=label, metric="ari")
            row[f"{clusterer}_k"] = score.get("k", math.nan)
            row[f"{clusterer}_stability"] = first(curve, **arm).get("stability", math.nan)
            row |= _columns(f"{clusterer}_ari", score)
        for column, probe in (("linear", "linear"), ("neighbours", "nearest_neighbours")):
            row |= _columns(column, first(probes, target=label, probe=probe, metric="balanced_accuracy"))
        row |= _columns("property_r2", first(probes, target=target, probe="linear", metric="r2"))
        rows.append(row | masked_r2(run, model))
    return rows


def _columns(name: str, score: Mapping) -> dict[str, float]:
    return {f"{name}{end}": score.get(end.removeprefix("_") or "value", math.nan) for end in ("", "_low", "_high", "_null")}


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
    cloze, others = first(rows, predictor="cloze"), [row["value"] for row in rows if row["predictor"] != "cloze"]
    found = {f"masked_r2{end}": cloze.get(name, math.nan) for end, name in (("", "value"), ("_low", "low"), ("_high", "high"))}
    return found | {"imputed_r2": max(others, default=math.nan)}


def by_run(rows: Sequence[dict]) -> dict[str, list[dict]]:
    """The rows of each run, the base first, embeddings of one model together."""
    return {
        run: sorted((row for row in rows if row["run"] == run), key=lambda row: row["row"] != BASE)
        for run in dict.fromkeys(row["run"] for row in rows)
    }


def repeats_of(own: Sequence[dict], rows: Sequence[dict]) -> list[dict]:
    """Of the rows of all runs the base of one run, `own`, and its repeats with other seeds, whichever run they belong to."""
    first = [row for row in own if row["row"] == BASE]
    return first + [row for row in rows if row["repeats_base"] and row["base_model"] == own[0]["base_model"]]


def n_seeds(repeats: Sequence[dict]) -> int:
    """With how many seeds the base was trained."""
    return len({(row["run"], row["row"]) for row in repeats})


# -- the figure


def ablation_figure(rows: Sequence[dict], repeats: Sequence[dict] = ()) -> Figure:
    """The rows of one run: a line an embedding, those of one model together; a panel a metric, with its 95 % interval.

    A tick is what permuted labels reach, of masked R² the best simple imputer; the dotted line is the base's first embedding,
    the band behind it the range of its intervals over `repeats`, the base with other seeds.
    """
    models, shown = [row["row"] for row in rows], [column for column in PANELS if any(not math.isnan(r[column]) for r in rows)]
    firsts = [at for at, model in enumerate(models) if at == 0 or model != models[at - 1]]
    panels = []
    for column in shown:
        title, null = PANELS[column]
        known = firsts if column == "masked_r2" else range(len(rows))  # masked R² is of the model, whatever is made of it
        scores = {at: score_of(rows[at], column)._replace(null=rows[at][null]) for at in known}
        own = {"base": {at: scores[at] for at in scores if models[at] == BASE}}
        own["changes"] = {at: scores[at] for at in scores if models[at] != BASE}
        series = [Series(label, own[label], colour) for label, colour in (("base", INK), ("changes", PALETTE[0]))]
        panels.append(Panel(title.format(label=plain(rows[0]["label"]), property=plain(rows[0]["property"])), series))
    names = {at: f"{row['row']}:  {row['embedding']}" if at in firsts else row["embedding"] for at, row in enumerate(rows)}
    seeds, ends = n_seeds(repeats), "permuted labels, 95th percentile; simple imputer"
    range_of = [Patch(color=FAINT, alpha=0.7, lw=0, label=f"range of {seeds} seeds, with intervals")] if seeds > 1 else []
    figure = dots_figure(panels, names, width=10, chance=ends, keys=range_of)
    for ax, column in zip(figure.axes, shown, strict=True):
        if band := _band(repeats, rows[0]["embedding"], column):
            ax.axvspan(*band, color=FAINT, alpha=0.7, lw=0, zorder=0)
        ax.axvline(rows[0][column], color=INK, lw=0.8, ls=":", zorder=0)
    return figure


def _band(repeats: Sequence[dict], embedding: str, column: str) -> tuple[float, float] | None:
    """The lowest and the highest end of the base's intervals over its seeds; None of one seed alone."""
    own = [score_of(row, column) for row in repeats if row["embedding"] == embedding and not math.isnan(row[column])]
    if len(own) < 2:
        return None
    ends = [[value for value in score[:3] if not math.isnan(value)] for score in own]
    return min(map(min, ends)), max(map(max, ends))


# -- in words


def caveat(rows: Sequence[dict]) -> str:
    """What the intervals say, and what they do not."""
    most = max((n_seeds(repeats_of(own, rows)) for own in by_run(rows).values()), default=1)
    return CAVEAT + (SEVERAL_SEEDS.format(most) if most > 1 else ONE_SEED)


def ablation_sentences(rows: Sequence[dict]) -> list[str]:
    """A paragraph a run, each model by its best embedding: which changes lie clearly above the base, which below it."""
    found = []
    for run, own in by_run(rows).items():
        repeats, label = repeats_of(own, rows), plain(own[0]["label"])
        parts = [_against_base(own, repeats, f"{c}_ari", f"{arm_title((c, NATIVE))}: ARI", level=True) for c in CLUSTERERS]
        parts.append(_against_base(own, repeats, "linear", f"A linear probe predicts the {label} with", level=False))
        parts.append(_masked(own))
        found.append(f"- **{run.removeprefix('ablations-')}**: {' '.join(part for part in parts if part)}")
    return found


def best_embeddings(rows: Sequence[dict], column: str) -> dict[str, dict]:
    """For each model the row of its best embedding by one metric; none where no embedding has it."""
    best: dict[str, dict] = {}
    for row in rows:
        if not math.isnan(row[column]) and (row["row"] not in best or row[column] > best[row["row"]][column]):
            best[row["row"]] = row
    return best


def _against_base(rows: Sequence[dict], repeats: Sequence[dict], column: str, title: str, *, level: bool) -> str:
    """The base's score, and the changes clearly above and below it; with `level` those between too."""
    best = best_embeddings(rows, column)
    if BASE not in best:
        return ""
    base, usual = score_of(best[BASE], column), best[BASE]["embedding"]
    band = _band(repeats, usual, column)
    rival = base if band is None else Score(base.value, *band)
    sides: dict[int, list[str]] = {side: [] for side in SIDES}
    for name, row in best.items():
        if name != BASE:
            other = "" if row["embedding"] == usual else f", {row['embedding']}"
            sides[compare(score_of(row, column), rival)].append(f"{name} ({num(row[column])}{other})")
    seeds = "" if band is None else f"; {num(band[0])} to {num(band[1])} over {n_seeds(repeats)} seeds"
    said = [f"{spoken(base)} ({usual}{seeds})"]
    if any(sides.values()) and not sides[1]:
        said.append("none clearly above")
    said += [f"{word}: {listed(sides[side])}" for side, word in SIDES.items() if sides[side] and (level or side)]
    return f"{title} {'; '.join(said)}."


def _masked(rows: Sequence[dict]) -> str:
    """Masked R² of the base and of the best and the worst change, each beside the best simple imputer."""
    models = best_embeddings(rows, "masked_r2")
    if BASE not in models:
        return ""
    said = {}
    for name, row in models.items():
        imputed = "" if math.isnan(row["imputed_r2"]) else f"; simple imputer {num(row['imputed_r2'])}"
        said[name] = f"{spoken(score_of(row, 'masked_r2'))} ({name}{imputed})"
    changes = sorted(models.keys() - {BASE}, key=lambda name: (models[name]["masked_r2"], name))
    ends = [said[name] for name in dict.fromkeys(changes[:1] + changes[-1:])]
    rest = f", against {' to '.join(ends)}" if ends else ""
    return f"Masked R² {said[BASE]}{rest}."
