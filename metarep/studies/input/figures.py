"""The figures of question 3: designs of the input side by side; what is found where inside the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from metarep.report.style import FAINT, INK, MUTED, PALETTE, drawing
from metarep.studies.input.inside import LEVELS
from metarep.studies.study import Figure

PANELS = {
    "mode": "mode, linear probe:\nbalanced accuracy",
    "unit_area": "a unit's active area:\nR²",
    "error": "log error: R²",
    "masked_r2": "masked R²\n(of its own tokens)",
    "moved_by_order": "moved by\nunit order",
    "moved_by_scale": "moved by\nunit scale",
}
FLOOR = -0.05
"""The lowest R² that is drawn of what is read by block."""
LEAST_R2 = -0.5
"""Masked R² below this is drawn at the margin."""


def figures(
    designs: Sequence[dict], titles: Mapping[str, str], depth: Sequence[dict], knockouts: Sequence[dict]
) -> dict[str, Figure]:
    """The figures of the page."""
    null = "A grey tick, where it lies within the axis, is the 95th percentile when predictions are permuted among networks."
    return {
        "designs": Figure(
            design_figure(designs, titles),
            f"What each design of the input gives. Bars are 95 % bootstrap intervals over test networks. {null} The two panels "
            "on the right say how far the states move when a network is written down differently, in distances between two "
            "networks.",
            "Dot plots: designs of the input by four metrics and two symmetries.",
        ),
        "depth": Figure(
            depth_figure(depth, knockouts),
            "Above: what a linear probe reads off the stream behind each block, of the trained model (lines) and of an "
            "untrained one of the same shape (dashes). Below: masked R² when attention may not pass between tokens of one kind "
            f"of pair, by the parameter that is masked; arrows at the margin lie beyond it. {null}",
            "Line plots of R² by block, and a dot plot of masked R² with links cut.",
        ),
    }


def design_figure(rows: Sequence[dict], titles: Mapping[str, str]) -> Drawing:
    """A line a design, a panel a metric."""
    designs = list(dict.fromkeys(row["design"] for row in rows))
    with drawing(12.5, 1.5 + 0.48 * len(designs)) as figure:
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for ax, (metric, title) in zip(axes, PANELS.items(), strict=True):
            of = {row["design"]: row for row in rows if row["metric"] == metric}
            shown = [(y, design) for y, design in enumerate(designs) if design in of]
            for y, design in shown:
                row, colour = of[design], INK if y == 0 else PALETTE[0]
                if row["low"] is not None:
                    ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=2.4, alpha=0.45, solid_capstyle="butt")
                ax.plot(row["value"], y, "o", color=colour, ms=6.5, mec="white", mew=0.8)
            left, right = ax.get_xlim()
            for y, design in shown:
                _null(ax, of[design]["null"], y, left, right)
            ax.set_xlim(left, right)
            _panel(ax, title)
            if metric.startswith("moved"):
                ax.set_xlim(left=min(-0.04, -0.06 * max(row["value"] for row in of.values())))
        axes[0].set(yticks=range(len(designs)), yticklabels=[titles[d] for d in designs], ylim=(len(designs) - 0.5, -0.5))
    return figure


def _null(ax: Axes, null: float | None, y: float, left: float, right: float, half: float = 0.16) -> None:
    """A grey tick at the null, where it lies within the axis."""
    if null is not None and left <= null <= right:
        ax.plot([null, null], [y - half, y + half], color=MUTED, lw=1.6, alpha=0.8, zorder=2)


def _panel(ax: Axes, title: str) -> None:
    ax.set_title(title, fontsize=10)
    ax.grid(axis="x", color=FAINT)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.locator_params(axis="x", nbins=3)


def depth_figure(depth: Sequence[dict], knockouts: Sequence[dict]) -> Drawing:
    """Three panels of what is read by block, for a unit, a layer and a network; and masked R² with links cut."""
    with drawing(12.5, 7.4) as figure:
        above, below = figure.subfigures(2, 1, height_ratios=(1.25, 1))
        axes = above.subplots(1, len(LEVELS), sharey=True)
        for ax, level in zip(axes, LEVELS, strict=True):
            draw_level(ax, [row for row in depth if row["level"] == level])
            ax.set_title(f"read off the states of a {level}")
            ax.set_xlabel("behind block (0: before the first)")
        axes[0].set(ylabel="R², or balanced accuracy of the mode", ylim=(FLOOR, 1.08))
        draw_knockouts(below.subplots(), knockouts)
    return figure


def draw_level(ax: Axes, rows: Sequence[dict]) -> None:
    """A line a fact, with its interval; dashes are the untrained model."""
    facts = list(dict.fromkeys(row["fact"] for row in rows))
    blocks = sorted({row["block"] for row in rows})
    for colour, fact in zip(PALETTE, facts, strict=False):
        for model in ("trained", "untrained"):
            own = [row for row in rows if row["fact"] == fact and row["model"] == model]
            values = [max(row["value"], FLOOR) for row in own]
            style = {"lw": 2.2, "marker": "o", "ms": 5} if model == "trained" else {"lw": 1.3, "ls": (0, (4, 3)), "alpha": 0.75}
            ax.plot(blocks, values, color=colour, label=fact if model == "trained" else None, **style)
            if model == "trained":
                nulls = [row["null"] if row["null"] > FLOOR else np.nan for row in own]
                ax.plot(blocks, nulls, "_", color=MUTED, ms=10, mew=1.6, alpha=0.8)
                ax.fill_between(blocks, [r["low"] for r in own], [r["high"] for r in own], color=colour, alpha=0.2, lw=0)
    ax.plot([], [], color=MUTED, lw=1.3, ls=(0, (4, 3)), label="untrained")
    ax.set_xticks(blocks)
    ax.grid(axis="y", color=FAINT)
    ax.set_axisbelow(True)
    ax.legend(loc="lower right", fontsize=9, frameon=True, framealpha=0.9, edgecolor="none")


def draw_knockouts(ax: Axes, rows: Sequence[dict]) -> None:
    """For each kind of masked parameter the masked R² with nothing cut and with each kind of link cut."""
    cuts = list(dict.fromkeys(row["cut"] for row in rows))
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    colours = dict(zip(cuts, (INK, *PALETTE), strict=False))
    markers = dict(zip(cuts, "osDv^", strict=False))
    step = 0.8 / len(cuts)
    for y, kind in enumerate(kinds):
        for place, cut in enumerate(cuts):
            row, colour = next(r for r in rows if r["cut"] == cut and r["kind"] == kind), colours[cut]
            at, beyond = y + (place - (len(cuts) - 1) / 2) * step, row["value"] < LEAST_R2
            marker = "<" if beyond else markers[cut]
            ax.plot(max(row["value"], LEAST_R2), at, marker=marker, color=colour, ms=6, mec="white", mew=0.6)
            if beyond:
                text = f"{row['value']:.1f}".replace("-", "−")
                ax.annotate(text, (LEAST_R2, at), (8, 0), textcoords="offset points", va="center", fontsize=8, color=MUTED)
            else:
                ax.plot([max(row["low"], LEAST_R2), row["high"]], [at, at], color=colour, lw=2, alpha=0.45)
            _null(ax, row["null"], at, LEAST_R2, 1.0, half=0.4 * step)
    for cut in cuts:
        ax.plot([], [], markers[cut], color=colours[cut], ms=7, label="nothing cut" if cut == "nothing" else f"cut: {cut}")
    for y in range(1, len(kinds)):
        ax.axhline(y - 0.5, color=FAINT, lw=0.8)
    ax.set(
        yticks=range(len(kinds)),
        yticklabels=["all parameters" if k == "all" else k for k in kinds],
        ylim=(len(kinds) - 0.5, -0.5),
    )
    ax.set(xlim=(LEAST_R2 - 0.06, 1.03), xlabel="masked R²")
    ax.set_title("what predictions hang on: attention cut between tokens by what they share")
    ax.grid(axis="x", color=FAINT)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
