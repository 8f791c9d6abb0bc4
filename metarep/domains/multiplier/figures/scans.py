"""The scans in words and as figures: which rows of their tables belong together, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from metarep.domains.multiplier.modes import MODES
from metarep.report.style import INK, MUTED, PALETTE, cells, colour_bar, drawing
from metarep.report.wording import Finding, auc, capital, listed

PUBLISHED = "published"
PUBLISHED_AUC = "1.00 on two networks chosen by hand"
CHANCE = 0.5
TITLES = {
    "published": "published score",
    "loss": "loss alone",
    "linear": "linear classifier",
    "embedding": "a few examples",
}
DESCRIPTIONS = {
    "published": "the score of the notes, as it was published",
    "loss": "minus the error: any good multiplier scores high",
    "linear": "logistic regression on the parameters, fitted for each mode on training networks",
    "embedding": "distance to a few training networks of the mode in a cloze embedding; no other label is used",
}
NEGATIVE_TITLES = {"random": "random starts", "other modes": "all other modes"}


def negative_title(negative: str) -> str:
    """What a mode is told from, in words."""
    return NEGATIVE_TITLES.get(negative, f"mode {negative}")


def scans_of(rows: Iterable[Mapping]) -> list[str]:
    """The scans that have rows, in their usual order."""
    found = {row["scan"] for row in rows}
    return [name for name in TITLES if name in found]


def on_most_networks(rows: Iterable[Mapping], scan: str = PUBLISHED, positive: str = "3") -> list[Mapping]:
    """The rows of one scan and one mode, on all networks where there are such, else on test networks."""
    own = [row for row in rows if row["scan"] == scan and row["positive"] == positive]
    return [row for row in own if row["networks"] == "all"] or own


def side_by_side(rows: Iterable[Mapping]) -> list[Mapping]:
    """The rows that compare: every scan on the same test networks; on all where a zoo has no test networks."""
    rows = list(rows)
    return [row for row in rows if row["networks"] == "test"] or rows


def findings(rows: Sequence[Mapping], left_out: str) -> list[Finding]:
    """The published score's AUC for mode 3 against random starts and each other mode, then the other scans beside it."""
    own = {row["negative"]: row for row in on_most_networks(rows)}
    parts = []
    if "random" in own:
        row = own["random"]
        parts.append(
            f"The published score, reported with an AUC of {PUBLISHED_AUC}, separates {int(row['n_positive']):,} trained "
            f"networks of mode 3 from {int(row['n_negative']):,} random starts with an AUC of {auc(row)}, "
            f"{_versus_chance(row)}."
        )
    modes = {name: row for name, row in own.items() if name not in NEGATIVE_TITLES}
    if modes:
        extremes = dict.fromkeys(pick(modes, key=lambda name: modes[name]["auc"]) for pick in (max, min))
        said = [f"{auc(modes[mode])} for mode {mode}, {_versus_chance(modes[mode])}" for mode in extremes]
        word = "the highest and lowest AUC are" if len(said) > 1 else "the AUC is"
        parts.append(f"Against other trained modes {word} {', and '.join(said)}.")
    if "other modes" in own:
        row = own["other modes"]
        parts.append(f"Against all other modes it reaches {auc(row)}, {_versus_chance(row)}.")
    parts += [text for text in (comparison(rows), f"{capital(left_out)}." if left_out else "") if text]
    return [Finding("The scan", " ".join(parts))] if parts else []


def comparison(rows: Sequence[Mapping]) -> str:
    """How the scans compare on mode 3 against all other modes; "" where there is one."""
    rows = [row for row in side_by_side(rows) if (row["positive"], row["negative"]) == ("3", "other modes")]
    if len(rows) < 2:
        return ""
    ranked = sorted(rows, key=lambda row: -row["auc"])
    best, n = ranked[0], int(ranked[0]["n_positive"] + ranked[0]["n_negative"])
    clear = "" if all(best["auc_low"] > row["auc_high"] for row in ranked[1:]) else ", though not clearly"
    said = listed([f"{TITLES[row['scan']]} {auc(row)}" for row in ranked])
    text = f"Of {len(rows)} scans on the same {n:,} networks, {TITLES[best['scan']]} separates mode 3 from all other modes best"
    return f"{text}{clear}: AUC of {said}."


def _versus_chance(row: Mapping) -> str:
    if row["auc_low"] > CHANCE:
        return "above chance"
    return "worse than chance" if row["auc_high"] < CHANCE else "no better than chance"


LOOKS = {
    "published": {"color": INK, "ls": "-"},
    "loss": {"color": MUTED, "ls": (0, (1, 1.2))},
    "linear": {"color": PALETTE[2], "ls": (0, (6, 2, 1, 2))},
    "embedding": {"color": PALETTE[0], "ls": "-"},
}
AGAINST = ("random", "other modes")


def roc_figure(roc: Sequence[Mapping], rows: Sequence[Mapping]) -> Figure:
    """A curve for each scan: mode 3 against random starts, and against all other modes."""
    with drawing(11, 6.8) as figure:
        axes, keys = figure.subplots(2, 2, height_ratios=(3.1, 1))
        for ax, key, negative in zip(axes, keys, AGAINST, strict=True):
            ax.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)))
            ax.set(aspect="equal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
            for name in scans_of(rows):
                own = [r for r in on_most_networks(rows, name) if r["negative"] == negative]
                points = [(r["fpr"], r["tpr"]) for r in on_most_networks(roc, name) if r["negative"] == negative]
                if own and points:
                    label = f"{TITLES[name]}: {auc(own[0])}, n = {int(own[0]['n_positive']):,}"
                    ax.plot(*np.array(points, float).T, label=label, lw=2.3, **LOOKS[name])
            ax.set(xlabel=f"share of {negative_title(negative)} above it", ylabel="share of mode 3 above a threshold")
            ax.set_title(f"Mode 3 against {negative_title(negative)}")
            key.set_axis_off()
            title = "area under the curve [95 % interval], networks of mode 3"
            key.legend(*ax.get_legend_handles_labels(), title=title, loc="upper center", fontsize=9.5, alignment="left")
    return figure


def heat_figure(rows: Sequence[Mapping]) -> Figure:
    """The AUC of each scan for each mode, in numbers on a colour: purple above chance, orange below."""
    rows = side_by_side(rows)
    names, modes = scans_of(rows), [m for m in MODES if any(r["positive"] == m for r in rows)]
    with drawing(11.5, 0.62 * len(names) + 2.0) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, negative in zip(axes, AGAINST, strict=True):
            found = {(r["scan"], r["positive"]): r for r in rows if r["negative"] == negative}
            values, texts = np.full((len(names), len(modes)), np.nan), np.full((len(names), len(modes)), "none", dtype=object)
            for at in np.ndindex(values.shape):
                if row := found.get((names[at[0]], modes[at[1]])):
                    values[at] = row["auc"]
                    texts[at] = f"{row['auc']:.2f}\n{row['auc_low']:.2f} to {row['auc_high']:.2f}"
            most = {m: max((r["n_positive"] for r in found.values() if r["positive"] == m), default=0) for m in modes}
            heads, titles = [f"mode {m}\nn = {n:,}" for m, n in most.items()], [TITLES[name] for name in names]
            image = cells(ax, values, texts, titles, heads, cmap="PuOr", vmin=0, vmax=1, fontsize=9)
            ax.set_title(f"Each mode against {negative_title(negative)}")
        colour_bar(figure, image, "AUC; 0.5 is chance", ax=axes, shrink=0.85, pad=0.01, ticks=[0, 0.25, 0.5, 0.75, 1])
    return figure
