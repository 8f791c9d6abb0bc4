"""The report's charts: tables in, figures out. Nothing here loads, computes a result or shows.

Rows are labelled where they stand instead of in a legend where that is possible, what is
compared shares an axis, and intervals are drawn wherever a table has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metarep.report.results import group_of, title_of
from metarep.report.style import FAINT, INK, MODE_COLOURS, MUTED, PALETTE, use_style

GROUP_COLOURS = {"cloze": PALETTE[0], "untrained": PALETTE[4], "baseline": MUTED, "oracle": INK}
GROUP_TITLES = {"cloze": "cloze embedding", "untrained": "untrained encoder", "baseline": "baseline", "oracle": "oracle"}
GROUP_MARKERS = {"cloze": "o", "untrained": "s", "baseline": "D", "oracle": "*"}
PREDICTOR_STYLES = {
    "cloze": (PALETTE[0], "o"),
    "linear_gaussian": (PALETTE[1], "s"),
    "unit_norm": (PALETTE[3], "^"),
    "mean": (MUTED, "D"),
}
LEAST_SHOWN = -1.0
"""R² below this is drawn at the margin, with its value in words."""

BEHIND = "#C4C4C4"
"""What is there to be compared with, not to be read first."""

RIDGE_BINS = 90
RIDGE_HEIGHT = 0.82


def zoo_figure(rows: Sequence[dict], mode: np.ndarray, error: np.ndarray) -> Figure:
    """Shares of the modes with intervals, and how the validation errors (N,) of networks of mode (N,) spread."""
    with use_style():
        figure = Figure(figsize=(10, 0.72 * len(rows) + 1.2), layout="constrained")
        shares, losses = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.35))
        at = np.arange(len(rows))
        for y, row in zip(at, rows, strict=True):
            shares.barh(y, row["share"], color=MODE_COLOURS[row["mode"]], height=0.62)
            shares.plot([row["low"], row["high"]], [y, y], color=INK, lw=1.4, solid_capstyle="butt")
            text = f"{row['share']:.1%}  ({row['n']:,})"
            shares.annotate(text, (row["high"], y), (7, 0), textcoords="offset points", va="center", color=INK)
        shares.set(yticks=at, yticklabels=[f"mode {row['mode']}" for row in rows], ylim=(len(rows) - 0.5, -0.68))
        shares.set(xlim=(0, 1.45 * max(row["high"] for row in rows)), xlabel="share of networks, 95 % interval")
        shares.set_title("How often each mode is learned")
        shares.xaxis.set_major_formatter("{x:.0%}")
        values = [np.log10(np.maximum(error[mode == row["mode"]], 1e-12)) for row in rows]
        ridges(losses, values, [MODE_COLOURS[row["mode"]] for row in rows], at + 0.31)
        losses.set(xlabel="validation error (mean squared), log scale")
        low, high = losses.get_xlim()
        ticks = [k for k in range(math.floor(low), math.ceil(high) + 1) if low <= k <= high]
        losses.set(xticks=ticks, xticklabels=[f"$10^{{{k}}}$" for k in ticks], xlim=(low, high))
        minor = [k + math.log10(m) for k in range(math.floor(low), math.ceil(high)) for m in range(2, 10)]
        losses.set_xticks([x for x in minor if low <= x <= high], minor=True)
        losses.set_title("How well it multiplies; the tick is the median")
        _bare_left(shares, losses)
        shares.tick_params(axis="y", labelsize=10, labelcolor=INK)
    return figure


def ridges(ax: Axes, values: Sequence[np.ndarray], colours: Sequence[str], feet: np.ndarray) -> None:
    """A histogram for each of some samples, one above the other (the y axis points down), each of the same height."""
    everything = np.concatenate(values)
    low, high = np.quantile(everything, [0.001, 0.999])
    pad = 0.03 * (high - low) + 1e-9
    edges = np.linspace(low - pad, high + pad, RIDGE_BINS + 1)
    for sample, colour, foot in zip(values, colours, feet, strict=True):
        density = np.histogram(np.clip(sample, edges[0], edges[-1]), edges)[0].astype(float)
        density *= RIDGE_HEIGHT / max(density.max(), 1)
        ax.stairs(foot - density, edges, baseline=foot, fill=True, color=colour, alpha=0.85, lw=0)
        ax.plot(edges[[0, -1]], [foot, foot], color=MUTED, lw=0.6)
        ax.plot([np.median(sample)] * 2, [foot - 0.12, foot + 0.12], color=INK, lw=2.4, solid_capstyle="butt")


def training_figure(log: Sequence[dict]) -> Figure:
    """The pretraining curve: losses, and the masked R² on validation networks; the best step is marked."""
    step = np.array([row["step"] for row in log])
    columns = {name: np.array([row[name] for row in log], float) for name in ("train_loss", "valid_loss", "valid_r2")}
    best = int(np.nanargmin(columns["valid_loss"]))
    with use_style():
        figure = Figure(figsize=(10, 3.5), layout="constrained")
        losses, r2 = figure.subplots(1, 2)
        losses.plot(step, columns["train_loss"], color=MUTED, ls=(0, (4, 2)), label="training")
        losses.plot(step, columns["valid_loss"], color=PALETTE[0], label="validation")
        losses.legend(loc="upper right")
        losses.set_title(f"Loss, at best {_signed(columns['valid_loss'][best], 3)}")
        r2.plot(step, columns["valid_r2"], color=PALETTE[0])
        r2.set_title(f"Masked R² on validation networks, {_signed(columns['valid_r2'][best], 3)} there")
        for ax, name in ((losses, "valid_loss"), (r2, "valid_r2")):
            ax.plot(step[best], columns[name][best], "o", ms=8, mfc="white", mec=PALETTE[0], mew=2, zorder=4)
            ax.set_xlabel("training step")
            ax.grid(axis="y", color=FAINT)
    return figure


def masked_figure(rows: Sequence[dict]) -> Figure:
    """Masked R² of the cloze model and the simple predictors, by parameter and by mode, with intervals over networks."""
    panels = [("kind of parameter", ["all", "kind", "parameter"]), ("mode of the network", ["mode"])]
    with use_style():
        names = [list(dict.fromkeys((r["group"], r["value"]) for r in rows if r["group"] in groups)) for _, groups in panels]
        figure = Figure(figsize=(10, 0.42 * max(map(len, names)) + 1.5), layout="constrained")
        for ax, (title, _), own in zip(figure.subplots(1, 2, sharex=True), panels, names, strict=True):
            for y, (group, value) in enumerate(own):
                _dumbbell(ax, y, {r["predictor"]: r for r in rows if (r["group"], r["value"]) == (group, value)})
            ax.set(yticks=range(len(own)), yticklabels=[_slot_title(*name) for name in own])
            ax.set_ylim(max(map(len, names)) - 0.4, -0.6)
            ax.axvline(0, color=MUTED, lw=0.8, zorder=0)
            ax.set_title(f"By {title}")
            ax.set_xlabel("masked R² on test networks")
            ax.tick_params(axis="y", labelcolor=INK, labelsize=10, length=0)
            ax.grid(axis="x", color=FAINT)
            ax.set_axisbelow(True)
            ax.spines["left"].set_visible(False)
        used = [name for name in PREDICTOR_STYLES if any(r["predictor"] == name for r in rows)]
        figure.legend(handles=[_key(title_of(n), *PREDICTOR_STYLES[n]) for n in used], ncols=4, loc="outside upper left")
    return figure


def _dumbbell(ax: Axes, y: float, rows: Mapping[str, dict]) -> None:
    shown = {name: max(row["r2"], LEAST_SHOWN) for name, row in rows.items() if np.isfinite(row["r2"])}
    if not shown:
        return
    ax.plot([min(shown.values()), max(shown.values())], [y, y], color=FAINT, lw=5, solid_capstyle="round", zorder=1)
    for name, value in shown.items():
        colour, marker = PREDICTOR_STYLES[name]
        ends = [max(rows[name].get(end, np.nan), LEAST_SHOWN) for end in ("low", "high")]
        ax.plot(ends, [y, y], color=colour, lw=2.6, alpha=0.7, zorder=2, solid_capstyle="butt")
        ax.plot(value, y, marker, color=colour, ms=8, zorder=3, mec="white", mew=0.8)


def _slot_title(group: str, value: str) -> str:
    if group == "mode":
        return f"mode {value}"
    if group == "parameter":
        kind, number = ("weight", value[1]) if value[0] == "w" else ("bias", value[1])
        return f"layer {int(number) + 1} {kind} {value[2:]}"
    return {"all": "all parameters", "weight": "all weights", "bias": "all biases"}.get(value, value)


WIDEST_TOLD = 0.45
"""An interval wider than this is not drawn, nor what else is measured on the same networks."""

PROBE_RANGE = (0.15, 0.998)
"""Accuracies beyond stand at its edge."""
PROBE_TICKS = (0.2, 0.5, 0.8, 0.95, 0.99)


def comparison_figure(chosen: Mapping[str, dict], probes: Sequence[tuple[str, Mapping[str, dict]]]) -> Figure:
    """Every representation in a row: the ARI of k-means with the modes, and further panels (title, rows) of probes.

    Intervals are 95 % over test networks; a short grey tick is what chance gives in 95 of 100 draws. Accuracies
    stand on a logit scale, so that 0.98 and 0.99 are as far apart as 0.5 and 0.67.
    """
    names = sorted(chosen, key=lambda name: -chosen[name]["ari"])
    with use_style():
        figure = Figure(figsize=(10.5, 0.37 * len(names) + 1.5), layout="constrained")
        axes = figure.subplots(1, 1 + len(probes), sharey=True, width_ratios=(1.5, *(1 for _ in probes)), squeeze=False)[0]
        for y, name in enumerate(names):
            row = chosen[name]
            _interval(axes[0], y, group_of(name), row["ari"], row["ari_low"], row["ari_high"], row["null_ari_p95"])
            for ax, (_, scores) in zip(axes[1:], probes, strict=True):
                if name in scores:
                    values = [scores[name][key] for key in ("mean", "low", "high", "null_p95")]
                    _interval(ax, y, group_of(name), *np.clip(values, *PROBE_RANGE))
        axes[0].set(yticks=range(len(names)), ylim=(len(names) - 0.4, -0.6), xlabel="adjusted Rand index")
        axes[0].set_yticklabels([f"{title_of(name)},  k = {chosen[name]['k']}" for name in names])
        for ax, title in zip(axes, ["k-means against the modes", *(title for title, _ in probes)], strict=True):
            ax.set_title(title)
        for ax in axes[1:]:
            ax.set(xscale="logit", xlabel="balanced accuracy")
            ax.set(xlim=(PROBE_RANGE[0] * 0.9, 1 - 0.9 * (1 - PROBE_RANGE[1])), xticks=PROBE_TICKS)
            ax.set_xticklabels([f"{tick:g}" for tick in PROBE_TICKS], fontsize=8)
            ax.minorticks_off()
        axes[0].set_xlim(min(-0.01, axes[0].get_xlim()[0]), None)
        _striped(axes, len(names))
        groups = [group for group in GROUP_COLOURS if any(group_of(name) == group for name in names)]
        keys = [_key(GROUP_TITLES[g], GROUP_COLOURS[g], GROUP_MARKERS[g]) for g in groups]
        keys.append(Line2D([], [], color=MUTED, marker="|", ls="", ms=11, mew=1.6, label="chance, 95th percentile"))
        figure.legend(handles=keys, ncols=len(keys), loc="outside upper left")
    return figure


def _interval(ax: Axes, y: float, group: str, value: float, low: float, high: float, null: float) -> None:
    colour = GROUP_COLOURS[group]
    ax.plot([null, null], [y - 0.26, y + 0.26], color=MUTED, lw=1.6, zorder=2, alpha=0.8)
    ax.plot([low, high], [y, y], color=colour, lw=2.6, zorder=3, solid_capstyle="butt", alpha=0.7)
    size = 12 if GROUP_MARKERS[group] == "*" else 7.5
    ax.plot(value, y, GROUP_MARKERS[group], color=colour, ms=size, mec="white", mew=0.8, zorder=4)


def k_figure(curves: Mapping[str, Sequence[tuple[int, float]]], chosen: Mapping[str, dict], n_modes: int) -> Figure:
    """The ARI of k-means by the number of clusters, a line a representation; rings are the chosen k.

    The first representation of each group, and raw parameters, are in colour; the others stay behind in grey.
    """
    drawn = {name: np.array(points, float) for name, points in curves.items() if points}
    looks = _line_looks(list(drawn))
    ticks = sorted({int(k) for points in drawn.values() for k in points[:, 0]})
    with use_style():
        figure = Figure(figsize=(10, 4.8), layout="constrained")
        ax = figure.subplots()
        for name, points in drawn.items():
            look = looks[name]
            ax.plot(*points.T, **look)
            here = points[points[:, 0] == chosen[name]["k"]]
            size = {"ms": 6, "mew": 1.3} if look["zorder"] == 1 else {"ms": 9, "mew": 2.2}
            ax.plot(*here.T, "o", mfc="white", mec=look["color"], zorder=look["zorder"] + 2, **size)
        low, high = ax.get_ylim()
        ends = [points[-1, 1] for points in drawn.values()]
        heights = spread_labels(ends, (high - low) / 18)
        ax.set_ylim(min(low, min(heights)), max(high, max(heights)))
        for name, end, height in zip(drawn, ends, heights, strict=True):
            colour = MUTED if looks[name]["zorder"] == 1 else looks[name]["color"]
            arrow = {
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.7,
                "alpha": 0.6,
                "shrinkA": 2,
                "shrinkB": 5,
                "relpos": (0, 0.5),
            }
            at = {"xy": (ticks[-1], end), "xytext": (ticks[-1] * 1.12, height), "va": "center", "fontsize": 9.5}
            weight = "normal" if looks[name]["zorder"] == 1 else "bold"
            ax.annotate(title_of(name), **at, color=colour, weight=weight, arrowprops=arrow)
        ax.set(xscale="log", xticks=ticks, xticklabels=ticks, xlim=(ticks[0] * 0.95, ticks[-1] * 1.62))
        ax.minorticks_off()
        ax.axvline(n_modes, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=0)
        note = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "color": MUTED, "fontsize": 9}
        ax.annotate("as many clusters as modes", (n_modes, 1), (4, -4), va="top", **note)
        there = {name: points[points[:, 0] == n_modes, 1].max(initial=-1) for name, points in drawn.items()}
        best = max(there, key=there.__getitem__)
        if looks[best]["zorder"] == 1 and there[best] > -1:  # a grey line that says something has its name at its height too
            low, high = ax.get_ylim()
            ax.set_ylim(low, max(high, there[best] + 0.12 * (high - low)))
            note |= {"xycoords": "data", "fontsize": 8.5}
            ax.annotate(title_of(best), (n_modes, there[best]), (8, 3), **note)
        ax.set(xlabel="number of clusters k", ylabel="adjusted Rand index with the modes")
        ax.grid(axis="y", color=FAINT, lw=0.6)
        ax.spines["bottom"].set_bounds(ticks[0], ticks[-1])
    return figure


def _line_looks(names: Sequence[str]) -> dict[str, dict]:
    """A line's look for each representation: the first of each group in its colour, of baselines raw; the others behind."""
    groups = {name: group_of(name) for name in names}
    first = {group: name for name, group in reversed(groups.items()) if group != "baseline"} | {"baseline": "raw"}
    looks = {}
    for name, group in groups.items():
        front = {"color": GROUP_COLOURS[group], "lw": 2.6, "zorder": 3}
        looks[name] = front if first[group] == name else {"color": BEHIND, "lw": 1.3, "zorder": 1}
    return looks


