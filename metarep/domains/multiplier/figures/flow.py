"""The flow of networks between modes over training: stacked shares at some steps, joined by ribbons."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarep.domains.multiplier.domain import MODE_COLOURS
from metarep.domains.multiplier.dynamics import transition_counts
from metarep.domains.multiplier.modes import MODES
from metarep.report.style import bare, drawing, spread_apart

BAR = 0.12
"""Half the width of a bar, where two bars stand 1 apart."""

GAP = 0.018
"""Between the modes of a bar, in shares of all networks."""

N_BARS = 7


def flow_columns(step: np.ndarray) -> np.ndarray:
    """The initialisation and N_BARS − 1 columns of `step` (T,) that are about evenly spaced in the step's logarithm.

    The first of them lies at 1/128 of the training: hardly any network changes its mode before.
    """
    wanted = np.geomspace(max(step[-1] / 128, 1), step[-1], N_BARS - 1)
    nearest = np.abs(np.log(step[1:, None]) - np.log(wanted)).argmin(axis=0) + 1
    return np.unique(np.r_[0, nearest])


def flow_figure(mode: np.ndarray, step: np.ndarray) -> Figure:
    """Shares of the modes (N, T) at chosen steps, and between them a ribbon for every transition, as wide as its share."""
    columns = flow_columns(step)
    chosen = mode[:, columns]
    share = (chosen[:, :, None] == np.array(MODES, dtype=object)).mean(axis=0)
    bottom = np.cumsum(share + GAP, axis=1) - share - GAP
    last = len(columns) - 1
    with drawing(11.5, 6) as figure:
        ax = figure.subplots()
        for i, name in enumerate(MODES):
            ax.bar(range(last + 1), share[:, i], 2 * BAR, bottom[:, i], color=MODE_COLOURS[name], zorder=3)
        for x in range(last):
            _ribbons(ax, x, transition_counts(chosen[:, x], chosen[:, x + 1]) / len(mode), bottom[x], bottom[x + 1])
        for x, align, end in ((-BAR - 0.06, "right", 0), (last + BAR + 0.06, "left", last)):
            here = np.flatnonzero(share[end])
            for y, i in zip(spread_apart(bottom[end, here] + share[end, here] / 2, 0.075), here, strict=True):
                ax.text(x, y, f"mode {MODES[i]}\n{share[end, i]:.1%}", ha=align, va="center", linespacing=1.05)
        labels = ["0\n(initialisation)", *(f"{step[c]:,}" for c in columns[1:])]
        ax.set(xticks=range(last + 1), xticklabels=labels, yticks=[], xlabel="training step, about evenly spaced in logarithm")
        ax.set(xlim=(-1.02, last + 1.02), ylim=(-0.01, 1 + GAP * (len(MODES) - 1) + 0.01))
        bare(ax, "left", "bottom")
        moved = (chosen[:, 1:] != chosen[:, :-1]).any(axis=1).mean()
        ax.set_title(f"{len(mode):,} networks between the modes; {moved:.0%} change theirs between two of these steps")
    return figure


def _ribbons(ax: Axes, x: int, shares: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """A ribbon for each transition (5, 5) from bar x to bar x + 1; those that change the mode lie above and are stronger."""
    starts = left[:, None] + np.cumsum(shares, axis=1) - shares
    ends = right + np.cumsum(shares, axis=0) - shares
    along = np.linspace(0, 1, 40)
    rise = along**2 * (3 - 2 * along)
    for i, j in np.argwhere(shares):
        low = starts[i, j] + (ends[i, j] - starts[i, j]) * rise
        look = {"alpha": 0.28, "zorder": 1} if i == j else {"alpha": 0.8, "zorder": 2}
        at = x + BAR + (1 - 2 * BAR) * along
        ax.fill_between(at, low, low + shares[i, j], color=MODE_COLOURS[MODES[i]], lw=0, **look)
