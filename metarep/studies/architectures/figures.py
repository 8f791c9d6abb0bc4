"""The figure of what is carried over to other architectures."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.report.style import MUTED, PALETTE, use_style
from metarep.studies.drawing import legend_outside, marks
from metarep.studies.study import Figure

PANELS = {"masked_r2": "masked R²", "task": "task: balanced accuracy", "log_error": "log error: R²"}
SERIES = (
    ("others", "others", PALETTE[0], "o", "model of other architectures"),
    ("all", "itself", PALETTE[1], "D", "model of all, probe of its own"),
    ("weight statistics", "others", PALETTE[2], "s", "weight statistics"),
    ("untrained", "others", PALETTE[3], "^", "untrained model"),
)
FLOOR = -0.3
"""R² that lie below are drawn at the edge."""


def figures(rows: list[dict[str, Any]], targets: tuple[str, ...]) -> dict[str, Figure]:
    """A panel a metric, a row an architecture that was left out, a dot a representation with its interval."""
    cells = {(row["metric"], row["representation"], row["fitted_on"], row["target"]): row for row in rows}
    with use_style():
        figure = Drawing(figsize=(10.5, 1.6 + 0.62 * len(targets)), layout="constrained")
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for ax, (metric, title) in zip(axes, PANELS.items(), strict=True):
            for at, (name, fitted_on, colour, marker, label) in enumerate(SERIES):
                keys = [(metric, name, "" if metric == "masked_r2" else fitted_on, target) for target in targets]
                own = [(row + 0.17 * (at - 1.5), cells[key]) for row, key in enumerate(keys) if key in cells]
                if not own:
                    continue
                y, found = zip(*own, strict=True)
                marks(ax, np.array(y), found, "value", across=True, floor=FLOOR, color=colour, fmt=marker, label=label)
                nulls = [max(row["null"], FLOOR) for row in found]
                ax.plot(nulls, y, "|", color=MUTED, ms=7)
            ax.set(title=title, ylim=(len(targets) - 0.5, -0.5))
            ax.grid(axis="y", alpha=0.0)
            ax.set_xlim(right=1.03)
        axes[0].set_yticks(range(len(targets)), targets)
        legend_outside(figure, axes[1], "lower center")
    caption = "Architectures that the model never saw, a row each; dots with 95 % intervals over networks; ticks: the null."
    return {"targets": Figure(figure, caption)}
