"""Trained: the units of 2-16-1 networks, clustered by what a model of 2-2-1 networks predicts of them, and then ablated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import OneHidden
from metarep.evaluation.clusters import sweep
from metarep.evaluation.resampling import resamples
from metarep.model.transformer import untrained_like
from metarep.networks.spec import NetworkSpec
from metarep.report.dots import Panel, Series, dots_figure
from metarep.report.style import MUTED, PALETTE
from metarep.report.wording import num, times
from metarep.studies.multipliers import pretrained
from metarep.studies.reading import off_probabilities
from metarep.studies.rows import Rows, columns, grouped, number, where
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.recipe import draw_reference

WIDE = NetworkSpec((2, 16, 1))
CLOZE, UNTRAINED = "cloze", "untrained"
TITLES = {CLOZE: "the model", UNTRAINED: "an untrained model"}
LEAST = 1e-8
"""Rises of the error below this are drawn at the edge of the logarithmic axis."""

MUST, MUST_NOT = 1.5, 0.67
"""A cluster whose ablation costs so many times as much as that of random units is called needed, or idle."""

N_STABILITY = 5
"""Resamples of units for the rule for k."""

MAX_UNITS = 2000
"""Units that clusters are fitted on."""


class Ablated(NamedTuple):
    """What each hidden unit of a network adds to its output on inputs, less its mean over them (H, S); its errors (S,); and the
    share of inputs at which each unit is off (H,).
    """

    parts: np.ndarray
    errors: np.ndarray
    off: np.ndarray

    @classmethod
    def on(cls, network: OneHidden, x: np.ndarray, y: np.ndarray) -> Ablated:
        """On inputs x (S, I) with targets y (S,); a network of one output."""
        active = x @ network.weight.T + network.bias
        hidden = np.maximum(active, 0)
        parts = (hidden - hidden.mean(axis=0)).T * network.readout[0][:, None]
        return cls(parts, hidden @ network.readout[0] + network.offset[0] - y, (active <= 0).mean(axis=0))

    def rises(self, groups: np.ndarray) -> np.ndarray:
        """(G,): the rise of the mean squared error where groups (G, H) of units, True within, give their means."""
        return np.square(self.errors - groups.astype(np.float64) @ self.parts).mean(axis=1) - np.square(self.errors).mean()


def run(context: Context) -> Result:
    """Clusters of the units of held-out 2-16-1 networks by each model's predictions, ablated."""
    config, seed = context.config.trained, context.config.seed
    model, _ = pretrained(context)
    models = {CLOZE: model, UNTRAINED: untrained_like(model, seed=seed)}
    zoo = context.family("wide", variant="e09", spec=str(WIDE), n_networks=config.n_wide).final()
    x, y = (part[: config.n_samples].astype(np.float64) for part in draw_reference(seed, "product", MULTIPLIER).valid)
    networks = [Ablated.on(OneHidden.of(WIDE, params), x, y) for params in zoo.where(split="test").params]
    measured = np.concatenate([one.off for one in networks])
    draws = {"n_random": config.n_random, "n_bootstraps": context.config.n_bootstraps, "seed": seed}
    rows, correlation = [], {}
    for name, one in models.items():
        told = [off_probabilities(one, zoo.spec, zoo.where(split=part).params) for part in ("train", "test")]
        labels = cluster_units(*told, config.ks, seed=seed)
        rows += [{"method": name} | row for row in cluster_rows(networks, labels, **draws)]
        correlation[name] = float(np.corrcoef(told[1].mean(axis=2).ravel(), measured)[0, 1])
    said = (
        f"Of the units of {len(networks)} held-out 2-16-1 networks, the like of which it was never shown, the model predicts "
        "shares of the square on which each is off that correlate with the shares of inputs at which they are by "
        f"{num(correlation[CLOZE])} (an untrained model {num(correlation[UNTRAINED])})."
    )
    costly = max(where(rows, method=CLOZE), key=lambda row: row["ratio"] or 0.0)
    claims = (
        Claim("correlation of predicted and measured shares off", correlation[CLOZE], decimals=2),
        Claim.of(
            "cost of the costliest cluster, by that of as many random units", costly, "ratio", decimals=2, over="networks"
        ),
    )
    sentences = (said, *(ablated(rows, method) for method in models))
    return Result(claims, sentences, tables={"clusters": rows}, figures={"clusters": figure(rows)})


