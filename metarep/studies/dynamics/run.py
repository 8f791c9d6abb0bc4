"""How modes arise: the way through training, what decides at birth, longer training and other learning rates.

Nothing was published about it. The snapshots are `n_snapshot_networks` networks of the recipe; the start is judged
on the networks that the experiments share; other settings train a fifth of the snapshot networks again.
"""

from __future__ import annotations

from metarep.domains.multiplier.dynamics import embedding_rows, follow, sentences, tables_of
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import read_runs
from metarep.studies.dynamics.figures import figures
from metarep.studies.dynamics.retrained import RECIPE, leaving_rows, pair_rows, retrained, settings_rows, study_birth
from metarep.studies.dynamics.text import birth_sentences, claims, embedding_sentence, settings_sentences
from metarep.studies.multipliers import multipliers, small_model
from metarep.studies.study import Context, Result


def run(context: Context) -> Result:
    """The dynamics of modes, as numbers, tables and figures."""
    config = context.config
    family = {"variant": RECIPE.name, "n_networks": config.n_snapshot_networks}
    zoo = context.family("snapshots", n_snapshots=config.n_snapshots, **family)
    own = DynamicsConfig(seed=config.seed, n_bootstraps=config.n_bootstraps)
    found = follow(own, read_runs(zoo))
    birth, pairs = study_birth(context, multipliers(context)), retrained(context, zoo)
    along = embedding_rows(own, found.runs, small_model(context).path, device="cpu")
    tables = {
        **tables_of(found),
        "embedding_along_runs": along,
        "birth": birth.rows,
        "birth_importance": birth.importance,
        "twins": birth.twins,
        "settings": list(settings_rows(pairs)),
        "longer_training": list(pair_rows(pairs)),
        "left_by_longer_training": list(leaving_rows(pairs)),
    }
    return Result(
        claims(found.metrics, birth, pairs),
        (
            *sentences(found.metrics),
            embedding_sentence(along),
            *birth_sentences(birth),
            *settings_sentences(pairs),
        ),
        tables={name: rows for name, rows in tables.items() if rows},
        figures=figures(found, birth, tables, own),
        numbers={"dynamics": found.metrics, "twin_balanced_accuracy": birth.twin_accuracy},
        shown=("birth", "twins", "settings", "left_by_longer_training"),
    )
