"""The minima of the expected error as figures: the best network of each mode, and where descents lead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures.mode_looks import MODE_COLOURS, MODE_MARKERS
from metarep.domains.multiplier.figures.square import draw_small
from metarep.networks.spec import NetworkSpec
from metarep.report.style import INK, MUTED, count_cells, drawing, key, legend_below


def gallery_figure(spec: NetworkSpec, networks: Sequence[np.ndarray], titles: Sequence[str]) -> Figure:
    """Some networks params (P,), small, each with a title of two or three lines."""
    with drawing(2.7 * len(networks), 3.7, h_pad=0.1) as figure:
        for ax, params, title in zip(figure.subplots(1, len(networks), squeeze=False)[0], networks, titles, strict=True):
            draw_small(ax, spec, params)
            ax.set_title(title, fontsize=10)
    return figure


def descent_figure(
    start_mode: np.ndarray, end_mode: np.ndarray, before: np.ndarray, after: np.ndarray, lines: dict[str, float], *, seed: int
) -> Figure:
    """Descents of N networks: expected errors before (N,) and after (N,) by start mode, marked by the mode they end in;
    beside it how many go from which mode to which. `lines` are errors to compare with, by name.
    """
    modes = [mode for mode in MODE_COLOURS if mode and (start_mode == mode).any()]
    place, rng = np.array([modes.index(mode) for mode in start_mode]), np.random.default_rng(seed)
    with drawing(13, 5.6, w_pad=0.15) as figure:
        errors, flow = figure.subplots(1, 2, width_ratios=(3, 2))
        errors.scatter(place - 0.24 + rng.uniform(-0.11, 0.11, len(place)), before, s=9, lw=0, alpha=0.35, color=MUTED)
        at = place + 0.12 + rng.uniform(-0.16, 0.16, len(place))
        for mode in modes:
            ends = end_mode == mode
            look = {"color": MODE_COLOURS[mode], "marker": MODE_MARKERS[mode], "s": 20, "lw": 0, "alpha": 0.8, "zorder": 3}
            errors.scatter(at[ends], after[ends], **look)
        for name, value in lines.items():
            errors.axhline(value, color=INK, lw=0.9, ls=(0, (4, 3)), zorder=1)
            note = {"xytext": (-2, 2), "textcoords": "offset points", "ha": "right", "va": "bottom", "fontsize": 8.5}
            errors.annotate(f"{name} {value:.4f}", (len(modes) - 0.42, value), zorder=6, **note)
        errors.set(yscale="log", xlabel="mode at the start", ylabel="expected squared error", xlim=(-0.5, len(modes) - 0.4))
        errors.set_xticks(range(len(modes)), modes)
        errors.set_title(f"{len(before):,} networks before and after the descent")
        keys = [key("at the start", MUTED, ms=4)]
        keys += [key(f"ends in mode {mode}", MODE_COLOURS[mode], MODE_MARKERS[mode], ms=6.5) for mode in modes]
        legend_below(errors, 0.12, handles=keys, ncols=6)
        counts = np.array([[((start_mode == a) & (end_mode == b)).sum() for b in modes] for a in modes])
        count_cells(flow, counts, modes, modes)
        flow.set(aspect="equal", xlabel="mode at the end", ylabel="mode at the start")
        flow.set_title("networks by start and end (shade: share of the row)")
    return figure
