"""Question 4 as figures: tables in, figures out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.report.style import FAINT, INK, MUTED, PALETTE, EndLabel, drawing, label_ends
from metarep.studies.ceiling.text import ALL, CEILING, IMPUTER, LOCAL, MEAN_OF, MODEL
from metarep.studies.drawing import band, column, counts_along, marks
from metarep.studies.study import Figure

LOOKS = {
    IMPUTER: ("linear-Gaussian imputer", MUTED, "s"),
    MEAN_OF: ("mean of neighbours", PALETTE[4], "v"),
    LOCAL: ("local linear fit", PALETTE[2], "D"),
    MODEL: ("cloze model", PALETTE[0], "o"),
    CEILING: ("within reach (Gamma test)", PALETTE[1], "_"),
}


def figures(tables: Mapping[str, list[dict]], sizes: list[int]) -> dict[str, Figure]:
    """The figures of the page."""
    return {
        "predictability": Figure(
            predictability_figure(tables["predictability"]),
            f"R² of held-out networks' parameters, each masked in turn, with 95 % intervals over networks. Bars: what the "
            f"Gamma test on {sizes[-1]:,} training networks estimates that any smooth predictor could reach.",
            "R² by kind of parameter: model, local fit, neighbours, imputer, and what is within reach",
        ),
        "convergence": Figure(
            convergence_figure(tables["convergence"]),
            "The same estimates as the bank of training networks grows, for all parameters and for each kind, with 95 % "
            "intervals. Where the upper line is level, more networks would not change what is within reach.",
            "Estimates by size of the bank",
        ),
        "by_mode": Figure(
            mode_figure(tables["by_mode"]),
            "Mean squared residual by mode and kind of parameter, in units of the kind's variance over all networks: 0 is "
            "determined, 1 as uncertain as a network of which nothing is known.",
            "What is left unexplained, by mode and kind of parameter",
        ),
    }


def predictability_figure(rows: list[dict]) -> Drawing:
    """A group of marks for each kind, before a bar up to the ceiling."""
    with drawing(11.5, 5.2) as figure:
        ax = figure.subplots()
        x = np.arange(len(rows))
        top, low, high = (column(rows, f"{CEILING}{end}") for end in ("", "_low", "_high"))
        ax.bar(x, top, width=0.78, color=PALETTE[1], alpha=0.16, lw=0)
        ax.hlines(top, x - 0.39, x + 0.39, color=PALETTE[1], lw=2.2, label=LOOKS[CEILING][0])
        ax.bar(x, high - low, bottom=low, width=0.78, color=PALETTE[1], alpha=0.3, lw=0)
        shown = [name for name in LOOKS if name != CEILING]
        for shift, name in zip(np.linspace(-0.24, 0.24, len(shown)), shown, strict=True):
            label, colour, marker = LOOKS[name]
            marks(ax, x + shift, rows, name, fmt=marker, color=colour, ms=6.5, capsize=2.5, elinewidth=1.2, label=label)
        ax.axhline(0, color=MUTED, lw=0.7)
        ax.axvline(0.5, color=MUTED, lw=0.7, ls=(0, (2, 3)))
        ax.set_xticks(x, [f"{row['parameter']}\n{_percent(row['share'])}" for row in rows], color=INK)
        ax.set_xlabel("kind of parameter, and the share of what is within reach that the model predicts")
        lowest = min(0.0, np.nanmin([column(rows, f"{name}_low") for name in shown]))
        ax.set(ylim=(max(-0.5, lowest) - 0.03, 1.03), ylabel="masked R²", xlim=(-0.55, len(rows) - 0.45))
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, handletextpad=0.5, columnspacing=1.6)
    return figure


def convergence_figure(rows: list[dict]) -> Drawing:
    """A panel for all parameters and one for each kind."""
    kinds = list(dict.fromkeys(row["parameter"] for row in rows))
    with drawing(13, 3.1 * -(-len(kinds) // 3)) as figure:
        axes = figure.subplots(-(-len(kinds) // 3), 3, sharex=True, sharey=True, squeeze=False).ravel()
        lines = (CEILING, LOCAL, MEAN_OF)
        lowest = np.nanmin([column(rows, name) for name in lines])
        axes[0].set_ylim(max(-0.3, lowest - 0.05), 1.03)
        for i, (ax, kind) in enumerate(zip(axes, kinds, strict=False)):
            own = [row for row in rows if row["parameter"] == kind]
            for name in lines:
                _, colour, marker = LOOKS[name]
                band(ax, column(own, "bank"), own, name, colour, marker="o" if marker == "_" else marker, ms=4)
            ax.set(title="all parameters" if kind == ALL else kind)
            ax.set_xlabel("networks in the bank" if i >= len(kinds) - 3 else "")
            counts_along(ax)
            ax.set_ylabel("R²" if i % 3 == 0 else "")
            short = {CEILING: "within reach", LOCAL: "local fit", MEAN_OF: "neighbours"}
            ends = [EndLabel(column(own, name)[-1], short[name], LOOKS[name][1]) for name in lines]
            label_ends(ax, ends, gap=0.11, fontsize=8.5)
        for ax in axes[len(kinds) :]:
            ax.axis("off")
    return figure


def mode_figure(rows: list[dict]) -> Drawing:
    """Two tables in colour: what the model and what the local fit leaves, by mode and kind."""
    modes, kinds = (list(dict.fromkeys(row[name] for row in rows)) for name in ("mode", "parameter"))
    at = {(row["mode"], row["parameter"]): row for row in rows}
    with drawing(12.5, 0.62 * len(modes) + 1.6) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        most = min(1.0, max(0.2, *(row[f"left_{name}"] or 0.0 for row in rows for name in (MODEL, LOCAL))))
        for ax, name in zip(axes, (MODEL, LOCAL), strict=True):
            values = np.array([[at[mode, kind][f"left_{name}"] for kind in kinds] for mode in modes], dtype=float)
            image = ax.imshow(values, cmap="cividis_r", vmin=0, vmax=most, aspect="auto")
            for y, x in np.ndindex(values.shape):
                colour = "white" if values[y, x] > 0.55 * most else INK
                ax.text(x, y, f"{values[y, x]:.2f}", ha="center", va="center", color=colour, fontsize=10)
            ax.set_xticks(range(len(kinds)), kinds, color=INK)
            ax.set_title(f"Left unexplained by the {LOOKS[name][0]}")
            ax.spines[:].set_visible(False)
            ax.tick_params(length=0)
            ax.axvline(0.5, color="white", lw=3)
        shares = [at[mode, ALL]["share_of_networks"] for mode in modes]
        axes[0].set_yticks(
            range(len(modes)), [f"mode {m}, {_percent(s)}" for m, s in zip(modes, shares, strict=True)], color=INK
        )
        bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.01, extend="max" if most == 1 else "neither")
        bar.set_label("of the variance")
        bar.outline.set_edgecolor(FAINT)
    return figure


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{share:.0%}"
