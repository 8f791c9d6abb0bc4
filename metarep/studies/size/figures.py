"""Question 1 as figures: tables in, figures out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import StrMethodFormatter

from metarep.report.style import MUTED, PALETTE, EndLabel, drawing, label_ends
from metarep.studies.drawing import column, counts_along, ends, marks
from metarep.studies.size.leak import AS_MANY, SEEN, UNSEEN, binned
from metarep.studies.study import Figure

COLOURS = (PALETTE[4], PALETTE[0], PALETTE[2], PALETTE[1], PALETTE[3])
SHIFT = 1.07
"""By this factor models that have seen equally many networks are drawn apart."""

BETWEEN = "#BDBDBD"
NAMES = {SEEN: "all it saw", AS_MANY: "as many, seen", UNSEEN: "as many, unseen"}


def figures(
    tables: Mapping[str, list[dict]], sizes: list[int], largest: tuple[int, int], distances: Mapping, nearness: Mapping
) -> dict[str, Figure]:
    """The two figures of the page."""
    biggest = next(row["model"] for row in tables["sizes"] if (row["width"], row["layers"]) == largest)
    return {
        "sizes": Figure(
            sizes_figure(tables, sizes, biggest),
            "Top left: masked R² on held-out networks, with 95 % intervals over networks; hollow: on networks that the model "
            "saw; dotted: the linear-Gaussian imputer. Top right: agreement of clusters with the mode, with 95 % intervals; "
            "dotted is the best untrained model, grey what permuted labels reach. Models are side by side where they share "
            "a number of training networks. Bottom left: how far the validation loss has risen above its lowest by the last "
            f"step. Bottom right: validation (solid) and training loss (dashed) of {biggest}; the smallest and the largest "
            "number of training networks in colour, those between in grey.",
            "Masked R², agreement and overfitting by number of training networks and model size",
        ),
        "distances": Figure(
            distance_figure(tables, distances, nearness, biggest),
            "Left: the share of networks whose nearest training network is within a distance, modulo unit order and scale: "
            "held-out networks (solid) and training networks to their nearest other one (dashed). Middle: mean squared "
            f"error of {biggest} on held-out networks, eight groups from the nearest to the farthest. Right: rank "
            "correlation of error and distance to three sets of networks; memory would lift the second above the third. "
            "Grey: permuted errors.",
            "Distances between networks, and errors by distance",
        ),
    }


def sizes_figure(tables: Mapping[str, list[dict]], sizes: list[int], biggest: str) -> Drawing:
    """Four panels."""
    by_model: dict[str, list[dict]] = {}
    for row in tables["sizes"]:
        by_model.setdefault(row["model"], []).append(row)
    colours = {model: COLOURS[i % len(COLOURS)] for i, model in enumerate(by_model)}
    with drawing(12, 7.6) as figure:
        axes = figure.subplots(2, 2)
        r2_panel(axes[0, 0], by_model, colours, tables["controls"])
        ari_panel(axes[0, 1], by_model, colours, tables["controls"])
        overfit_panel(axes[1, 0], by_model, colours)
        curve_panel(axes[1, 1], [row for row in tables["curves"] if row["model"] == biggest], sizes)
        axes[1, 1].set_title(f"Losses of {biggest}")
        for ax in axes.flat[:3]:
            ax.set(xlabel="training networks")
            counts_along(ax)
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    return figure


def r2_panel(ax: Axes, by_model: Mapping[str, list[dict]], colours: Mapping, controls: list[dict]) -> None:
    """Masked R² by number of training networks."""
    labels = []
    for (model, own), x in zip(by_model.items(), side_by_side(by_model), strict=True):
        colour = colours[model]
        ax.plot(x, column(own, "r2_seen"), "o", color=colour, mfc="white", ms=5, mew=1.1)
        interval_line(ax, x, own, "r2_held_out", colour)
        labels.append(EndLabel(own[-1]["r2_held_out"], model, colour))
    imputer = [row for row in controls if row["ari"] is None]
    values = column(imputer, "r2_held_out")
    ax.plot([row["train_networks"] for row in imputer], values, color=MUTED, ls=(0, (1, 1.5)))
    labels.append(EndLabel(float(values[-1]), "linear-Gaussian", MUTED))
    shown = np.concatenate([column(own, "r2_held_out") for own in by_model.values()])
    ax.set(title="Masked parameters predicted", ylabel="masked R²", ylim=(max(-0.3, np.nanmin([*shown, 0.0]) - 0.05), 1.02))
    ax.axhline(0, color=MUTED, lw=0.7)
    label_ends(ax, labels)


def side_by_side(by_model: Mapping[str, list[dict]]) -> list[np.ndarray]:
    """Numbers of training networks, model by model, moved apart a little on a logarithmic axis."""
    shifts = np.arange(len(by_model)) - (len(by_model) - 1) / 2
    return [column(own, "train_networks") * SHIFT**shift for own, shift in zip(by_model.values(), shifts, strict=True)]


def interval_line(ax: Axes, x: np.ndarray, rows: list[dict], name: str, colour: str) -> None:
    """A line through dots that have intervals."""
    ax.plot(x, column(rows, name), color=colour, marker="o", ms=5, lw=1.3)
    ax.vlines(x, *ends(rows, name), color=colour, lw=2.4, alpha=0.5)


def ari_panel(ax: Axes, by_model: Mapping[str, list[dict]], colours: Mapping, controls: list[dict]) -> None:
    """Agreement of the clusters with the mode by number of training networks."""
    labels = []
    for (model, own), x in zip(by_model.items(), side_by_side(by_model), strict=True):
        interval_line(ax, x, own, "ari", colours[model])
        labels.append(EndLabel(own[-1]["ari"], model, colours[model]))
    untrained = max(row["ari"] for row in controls if row["ari"] is not None)
    null = max(row["ari_null"] for own in by_model.values() for row in own)
    ax.axhline(untrained, color=MUTED, ls=(0, (1, 1.5)))
    ax.axhline(null, color=MUTED, lw=0.9)
    labels += [EndLabel(untrained, "untrained", MUTED), EndLabel(null, "permuted labels", MUTED)]
    top = max(row["ari_high"] for own in by_model.values() for row in own)
    ax.set(title="Clusters found without labels", ylabel="ARI with the mode")
    ax.set_ylim(min(-0.02, untrained - 0.02), max(top, 0.1) * 1.08)
    label_ends(ax, labels)


def overfit_panel(ax: Axes, by_model: Mapping[str, list[dict]], colours: Mapping) -> None:
    """How far the validation loss has risen above its lowest by the last step."""
    for (model, own), x in zip(by_model.items(), side_by_side(by_model), strict=True):
        ax.plot(x, column(own, "overfit"), color=colours[model], marker="o", ms=5, lw=1.3)
    ax.set(title="Overfitting", ylabel="last validation loss above the best (nats)")
    ax.set_yscale("symlog", linthresh=0.05, linscale=0.6)
    ax.set_ylim(-0.005, max(0.1, 1.3 * max(max(column(own, "overfit")) for own in by_model.values())))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    handles = [ax.lines[i] for i in range(len(by_model))]
    ax.legend(handles, list(by_model), loc="upper right")


def curve_panel(ax: Axes, rows: list[dict], sizes: list[int]) -> None:
    """Losses along training for each number of training networks: the extremes in colour, the others together in grey."""
    shades = {sizes[0]: PALETTE[1], sizes[-1]: PALETTE[0]}
    labels, best = [], []
    for n in sizes:
        own = [row for row in rows if row["train_networks"] == n]
        step, valid = column(own, "step"), column(own, "valid_loss")
        look = {"color": shades.get(n, BETWEEN), "zorder": 3 if n in shades else 2}
        ax.plot(step, valid, **look)
        ax.plot(step, column(own, "train_loss"), ls=(0, (4, 2)), lw=1.1, **look)
        if n in shades:
            labels.append(EndLabel(float(valid[-1]), f"{n:,} networks", shades[n]))
        best.append(valid[0])
    losses = column(rows, "valid_loss"), column(rows, "train_loss")
    ceiling = max(np.quantile(losses[0], 0.9), max(best) if len(best) else 0.0)
    floor = min(part.min() for part in losses)
    ax.set(xlabel="step", ylabel="loss (nats)", ylim=(floor - 0.05 * (ceiling - floor), ceiling + 0.08 * (ceiling - floor)))
    label_ends(ax, labels)


def distance_figure(tables: Mapping[str, list[dict]], distances: Mapping, nearness: Mapping, biggest: str) -> Drawing:
    """Three panels: distances, error by distance, rank correlations."""
    with drawing(14.4, 4.9) as figure:
        left, middle, right = figure.subplots(1, 3)
        distance_panel(left, distances)
        shades = (PALETTE[1], PALETTE[0])
        colours = dict(zip(sorted(nearness, reverse=True), shades[::-1], strict=False))
        for n, (distance, error) in nearness.items():
            found = binned(distance, error)
            middle.plot(found[:, 0], found[:, 1], color=colours[n], marker="o", ms=4, label=f"trained on {n:,}")
            middle.fill_between(found[:, 0], found[:, 2], found[:, 3], color=colours[n], alpha=0.15, lw=0)
        highest = max(binned(*pair)[:, 3].max() for pair in nearness.values())
        middle.set(
            xscale="log", ylim=(0, 1.3 * highest), xlabel="distance to the nearest network it saw", ylabel="mean squared error"
        )
        middle.set_title(f"Errors of {biggest}")
        middle.legend(loc="upper left")
        memory_panel(right, tables["memory"], colours)
    return figure


def distance_panel(ax: Axes, distances: Mapping) -> None:
    """Distributions of distances for the smallest and the largest set of training networks."""
    low = max(1e-4, min(np.quantile(part[np.isfinite(part)], 0.002) for pair in distances.values() for part in pair))
    for n, colour in zip(dict.fromkeys((max(distances), min(distances))), (PALETTE[0], PALETTE[1]), strict=False):
        for values, style, name in zip(distances[n], ("-", (0, (3, 2))), ("held out", "training"), strict=True):
            at = np.sort(np.maximum(values, low))
            ax.plot(at, np.arange(1, len(at) + 1) / len(at), color=colour, ls=style, label=f"{name}, {n:,}")
    ax.set(xscale="log", xlabel="distance to the nearest training network (sd)", ylabel="share of networks", ylim=(0, 1.01))
    ax.set_title("Held-out networks among training networks")
    ax.legend(loc="upper left")


def memory_panel(ax: Axes, rows: list[dict], colours: Mapping) -> None:
    """Rank correlations with their intervals, and the range of the permutation null in grey."""
    banks = list(NAMES)
    for shift, n in zip((-0.12, 0.12), sorted(colours), strict=False):
        own = {row["nearest_of"]: row for row in rows if row["train_networks"] == n}
        rho = [own[bank] for bank in banks]
        marks(ax, np.arange(len(banks)) + shift, rho, "rho", color=colours[n], capsize=3, label=f"trained on {n:,}")
    null = max(row["null"] for row in rows)
    ax.axhspan(-null, null, color=MUTED, alpha=0.18, lw=0)
    ax.axhline(0, color=MUTED, lw=0.7)
    ax.set_xticks(range(len(banks)), [NAMES[bank] for bank in banks])
    ax.set(xlim=(-0.5, len(banks) - 0.5), ylabel="rank correlation", title="Error with distance to the nearest of …")
    top = max(0.3, max(row["rho_high"] for row in rows))
    ax.set_ylim(min(-null, min(row["rho_low"] for row in rows)) - 0.05, top + 0.25 * (top + 0.1))
    ax.legend(loc="upper right")