def cluster_units(train: np.ndarray, test: np.ndarray, ks: tuple[int, ...], *, seed: int) -> np.ndarray:
    """(N, U): k-means clusters of off-probabilities test (N, U, S), fitted on those of training networks (M, U, S); k by the
    rule of `evaluation.clusters`.
    """
    rows = train.reshape(-1, train.shape[2])
    rows = rows[np.random.default_rng(seed).permutation(len(rows))[:MAX_UNITS]]
    (chosen,) = sweep("kmeans", [rows], ks, n_bootstraps=N_STABILITY, seed=seed).chosen
    return chosen.predict(test.reshape(-1, test.shape[2])).reshape(test.shape[:2])


def cluster_rows(networks: list[Ablated], labels: np.ndarray, *, n_random: int, n_bootstraps: int, seed: int) -> list[dict]:
    """A row for each cluster of units, labels (N, H): what its ablation costs, beside as many random units of the network.

    `rise` and `random` are mean rises of the error. Networks of whose units all or none are in the cluster do not count.
    """
    rows = []
    for cluster in np.unique(labels):
        own = []
        for place, (network, group) in enumerate(zip(networks, labels == cluster, strict=True)):
            if 0 < group.sum() < len(group):
                orders = np.random.default_rng([seed, place]).random((n_random, len(group))).argsort(axis=1)
                rise, *random = network.rises(np.concatenate([group[None], group[orders]]))
                own.append((group.sum(), network.off[group].mean(), rise, np.mean(random)))
        means = np.full((n_bootstraps + 1, 4), np.nan)
        if own:
            weights = resamples(n_bootstraps, len(own), seed=seed)
            means = weights @ np.array(own, float) / weights.sum(axis=1, keepdims=True)
        units, off, rise, random = means.T
        row: dict[str, Any] = {"cluster": int(cluster), "n_networks": len(own)}
        row |= {"units": number(units[0]), "off": number(off[0])}
        row |= columns("rise", rise) | columns("random", random)
        rows.append(row | columns("ratio", rise / np.maximum(random, 1e-12)))
    return rows


def figure(rows: Rows) -> Figure:
    """A row a cluster: what its ablation costs, and that of random units."""
    costs = []
    for row in (row for row in rows if row["rise"] is not None):
        units = f"cluster {row['cluster']}: {row['units']:.1f} units, off on {row['off']:.0%}"
        costs.append(row | {"name": f"{TITLES[row['method']]},\n{units}"})
    looks = {"rise": ("the cluster", PALETTE[0], "o"), "random": ("as many random units", MUTED, "s")}
    series = [Series.of(label, costs, "name", *look, metric=metric) for metric, (label, *look) in looks.items()]
    return Figure(
        dots_figure([Panel("Rise of the error, ablated", series, floor=LEAST)], xscale="log"),
        "2-16-1 networks. Units clustered by what the model predicts of them; the rise of the error where a cluster's units "
        "give their means, beside as many random units of the same network. 95 % bootstrap intervals over networks.",
    )


def ablated(rows: Rows, method: str) -> str:
    """What ablation of each cluster costs."""
    own = [row for row in where(rows, method=method) if row["ratio"] is not None]
    if not own:
        return f"By {TITLES[method]} all units of 2-16-1 networks are of one cluster."
    parts = [
        f"cluster {row['cluster']} ({num(row['units'], 1)} units, off on {row['off']:.0%} of the inputs) "
        f"{times(row['ratio'])} [{num(row['ratio_low'])}, {num(row['ratio_high'])}]"
        for row in own
    ]
    words = {
        f"{row['cluster']}": "needed" if row["ratio_low"] > MUST else "idle" if row["ratio_high"] < MUST_NOT else ""
        for row in own
    }
    return (
        f"Clustered by what {TITLES[method]} predicts of units, ablation raises the error, beside random units, as many: "
        f"{'; '.join(parts)}. By intervals, {grouped(words) or 'no cluster is clearly needed or idle'}."
    )
