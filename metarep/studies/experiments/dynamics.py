"""How modes arise: the way through training, what decides at birth, longer training and other learning rates.

Nothing was published about it. The snapshots are `n_snapshot_networks` networks of the recipe; the start is judged
on the networks that the experiments share; other settings train a fifth of the snapshot networks again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from metarep.domains.multiplier.birth import birth_rows, twin_modes, twin_rows
from metarep.domains.multiplier.dynamics import SIGNIFICANT, Dynamics, embedding_rows, follow, sentences, tables_of
from metarep.domains.multiplier.figures.dynamics_figures import (
    aligned_figure,
    along_figure,
    birth_figure,
    runs_figure,
    settings_figure,
)
from metarep.domains.multiplier.figures.flow import flow_figure, transition_figure
from metarep.domains.multiplier.loss_at_change import aligned
from metarep.domains.multiplier.mode_paths import last_change, paths, share_row, transition_counts
from metarep.domains.multiplier.modes import MODES, MULTIPLIER
from metarep.domains.multiplier.recipes import VARIANTS
from metarep.domains.multiplier.scan import scan_score
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import Runs, read_runs
from metarep.evaluation.resampling import balanced_accuracy
from metarep.report.wording import listed
from metarep.studies.experiment import Claim, Context, Picture, Result
from metarep.studies.experiments.small_model import small_model
from metarep.training.recipe import Plan
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo

RECIPE = VARIANTS["e09"]
LONG = 10 * RECIPE.n_steps
LEARNING_RATES = (1e-4, RECIPE.lr, 1e-2)
SETTINGS_SHARE = 5
"""One of so many snapshot networks is trained again under other settings."""

N_NULLS = 3
MAX_TWINS = 1000
REACH = 8
"""Snapshots before and behind a change of mode that are drawn."""

N_TYPICAL = 4


@dataclass(frozen=True)
class Settings:
    """Other settings: shares of modes for each, and the pairs of modes (N,) after RECIPE.n_steps and after LONG."""

    shares: list[dict]
    pairs: dict[float, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Birth:
    """What the initialisation says: the tables of `birth_rows`, and twins with their balanced accuracy."""

    rows: list[dict]
    importance: list[dict]
    twins: list[dict]
    twin_accuracy: dict


def run(context: Context) -> Result:
    """The dynamics of modes, as numbers, tables and pictures."""
    config = context.config
    zoo = _zoo(context, "snapshots", config.n_snapshot_networks, n_snapshots=config.n_snapshots)
    own = DynamicsConfig(seed=config.seed, n_bootstraps=config.n_bootstraps)
    found = follow(own, read_runs(zoo))
    birth = study_birth(context, context.multipliers())
    settings = study_settings(context, zoo)
    model = small_model(context)
    tables = tables_of(found)
    tables["embedding_along_runs"] = embedding_rows(own, found.runs, model.path, device="cpu")
    tables |= {
        "birth": birth.rows,
        "birth_importance": birth.importance,
        "twins": birth.twins,
        "settings": settings.shares,
        "longer_training": pair_rows(settings),
        "left_by_longer_training": leaving_rows(settings),
    }
    words = (
        *sentences(found.metrics),
        embedding_sentence(tables["embedding_along_runs"]),
        *birth_sentences(birth),
        *settings_sentences(settings),
    )
    drawn = pictures(found, birth, settings, own)
    drawn["along"] = along_picture(tables, found)
    return Result(
        claims=claims(found, birth, settings),
        sentences=words,
        tables={name: rows for name, rows in tables.items() if rows},
        pictures=drawn,
        numbers={"dynamics": found.metrics, "twin_balanced_accuracy": birth.twin_accuracy},
        shown=("birth", "twins", "settings", "left_by_longer_training"),
        inputs={"model": model},
    )


def _zoo(context: Context, name: str, n: int, *, n_snapshots: int = 0, n_steps: int | None = None, lr: float | None = None):
    family = {"variant": RECIPE.name, "n_networks": n, "n_steps": n_steps, "lr": lr}
    return context.zoo(name, ZooConfig(families=[family], n_snapshots=n_snapshots, seed=context.config.seed))


def study_birth(context: Context, zoo: Zoo) -> Birth:
    """Predictors from the initialisation, and twins, on the finished networks of a zoo."""
    zoo = zoo.select(zoo["mode"] != "")
    seed, n_bootstraps = context.config.seed, context.config.n_bootstraps
    rows, importance = birth_rows(zoo, n_bootstraps=n_bootstraps, n_nulls=N_NULLS, seed=seed)
    plan = Plan(MULTIPLIER, RECIPE.input_distribution, RECIPE.lr, RECIPE.n_steps)
    initial, final, twin = twin_modes(zoo, plan, n=min(MAX_TWINS, len(zoo)), seed=seed)
    rng = np.random.default_rng([seed, 5])
    draws = rng.integers(0, len(final), (n_bootstraps, len(final)))
    low, high = np.quantile([balanced_accuracy(final[i], twin[i]) for i in draws], [0.025, 0.975])
    accuracy = {"value": balanced_accuracy(final, twin), "low": float(low), "high": float(high), "n": len(final)}
    return Birth(rows, importance, twin_rows(initial, final, twin), accuracy)


def study_settings(context: Context, snapshots: Zoo) -> Settings:
    """The same seeds under every learning rate, for RECIPE.n_steps and LONG steps."""
    n = max(50, context.config.n_snapshot_networks // SETTINGS_SHARE)
    shares, pairs = [], {}
    for lr in LEARNING_RATES:
        ends = {}
        for n_steps in (RECIPE.n_steps, LONG):
            if (lr, n_steps) == (RECIPE.lr, RECIPE.n_steps):
                zoo = snapshots
            else:
                name = f"lr{lr:g}-{n_steps}"
                zoo = _zoo(context, name, n, n_steps=n_steps, lr=lr)
            ends[n_steps] = _final_modes(zoo)
        common = sorted(set(ends[RECIPE.n_steps]) & set(ends[LONG]))
        before, after = (np.array([ends[k][run] for run in common], dtype=object) for k in (RECIPE.n_steps, LONG))
        pairs[lr] = before, after
        for n_steps, modes in ((RECIPE.n_steps, before), (LONG, after)):
            shares += [
                {"lr": lr, "n_steps": n_steps, "mode": m, **share_row(int((modes == m).sum()), len(modes))} for m in MODES
            ]
    return Settings(shares, pairs)


def _final_modes(zoo: Zoo) -> dict[str, str]:
    final = zoo.final()
    return {run: mode for run, mode in zip(final["run_id"], final["mode"], strict=True) if mode}


def pair_rows(settings: Settings) -> list[dict]:
    """Counts of modes after RECIPE.n_steps (from_mode) and LONG steps (to_mode) of the same runs, by learning rate."""
    rows = []
    for lr, (before, after) in settings.pairs.items():
        counts = transition_counts(before, after)
        for i, j in zip(*np.nonzero(counts), strict=True):
            row = {"lr": lr, "from_step": RECIPE.n_steps, "to_step": LONG, "from_mode": MODES[i], "to_mode": MODES[j]}
            rows.append({**row, **share_row(int(counts[i, j]), int(counts[i].sum()))})
    return rows


def leaving_rows(settings: Settings) -> list[dict]:
    """For each learning rate and mode: how many of the runs in it after RECIPE.n_steps are elsewhere after LONG, and where."""
    rows = []
    for lr, (before, after) in settings.pairs.items():
        for mode in MODES:
            left = after[(before == mode) & (after != mode)]
            names, counts = np.unique(left.astype(str), return_counts=True)
            where = names[counts.argmax()] if len(left) else ""
            row = {"lr": lr, "mode": mode, **share_row(len(left), int((before == mode).sum()))}
            rows.append({**row, "to_mode": str(where), "n_to_mode": int(counts.max(initial=0))})
    return rows


def claims(found: Dynamics, birth: Birth, settings: Settings) -> tuple[Claim, ...]:
    """The numbers of the experiment; nothing was published."""
    kept, drop, phase = (found.metrics[name] for name in ("kept_from_birth", "loss_at_change", "phase"))
    best = max((row for row in birth.rows if row["quantities"] == "all"), key=lambda row: row["bits"])
    twin, accuracy = birth.twins[0], birth.twin_accuracy
    left = next(row for row in _leaving_any(settings) if row["lr"] == RECIPE.lr)
    made = [
        Claim("initial mode is the final one", kept["share"], low=kept["low"], high=kept["high"]),
        Claim("same start, other data: same final mode", twin["share"], low=twin["low"], high=twin["high"]),
        Claim(
            "final mode from the initialisation, balanced accuracy",
            best["balanced_accuracy"],
            best=accuracy["value"],
            low=best["balanced_accuracy_low"],
            high=best["balanced_accuracy_high"],
        ),
        Claim("final mode from the initialisation, bits", best["bits"], low=best["bits_low"], high=best["bits_high"]),
        Claim(f"mode changes between {RECIPE.n_steps:,} and {LONG:,} steps", left["share"], low=left["low"], high=left["high"]),
    ]
    if "mean_excess" in drop:
        more = share_row(drop["n_falls_more"], drop["n"])
        made += [
            Claim(
                "excess drop of the error at the last change, decades", drop["mean_excess"], low=drop["low"], high=drop["high"]
            ),
            Claim("error falls further than in the control", more["share"], low=more["low"], high=more["high"]),
        ]
    if "median_ratio" in phase:
        low, high = phase["median_ratio_low"], phase["median_ratio_high"]
        made.append(Claim("steepness of the drop over a relaxation's", phase["median_ratio"], low=low, high=high))
    return tuple(made)


def _leaving_any(settings: Settings) -> list[dict]:
    return [{"lr": lr, **share_row(int((b != a).sum()), len(b))} for lr, (b, a) in settings.pairs.items()]


def birth_sentences(birth: Birth) -> list[str]:
    """How much is decided at birth: twins, the best predictor, and the gap between them."""
    twin, accuracy = birth.twins[0], birth.twin_accuracy
    best = max((row for row in birth.rows if row["quantities"] == "all"), key=lambda row: row["bits"])
    simple = max((row for row in birth.rows if row["quantities"] == "mode"), key=lambda row: row["bits"])
    decided = "The initialisation decides the mode" if twin["low"] > 0.9 else "The initialisation decides the mode in part"
    decided = decided if twin["low"] > 0.5 else "The data decide the mode more than the initialisation"
    texts = [
        f"{decided}: trained from the same start on the data of another seed, {_share(twin)} of "
        f"{twin['of']:,} networks end in the same mode."
    ]
    beyond = best["balanced_accuracy_low"] > best["null_max"]
    gap = accuracy["low"] > best["balanced_accuracy_high"]
    texts.append(
        f"{best['predictor'].capitalize()} on the initial parameters and areas foretell it with a balanced accuracy of "
        f"{_interval(best, 'balanced_accuracy')}, {'above' if beyond else 'not clearly above'} the "
        f"{best['null_mean']:.2f} of shuffled labels (at most {best['null_max']:.2f}), and tell "
        f"{_interval(best, 'bits')} of the {best['entropy_bits']:.2f} bits; the initial mode alone gives "
        f"{_interval(simple, 'balanced_accuracy')} and "
        f"{_interval(simple, 'bits')} bits. Twins agree with {accuracy['value']:.2f} "
        f"[{accuracy['low']:.2f}, {accuracy['high']:.2f}]"
        + (": more of it is decided than these predictors see." if gap else ".")
    )
    first, second, third = birth.importance[:3]
    texts.append(
        f"What matters most is {first['quantity']} ({first['bits']:.2f} bits lost when it is shuffled), then "
        f"{second['quantity']} ({second['bits']:.2f}) and {third['quantity']} ({third['bits']:.2f})."
    )
    return texts


def _share(row: dict) -> str:
    return f"{row['share']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"


def _interval(row: dict, name: str) -> str:
    return f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"


def settings_sentences(settings: Settings) -> list[str]:
    """What a longer training and other learning rates change, and whether a mode is a stage on the way."""
    told = [f"{_share(row)} at learning rate {row['lr']:g}" for row in _leaving_any(settings)]
    n = max(len(before) for before, _ in settings.pairs.values())
    texts = [
        f"Of {n:,} networks each, these are in another mode after {LONG:,} steps than after {RECIPE.n_steps:,}: {listed(told)}."
    ]
    leaving = [row for row in leaving_rows(settings) if row["of"]]
    stages = [
        f"mode {row['mode']} at learning rate {row['lr']:g} ({_left(row)})" for row in leaving if _is_left(row, len(leaving))
    ]
    if stages:
        texts.append(f"A stage on the way, which clearly more than half leave in a longer training: {listed(stages)}.")
    else:
        most = max(leaving, key=lambda row: row["share"])
        texts.append(
            "Under no learning rate do clearly more than half of a mode's networks leave it in a longer training (binomial "
            f"test, corrected for {len(leaving)} looks), so none is shown to be merely a stage; the highest share is that of "
            f"mode {most['mode']} at learning rate {most['lr']:g}: {_left(most)}."
        )
    own = [row for row in leaving if row["lr"] == RECIPE.lr]
    if own:
        most = max(own, key=lambda row: row["low"])
        texts.append(f"At the recipe's rate the mode most often left is mode {most['mode']}: {_left(most)}.")
    return texts


def _is_left(row: dict, n_looks: int) -> bool:
    """Whether more than half of a mode's networks leave it, by a binomial test at 5 %, corrected (Bonferroni) for n_looks."""
    return binomtest(row["n"], row["of"], 0.5, alternative="greater").pvalue * n_looks < SIGNIFICANT


