"""The stage that follows networks through training: modes, transitions, last changes, errors, scan, embedding.

Nothing is fitted but the centres of the modes in the embedding, which are those of finished training networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from metarep.artefact import open_artefact, write_whole, writing
from metarep.domains.multiplier.loss_at_change import ChangeDrops, drops_at_change, excess_summary
from metarep.domains.multiplier.mode_paths import (
    last_change,
    passing_rows,
    path_rows,
    paths,
    share_row,
    share_rows,
    transition_rows,
)
from metarep.domains.multiplier.modes import MODES, MULTIPLIER
from metarep.domains.multiplier.phase_transitions import ABRUPT, DropShape, drop_shapes, phase_summary
from metarep.domains.multiplier.scores import scan_score
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import Runs, read_runs
from metarep.errors import MetarepError
from metarep.evaluation.resampling import balanced_accuracy
from metarep.progress import Progress
from metarep.report.wording import Score, of_row, percent, spoken
from metarep.tables import rows_of, write_tables
from metarep.zoos.zoo import open_zoo

SIGNIFICANT = 0.05
NULL = ("null_mean", "null_low", "null_high")
SCANNED = "3"
"""The mode that the published scan looks for."""


@dataclass(frozen=True)
class Dynamics:
    """What runs did: their error curves' shapes, their drops at the last change, and both as numbers."""

    runs: Runs
    drops: ChangeDrops
    shape: DropShape
    metrics: dict


def follow(config: DynamicsConfig, runs: Runs) -> Dynamics:
    """All that is known of the runs without a model."""
    drops = drops_at_change(runs, window=config.window, n_controls=config.n_controls)
    shape = drop_shapes(runs.step, runs.log_error)
    change = last_change(runs.mode)
    changed = runs.step[change[change > 0]]
    settings = {"n_bootstraps": config.n_bootstraps, "n_permutations": config.n_permutations, "seed": config.seed}
    metrics = {
        "n_runs": len(runs),
        "n_steps": runs.n_steps,
        "steps": [int(step) for step in runs.step],
        "kept_from_birth": share_row((runs.mode[:, 0] == runs.mode[:, -1]).sum(), len(runs)),
        "never_changes": share_row((change == 0).sum(), len(runs)),
        "last_change_quartiles": [float(q) for q in np.quantile(changed, [0.25, 0.5, 0.75])] if len(changed) else [],
        "passing": passing_rows(runs.mode),
        "loss_at_change": excess_summary(runs, drops, window=config.window, n_controls=config.n_controls, **settings),
        "phase": phase_summary(runs, shape, **settings),
        "scan_auc": scan_auc(runs),
    }
    return Dynamics(runs, drops, shape, metrics)


