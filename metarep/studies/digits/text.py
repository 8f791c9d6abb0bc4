"""What embeddings say of digit networks, in claims and sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from metarep.report.wording import num
from metarep.studies.study import Claim
from metarep.studies.words import relation, spoken

TARGETS = {"test_accuracy": "test accuracy", "epoch": "epoch", "gap": "generalisation gap"}
BASELINE = "weight_statistics"
MOMENTS = "mean and spread of weights"
"""Weight statistics without their quartiles: what these add is what an average over tokens cannot say."""


def best(rows: list[dict[str, Any]], target: str, name: str, metric: str = "r2") -> dict[str, Any]:
    """The row of the better regressor."""
    wanted = (target, name, metric)
    own = [row for row in rows if (row["target"], row["representation"], row["metric"]) == wanted]
    return max(own, key=lambda row: row["value"])


def claims(rows: list[dict[str, Any]]) -> tuple[Claim, ...]:
    """R² of the embeddings for each target, with that of weight statistics as the value to beat."""
    found = []
    for target, title in TARGETS.items():
        own, other = best(rows, target, "layers"), best(rows, target, BASELINE)
        name = f"{title}: R² from the layers embedding ({own['regressor']}); weight statistics reach the last value"
        found.append(Claim(name, own["value"], decimals=3, low=own["low"], high=own["high"], over="runs", best=other["value"]))
    return tuple(found)


def sentences(rows, others, n_networks: int, n_runs: int) -> tuple[str, ...]:
    """In plain words, target by target."""
    said = [f"{n_networks:,} snapshots of {n_runs:,} runs; splits by run."]
    for target, title in TARGETS.items():
        names = list(dict.fromkeys(row["representation"] for row in rows))
        parts = [f"{name} {spoken(best(rows, target, name), digits=3)}" for name in names]
        tau = best(rows, target, "layers", "kendall_tau"), best(rows, target, BASELINE, "kendall_tau")
        own, base = best(rows, target, "layers"), best(rows, target, BASELINE)
        said.append(
            f"{title.capitalize()}, R² at the better regressor: {', '.join(parts)}. The embedding is {relation(own, base)} "
            f"weight statistics; Kendall's τ {num(tau[0]['value'])} against {num(tau[1]['value'])}."
        )
        rest = best(rows, target, MOMENTS)
        if rest["high"] < base["low"]:
            said.append(
                f"Why statistics tell so much of {title}: their quartiles. Mean and spread of each layer alone reach "
                f"{spoken(rest, digits=3)}; the embedding, means and spreads of states, is {relation(own, rest)} these."
            )
    for target, title in TARGETS.items():
        some = [row for row in others if (row["target"], row["metric"]) == (target, "kendall_tau")]
        names = ("layers", BASELINE, "untrained")
        means = {name: np.mean([row["value"] for row in some if row["representation"] == name]) for name in names}
        listed = ", ".join(f"{name} {num(float(value))}" for name, value in means.items())
        said.append(
            f"{title.capitalize()} of designs never seen, Kendall's τ of ridge regression, mean over designs: {listed}."
        )
    return tuple(said)
