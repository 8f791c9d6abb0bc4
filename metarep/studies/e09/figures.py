"""Experiment 9 as figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.domains.multiplier.figures.mode_looks import MODE_COLOURS
from metarep.domains.multiplier.figures.square import draw_small
from metarep.report.figures import label_figure
from metarep.report.style import use_style
from metarep.studies.e09.groups import group_rows
from metarep.studies.study import Figure
from metarep.zoos.zoo import Zoo

ACROSS = 6
"""Networks in a row of a gallery."""


def figures(zoo: Zoo, modes: list[dict], codes: list[dict], unnamed: Zoo) -> dict[str, Figure]:
    """The figures of the page."""
    rows = [row | {"value": row["group"]} for row in modes]
    errors = {row["group"]: zoo.where(mode=row["group"])["log_error"] for row in modes}
    found = {
        "shares": Figure(
            label_figure("mode", rows, MODE_COLOURS, errors, "log10 of the validation error"),
            f"{len(zoo):,} networks: how often each mode is learned (Wilson intervals), and how its errors spread.",
            "Share and error of each mode",
        ),
        "typical_by_mode": Figure(
            gallery(zoo, modes, "mode"),
            "The network at the middle of each mode: its output over the unit square, and where its units turn on.",
            "A typical network of each mode",
        ),
        "typical_by_code": Figure(
            gallery(zoo, codes, "code"),
            "The network at the middle of each quadrant code: which of the four on/off combinations occur.",
            "A typical network of each quadrant code",
        ),
    }
    if len(unnamed):
        found["unnamed"] = Figure(
            gallery(unnamed, group_rows(unnamed, "quadrant_code", of=len(zoo)), "code"),
            "Networks that no published mode describes, by quadrant code: the one at the middle of each.",
            "Typical networks without a published mode",
        )
    return found


def gallery(zoo: Zoo, rows: Sequence[dict], kind: str) -> Drawing:
    """The typical network of every row, small; its share and median error above it."""
    at = {name: i for i, name in enumerate(zoo["network_id"])}
    across = min(ACROSS, len(rows))
    down = -(-len(rows) // across)
    with use_style():
        figure = Drawing(figsize=(2.55 * across, 3.2 * down), layout="constrained")
        axes = np.atleast_1d(figure.subplots(down, across, squeeze=False).ravel())
        for ax, row in zip(axes, rows, strict=False):
            draw_small(ax, zoo.spec, zoo.params[at[row["typical"]]])
            note = f"{100 * row['share']:.2g}% of networks\nmedian error {row['mse_median']:.4f}"
            ax.set_title(f"{kind} {row['group']}\n{note}", fontsize=9.5)
        for ax in axes[len(rows) :]:
            ax.axis("off")
    return figure