def dynamics(
    config: DynamicsConfig,
    zoo: Path | str,
    out: Path | str,
    *,
    model: Path | str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Follows every 2-2-1 run of a zoo with snapshots into the folder `out`, which it returns.

    With a cloze `model` its embedding of n_embedded_runs test runs is followed too. Raises
    MetarepError for a zoo without snapshots, of another architecture, or of runs of different lengths.
    """
    progress = progress or Progress()
    networks = open_zoo(zoo)
    runs = read_runs(networks)
    inputs = {"zoo": networks.artefact}
    if model is not None:
        inputs["model"] = open_artefact(model, "model")
    with writing(out, "dynamics", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        with progress.task("dynamics", len(runs), "runs") as task:
            found = follow(config, runs)
            task.advance(len(runs))
        tables = tables_of(found)
        if model is not None:
            tables["embedding_along_runs"] = embedding_rows(config, runs, model, device=device)
        write_tables(folder, tables, found.metrics)
        write_whole(folder / "findings.txt", "\n".join(sentences(found.metrics)) + "\n")
    return Path(out)


def tables_of(found: Dynamics) -> dict[str, list[dict]]:
    """The stage's tables by name."""
    runs = found.runs
    steps = list(map(str, runs.step))
    return {
        "modes_over_time": rows_of({"network_id": runs.run_id} | dict(zip(steps, runs.mode.T, strict=True))),
        "shares_over_time": share_rows(runs.mode, runs.step),
        "transitions": transition_rows(runs.mode, runs.step),
        "paths": path_rows(runs.mode),
        "last_change": last_change_rows(runs),
        "loss_at_change": drop_rows(runs, found.drops),
        "scan_along_runs": scan_rows(runs),
    }


def last_change_rows(runs: Runs) -> list[dict]:
    """One row a run: its path, how often it changes, and the first step in its final mode (0: from birth, never changed)."""
    columns = {"network_id": runs.run_id, "first_mode": runs.mode[:, 0], "final_mode": runs.mode[:, -1]}
    columns |= {"n_changes": runs.n_changes[:, -1], "last_change_step": runs.step[last_change(runs.mode)]}
    return rows_of(columns | {"path": paths(runs.mode)})


def drop_rows(runs: Runs, drops: ChangeDrops) -> list[dict]:
    """One row a run that changes its mode: the drop of its error there in decades, the control's, how far its areas move."""
    run, before, after = drops.run, drops.column - 1, drops.column
    columns = {"network_id": runs.run_id[run], "from_mode": runs.mode[run, before], "to_mode": runs.mode[run, after]}
    columns |= {"step_before": runs.step[before], "step_after": runs.step[after]}
    columns |= {"window_begin": runs.step[drops.begin], "window_end": runs.step[drops.end]}
    columns |= {"drop": drops.drop, "control_drop": drops.control_drop, "excess": drops.excess}
    moved = np.abs(runs.active_area[run, after] - runs.active_area[run, before]).max(axis=1)
    return rows_of(columns | {"area_moved": moved})


def scan_along(runs: Runs) -> np.ndarray:
    """(N, T): the published scan of every run at every step."""
    n, t, p = runs.params.shape
    return scan_score(MULTIPLIER, runs.params.reshape(n * t, p)).reshape(n, t)


def scan_auc(runs: Runs) -> list[float]:
    """How well the scan tells, at each step (T), runs that will end in mode 3 from the others; empty where all or none do."""
    ends_there, score = runs.mode[:, -1] == SCANNED, scan_along(runs)
    if ends_there.all() or not ends_there.any():
        return []
    return [float(roc_auc_score(ends_there, column)) for column in score.T]


def scan_rows(runs: Runs) -> list[dict]:
    """The published scan along the runs: quartiles at each step by final mode, and the AUC of `scan_auc`, NaN without one."""
    score, final = scan_along(runs), runs.mode[:, -1]
    found = scan_auc(runs) or [float("nan")] * len(runs.step)
    rows = []
    for column, step in enumerate(runs.step):
        for mode in (m for m in MODES if (final == m).any()):
            low, middle, high = np.quantile(score[final == mode, column], [0.25, 0.5, 0.75])
            row = {"step": int(step), "final_mode": mode, "q25": float(low), "median": float(middle), "q75": float(high)}
            rows.append({**row, "auc_of_final_mode_3": found[column]})
    return rows


def embedding_rows(config: DynamicsConfig, runs: Runs, model: Path | str, *, device: str) -> list[dict]:
    """The embedding along test runs: at each step, how often the nearest centre is the mode of now, and the final one.

    A centre is the mean embedding of the finished training networks of a mode; distances in units of the training
    networks' standard deviations. Balanced accuracies. Raises MetarepError where a split lacks runs.
    """
    from metarep.embeddings.specs import embed_params
    from metarep.model.pretraining import load_model

    network_model = load_model(model, device=device)
    train = np.flatnonzero(runs.split == "train")[: 5 * config.n_embedded_runs]
    test = np.flatnonzero(runs.split == "test")[: config.n_embedded_runs]
    if not len(train) or not len(test):
        raise MetarepError("too few runs to embed", met=f"{len(train)} training and {len(test)} test runs", expected="some")
    ends = embed_params(network_model, MULTIPLIER, runs.params[train, -1], config.embedding)
    mean, std = ends.mean(axis=0), ends.std(axis=0) + 1e-9
    ends = (ends - mean) / std
    present = np.unique(runs.mode[train, -1].astype(str))
    centres = np.stack([ends[runs.mode[train, -1] == mode].mean(axis=0) for mode in present])
    rows = []
    for column, step in enumerate(runs.step):
        vectors = (embed_params(network_model, MULTIPLIER, runs.params[test, column], config.embedding) - mean) / std
        distance = np.square(vectors[:, None] - centres).sum(axis=-1)
        nearest = present[distance.argmin(axis=1)]
        now, final = (balanced_accuracy(runs.mode[test, c].astype(str), nearest) for c in (column, -1))
        row = {"step": int(step), "n": len(test), "mode_now": now, "mode_at_the_end": final}
        rows.append({**row, "median_distance": float(np.median(distance.min(1) ** 0.5))})
    return rows


def sentences(metrics: dict) -> list[str]:
    """What was found, in words: how modes are kept, whether the error drops at the last change, phase transitions."""
    kept, never = metrics["kept_from_birth"], metrics["never_changes"]
    texts = [
        f"Of {metrics['n_runs']:,} networks {_share(kept)} end in the mode that they had at initialisation, "
        f"and {_share(never)} never leave it on the way."
    ]
    if metrics["last_change_quartiles"]:
        low, middle, high = metrics["last_change_quartiles"]
        texts.append(
            f"Those that change take their final mode at step {middle:,.0f} in the median "
            f"(quartiles {low:,.0f} and {high:,.0f}) of {metrics['n_steps']:,}."
        )
    texts += [*_drop_sentence(metrics["loss_at_change"]), phase_sentence(metrics)]
    if metrics["scan_auc"]:
        first, last = metrics["scan_auc"][0], metrics["scan_auc"][-1]
        texts.append(
            f"The published scan tells the networks that end in mode {SCANNED} from the others with an AUC of {first:.2f} at "
            f"initialisation and {last:.2f} at the end (0.5 is chance)."
        )
    return texts


def _share(row: dict) -> str:
    return percent(row["share"], row["low"], row["high"], 1)


def _drop_sentence(row: dict) -> list[str]:
    if row["n"] < 2:
        return []
    more = row["low"] > 0 and row["p"] < SIGNIFICANT
    verdict = "more" if more else "less" if row["high"] < 0 else "not clearly more or less"
    excess, null = (Score(*(row[name] for name in names)) for names in (("mean_excess", "low", "high"), NULL))
    return [
        f"Around the last change of mode the error falls {verdict} than in matched networks that keep theirs: the difference "
        f"is {spoken(excess, 3)} decades, with permuted times {spoken(null, 3)} (n = {row['n']:,})."
    ]


def phase_sentence(metrics: dict) -> str:
    """Whether there are phase transitions: drops of the error would have to be abrupt, and lie where modes change."""
    phase, drop = metrics["phase"], metrics["loss_at_change"]
    if "median_ratio" not in phase:
        return "Too few networks learn to say whether there are phase transitions."
    ratio = of_row(phase, "median_ratio")
    abrupt = ratio.low > ABRUPT
    at_change = drop.get("low", 0) > 0 and drop.get("p", 1) < SIGNIFICANT
    together = phase.get("coincidence", {}).get("p", 1) < SIGNIFICANT
    if abrupt and at_change and together:
        verdict = "There are phase transitions by all three tests"
    elif at_change or together:
        verdict = "Mode changes and drops of the error go together beyond chance, but that is no phase transition"
        verdict = verdict if not abrupt else "Errors drop abruptly and changes of mode are tied to it only in part"
    else:
        verdict = "There is no sign of phase transitions between modes"
    smooth = "a relaxation of one time scale"
    shape = "abrupt" if abrupt else f"somewhat sharper than {smooth}" if ratio.low > 1 else f"as smooth as {smooth}"
    text = (
        f"{verdict}: the drop of the error is {shape} (its steepest tenth of a decade of steps holds {spoken(ratio)} times as "
        f"much of the whole drop; {ABRUPT} would count as abrupt); {_share(phase['several_drops'])} of the "
        "networks have several drops with a plateau between"
    )
    if "coincidence" in phase:
        near = phase["coincidence"]
        text += (
            f"; the last change and the fastest drop lie {near['median_distance']:.2f} decades of steps apart in the median, "
            f"{spoken(Score(*(near[name] for name in NULL)))} where times are permuted"
        )
    return text + "."
