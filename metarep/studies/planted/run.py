"""Planted: networks built of 2-2-1 networks side by side; which of these a model of 2-2-1 networks finds and names."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config

from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.domains.multiplier.sections.one_hidden import all_pairs, balanced
from metarep.domains.multiplier.sections.sections import affinities, connectivity, square
from metarep.evaluation.resampling import balanced_accuracy, wilson
from metarep.studies.multipliers import pretrained
from metarep.studies.planted.figures import figures
from metarep.studies.planted.planting import CLOZE, METHODS, Known, Outcome, Setting, draw, outcomes, prepared, summarised
from metarep.studies.planted.text import claims, picked, sentences
from metarep.studies.study import Context, Result

MAX_NAMED = 2000
"""Test networks that the probe alone is measured on."""


def run(context: Context) -> Result:
    """Every setting by every method; then by mode, where nothing lies between the blocks."""
    config, seed = context.config.planted, context.config.seed
    model, zoo = pretrained(context)
    known = prepared(model, zoo, max_fit=config.max_fit_networks, seed=seed)
    settings = all_settings(config.blocks, config.sigmas)
    found = measured(context, known, settings)
    rows = [
        summarised(setting, method, own[method], n_bootstraps=context.config.n_bootstraps, seed=seed)
        for setting, own in zip(settings, found, strict=True)
        for method in METHODS
    ]
    clean = [own[CLOZE] for setting, own in zip(settings, found, strict=True) if is_clean(setting)]
    modes = by_mode([outcome for own in clean for outcome in own])
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


def all_settings(blocks: tuple[int, ...], sigmas: tuple[float, ...]) -> list[Setting]:
    """Every number of blocks at every noise; and without noise shared inputs and outputs, strangers and initialisations."""
    own = [Setting("apart", "zoo", k, sigma) for k in blocks for sigma in sigmas]
    own += [Setting("shared", "zoo", k, 0.0) for k in blocks]
    return own + [Setting("apart", kind, k, 0.0) for kind in ("strangers", "initial") for k in blocks]


def is_clean(setting: Setting) -> bool:
    """Whether blocks of the zoo lie apart without noise."""
    return (setting.connections, setting.kind, setting.sigma) == ("apart", "zoo", 0.0)


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
