"""Ablations side by side: a table, sentences, a figure a run; computed in `metarep.evaluation.ablations`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from metarep.artefact import write_whole, writing
from metarep.evaluation.ablations import BASE, CLUSTERERS, ablation_rows
from metarep.progress import Progress
from metarep.report.results import NATIVE
from metarep.report.settings import ReportConfig
from metarep.report.style import FAINT, INK, PALETTE, bare, drawing, grid, interval_mark, key, png_of
from metarep.report.wording import Score, arm_title, compare, listed, num, plain, score_of, spoken
from metarep.tables import write_tables

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
        (folder / "figures").mkdir()
        for run, own in by_run(rows).items():
            drawn = ablation_figure(own, repeats_of(own, rows))
            write_whole(folder / "figures" / f"{run}.png", png_of(drawn, dpi=config.dpi))
    progress.say(f"ablations: {len(rows)} rows of {len(inputs)} runs")
    return Path(out)


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
    models = [row["row"] for row in rows]
    y = np.arange(len(rows)) + 0.5 * np.cumsum([0, *(a != b for a, b in pairwise(models))])
    panels = {column: panel for column, panel in PANELS.items() if any(not math.isnan(row[column]) for row in rows)}
    with drawing(10, 1.3 + 0.27 * (y[-1] + 1)) as figure:
        axes = figure.subplots(1, max(1, len(panels)), sharey=True, squeeze=False)[0]
        for ax, (column, (title, null)) in zip(axes, panels.items(), strict=False):
            for model in dict.fromkeys(models):
                own = [(at, row) for at, row in zip(y, rows, strict=True) if row["row"] == model]
                if column == "masked_r2":  # of the model, whatever is made of it
                    own = [(np.mean([at for at, _ in own]), own[0][1])]
                for at, row in own:
                    value, *ends = score_of(row, column)[:3]
                    interval_mark(ax, at, ends, value, INK if row["row"] == BASE else PALETTE[0])
                    ax.plot(row[null], at, "|", color=PALETTE[1], ms=9, mew=1.6)
            if band := _band(repeats, rows[0]["embedding"], column):
                ax.axvspan(*band, color=FAINT, alpha=0.7, lw=0, zorder=0)
            ax.axvline(rows[0][column], color=INK, lw=0.8, ls=":", zorder=0)
            ax.set_title(title.format(label=plain(rows[0]["label"]), property=plain(rows[0]["property"])), fontsize=10)
            grid(ax, "x")
            bare(ax, "left")
        firsts = [0, *(i for i in range(1, len(rows)) if models[i] != models[i - 1])]
        labels = [f"{row['row']}:  {row['embedding']}" if i in firsts else row["embedding"] for i, row in enumerate(rows)]
        axes[0].set(yticks=y, ylim=(y[-1] + 0.7, -0.7))
        axes[0].set_yticklabels(labels, color=INK)
        figure.legend(handles=_keys(rows[0], n_seeds(repeats)), ncols=4, loc="outside lower right")
    return figure


def _keys(first: dict, seeds: int) -> list[Artist]:
    band = [Patch(color=FAINT, alpha=0.7, lw=0, label=f"range of {seeds} seeds, with intervals")] if seeds > 1 else []
    return [
        key("value, 95 % interval", PALETTE[0], lw=2.5, ls="-"),
        key("permuted labels, 95th percentile; simple imputer", PALETTE[1], "|", ms=9),
        key(f"{first['row']}, {first['embedding']}", INK, "", lw=0.8, ls=":"),
        *band,
    ]


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
