"""The dynamics as figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure as Drawing

from metarep.domains.multiplier.dynamics import Dynamics
from metarep.domains.multiplier.figures.dynamics_figures import (
    aligned_figure,
    along_figure,
    birth_figure,
    runs_figure,
    settings_figure,
)
from metarep.domains.multiplier.figures.flow import flow_figure, transition_figure
from metarep.domains.multiplier.loss_at_change import aligned
from metarep.domains.multiplier.mode_paths import last_change, paths, transition_counts
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.scores import scan_score
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import Runs
from metarep.studies.dynamics.retrained import LONG, RECIPE, Birth
from metarep.studies.study import Figure

REACH = 8
"""Snapshots before and behind a change of mode that are drawn."""

N_TYPICAL = 4


def figures(found: Dynamics, birth: Birth, tables: Mapping[str, list[dict]], config: DynamicsConfig) -> dict[str, Figure]:
    runs, n, modes = found.runs, len(found.runs), len(set(found.runs.mode[:, -1]))
    counts = transition_counts(runs.mode[:, 0], runs.mode[:, -1])
    along = along_figure(tables["scan_along_runs"], tables["embedding_along_runs"], runs.step, n_modes=modes)
    shown = {
        "flow": Figure(
            flow_figure(runs.mode, runs.step),
            f"The modes of {n:,} networks over training. Bars: shares at that step; ribbons: networks on their way between "
            "two bars, in the colour of the mode they come from, strong where they change it.",
        ),
        "transitions": Figure(
            transition_figure(counts, before="mode at initialisation", after=f"mode after {runs.n_steps:,} steps"),
            f"From the first to the final mode: {n:,} networks, and shares of each row.",
        ),
        "settings": Figure(
            settings_figure(tables["settings"]),
            f"Shares of the modes after {RECIPE.n_steps:,} and {LONG:,} steps at three learning rates, the same seeds; "
            "95 % Wilson intervals.",
        ),
        "birth": Figure(
            birth_figure(birth.rows, birth.importance, birth.twin_accuracy),
            "The final mode from the initialisation alone: predictors fitted on training networks, measured on test networks; "
            f"the green line is what {birth.twin_accuracy['n']:,} networks from the same start with other data reach.",
        ),
        "runs": Figure(
            typical_runs(runs),
            "Single runs, one of each of the commonest paths with a change of mode: validation error, active areas of the two "
            "hidden units and the published scan; shaded by the mode of the moment.",
        ),
        "along": Figure(
            along,
            "Left: the published scan along training, by the mode in which a run ends. Right: how well the nearest centre in "
            "the cloze embedding, fitted on finished training networks, names the mode of the moment and the final one.",
        ),
    }
    if len(found.drops.run) > 1:
        offsets, own, control = aligned(runs, found.drops, REACH)
        shown["aligned"] = Figure(
            aligned_figure(offsets, own, control, control_name=f"matched control (mean of up to {config.n_controls})"),
            f"The error around the last change of mode, {len(own):,} networks, and in networks of the same final mode whose "
            "error stood as high and whose mode does not change then.",
        )
    return shown


def typical_runs(runs: Runs) -> Drawing:
    """One run of each of the commonest paths with a change: the one whose last change comes at the median time."""
    path, change = paths(runs.mode), last_change(runs.mode)
    names, counts = np.unique(path[change > 0], return_counts=True)
    chosen = list(range(min(N_TYPICAL, len(runs)))) if not len(names) else []
    for name in names[np.argsort(-counts, kind="stable")][:N_TYPICAL]:
        own = np.flatnonzero(path == name)
        chosen.append(own[np.argsort(change[own], kind="stable")[len(own) // 2]])
    titles = [f"modes {path[i].replace('>', ' to ')}\n{runs.run_id[i]}" for i in chosen]
    scan = np.stack([scan_score(MULTIPLIER, runs.params[i]) for i in chosen])
    return runs_figure(titles, runs.step, runs.mode[chosen], runs.error[chosen], runs.active_area[chosen], scan)
