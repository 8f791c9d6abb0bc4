"""The figures of a network's parts."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from sklearn.preprocessing import normalize

from metarep.parts.alike import Alike
from metarep.report.style import DIVERGING, INK, MUTED, PALETTE, bare, cluster_colour, drawing

MAX_ROWS = 48
"""Groups of parts that the map shows; of more the first and the last."""

MAX_CELLS = 1000
"""Parts of a group that it shows: more than that are narrower than a pixel."""

ORDERS = {
    "unit": "units of a group, in the order that they were saved in",
    "layer": "",
    "window": "windows, in the order that they are read in",
}

MAX_NAME = 34


def short(name: str) -> str:
    """A name with its middle left out where it is long."""
    return name if len(name) <= MAX_NAME else name[: MAX_NAME // 2 - 1] + " … " + name[-MAX_NAME // 2 + 2 :]


def map_figure(found: Alike, title: str) -> Figure:
    """A strip for each group of parts, a cell for each part in the order that they were saved in, the colour its cluster.

    What is left out is said where it would stand: groups in the middle beyond MAX_ROWS, parts of a group beyond MAX_CELLS.
    """
    groups, half = list(dict.fromkeys(found.parts.groups)), MAX_ROWS // 2
    left_out = groups[half:-half] if len(groups) > MAX_ROWS else []
    rows = [*groups[:half], None, *groups[-half:]] if left_out else groups
    numbers = np.unique(found.cluster)
    with drawing(9.5, 1.5 + 0.3 * len(rows)) as figure:
        ax = figure.subplots()
        for row, group in enumerate(rows):
            if group is not None:
                draw_strip(ax, row, cells_of(found, group), numbers)
        if left_out:
            n = int(np.isin(found.parts.groups, left_out).sum())
            said = f"left out here: {n:,} {found.parts.kind}s"
            said += "" if found.parts.kind == "layer" else f" of {len(left_out):,} groups"
            ax.text(0.5, half, said, ha="center", va="center", fontsize=8, color=INK)
        ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), xticks=[], xlabel=ORDERS[found.parts.kind], title=title)
        names = ["⋮" if group is None else short(group.removeprefix("units of ")) for group in rows]
        ax.set_yticks(range(len(rows)), names, fontsize=8)
        bare(ax)
        share = [np.mean(found.cluster == number) for number in numbers]
        handles = [Patch(color=cluster_colour(n), label=f"{n + 1} ({s:.0%})") for n, s in zip(numbers, share, strict=True)]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)), title="cluster")
    return figure


def cells_of(found: Alike, group: str) -> np.ndarray:
    """(n,): the clusters of a group's parts in the order that they were saved in."""
    member = np.flatnonzero(found.parts.groups == group)
    return found.cluster[member[np.argsort(found.parts.index[member], kind="stable")]]


def draw_strip(ax: Axes, row: int, cells: np.ndarray, numbers: np.ndarray) -> None:
    """Clusters (n,) as cells side by side, and how many there are; of very many one in so many is drawn, and that is said."""
    step = int(np.ceil(len(cells) / MAX_CELLS))
    colours = ListedColormap([cluster_colour(number) for number in numbers])
    shown, ends = np.searchsorted(numbers, cells[::step])[None], (0, 1, row + 0.4, row - 0.4)
    limits = {"vmin": -0.5, "vmax": len(numbers) - 0.5}
    ax.imshow(shown, cmap=colours, extent=ends, aspect="auto", interpolation="nearest", **limits)
    text = f"{len(cells):,}" if step == 1 else f"{len(cells):,}, 1 in {step} drawn"
    ax.text(1.01, row, text, va="center", fontsize=8, color=MUTED)


def similarity_figure(found: list[Alike]) -> Figure:
    """How alike each part is to the one nearest to it, in the network and in its shuffled copies."""
    with drawing(3.6 * len(found), 3.2) as figure:
        axes = figure.subplots(1, len(found), squeeze=False)[0]
        for ax, one in zip(axes, found, strict=True):
            bins = np.linspace(min(0.0, one.similarity.min(), one.shuffled_similarity.min()), 1.0, 36)
            centre = (bins[:-1] + bins[1:]) / 2
            copies = np.stack([np.histogram(copy, bins, density=True)[0] for copy in one.shuffled_similarity])
            grey = {"color": MUTED, "alpha": 0.35, "lw": 0, "label": "shuffled parameters"}
            ax.fill_between(centre, copies.min(axis=0), copies.max(axis=0), **grey)
            ax.plot(centre, np.histogram(one.similarity, bins, density=True)[0], color=PALETTE[1], label="this network")
            ax.set(xlabel="similarity of the nearest part", title=f"{len(one.similarity):,} {one.parts.kind}s", yticks=[])
            ax.set_ylim(bottom=0)
        axes[0].legend(loc="upper left")
        axes[0].set_ylabel("density", color=INK)
    return figure


def layers_figure(found: Alike) -> Figure:
    """The similarity of each two layers, by what the arrangement of their parameters adds."""
    unit = normalize(found.parts.added[0])
    n = len(unit)
    side = min(9.0, 2.6 + 0.22 * n)
    with drawing(side + 1.2, side) as figure:
        ax = figure.subplots()
        image = ax.imshow(unit @ unit.T, cmap=DIVERGING, vmin=-1, vmax=1)
        step = max(1, int(np.ceil(n / 40)))
        names = [short(name) for name in found.parts.groups[::step]]
        ax.set_xticks(range(0, n, step), names, rotation=90, fontsize=7)
        ax.set_yticks(range(0, n, step), names, fontsize=7)
        ax.set_title("Layers, by what the arrangement of their parameters adds")
        figure.colorbar(image, ax=ax, shrink=0.7, label="cosine")
    return figure
