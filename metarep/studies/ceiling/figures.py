"""Question 4 as figures: tables in, figures out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.report.style import MUTED, PALETTE, colour_bar, drawing
from metarep.studies.ceiling.text import ALL, CEILING, IMPUTER, LOCAL, MEAN_OF, MODEL
from metarep.studies.drawing import Series, dots_figure, draw_cells, lines_figure
from metarep.studies.rows import by, values, where
from metarep.studies.study import Figure

LOOKS = {
    CEILING: ("within reach (Gamma test)", PALETTE[1], "D"),
    LOCAL: ("local linear fit", PALETTE[2], "^"),
    MEAN_OF: ("mean of neighbours", PALETTE[4], "v"),
    IMPUTER: ("linear-Gaussian imputer", MUTED, "s"),
    MODEL: ("cloze model", PALETTE[0], "o"),
}


def figures(tables: Mapping[str, list[dict]], sizes: list[int]) -> dict[str, Figure]:
    rows, growing = tables["predictability"], tables["convergence"]
    share = {row["parameter"]: "n/a" if row["share"] is None else f"{row['share']:.0%}" for row in rows}
    kinds = {name: f"{name}: {told}" for name, told in share.items()}
    beside = [Series(*look[:1], rows, *look[1:], of=name) for name, look in LOOKS.items()]
    panels = {}
    for kind in kinds:
        own = where(growing, parameter=kind)
        lines = [Series(*LOOKS[name][:1], own, *LOOKS[name][1:], of=name) for name in (CEILING, LOCAL, MEAN_OF)]
        panels[f"R², {kind}"] = ("bank", lines)
    return {
        "predictability": Figure(
            dots_figure({"masked R²": beside}, "parameter", kinds, floor=-0.5),
            "R² of held-out networks' parameters, each masked in turn, with 95 % intervals over networks, beside what the "
            f"Gamma test on {sizes[-1]:,} training networks estimates that any smooth predictor could reach; by kind of "
            "parameter, with the share of what is within reach that the model predicts.",
        ),
        "convergence": Figure(
            lines_figure(panels, xlabel="networks in the bank"),
            "The same estimates as the bank of training networks grows, for all parameters and for each kind, with 95 % "
            "intervals. Where the upper line is level, more networks would not change what is within reach.",
        ),
        "by_mode": Figure(
            mode_figure(tables["by_mode"]),
            "Mean squared residual by mode and kind of parameter, in units of the kind's variance over all networks: 0 is "
            "determined, 1 as uncertain as a network of which nothing is known.",
        ),
    }


def mode_figure(rows: list[dict]) -> Drawing:
    """Two tables in colour: what the model and what the local fit leaves, by mode and kind."""
    modes, kinds, at = values(rows, "mode"), values(rows, "parameter"), by(rows, "mode", "parameter")
    labels = [f"mode {mode}, {at[mode, ALL]['share_of_networks']:.0%}" for mode in modes]
    most = min(1.0, max(0.2, *(row[f"left_{name}"] or 0.0 for row in rows for name in (MODEL, LOCAL))))
    look = {"cmap": "cividis_r", "vmin": 0, "vmax": most, "aspect": "auto"}
    with drawing(12.5, 0.62 * len(modes) + 1.6) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, name in zip(axes, (MODEL, LOCAL), strict=True):
            left = np.array([[at[mode, kind][f"left_{name}"] for kind in kinds] for mode in modes], dtype=float)
            image = draw_cells(ax, left, labels, kinds, "{:.2f}".format, **look)
            ax.set_title(f"Left unexplained by the {LOOKS[name][0]}")
        colour_bar(figure, image, "of the variance", ax=axes, shrink=0.9, pad=0.01)
    return figure
