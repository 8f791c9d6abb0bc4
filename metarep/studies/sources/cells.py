"""One row of question 2's matrix: everything fitted on the training networks of a source, measured on the test networks of
every target.

Three metrics. masked_r2: each parameter masked in turn, in standard deviations of the target's own training networks, so that
values on one target compare. unit_probe: the balanced accuracy of telling what a unit of the first hidden layer does, over
the states that a few of the target's test units are in. clusters_ari: clusters of networks against the composition of these
states. Units are judged on the unit square, whatever inputs they were trained on.

Controls, carried over in the same way: of masked R² the means of the source's parameters by kind (which any architecture has)
and the linear-Gaussian imputer (which reads one architecture only); of the probe and of clusters an untrained model of the
same shape, and raw parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metarep.domains.multiplier.geometry import active_area
from metarep.domains.multiplier.modes import UNIT_STATES, compositions, unit_states
from metarep.evaluation.agreement import agreement
from metarep.evaluation.clusters import fit_kmeans
from metarep.evaluation.probes import fit_probe, linear_classifier
from metarep.evaluation.resampling import resamples, summary
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import canonical_scale
from metarep.studies.reading import HeldOut, class_means, imputed_in_turn, kinds_of, off_probabilities, predicted_in_turn
from metarep.studies.reading import unit_states as states_of
from metarep.studies.settings import SourceName
from metarep.zoos.zoo import Zoo

N_PERMUTATIONS = 100
LEAST_UNITS = 5
"""A state that fewer of the target's test units are in does not count."""

UNDEFINED = dict.fromkeys(("value", "low", "high", "null"))


@dataclass(frozen=True)
class SourceNetworks:
    """What is taken of one zoo: the first training and test networks (N, P) float32, of one architecture."""

    name: SourceName
    spec: NetworkSpec
    train: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, name: SourceName, zoo: Zoo, *, max_fit: int, max_test: int) -> SourceNetworks:
        """At most so many of each split."""
        return cls(name, zoo.spec, zoo.where(split="train").params[:max_fit], zoo.where(split="test").params[:max_test])


def carry_over(source: SourceNetworks, targets: Sequence[SourceNetworks], model_path: Path, k: int, **draws: int) -> list[dict]:
    """The rows of one source: target by target, metric by metric, representation by representation.

    value, low, high, null and n; None where a metric is not defined. `k` clusters; `draws` are n_bootstraps and the seed.
    """
    model = load_model(model_path)
    models = {"cloze": model, "untrained": untrained_like(model, seed=draws["seed"]), "raw": None}
    states = unit_states(active_area(source.spec, source.train)).ravel()
    probes, clusters = {}, {}
    for name, one in models.items():
        units, networks = unit_vectors(one, source.spec, source.train), network_vectors(one, source.spec, source.train)
        units = units.reshape(-1, units.shape[-1])
        probes[name] = fit_probe(linear_classifier, units, states)
        clusters[name] = fit_kmeans(networks, min(k, len(networks)), seed=draws["seed"]).predict
    rows = []
    for target in targets:
        truth = unit_states(active_area(target.spec, target.test))
        found = list(masked_rows(model, source, target, **draws))
        for name, predict in probes.items():
            x = unit_vectors(models[name], target.spec, target.test)
            row = probe_row(truth, predict(x.reshape(-1, x.shape[-1])).reshape(truth.shape), **draws)
            found.append({"representation": name, "metric": "unit_probe", **row})
        for name, predict in clusters.items():
            row = cluster_row(predict(network_vectors(models[name], target.spec, target.test)), target, seed=draws["seed"])
            found.append({"representation": name, "metric": "clusters_ari", **row})
        rows += [{"source": source.name, "target": target.name, **row} for row in found]
    return rows


