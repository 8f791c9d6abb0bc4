"""Time and memory of large networks as a figure."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure as Drawing

from metarep.report.style import MUTED, PALETTE, use_style
from metarep.studies.large.text import LIMIT_GIB, LIMIT_MINUTES
from metarep.studies.study import Figure


def figures(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    """Time and memory against the number of parameters: a line for linear layers, a mark for each other kind."""
    with use_style():
        figure = Drawing(figsize=(9, 3.4), layout="constrained")
        panels = (("seconds", "seconds", 60 * LIMIT_MINUTES), ("peak_gib", "GiB at most", LIMIT_GIB))
        for ax, (name, title, limit) in zip(figure.subplots(1, 2), panels, strict=True):
            for number, kind in enumerate(dict.fromkeys(row["kind"] for row in rows)):
                own = [row for row in rows if row["kind"] == kind]
                at = [row["n_params"] / 1e6 for row in own], [row[name] for row in own]
                ax.plot(*at, f"{'osD'[number % 3]}-", color=PALETTE[number], label=kind)
            ax.axhline(limit, color=MUTED, ls=":", lw=1.2)
            ax.annotate(
                "asked for", (0, limit), (4, -3), xycoords=("axes fraction", "data"), textcoords="offset points", va="top"
            )
            ax.set(xscale="log", xlabel="million parameters", title=title, ylim=(0, 1.1 * limit))
            ticks = sorted({round(row["n_params"] / 1e6) for row in rows if row["kind"] == "linear"})
            ax.set(xticks=ticks, xticklabels=ticks)
            ax.minorticks_off()
        figure.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    return {"sizes": Figure(figure, "Time and memory by size; the dotted lines are what was asked for.")}
