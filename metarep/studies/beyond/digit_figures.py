"""The figures of what embeddings say of digit networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from metarep.report.style import MUTED, PALETTE, use_style

FLOOR = -1.0
SHOWN = ("layers", "weight statistics", "untrained")


def targets_figure(rows: list[dict[str, Any]], targets: Mapping[str, str]) -> Figure:
    """A panel a target, a row a representation: R² (filled) and Kendall's τ (open), the better regressor of both."""
    names = list(dict.fromkeys(row["representation"] for row in rows))
    with use_style():
        figure = Figure(figsize=(10.5, 1.5 + 0.42 * len(names)), layout="constrained")
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
                    ax.plot([row["null_p95"]] * 2, [at + shift - 0.1, at + shift + 0.1], color=MUTED, lw=1)
            ax.set(title=title, ylim=(len(names) - 0.5, -0.5))
        axes[0].set_yticks(range(len(names)), names)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def designs_figure(rows: list[dict[str, Any]], targets: Mapping[str, str]) -> Figure:
    """A panel a target, a row a design that was held out: R² of ridge regression."""
    designs = sorted({row["design"] for row in rows})
    with use_style():
        figure = Figure(figsize=(10.5, 1.9 + 0.5 * len(designs)), layout="constrained")
        axes = figure.subplots(1, len(targets), sharey=True)
        for ax, (target, title) in zip(axes, targets.items(), strict=True):
            for number, name in enumerate(SHOWN):
                for at, design in enumerate(designs):
                    key = (design, name, target, "r2")
                    row = next(r for r in rows if (r["design"], r["representation"], r["target"], r["metric"]) == key)
                    y, colour = at + 0.2 * (number - 1), PALETTE[number]
                    ax.plot([max(row["low"], FLOOR), max(row["high"], FLOOR)], [y, y], color=colour, lw=1.6)
                    ax.plot(max(row["value"], FLOOR), y, "osD"[number], color=colour, ms=5.5, label=name if at == 0 else None)
            ax.axvline(0, color=MUTED, lw=0.8)
            ax.set(title=title, ylim=(len(designs) - 0.5, -0.5), xlim=(FLOOR - 0.06, 1.03), xlabel="R²")
        axes[0].set_yticks(range(len(designs)), designs)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(SHOWN))
    return figure
