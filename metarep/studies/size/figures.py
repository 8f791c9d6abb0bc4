"""Question 1 as figures: tables in, figures out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.report.style import MUTED, PALETTE, drawing
from metarep.studies.drawing import Series, draw_lines, legend_outside, lines_figure, series_of
from metarep.studies.rows import values, where
from metarep.studies.size.leak import AS_MANY, SEEN, UNSEEN, binned
from metarep.studies.study import Figure

COLOURS = (PALETTE[1], PALETTE[0])
"""Of the smallest and the largest number of training networks."""

SHORT = {SEEN: "all it saw", AS_MANY: "as many, seen", UNSEEN: "as many, unseen"}


def figures(
    tables: Mapping[str, list[dict]], sizes: list[int], biggest: str, distances: Mapping, nearness: Mapping
) -> dict[str, Figure]:
    return {
        "sizes": Figure(
            sizes_figure(tables, sizes, biggest),
            "By number of training networks, with 95 % intervals over networks: masked R² on held-out networks, dashed on "
            "those that the model saw, grey the linear-Gaussian imputer; agreement of clusters with the mode, grey the best "
            "untrained model, ticks what permuted labels reach; how far the validation loss has risen above its lowest by "
            f"the last step; and the losses of {biggest} along training, validation (lines) and training (dashed).",
        ),
        "distances": Figure(
            distance_figure(tables["memory"], distances, nearness, biggest),
            "Left: the share of networks whose nearest training network is within a distance, modulo unit order and scale: "
            "held-out networks (solid) and training networks to their nearest other one (dashed). Middle: mean squared "
            f"error of {biggest} on held-out networks, eight groups from the nearest to the farthest. Right: rank "
            "correlation of error and distance to three sets of networks; memory would lift the second above the third. "
            "Ticks: permuted errors.",
        ),
    }


def sizes_figure(tables: Mapping[str, list[dict]], sizes: list[int], biggest: str) -> Drawing:
    """Three panels by number of training networks, and losses by step."""
    rows, controls = tables["sizes"], tables["controls"]
    titles = {model: model for model in values(rows, "model")}
    seen = [Series("", one.rows, one.colour, of="r2_seen", dashed=True) for one in series_of(rows, "model", titles)]
    imputer = Series("linear-Gaussian", where(controls, ari=None), MUTED, of="r2_held_out", dashed=True)
    untrained = max(row["ari"] for row in controls if row["ari"] is not None)
    flat = Series("untrained", [{"train_networks": n, "ari": untrained} for n in sizes], MUTED, of="ari", dashed=True)
    losses = []
    for n, colour in zip(dict.fromkeys((sizes[0], sizes[-1])), COLOURS, strict=False):
        own = where(tables["curves"], model=biggest, train_networks=n)
        losses += [Series(f"{n:,} networks", own, colour, "", of="valid_loss")]
        losses += [Series("", own, colour, of="train_loss", dashed=True)]
    of_n = "train_networks"
    panels = {
        "Masked R²": (of_n, [*series_of(rows, "model", titles, of="r2_held_out"), *seen, imputer]),
        "Clusters: ARI with the mode": (of_n, [*series_of(rows, "model", titles, of="ari", null="ari_null"), flat]),
        "Loss above its lowest at the end (nats)": (of_n, series_of(rows, "model", titles, of="overfit")),
        f"Losses of {biggest} (nats)": ("step", losses),
    }
    return lines_figure(panels, across=2)


def distance_figure(memory: list[dict], distances: Mapping, nearness: Mapping, biggest: str) -> Drawing:
    """Three panels: distances, error by distance, rank correlations."""
    with drawing(14.4, 4.6) as figure:
        left, middle, right = figure.subplots(1, 3)
        low = max(1e-4, min(np.quantile(part[np.isfinite(part)], 0.002) for pair in distances.values() for part in pair))
        for n, colour in zip(dict.fromkeys((min(distances), max(distances))), COLOURS, strict=False):
            for found, style, name in zip(distances[n], ("-", (0, (3, 2))), ("held out", "training"), strict=True):
                share = np.arange(1, len(found) + 1) / len(found)
                left.plot(np.sort(np.maximum(found, low)), share, color=colour, ls=style, label=f"{name}, {n:,}")
        left.set(xscale="log", xlabel="distance to the nearest training network (sd)", ylabel="share of networks")
        left.legend(loc="upper left")
        for (n, pair), colour in zip(nearness.items(), COLOURS, strict=False):
            at, error, *ends = binned(*pair).T
            middle.plot(at, error, color=colour, marker="o", ms=4, label=f"trained on {n:,}")
            middle.fill_between(at, *ends, color=colour, alpha=0.15, lw=0)
        middle.set(xscale="log", ylim=0, xlabel="distance to the nearest network it saw", ylabel="mean squared error")
        middle.set_title(f"Errors of {biggest}")
        rows = [row | {"bank": SHORT[row["nearest_of"]]} for row in memory]
        trained = {n: f"trained on {n:,}" for n in nearness}
        looks = {"of": "rho", "null": "null"}
        series = [
            Series(t, where(rows, train_networks=n), c, **looks) for (n, t), c in zip(trained.items(), COLOURS, strict=False)
        ]
        draw_lines(right, series, "bank")
        right.set(title="Error with distance to the nearest of …", ylabel="rank correlation")
        legend_outside(figure, [right])
    return figure
