"""The scans as figures: ROC curves, a table of AUC in colour. Tables in, figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures.scans import TITLES, negative_title, on_most_networks, scans_of, side_by_side
from metarep.domains.multiplier.modes import MODES
from metarep.report.style import INK, MUTED, PALETTE, cells, colour_bar, drawing
from metarep.report.wording import auc

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
