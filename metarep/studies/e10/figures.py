"""Experiment 10 as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.domains.multiplier.figures.scan_figures import heat_figure, margin_figure, roc_figure
from metarep.domains.multiplier.scan import POSITIVE
from metarep.domains.multiplier.scores import PARTS, published
from metarep.report.style import INK, MUTED, PALETTE, use_style
from metarep.studies.e10.ways import WAYS, ways_of
from metarep.studies.study import Figure
from metarep.zoos.zoo import Zoo


def figures(zoo: Zoo, random: np.ndarray, two: Zoo, tables: Mapping, parts: Sequence[dict]) -> dict[str, Figure]:
    """The figures, the published score first."""
    return {
        "published": Figure(
            ways_figure(zoo, random, two.params),
            "The published score of random starts and of mode 3 by how it is built: only those built like the two published "
            "networks score like them.",
            "Histograms of the published score for random starts and for three ways to build mode 3",
        ),
        "parts": Figure(
            parts_figure(parts),
            "Each part of the published score as a scan of its own. Blue circles separate, orange squares invert.",
            "AUC of the four parts of the published score with intervals",
        ),
        "roc": Figure(
            roc_figure(tables["roc"], tables["scan"]),
            "Every scan on mode 3. Scans that fit nothing are measured on all networks, the others on test networks.",
            "ROC curves of every scan for mode 3 against random starts and against all other modes",
        ),
        "scans_by_mode": Figure(
            heat_figure(tables["scan"]),
            "Every scan for every mode, on the same test networks: AUC with its 95 % interval. Purple finds, orange inverts.",
            "Table of AUC by scan and mode",
        ),
        "margin": Figure(
            margin_figure(tables["margin"]),
            "Mode 3 by how far its active areas are from the threshold of the mode.",
            "AUC of every scan in bins of the distance to the threshold",
        ),
    }


WAY_COLOURS = dict(zip(WAYS, (PALETTE[1], PALETTE[4], PALETTE[2]), strict=True))

N_BINS = 60


def ways_figure(zoo: Zoo, random: np.ndarray, published_two: np.ndarray) -> Drawing:
    """The published score of random starts and of mode 3 by the way it is built, with the two published networks."""
    found = zoo.where(mode=POSITIVE)
    way, score, start = ways_of(found.params, found["active_area"]), published(found.params), published(random)
    groups = {"random starts": (start, MUTED)}
    groups |= {name: (score[way == name], WAY_COLOURS[name]) for name in WAYS if (way == name).any()}
    everything = np.concatenate([values for values, _ in groups.values()])
    edges = np.linspace(everything.min(), everything.max(), N_BINS + 1)
    with use_style():
        figure = Drawing(figsize=(10, 1.05 * len(groups) + 1.6), layout="constrained")
        axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (name, (values, colour)) in zip(axes, groups.items(), strict=True):
            ax.hist(values, edges, color=colour, lw=0)
            ax.set(yticks=[])
            ax.spines["left"].set_visible(False)
            share = "" if values is start else f", {len(values) / len(found):.0%} of mode 3"
            ax.set_title(f"{name}: n = {len(values):,}{share}", fontsize=10)
            for two in published(published_two):
                ax.axvline(two, color=INK, lw=1.2, ls=(0, (4, 2)))
        axes[-1].set_xlabel("published score; the dashed lines are the two networks that it was published with")
    return figure


def parts_figure(rows: Sequence[dict]) -> Drawing:
    """The AUC of every part of the published score for mode 3, with intervals: which separate, which invert."""
    with use_style():
        figure = Drawing(figsize=(9.5, 0.5 * len(rows) + 1.6), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for ax, column, title in zip(
            axes, ("auc_random", "auc_others"), ("mode 3 against random starts", "mode 3 against all other modes"), strict=True
        ):
            ax.axvline(0.5, color=MUTED, lw=1, ls=(0, (4, 3)))
            for y, row in enumerate(rows):
                colour = PALETTE[0] if row[column] > 0.5 else PALETTE[1]
                ax.plot([row[f"{column}_low"], row[f"{column}_high"]], [y, y], color=colour, lw=3, alpha=0.6)
                ax.plot(row[column], y, "o" if row[column] > 0.5 else "s", color=colour, ms=6, mec="white")
                text = ax.annotate(f"{row[column]:.2f}", (row[column], y), (0, 8), textcoords="offset points", ha="center")
                text.set_bbox({"facecolor": "white", "lw": 0, "pad": 0.8})
            ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.7), xlabel="AUC, 95 % interval; below 0.5 it inverts")
            ax.set_title(title)
        labels = [f"{r['part']} (weight {r['weight']})" if r["part"] in PARTS else r["part"] for r in rows]
        axes[0].set_yticks(range(len(rows)), labels, color=INK)
    return figure
