"""Figures of what sets clusters apart and of what no known label explains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from metarep.evaluation.unexplained import EVERYTHING, LABELS, LEVEL, STEP
from metarep.report.descriptions import ladder, property_rows
from metarep.report.style import DIVERGING, FAINT, INK, PALETTE, cells, colour_bar, drawing, key
from metarep.report.wording import capital, num

MAX_PROPERTIES = 18
"""Rows of the heat map: of the properties that are said of a cluster, those with the largest effects."""

MAX_BARS = 12
SHOWN_EFFECT = 0.15
"""The heat map writes no number into a cell that is nearer to zero."""

REST = "#E3DFD5"
KINDS = {
    LABELS: ("#004C97", "known labels, added one by one"),
    STEP: ("#3D8FC4", "found properties, added"),
    EVERYTHING: ("#6B6B6B", "a forest of all properties"),
}
FAMILY_COLOURS = [colour for colour in PALETTE if colour != "#F0E442"]


def effects_figure(rows: Sequence[dict], captions: Mapping[int, str]) -> Figure:
    """Cliff's delta of properties by clusters from descriptions.csv; `captions` {cluster: what stands below its number}."""
    names, clusters = shown_properties(rows), sorted({row["cluster"] for row in rows})
    cell = {(row["property"], row["cluster"]): row for row in rows}
    effect = np.array([[cell[name, cluster]["effect"] for cluster in clusters] for name in names], float)
    texts = np.array([[num(value, 1) if abs(value) >= SHOWN_EFFECT else "" for value in row] for row in effect])
    heads = [f"{cluster}\n{captions.get(cluster, '')}" for cluster in clusters]
    with drawing(min(13.5, 6.2 + 0.74 * len(clusters)), 1.7 + 0.36 * len(names)) as figure:
        ax = figure.subplots()
        image = cells(ax, effect, texts, [capital(name) for name in names], heads, cmap=DIVERGING, vmin=-1, vmax=1)
        families = [cell[name, clusters[0]]["family"] for name in names]
        for y in range(1, len(names)):
            if families[y] != families[y - 1]:
                ax.axhline(y - 0.5, color="white", lw=5)
        ax.xaxis.tick_top()
        colour_bar(figure, image, "Cliff’s δ", ax=ax, shrink=0.8, aspect=26, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
    return figure


def shown_properties(rows: Iterable[dict]) -> list[str]:
    """The properties of the heat map, family by family: those said of a cluster, or all where none is."""
    rows = list(rows)
    said = {row["property"] for row in rows if row["said"]} or {row["property"] for row in rows}
    most: dict[str, float] = {}
    for row in rows:
        if row["property"] in said:
            most[row["property"]] = max(most.get(row["property"], 0.0), abs(row["effect_train"]))
    kept = sorted(most, key=lambda name: -most[name])[:MAX_PROPERTIES]
    family = {row["property"]: row["family"] for row in rows}
    order = list(dict.fromkeys(family[name] for name in kept))
    return sorted(kept, key=lambda name: (order.index(family[name]), -most[name]))


def unexplained_figure(rows: Sequence[dict]) -> Figure:
    """From rows of unexplained.csv. Left: how much of the clusters is explained by what. Right: what explains the rest."""
    steps, numbers = ladder(rows), property_rows(rows)[:MAX_BARS]
    with drawing(13, 2.2 + 0.33 * max(len(steps), len(numbers))) as figure:
        left, right = figure.subplots(1, 2)
        keys = _draw_ladder(left, steps, [row for row in rows if row["what"] == EVERYTHING])
        figure.legend(handles=keys, ncols=2, loc="outside lower left")
        keys = _draw_properties(right, numbers)
        figure.legend(handles=keys, ncols=3, loc="outside lower right", columnspacing=1.4, handletextpad=0.3)
        for ax in (left, right):
            ax.xaxis.set_major_formatter("{x:.0%}")
            ax.tick_params(axis="y", length=0, labelcolor=INK, labelsize=10)
    return figure


def _draw_ladder(ax: Axes, steps: Sequence[tuple[str, float, str]], forest: Sequence[dict]) -> list[Artist]:
    """Draws the shares and returns the key to the colours."""
    at = np.arange(len(steps))[::-1]
    explained = np.array([max(share, 0.0) for _, share, _ in steps])
    ax.barh(at, 1, color=REST, height=0.62)
    bars = ax.barh(at, explained, color=[KINDS[kind][0] for _, _, kind in steps], height=0.62)
    ax.bar_label(bars, [f"{share:.0%}" for share in explained], padding=14)
    for row in forest:
        width = [[row["share"] - row["low"]], [row["high"] - row["share"]]]
        ax.errorbar(max(row["share"], 0.0), at[-1], xerr=width, color=INK, capsize=3, lw=1.4)
    names = [name if i == 0 or kind == EVERYTHING else f"+ {name.split(' + ')[-1]}" for i, (name, _, kind) in enumerate(steps)]
    ax.set_yticks(at, [capital(name) for name in names])
    ax.set(xlim=(0, 1), title="What explains a network’s cluster", xlabel="share of the clusters’ information")
    present = [look for kind, look in KINDS.items() if any(kind == own for _, _, own in steps)]
    return [Patch(color=colour, label=label) for colour, label in [*present, (REST, "left open")]]


def _draw_properties(ax: Axes, numbers: Sequence[dict]) -> list[Artist]:
    """Draws the points and the nulls and returns the key to them."""
    at = np.arange(len(numbers))[::-1]
    colours = dict(zip(sorted({row["family"] for row in numbers}), FAMILY_COLOURS, strict=False))
    for y, row in zip(at, numbers, strict=True):
        colour = colours[row["family"]]
        ax.plot([0, row["share"]], [y, y], color=FAINT, lw=2.5, zorder=1)
        ax.plot(row["null"], y, "|", ms=12, mew=2, color=INK)
        ax.plot(row["share"], y, "o", ms=8, color=colour, mfc=colour if row["p"] < LEVEL else "white", mew=1.6)
    ax.set_yticks(at, [capital(row["property"]) for row in numbers])
    ax.set(ylim=(-0.7, len(numbers) - 0.3), title="What explains most of the rest")
    ax.set_xlim(min([0.0, *(row["share"] - 0.01 for row in numbers)]))
    ax.set_xlabel("share of what the labels leave open")
    return [*(key(family, colour) for family, colour in colours.items()), key("permuted, 95th percentile", INK, "|", mew=2)]