def masked_rows(model: ClozeModel, source: SourceNetworks, target: SourceNetworks, **draws: int) -> Iterator[dict]:
    """Masked R² of the model, of the means of the source's parameters by kind, and of the linear-Gaussian imputer."""
    kinds = kinds_of(target.spec)
    scale = kinds.scale(target.train)
    held = HeldOut.of(scale.of(target.test), kinds, **draws)
    predictions = {
        "cloze": predicted_in_turn(model, target.spec, target.test),
        "source_mean": np.broadcast_to(class_means(model, target.spec), target.test.shape),
        "linear_gaussian": None,
    }
    if target.spec == source.spec:
        own = kinds.scale(source.train)
        imputed = imputed_in_turn(source.spec, own.of(source.train), own.of(target.test))
        predictions["linear_gaussian"] = imputed * own.std + own.mean
    for name, predicted in predictions.items():
        row = UNDEFINED | {"n": len(target.test)}
        if predicted is not None:
            own = scale.of(predicted)
            row |= summary(held.r2(own)[:, -1], held.permuted_r2(own)[:, -1])
        yield {"representation": name, "metric": "masked_r2", **row}


def probe_row(truth: np.ndarray, predicted: np.ndarray, *, n_bootstraps: int, seed: int) -> dict:
    """Balanced accuracy of predicted unit states (N, H), with its interval over networks and its null. Undefined where fewer
    than two states have LEAST_UNITS units.
    """
    counted = [state for state in UNIT_STATES if (truth == state).sum() >= LEAST_UNITS]
    if len(counted) < 2:
        return UNDEFINED | {"n": len(truth)}
    of_state = np.stack([truth == state for state in counted], axis=-1)
    weights, rng = resamples(n_bootstraps, len(truth), seed=seed), np.random.default_rng(seed)

    def score(guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
        hits = (of_state & (guess == truth)[..., None]).sum(axis=1)
        n = weights @ of_state.sum(axis=1)
        recall = np.divide(weights @ hits, n, out=np.full(n.shape, np.nan), where=n > 0)
        return np.nanmean(recall, axis=1)

    permuted = np.concatenate([score(rng.permutation(predicted), weights[:1]) for _ in range(N_PERMUTATIONS)])
    return summary(score(predicted, weights), permuted) | {"n": len(truth)}


def cluster_row(assigned: np.ndarray, target: SourceNetworks, *, seed: int) -> dict:
    """The agreement of clusters (N,) of a target's networks with the composition of their units' states."""
    labels = compositions(active_area(target.spec, target.test))
    if len(np.unique(labels)) < 2:
        return UNDEFINED | {"n": len(labels)}
    found = agreement(labels, assigned, seed=seed, n_permutations=N_PERMUTATIONS)["ari"]
    return found | {"n": len(labels)}


def network_vectors(model: ClozeModel | None, spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, F), F the same for every width: what the model predicts of the first layer's units.

    For each unit the expected share of probe inputs at which it is off, whether it is off at any, whether at all; of these
    the mean, largest and least over units. Of a model without behaviour, and without a model, the same three of unit vectors.
    """
    if model is None or model.decoder is None:
        units = unit_vectors(model, spec, params)
    else:
        off = off_probabilities(model, spec, params)
        units = np.stack([off.mean(axis=2), off.max(axis=2) > 0.5, off.min(axis=2) > 0.5], axis=2)
    return np.concatenate([units.mean(axis=1), units.max(axis=1), units.min(axis=1)], axis=1)


def unit_vectors(model: ClozeModel | None, spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, H, D): the mean state of each first-layer unit; without a model (N, H, 5) its sorted incoming weights, bias, mean
    and largest outgoing weight, of norm 1 coming in.
    """
    if model is not None:
        return states_of(model, spec, params)
    layers = spec.unpack(canonical_scale(spec, params.astype(np.float64)))
    (weight, bias), outgoing = layers[0], np.swapaxes(layers[1][0], -1, -2)
    last = (bias[..., None], outgoing.mean(axis=-1, keepdims=True), outgoing.max(axis=-1, keepdims=True))
    return np.concatenate([np.sort(weight, axis=-1), *last], axis=-1)