def _left(row: dict) -> str:
    where = f", {row['n_to_mode']:,} of them for mode {row['to_mode']}" if row["n"] else ""
    return f"{_share(row)} of {row['of']:,} leave it{where}"


def pictures(found: Dynamics, birth: Birth, settings: Settings, config: DynamicsConfig) -> dict[str, Picture]:
    """The figures by name."""
    runs, n = found.runs, len(found.runs)
    counts = transition_counts(runs.mode[:, 0], runs.mode[:, -1])
    shown = {
        "flow": Picture(
            flow_figure(runs.mode, runs.step),
            f"The modes of {n:,} networks over training. Bars: shares at that step; ribbons: networks on their way between "
            "two bars, in the colour of the mode they come from, strong where they change it.",
            "Stacked bars of mode shares at several training steps, joined by ribbons that show the transitions.",
        ),
        "transitions": Picture(
            transition_figure(counts, before="mode at initialisation", after=f"mode after {runs.n_steps:,} steps"),
            f"From the first to the final mode: {n:,} networks, and shares of each row.",
            "A matrix of counts from the initial to the final mode.",
        ),
        "settings": Picture(
            settings_figure(settings.shares),
            f"Shares of the modes after {RECIPE.n_steps:,} and {LONG:,} steps at three learning rates, the same seeds; "
            "95 % Wilson intervals.",
            "Three panels, one a learning rate, with the share of each mode after a short and a long training.",
        ),
        "birth": Picture(
            birth_figure(birth.rows, birth.importance, birth.twin_accuracy),
            "The final mode from the initialisation alone: predictors fitted on training networks, measured on test networks; "
            f"the green line is what {birth.twin_accuracy['n']:,} networks from the same start with other data reach.",
            "Balanced accuracies of predictors from the initialisation, and the importance of each initial quantity.",
        ),
        "runs": typical_runs(runs),
    }
    if len(found.drops.run) > 1:
        offsets, own, control = aligned(runs, found.drops, REACH)
        shown["aligned"] = Picture(
            aligned_figure(offsets, own, control, control_name=f"matched control (mean of up to {config.n_controls})"),
            f"The error around the last change of mode, {len(own):,} networks, and in networks of the same final mode whose "
            "error stood as high and whose mode does not change then.",
            "Median errors before and behind the last change of mode, with the matched control.",
        )
    return shown


