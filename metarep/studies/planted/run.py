"""Planted: networks built of 2-2-1 networks side by side; which of these a model of 2-2-1 networks finds and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Rectangle

from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.domains.multiplier.sections.one_hidden import all_pairs, balanced
from metarep.domains.multiplier.sections.sections import affinities, connectivity, square
from metarep.evaluation.resampling import balanced_accuracy, wilson
from metarep.report.style import DIVERGING, INK, MUTED, PALETTE, drawing
from metarep.studies.drawing import legend_outside, marks
from metarep.studies.multipliers import pretrained
from metarep.studies.planted.planting import (
    CLOZE,
    CONNECTIVITY,
    METHODS,
    RANDOM,
    UNTRAINED,
    Known,
    Outcome,
    Setting,
    draw,
    outcomes,
    prepared,
    summarised,
)
from metarep.studies.planted.text import TITLES, claims, picked, sentences
from metarep.studies.study import Context, Figure, Result

MAX_NAMED = 2000
"""Test networks that the probe alone is measured on."""


def run(context: Context) -> Result:
    """Every setting by every method; then by mode, where nothing lies between the blocks."""
    config, seed = context.config.planted, context.config.seed
    model, zoo = pretrained(context)
    known = prepared(model, zoo, max_fit=config.max_fit_networks, seed=seed)
    settings = [Setting("apart", "zoo", k, sigma) for k in config.blocks for sigma in config.sigmas]
    for connections, kind in (("shared", "zoo"), ("apart", "mixed"), ("apart", "initial")):
        settings += [Setting(connections, kind, k, 0.0) for k in config.blocks]
    found = measured(context, known, settings)
    rows = [
        summarised(setting, method, own[method], n_bootstraps=context.config.n_bootstraps, seed=seed)
        for setting, own in zip(settings, found, strict=True)
        for method in METHODS
    ]
    clean = [Setting("apart", "zoo", k, 0.0) for k in config.blocks]
    modes = by_mode([one for setting, own in zip(settings, found, strict=True) if setting in clean for one in own[CLOZE]])
    truth = label_modes(MULTIPLIER, known.params[:MAX_NAMED]).mode.astype(str)
    alone = balanced_accuracy(truth, known.probe.modes(balanced(known.params[:MAX_NAMED], known.ratio)))
    example = Setting("apart", "zoo", *example_of(picked(rows)))
    return Result(
        claims(rows),
        sentences(rows, modes, alone),
        tables={"planted": rows, "by_mode": modes},
        figures=figures(rows, matrices(known, example, seed), example),
        numbers={"usual_ratio": known.ratio, "mode_probe_balanced_accuracy": alone},
        shown=("planted", "by_mode"),
    )


def measured(context: Context, known: Known, settings: list[Setting]) -> list[dict[str, list[Outcome]]]:
    """The outcomes of each setting, each by a process of one thread."""
    n_blocks, seed = context.config.planted.n_blocks, context.config.seed
    found = []
    with (
        context.progress.task("planted", len(settings), "settings") as task,
        parallel_config("loky", inner_max_num_threads=1),
    ):
        parallel = Parallel(n_jobs=min(cpu_count(), len(settings)), return_as="generator")
        jobs = (delayed(outcomes)(known, setting, max(2, n_blocks // setting.k), seed) for setting in settings)
        for one in parallel(jobs):
            found.append(one)
            task.advance(1)
    return found


def by_mode(own: list[Outcome]) -> list[dict[str, Any]]:
    """A row for each mode: its blocks, the share found and, of these, named rightly, with Wilson intervals."""
    mode, found, named = (np.concatenate([getattr(o, name) for o in own]) for name in ("mode", "found", "named"))
    rows = []
    for name in MODES:
        of = mode == name
        row: dict[str, Any] = {"mode": name, "n_blocks": int(of.sum())}
        for title, count, n in (("found", found[of].sum(), of.sum()), ("named_of_found", named[of].sum(), found[of].sum())):
            low, high = wilson(int(count), int(n))
            row |= {title: float(count / n) if n else None, f"{title}_low": low, f"{title}_high": high}
        rows.append(row)
    return rows


def example_of(rows: list[dict[str, Any]]) -> tuple[int, float]:
    """Blocks and noise of the example: the middle number of blocks, the noise at which the model is furthest ahead."""
    ks = sorted({row["k"] for row in rows})
    k = ks[len(ks) // 2]
    value = {(row["method"], row["sigma"]): row["found"] for row in rows if row["k"] == k}
    sigmas = sorted({sigma for _, sigma in value})
    return k, max(sigmas, key=lambda sigma: value[CLOZE, sigma] - value["connectivity", sigma])


def matrices(known: Known, setting: Setting, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How alike units are connected, and what the model says of every two (H, H), in one network of a setting; units are in
    the order of their blocks.
    """
    planted = draw(known, setting, np.random.default_rng([seed, setting.k, 0]))
    order, n = np.argsort(planted.block, kind="stable"), planted.network.n_units
    connected = square(all_pairs(n), connectivity(planted.network), n)
    evidence = affinities(planted.network, known.model, known.ratio).matrix()
    return connected[np.ix_(order, order)], evidence[np.ix_(order, order)]


Row = Mapping[str, Any]

