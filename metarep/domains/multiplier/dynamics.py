"""The stage that follows networks through training: modes, transitions, last changes, errors, embedding.

Nothing is fitted but the centres of the modes in the embedding, which are those of finished training networks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from metarep.artefact import open_artefact, write_whole, writing
from metarep.domains.multiplier.loss_at_change import Drops, drops_at_change, last_change, steepness
from metarep.domains.multiplier.modes import MODES, MULTIPLIER
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import Runs, read_runs
from metarep.errors import MetarepError
from metarep.evaluation.resampling import balanced_accuracy, interval, share_of
from metarep.progress import Progress
from metarep.report.wording import percent, score_of, spoken
from metarep.tables import rows_of, write_tables
from metarep.zoos.zoo import open_zoo

ABRUPT = 1.5
"""A median steepness above this is called abrupt."""


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
            tables, metrics = follow(config, runs)
            task.advance(len(runs))
        if model is not None:
            tables["embedding_along_runs"] = embedding_rows(config, runs, model, device=device)
        write_tables(folder, tables, metrics)
        write_whole(folder / "findings.txt", "\n".join(sentences(metrics)) + "\n")
    return Path(out)


def follow(config: DynamicsConfig, runs: Runs) -> tuple[dict[str, list[dict]], dict[str, Any]]:
    """The stage's tables by name, and metrics.json: all that is known of the runs without a model."""
    drops, change = drops_at_change(runs, window=config.window, n_controls=config.n_controls), last_change(runs.mode)
    steps, changed = list(map(str, runs.step)), runs.step[change[change > 0]]
    tables = {
        "modes_over_time": rows_of({"network_id": runs.run_id} | dict(zip(steps, runs.mode.T, strict=True))),
        "shares_over_time": share_rows(runs),
        "transitions": transition_rows(runs),
        "loss_at_change": drop_rows(runs, drops),
    }
    steep = steepness(runs.step, runs.log_error)
    draws = {"n_bootstraps": config.n_bootstraps, "seed": config.seed}
    metrics = {
        "n_runs": len(runs),
        "n_steps": int(runs.step[-1]),
        "kept_from_birth": share_of((runs.mode[:, 0] == runs.mode[:, -1]).sum(), len(runs)),
        "never_changes": share_of((change == 0).sum(), len(runs)),
        "last_change_quartiles": [float(q) for q in np.quantile(changed, [0.25, 0.5, 0.75])] if len(changed) else [],
        "n_changes": len(drops.run),
        "n_learning": len(steep),
    }
    if len(drops.run) > 1:
        for name, values in (("drop", drops.drop), ("control", drops.control), ("excess", drops.excess)):
            metrics |= with_ends(name, values, np.mean, **draws)
    if len(steep) > 1:
        metrics |= with_ends("steepness", steep, np.median, **draws)
    return tables, metrics


def with_ends(name: str, values: np.ndarray, statistic: Any, *, n_bootstraps: int, seed: int) -> dict[str, float]:
    """A statistic of values (N,) with its 95 % bootstrap interval, as columns."""
    at = np.random.default_rng([seed, 1]).integers(0, len(values), (n_bootstraps, len(values)))
    low, high = interval(statistic(values[at], axis=1))
    return {name: float(statistic(values)), f"{name}_low": low, f"{name}_high": high}


def share_rows(runs: Runs) -> list[dict]:
    """The share of each mode at each step, with its Wilson interval."""
    columns = zip(runs.step, runs.mode.T, strict=True)
    return [{"step": int(at), "mode": m, **share_of((own == m).sum(), len(own))} for at, own in columns for m in MODES]


def transition_counts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(5, 5) int: how many networks go from each mode (row) to each mode (column), in the order of MODES."""
    return confusion_matrix(before.astype(str), after.astype(str), labels=MODES)


def transition_rows(runs: Runs) -> list[dict]:
    """How many runs go from which first to which final mode, as shares of the first mode's."""
    counts = transition_counts(runs.mode[:, 0], runs.mode[:, -1])
    pairs = zip(*np.nonzero(counts), strict=True)
    return [{"from_mode": MODES[i], "to_mode": MODES[j], **share_of(counts[i, j], counts[i].sum())} for i, j in pairs]


def drop_rows(runs: Runs, drops: Drops) -> list[dict]:
    """One row a run that changes its mode: when, from which mode, the drop of its error in decades and its control's."""
    before = drops.column - 1
    columns = {"network_id": runs.run_id[drops.run], "from_mode": runs.mode[drops.run, before]}
    columns |= {"to_mode": runs.mode[drops.run, drops.column]}
    columns |= {"step_before": runs.step[before], "step_after": runs.step[drops.column]}
    return rows_of(columns | {"drop": drops.drop, "control_drop": drops.control})


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
    present = np.unique(runs.mode[train, -1].astype(str))
    centres = np.stack([((ends - mean) / std)[runs.mode[train, -1] == mode].mean(axis=0) for mode in present])
    rows = []
    for column, step in enumerate(runs.step):
        vectors = (embed_params(network_model, MULTIPLIER, runs.params[test, column], config.embedding) - mean) / std
        nearest = present[np.square(vectors[:, None] - centres).sum(axis=-1).argmin(axis=1)]
        now, final = (balanced_accuracy(runs.mode[test, c].astype(str), nearest) for c in (column, -1))
        rows.append({"step": int(step), "n": len(test), "mode_now": now, "mode_at_the_end": final})
    return rows


def sentences(metrics: dict) -> list[str]:
    """What was found, in words: how modes are kept, whether the error drops at the last change, how steep its fall is."""
    shares = (metrics[name] for name in ("kept_from_birth", "never_changes"))
    kept, never = (percent(row["share"], row["low"], row["high"], 1) for row in shares)
    texts = [
        f"Of {metrics['n_runs']:,} networks {kept} end in the mode that they had at initialisation, and {never} never leave it "
        "on the way."
    ]
    if metrics["last_change_quartiles"]:
        low, middle, high = metrics["last_change_quartiles"]
        texts.append(
            f"Those that change take their final mode at step {middle:,.0f} in the median "
            f"(quartiles {low:,.0f} and {high:,.0f}) of {metrics['n_steps']:,}."
        )
    if "excess" in metrics:
        texts.append(drop_sentence(metrics))
    return [*texts, steepness_sentence(metrics)]


def drop_sentence(metrics: dict) -> str:
    """Whether the error falls further where the mode changes."""
    low, high = metrics["excess_low"], metrics["excess_high"]
    verdict = "further than" if low > 0 else "less than" if high < 0 else "not clearly more or less than"
    own, control = (10 ** metrics[name] for name in ("drop", "control"))
    return (
        f"Around the last change of mode the error falls {verdict} in matched networks that keep theirs: by a factor of "
        f"{own:.2f}, in these {control:.2f}; the difference is {spoken(score_of(metrics, 'excess'), 3)} decades (n = "
        f"{metrics['n_changes']:,})."
    )


def steepness_sentence(metrics: dict) -> str:
    """Whether errors drop as abruptly as they would in a phase transition."""
    if "steepness" not in metrics:
        return "Too few networks learn to say whether there are phase transitions."
    found = score_of(metrics, "steepness")
    verdict = "Errors drop abruptly" if found.low > ABRUPT else "There is no sign of phase transitions"
    return (
        f"{verdict}: the steepest tenth of a decade of steps holds {spoken(found)} times as much of the whole drop of the "
        f"error as in a relaxation of one time scale; {ABRUPT} would count as abrupt."
    )