def embedding_sentence(rows: list[dict]) -> str:
    """How early the embedding shows where a run will end."""
    final = np.array([row["mode_at_the_end"] for row in rows])
    reached = rows[int(np.argmax(final >= 0.9 * final[-1]))]["step"]
    return (
        f"The cloze embedding of {rows[0]['n']:,} test runs names the mode in which a run ends with a balanced accuracy of "
        f"{final[0]:.2f} at initialisation and {final[-1]:.2f} at the end (nearest centre of finished training networks), "
        f"and reaches nine tenths of that at step {reached:,}."
    )


def along_picture(tables: dict[str, list[dict]], found: Dynamics) -> Picture:
    """What the scan and the embedding see along the runs."""
    n_modes = len(set(found.runs.mode[:, -1]))
    figure = along_figure(tables["scan_along_runs"], tables["embedding_along_runs"], found.runs.step, n_modes=n_modes)
    return Picture(
        figure,
        "Left: the published scan along training, by the mode in which a run ends. Right: how well the nearest centre in the "
        "cloze embedding, fitted on finished training networks, names the mode of the moment and the final one.",
        "Scan score and accuracy of the embedding over training steps.",
    )


def typical_runs(runs: Runs) -> Picture:
    """One run of each of the commonest paths with a change: the one whose last change comes at the median time."""
    path, change = paths(runs.mode), last_change(runs.mode)
    names, counts = np.unique(path[change > 0], return_counts=True)
    chosen = []
    for name in names[np.argsort(-counts, kind="stable")][:N_TYPICAL]:
        own = np.flatnonzero(path == name)
        chosen.append(own[np.argsort(change[own], kind="stable")[len(own) // 2]])
    if not chosen:
        chosen = list(range(min(N_TYPICAL, len(runs))))
    titles = [f"modes {path[i].replace('>', ' to ')}\n{runs.run_id[i]}" for i in chosen]
    scan = np.stack([scan_score(MULTIPLIER, runs.params[i]) for i in chosen])
    figure = runs_figure(titles, runs.step, runs.mode[chosen], runs.error[chosen], runs.active_area[chosen], scan)
    return Picture(
        figure,
        "Single runs, one of each of the commonest paths with a change of mode: validation error, active areas of the two "
        "hidden units and the published scan; shaded by the mode of the moment.",
        "Error, active areas and scan score along single training runs.",
    )
