"""Planted: networks built of 2-2-1 networks side by side; which of these a model of 2-2-1 networks finds and names."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Rectangle

from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.domains.multiplier.sections.one_hidden import all_pairs, balanced
from metarep.domains.multiplier.sections.sections import affinities, connectivity, square
from metarep.evaluation.resampling import balanced_accuracy, wilson
from metarep.report.style import DIVERGING, INK, drawing
from metarep.studies.drawing import lines_figure, series_of
from metarep.studies.multipliers import pretrained
from metarep.studies.planted.planting import (
    CLOZE,
    METHODS,
    Known,
    Outcome,
    Setting,
    draw,
    outcomes,
    prepared,
    summarised,
)
from metarep.studies.planted.text import TITLES, claims, picked, sentences
from metarep.studies.rows import Rows, by, values, where
from metarep.studies.study import Context, Figure, Result

MAX_NAMED = 2000
"""Test networks that the probe alone is measured on."""

CONTROLS = {
    ("shared", "zoo"): "The same connections for all blocks",
    ("apart", "mixed"): "Units of different networks",
    ("apart", "initial"): "Networks at initialisation",
}


def run(context: Context) -> Result:
    """Every setting by every method; then by mode, where nothing lies between the blocks."""
    config, seed = context.config.planted, context.config.seed
    model, zoo = pretrained(context)
    known = prepared(model, zoo, max_fit=config.max_fit_networks, seed=seed)
    settings = [Setting("apart", "zoo", k, sigma) for k in config.blocks for sigma in config.sigmas]
    settings += [Setting(*control, k, 0.0) for control in CONTROLS for k in config.blocks]
    sizes = {setting: max(2, config.n_blocks // setting.k) for setting in settings}
    jobs = {f"{setting}": partial(outcomes, known, setting, n, seed) for setting, n in sizes.items()}
    found = dict(zip(settings, context.side_by_side("planted", jobs), strict=True))
    draws = {"n_bootstraps": context.config.n_bootstraps, "seed": seed}
    rows = [summarised(setting, method, found[setting][method], **draws) for setting in settings for method in METHODS]
    clean = [Setting("apart", "zoo", k, min(config.sigmas)) for k in config.blocks]
    modes = by_mode([one for setting in clean for one in found[setting][CLOZE]])
    truth = label_modes(MULTIPLIER, known.params[:MAX_NAMED]).mode.astype(str)
    alone = balanced_accuracy(truth, known.probe.modes(balanced(known.params[:MAX_NAMED], known.ratio)))
    return Result(
        claims(rows),
        sentences(rows, modes, alone),
        tables={"planted": rows, "by_mode": modes},
        figures=figures(rows, known, seed),
        numbers={"usual_ratio": known.ratio, "mode_probe_balanced_accuracy": alone},
    )


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


def figures(rows: Rows, known: Known, seed: int) -> dict[str, Figure]:
    """The figures of the page; the example has the middle number of blocks, and the noise at which the model leads most."""
    clean = picked(rows)
    ks = sorted(values(clean, "k"))
    found = {
        f"{words}, {k} blocks": ("sigma", series_of(where(clean, k=k), "method", TITLES, of=metric))
        for metric, words in (("found", "Found"), ("named", "Found and named rightly"))
        for k in ks
    }
    controls = {
        title: ("k", series_of(picked(rows, *kinds), "method", TITLES, of="found")) for kinds, title in CONTROLS.items()
    }
    k = ks[len(ks) // 2]
    value = {key: row["found"] for key, row in by(clean, "method", "sigma", k=k).items()}
    sigma = max(sorted(values(clean, "sigma")), key=lambda sigma: value[CLOZE, sigma] - value["connectivity", sigma])
    example = Setting("apart", "zoo", k, sigma)
    return {
        "found": Figure(
            lines_figure(found, across=len(ks), xlabel="noise between blocks", ylim=(-0.03, 1.03)),
            "Planted blocks that are found as sections (above), and found and given their right mode (below), by the noise "
            "on the weights between blocks as a share of those within. 95 % bootstrap intervals over networks.",
        ),
        "controls": Figure(
            lines_figure(controls, xlabel="blocks", ylim=(-0.03, 1.03)),
            "Blocks taken for sections, without noise. Left: all blocks read the same two inputs and feed one output, so "
            "connections tell nothing. Middle and right: connected as blocks, but their two units come from different "
            "networks, or from no trained one; these should not be taken for sections.",
        ),
        "matrices": Figure(
            matrices_figure(known, example, seed),
            f"One network of {k} blocks with noise of {sigma:g} between them, units in the order of their blocks (squares). "
            "Left: how alike units are connected; right: what the model says of every two.",
        ),
    }


def matrices_figure(known: Known, example: Setting, seed: int) -> Drawing:
    """Likeness of connections and the model's affinity in one network, units in the order of their blocks of two."""
    planted = draw(known, example, np.random.default_rng([seed, example.k, 0]))
    order, n = np.argsort(planted.block, kind="stable"), planted.network.n_units
    connected = square(all_pairs(n), connectivity(planted.network), n)
    evidence = affinities(planted.network, known.model, known.ratio).matrix()
    panels = (
        (connected, "Connectivity alone", "likeness beyond chance"),
        (evidence, "The model", "evidence for one network (nats)"),
    )
    with drawing(9.4, 4.3) as figure:
        for ax, (matrix, title, label) in zip(figure.subplots(1, 2), panels, strict=True):
            finite = np.where(np.isfinite(matrix), matrix, np.nan)[np.ix_(order, order)]
            np.fill_diagonal(finite, np.nan)
            most = np.nanmax(finite) if np.nanmax(finite) > 0 else 1.0
            image = ax.imshow(np.clip(finite, -most, most), vmin=-most, vmax=most, cmap=DIVERGING)
            for first in range(0, n, 2):
                ax.add_patch(Rectangle((first - 0.5, first - 0.5), 2, 2, fill=False, edgecolor=INK, linewidth=1.6))
            ax.set(title=title, xticks=[], yticks=[], xlabel="hidden units")
            figure.colorbar(image, ax=ax, label=label, shrink=0.85, extend="min")
    return figure
