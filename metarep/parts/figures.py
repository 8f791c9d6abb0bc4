"""The pictures of a network's parts."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from metarep.parts.alike import Found
from metarep.report.style import INK, MUTED, PALETTE, cluster_colour, use_style

matplotlib.use("Agg")
MAX_ROWS = 48
"""Groups of parts that the map shows; of more the first and the last."""

MAX_NAME = 34


def short(name: str) -> str:
    """A name with its middle left out where it is long."""
    return name if len(name) <= MAX_NAME else name[: MAX_NAME // 2 - 1] + " … " + name[-MAX_NAME // 2 + 2 :]


def map_figure(found: Found, title: str) -> Figure:
    """A strip for each group of parts, a cell for each part, the colour its cluster: clusters side by side, largest first."""
    groups = list(dict.fromkeys(found.parts.groups))
    if len(groups) > MAX_ROWS:
        groups = groups[: MAX_ROWS // 2] + groups[-MAX_ROWS // 2 :]
    numbers = np.unique(found.cluster)
    with use_style():
        figure = Figure(figsize=(9.5, 1.1 + 0.3 * len(groups)), layout="constrained")
        ax = figure.subplots()
        colours = ListedColormap([cluster_colour(int(number)) for number in numbers])
        for row, group in enumerate(groups):
            member = np.sort(found.cluster[found.parts.groups == group])
            strip = np.searchsorted(numbers, member)[None]
            ax.imshow(
                strip,
                cmap=colours,
                vmin=-0.5,
                vmax=len(numbers) - 0.5,
                extent=(0, 1, row + 0.4, row - 0.4),
                aspect="auto",
                interpolation="nearest",
            )
            ax.text(1.01, row, f"{len(member):,}", va="center", fontsize=8, color=MUTED)
        ax.set(xlim=(0, 1), ylim=(len(groups) - 0.4, -0.6), xticks=[], title=title)
        ax.set_yticks(range(len(groups)), [short(group) for group in groups], fontsize=8)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        share = [np.mean(found.cluster == number) for number in numbers]
        handles = [
            Patch(color=cluster_colour(int(n)), label=f"{int(n) + 1} ({s:.0%})") for n, s in zip(numbers, share, strict=True)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)), title="cluster")
    return figure


def similarity_figure(found: list[Found]) -> Figure:
    """How alike each part is to the one nearest to it, in the network and in its shuffled copies."""
    with use_style():
        figure = Figure(figsize=(3.6 * len(found), 3.2), layout="constrained")
        axes = np.atleast_1d(figure.subplots(1, len(found)))
        for ax, one in zip(axes, found, strict=True):
            bins = np.linspace(min(0.0, one.similarity.min(), one.shuffled_similarity.min()), 1.0, 36)
            centre = (bins[:-1] + bins[1:]) / 2
            copies = np.stack([np.histogram(copy, bins, density=True)[0] for copy in one.shuffled_similarity])
            ax.fill_between(
                centre, copies.min(axis=0), copies.max(axis=0), color=MUTED, alpha=0.35, lw=0, label="shuffled parameters"
            )
            own = np.histogram(one.similarity, bins, density=True)[0]
            ax.plot(centre, own, color=PALETTE[1], label="this network")
            ax.set(xlabel="similarity of the nearest part", title=f"{len(one.similarity):,} {one.parts.kind}s", yticks=[])
            ax.set_ylim(bottom=0)
        axes[0].legend(loc="upper left")
        axes[0].set_ylabel("density", color=INK)
    return figure


def layers_figure(found: Found) -> Figure:
    """The similarity of each two layers, by what the arrangement of their parameters adds."""
    x = found.parts.added[0]
    length = np.linalg.norm(x, axis=1, keepdims=True)
    unit = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    n = len(x)
    with use_style():
        side = min(9.0, 2.6 + 0.22 * n)
        figure = Figure(figsize=(side + 1.2, side), layout="constrained")
        ax = figure.subplots()
        image = ax.imshow(unit @ unit.T, cmap="PuOr_r", vmin=-1, vmax=1)
        step = max(1, int(np.ceil(n / 40)))
        ax.set_xticks(range(0, n, step), [short(name) for name in found.parts.names[::step]], rotation=90, fontsize=7)
        ax.set_yticks(range(0, n, step), [short(name) for name in found.parts.names[::step]], fontsize=7)
        ax.set_title("Layers, by what the arrangement of their parameters adds")
        figure.colorbar(image, ax=ax, shrink=0.7, label="cosine")
    return figure
