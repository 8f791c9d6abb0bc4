"""How modes arise: the way through training, what decides at birth, longer training and other learning rates.

Nothing was published about it. The snapshots are `n_snapshot_networks` networks of the recipe; the start is judged
on the networks that the experiments share; other settings train a fifth of the snapshot networks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metarep.domains.multiplier.dynamics import Dynamics, embedding_rows, follow, sentences, tables_of
from metarep.domains.multiplier.mode_paths import share_row
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import read_runs
from metarep.studies.dynamics.birth import study_birth
from metarep.studies.dynamics.figures import figures, seen_along
from metarep.studies.dynamics.retrained import LONG, RECIPE, leaving_any, leaving_rows, pair_rows, study_settings, zoo_of
from metarep.studies.dynamics.text import birth_sentences, embedding_sentence, settings_sentences
from metarep.studies.multipliers import multipliers, small_model
from metarep.studies.study import Claim, Context, Result

if TYPE_CHECKING:
    from metarep.studies.dynamics.birth import Birth
    from metarep.studies.dynamics.retrained import Retrained


def run(context: Context) -> Result:
    """The dynamics of modes, as numbers, tables and figures."""
    config = context.config
    zoo = zoo_of(context, "snapshots", config.n_snapshot_networks, n_snapshots=config.n_snapshots)
    own = DynamicsConfig(seed=config.seed, n_bootstraps=config.n_bootstraps)
    found = follow(own, read_runs(zoo))
    birth = study_birth(context, multipliers(context))
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
    drawn = figures(found, birth, settings, own)
    drawn["along"] = seen_along(tables, found)
    return Result(
        claims=claims(found, birth, settings),
        sentences=words,
        tables={name: rows for name, rows in tables.items() if rows},
        figures=drawn,
        numbers={"dynamics": found.metrics, "twin_balanced_accuracy": birth.twin_accuracy},
        shown=("birth", "twins", "settings", "left_by_longer_training"),
    )


def claims(found: Dynamics, birth: Birth, settings: Retrained) -> tuple[Claim, ...]:
    """The numbers of the experiment; nothing was published."""
    kept, drop, phase = (found.metrics[name] for name in ("kept_from_birth", "loss_at_change", "phase"))
    best = max((row for row in birth.rows if row["quantities"] == "all"), key=lambda row: row["bits"])
    twin, accuracy = birth.twins[0], birth.twin_accuracy
    left = next(row for row in leaving_any(settings) if row["lr"] == RECIPE.lr)
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