LOOKS = {
    CLOZE: {"color": PALETTE[0], "marker": "o"},
    CONNECTIVITY: {"color": PALETTE[1], "marker": "s"},
    UNTRAINED: {"color": PALETTE[2], "marker": "^"},
    RANDOM: {"color": MUTED, "marker": "x"},
}
SHIFT = 0.09
"""So far apart are the marks of two methods at one noise."""

CONTROLS = (
    ("shared", "zoo", "The same connections for all blocks"),
    ("apart", "mixed", "Units of different networks"),
    ("apart", "initial", "Networks at initialisation"),
)


def figures(rows: Sequence[Row], matrices: tuple[np.ndarray, np.ndarray], example: Setting) -> dict[str, Figure]:
    """The figures of the page."""
    return {
        "found": Figure(
            found_figure(picked(rows)),
            "Planted blocks that are found as sections (above), and found and given their right mode (below), by the noise "
            "on the weights between blocks as a share of those within. 95 % bootstrap intervals over networks.",
            "Lines by method over noise, a column for each number of blocks",
        ),
        "controls": Figure(
            controls_figure(rows),
            "No noise. Left: all blocks read the same two inputs and feed one output, so connections tell nothing. Middle and "
            "right: connected as blocks, but their two units come from different networks, or from no trained one; these "
            "should not be taken for sections.",
            "Dots with intervals by number of blocks and method in three panels",
        ),
        "matrices": Figure(
            matrices_figure(*matrices),
            f"One network of {example.k} blocks with noise of {example.sigma:g} between them, units in the order of their "
            "blocks (squares). Left: how alike units are connected; right: what the model says of every two.",
            "Two matrices of units by units with the planted blocks framed",
        ),
    }


def found_figure(rows: Sequence[Row]) -> Drawing:
    """Share of blocks found, and named, over noise: a column for each number of blocks, a line for each method."""
    ks = sorted({row["k"] for row in rows})
    sigmas = sorted({row["sigma"] for row in rows})
    with drawing(3.4 * len(ks) + 1.2, 5.6) as figure:
        axes = figure.subplots(2, len(ks), sharex=True, sharey=True, squeeze=False)
        for column, k in enumerate(ks):
            for ax, name in zip(axes[:, column], ("found", "named"), strict=True):
                for number, method in enumerate(METHODS):
                    own = [row for row in rows if (row["k"], row["method"]) == (k, method)]
                    at = np.array([sigmas.index(row["sigma"]) for row in own]) + SHIFT * (number - 1.5)
                    lines(ax, at, own, name, method)
                ax.set(ylim=(-0.03, 1.03))
                ax.set_xticks(range(len(sigmas)), [f"{sigma:g}" for sigma in sigmas])
            axes[0, column].set_title(f"{k} blocks")
            axes[1, column].set_xlabel("noise between blocks")
        axes[0, 0].set_ylabel("found")
        axes[1, 0].set_ylabel("found and named rightly")
        legend_outside(figure, axes[0, 0])
    return figure


def lines(ax: Axes, at: np.ndarray, own: Sequence[Row], name: str, method: str) -> None:
    """A method's line with its intervals."""
    marks(ax, at, own, name, fmt="-", lw=1.3, ms=5, elinewidth=1.2, label=TITLES[method], **LOOKS[method])


def controls_figure(rows: Sequence[Row]) -> Drawing:
    """Shared inputs and outputs, and the two controls: share of blocks taken for sections, by number of blocks and method."""
    with drawing(11, 3.4) as figure:
        axes = figure.subplots(1, len(CONTROLS), sharey=True)
        for ax, (connections, kind, title) in zip(axes, CONTROLS, strict=True):
            some = picked(rows, connections, kind)
            ks = sorted({row["k"] for row in some})
            for number, method in enumerate(METHODS):
                own = [row for row in some if row["method"] == method]
                at = np.array([ks.index(row["k"]) for row in own]) + 1.5 * SHIFT * (number - 1.5)
                lines(ax, at, own, "found", method)
            ax.set_xticks(range(len(ks)), ks)
            ax.set(xlabel="blocks", ylim=(-0.03, 1.03), title=title)
        axes[0].set_ylabel("taken for sections")
        legend_outside(figure, axes[0])
    return figure


def matrices_figure(connected: np.ndarray, evidence: np.ndarray) -> Drawing:
    """Likeness of connections and the model's affinity (H, H), units in the order of their blocks of two."""
    with drawing(9.4, 4.3) as figure:
        for ax, matrix, title, label in zip(
            figure.subplots(1, 2),
            (connected, evidence),
            ("Connectivity alone", "The model"),
            ("likeness beyond chance", "evidence for one network (nats)"),
            strict=True,
        ):
            finite = np.where(np.isfinite(matrix), matrix, np.nan)
            np.fill_diagonal(finite, np.nan)
            most = np.nanmax(finite) if np.nanmax(finite) > 0 else 1.0
            image = ax.imshow(np.clip(finite, -most, most), vmin=-most, vmax=most, cmap=DIVERGING)
            for first in range(0, len(matrix), 2):
                ax.add_patch(Rectangle((first - 0.5, first - 0.5), 2, 2, fill=False, edgecolor=INK, linewidth=1.6))
            ax.set(title=title, xticks=[], yticks=[], xlabel="hidden units")
            figure.colorbar(image, ax=ax, label=label, shrink=0.85, extend="min")
    return figure
