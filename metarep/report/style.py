"""How every figure looks: colours that colour-blind readers can tell apart, one meaning for each.

Source of the palette: Okabe and Ito, "Color Universal Design", 2008. Modes also have a marker
each, so that no figure says anything by colour alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import matplotlib
from matplotlib.colors import Colormap, LinearSegmentedColormap

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442", "#000000")
INK, MUTED, FAINT = "#222222", "#6B6B6B", "#E3E3E3"

MODE_COLOURS = {
    "1": "#707070",
    "2": "#56B4E9",
    "2.5": "#F0C000",
    "3": "#C84A00",
    "4": "#004C97",
    "": "#D8D8D8",
    "random": "#000000",
}
"""By mode; "" is a network without one, "random" an untrained initialisation. Any two stay apart
for normal, red-, green- and blue-blind eyes (CIELAB distance at least 25; a test holds it)."""

MODE_MARKERS = {"1": "X", "2": "v", "2.5": "s", "3": "o", "4": "D", "": ".", "random": "+"}

SEQUENTIAL = "viridis"
"""Colour map of amounts: the product, a density, a loss."""

DIVERGING = "PuOr_r"
"""Colour map of values about zero: a unit's activation."""

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "figure.titlesize": 13,
    "figure.facecolor": "white",
    "image.cmap": SEQUENTIAL,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "savefig.dpi": 150,
    "svg.hashsalt": "metarep",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


def amounts_map(below: str | None = None) -> Colormap:
    """From almost white over the palette's two blues to almost black, for amounts with their figures written upon them;
    white where there is none, and another colour for what is below the scale.
    """
    shades = LinearSegmentedColormap.from_list("amounts", ["#F5F9FC", PALETTE[4], PALETTE[0], "#002A42"])
    return shades.with_extremes(bad="white", under=below)


def use_style() -> AbstractContextManager[None]:
    """A context in which figures take this style; outside of it nothing has changed."""
    return matplotlib.rc_context(STYLE)


def cluster_colour(cluster: int) -> str:
    """A colour for a cluster's number; noise (−1) is pale, numbers beyond the palette start again."""
    return FAINT if cluster < 0 else PALETTE[cluster % len(PALETTE)]
