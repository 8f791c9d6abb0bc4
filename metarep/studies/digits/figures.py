"""The figures of what embeddings say of digit networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.report.style import MUTED, PALETTE, use_style
from metarep.studies.drawing import legend_outside, marks
from metarep.studies.study import Figure

FLOOR = -1.0
SHOWN = ("layers", "weight_statistics", "untrained")


def figures(rows: list[dict[str, Any]], designs: list[dict[str, Any]], targets: Mapping[str, str]) -> dict[str, Figure]:
    """The figures of the page."""
    return {
        "targets": Figure(
            targets_figure(rows, targets),
            "Held-out runs, all designs; the better of ridge regression and boosted trees for each representation; 95 % "
            "intervals over runs, bars: permuted labels.",
        ),
        "designs": Figure(
            designs_figure(designs, targets),
            "Designs that the regression has not seen: fitted on the other four. R² below the axis is drawn at its edge.",
        ),
    }


def words(name: str) -> str:
    """A representation as figures call it."""
    return name.replace("_", " ")


def targets_figure(rows: list[dict[str, Any]], targets: Mapping[str, str]) -> Drawing:
    """A panel a target, a row a representation: R² (filled) and Kendall's τ (open), the better regressor of both."""
    names = list(dict.fromkeys(row["representation"] for row in rows))
    with use_style():
        figure = Drawing(figsize=(10.5, 1.5 + 0.42 * len(names)), layout="constrained")
        axes = figure.subplots(1, len(targets), sharey=True)
        for ax, (target, title) in zip(axes, targets.items(), strict=True):
            for at, name in enumerate(names):
                for metric, shift, face in (("r2", -0.12, None), ("kendall_tau", 0.12, "white")):
                    own = [r for r in rows if (r["target"], r["representation"], r["metric"]) == (target, name, metric)]
                    row = max(own, key=lambda r: r["value"])
                    colour = PALETTE[0] if metric == "r2" else PALETTE[1]
                    ax.plot([row["low"], row["high"]], [at + shift] * 2, color=colour, lw=1.6, zorder=1)
                    label = {"r2": "R²", "kendall_tau": "Kendall's τ"}[metric] if at == 0 else None
                    ax.plot(row["value"], at + shift, "o", color=colour, mfc=face or colour, ms=5.5, label=label)
                    ax.plot([row["null"]] * 2, [at + shift - 0.1, at + shift + 0.1], color=MUTED, lw=1)
            ax.set(title=title, ylim=(len(names) - 0.5, -0.5))
        axes[0].set_yticks(range(len(names)), [words(name) for name in names])
        legend_outside(figure, axes[0])
    return figure


def designs_figure(rows: list[dict[str, Any]], targets: Mapping[str, str]) -> Drawing:
    """A panel a target, a row a design that was held out: R² of ridge regression."""
    designs = sorted({row["design"] for row in rows})
    with use_style():
        figure = Drawing(figsize=(10.5, 1.9 + 0.5 * len(designs)), layout="constrained")
        axes = figure.subplots(1, len(targets), sharey=True)
        for ax, (target, title) in zip(axes, targets.items(), strict=True):
            for number, name in enumerate(SHOWN):
                own = {r["design"]: r for r in rows if (r["representation"], r["target"], r["metric"]) == (name, target, "r2")}
                at, look = np.arange(len(designs)) + 0.2 * (number - 1), {"color": PALETTE[number], "fmt": "osD"[number]}
                marks(
                    ax,
                    at,
                    [own[one] for one in designs],
                    "value",
                    across=True,
                    floor=FLOOR,
                    label=words(name),
                    **look,
                )
            ax.axvline(0, color=MUTED, lw=0.8)
            ax.set(title=title, ylim=(len(designs) - 0.5, -0.5), xlim=(FLOOR - 0.06, 1.03), xlabel="R²")
        axes[0].set_yticks(range(len(designs)), designs)
        legend_outside(figure, axes[0], "lower center")
    return figure
