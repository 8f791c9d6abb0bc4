"""The figure of what is carried over to other architectures."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from metarep.report.style import MUTED, PALETTE, use_style

PANELS = {"masked_r2": "masked R²", "task": "task: balanced accuracy", "log10_valid_mse": "log error: R²"}
SERIES = (
    ("others", "others", PALETTE[0], "o", "model of other architectures"),
    ("all", "itself", PALETTE[1], "D", "model of all, probe of its own"),
    ("weight statistics", "others", PALETTE[2], "s", "weight statistics"),
    ("untrained", "others", PALETTE[3], "^", "untrained model"),
)
FLOOR = -0.3
"""R² that lie below stand at the edge."""


def targets_figure(rows: list[dict[str, Any]], targets: tuple[str, ...]) -> Figure:
    """A panel a metric, a row an architecture that was left out, a dot a representation with its interval."""
    cells = {(row["metric"], row["representation"], row["fitted_on"], row["target"]): row for row in rows}
    with use_style():
        figure = Figure(figsize=(10.5, 1.6 + 0.62 * len(targets)), layout="constrained")
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for ax, (metric, title) in zip(axes, PANELS.items(), strict=True):
            for at, (name, fitted_on, colour, marker, label) in enumerate(SERIES):
                for row, target in enumerate(targets):
                    cell = cells.get((metric, name, "" if metric == "masked_r2" else fitted_on, target))
                    if cell is None:
                        continue
                    y, value = row + 0.17 * (at - 1.5), max(cell["value"], FLOOR)
                    ax.plot([max(cell["low"], FLOOR), max(cell["high"], FLOOR)], [y, y], color=colour, lw=1.6)
                    ax.plot(value, y, marker, color=colour, ms=5.5, label=label if row == 0 else None)
                    ax.plot([max(cell["null"], FLOOR)] * 2, [y - 0.08, y + 0.08], color=MUTED, lw=1)
            ax.set(title=title, ylim=(len(targets) - 0.5, -0.5))
            ax.grid(axis="y", alpha=0.0)
            ax.set_xlim(right=1.03)
        axes[0].set_yticks(range(len(targets)), targets)
        handles, labels = axes[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(SERIES))
    return figure