def spread_labels(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights as near to the wanted ones as they come with at least `gap` between any two, in the same order."""
    order = np.argsort(wanted, kind="stable")
    groups: list[list[float]] = []  # [middle, how many]
    for value in np.asarray(wanted, float)[order]:
        groups.append([value, 1])
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2:
            (b, m), (a, n) = groups.pop(), groups.pop()
            groups.append([(a * n + b * m) / (n + m), n + m])
    flat = [middle + gap * (i - (n - 1) / 2) for middle, n in groups for i in range(int(n))]
    placed = np.empty(len(flat))
    placed[order] = flat
    return placed.tolist()


def scan_figure(scores: Sequence[dict], roc: Sequence[dict], rows: Sequence[dict]) -> Figure:
    """How the hand-built score spreads by mode and for random initialisations, and the ROC curves for mode 3."""
    by_mode: dict[str, list[float]] = {}
    for row in scores:
        by_mode.setdefault(row["mode"], []).append(float(row["score"]))
    names = sorted(by_mode, key=lambda name: (name != "3", name != "random", name))
    auc = {row["negative"]: row for row in rows}
    with use_style():
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        spread, curves = figure.subplots(1, 2, width_ratios=(1.15, 1))
        feet = np.arange(len(names)) + 0.31
        ridges(spread, [np.array(by_mode[name]) for name in names], [MODE_COLOURS[name] for name in names], feet)
        spread.set(yticks=np.arange(len(names)), yticklabels=[_class_title(name) for name in names])
        spread.set(ylim=(len(names) - 0.5, -0.68), xlabel="scan score")
        spread.set_title("The score by what the network is")
        _bare_left(spread)
        spread.tick_params(axis="y", labelcolor=INK, labelsize=10)
        curves.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)))
        for name, row in auc.items():
            points = np.array([(r["fpr"], r["tpr"]) for r in roc if r["negative"] == name], float)
            all_others = name not in MODE_COLOURS
            look = {"color": INK, "ls": (0, (1, 1)), "lw": 2.4} if all_others else {"color": MODE_COLOURS[name], "lw": 2.2}
            curves.plot(*points.T, label=f"{_class_title(name)}: {float(row['auc']):.2f}", **look)
        curves.set(aspect="equal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        curves.set(xlabel="share of the others above the threshold", ylabel="share of mode 3 above it")
        curves.set_title("Mode 3 against")
        curves.legend(title="area under the curve", alignment="left", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _class_title(name: str) -> str:
    return {"random": "random start", "other modes": "all other modes"}.get(name, f"mode {name}")


def transfer_figure(rows: Sequence[dict], titles: Mapping[str, str], metrics: Mapping[str, str]) -> Figure:
    """A panel for each of `metrics` {name: title}, a row for each target of `titles`, what is compared side by side."""
    shown = {metric: [r for r in rows if r["metric"] == metric] for metric in metrics}
    shown = {metric: own for metric, own in shown.items() if own}
    names = list(dict.fromkeys(row["representation"] for row in rows))
    looks = {name: PREDICTOR_STYLES.get(name) or _marker_in_group(names, name) for name in names}
    targets = list(titles)
    with use_style():
        figure = Figure(figsize=(11, 0.85 * len(targets) + 1.7), layout="constrained")
        axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for ax, (metric, own) in zip(axes, shown.items(), strict=True):
            present = [name for name in names if any(r["representation"] == name for r in own)]
            telling = {t for t in targets if not any(r["target"] == t and _tells_nothing(r) for r in own)}
            for target in {row["target"] for row in own} - telling:
                place = {"transform": ax.get_yaxis_transform(), "ha": "center", "va": "center"}
                ax.text(0.5, targets.index(target), "interval too wide", color=MUTED, fontsize=8, **place)
            for row in (row for row in own if row["target"] in telling):
                shift = 0.78 / max(3, len(present)) * (present.index(row["representation"]) - (len(present) - 1) / 2)
                _transfer_mark(ax, targets.index(row["target"]) + shift, row, *looks[row["representation"]])
            low = min(0.0, *(max(float(r["value"]), LEAST_SHOWN) for r in own))
            ax.set(xlim=(low - (0.12 if low < 0 else 0.02), 1.04), ylim=(len(targets) - 0.4, -0.6))
            ax.set_title(metrics[metric], fontsize=10)
            ax.axvline(0, color=MUTED, lw=0.8, zorder=0)
        axes[0].set(yticks=range(len(targets)), yticklabels=[titles[t] for t in targets])
        _striped(axes, len(targets))
        alike = {look: ", ".join(title_of(n) for n in names if looks[n] == look) for look in looks.values()}
        keys = [_key(label, *look) for look, label in alike.items()]
        keys.append(
            Line2D([], [], color=MUTED, marker="|", ls="", ms=10, mew=1.6, label="shuffled predictions, 95th percentile")
        )
        figure.legend(handles=keys, ncols=len(keys), loc="outside upper left")
    return figure


def _tells_nothing(row: dict) -> bool:
    """Whether an interval is so wide that the figure hangs on a network or two."""
    return float(row["high"]) - float(row["low"]) > WIDEST_TOLD


def _marker_in_group(names: Sequence[str], name: str) -> tuple[str, str]:
    """The group's colour, and a marker that tells a representation from the others of its group."""
    group = group_of(name)
    own = [other for other in names if group_of(other) == group and other not in PREDICTOR_STYLES]
    return GROUP_COLOURS[group], (GROUP_MARKERS[group], "^", "v", "P")[own.index(name) % 4]


def _transfer_mark(ax: Axes, y: float, row: dict, colour: str, marker: str) -> None:
    value, low, high, null = (float(row[key]) for key in ("value", "low", "high", "null_p95"))
    if null >= LEAST_SHOWN:
        ax.plot([null, null], [y - 0.11, y + 0.11], color=MUTED, lw=1.6, zorder=2, alpha=0.8)
    if value < LEAST_SHOWN:
        ax.plot(LEAST_SHOWN, y, "<", color=colour, ms=7, zorder=4)
        ax.annotate(_signed(value), (LEAST_SHOWN, y), (8, 0), textcoords="offset points", va="center", color=colour)
        return
    ax.plot([max(low, LEAST_SHOWN), high], [y, y], color=colour, lw=2.6, alpha=0.7, zorder=3, solid_capstyle="butt")
    ax.plot(value, y, marker, color=colour, ms=7.5, mec="white", mew=0.8, zorder=4)


def _signed(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def _striped(axes: Sequence[Axes], n_rows: int) -> None:
    for ax in axes:
        for y in range(0, n_rows, 2):
            ax.axhspan(y - 0.5, y + 0.5, color="#F5F5F2", lw=0, zorder=-1)
        ax.grid(axis="x", color=FAINT, lw=0.6)
        ax.set_axisbelow(True)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0, labelsize=10, labelcolor=INK)


def _bare_left(*axes: Axes) -> None:
    for ax in axes:
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)


def _key(label: str, colour: str, marker: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, ls="", ms=12 if marker == "*" else 8, mec="white", label=label)
