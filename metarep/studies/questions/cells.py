"""One row of question 2's matrix: everything fitted on the training networks of a source, measured on the test networks of
every target.

Three metrics. masked_r2: each parameter hidden in turn, in standard deviations of the target's own training networks, so that
figures of one target compare. unit_probe: the balanced accuracy of telling what a unit of the first hidden layer does, over
the states that a few of the target's test units are in. clusters_ari: clusters of networks against the composition of these
states. Units are judged on the unit square, whatever inputs they were trained on.

Controls, carried over in the same way: of masked R² the means of the source's slot classes (which any architecture has) and
the linear-Gaussian imputer (which reads one architecture only); of the probe and of clusters an untrained model of the same
shape, and raw parameters.

A resample draws networks, and the same ones for every source, so that ratios of two figures have intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from metarep.cloze.embed import N_FINE, leave_one_out, untrained_like
from metarep.cloze.imputers import Imputer, fit_linear_gaussian, in_turn
from metarep.cloze.model import ClozeModel
from metarep.cloze.pretrain import load_model
from metarep.cloze.r2_draws import dealt_r2, r2_draws, resamples, spread
from metarep.domains.multiplier.geometry import active_area
from metarep.domains.multiplier.modes import UNIT_STATES, compositions, unit_states
from metarep.evaluation.agreement import agreement
from metarep.evaluation.clusters import fit_kmeans
from metarep.evaluation.probes import fit_probe, linear_classifier, neighbour_classifier
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import canonical_scale
from metarep.studies.questions.source_zoos import Networks

METRICS = ("masked_r2", "unit_probe", "clusters_ari")
N_PERMUTATIONS = 100
LEAST_UNITS = 5
"""A state that fewer of the target's test units are in does not count."""

BATCH = 512


@dataclass(frozen=True)
class Measuring:
    """How figures are taken: clusters, resamples, and the seed of both."""

    k: int
    n_bootstraps: int
    seed: int

    def resamples(self, n: int) -> np.ndarray:
        """(B + 1, N) counts: the networks themselves, and how often each of n is in each bootstrap resample."""
        return resamples(self.n_bootstraps, n, seed=self.seed)


def carry_over(source: Networks, targets: Sequence[Networks], model_path: Path, measuring: Measuring) -> list[dict]:
    """The rows of one source: target by target, metric by metric, representation by representation.

    value, low, high, null_p95 and n; `unseen` is the share of the target's units whose state no training unit of the source
    has, `draws` the figure in every resample. Values are None where a figure is not defined.
    """
    model = load_model(model_path)
    imputer = fit_linear_gaussian(_normalised(model, source.train), model.layout)
    models = {"cloze": model, "untrained": untrained_like(model, seed=measuring.seed)}
    readers = list(fit_readers(source, models, measuring))
    rows = []
    for target in targets:
        reading = {name: one.reading(NetworkSpec.parse(target.spec)) for name, one in models.items()}
        found = [*masked_rows(reading["cloze"], imputer if target.spec == source.spec else None, target, measuring)]
        found += [row for own, reader in readers for row in reader(target, reading[own])]
        rows += [{"source": source.name, "target": target.name, **row} for row in found]
    return rows


def masked_rows(model: ClozeModel, imputer: Imputer | None, target: Networks, measuring: Measuring) -> Iterator[dict]:
    """Masked R² of the model that reads the target, of the means of the source's slot classes, and of the linear-Gaussian
    imputer."""
    values = _normalised(model, target.test)
    with torch.no_grad():
        parts = [leave_one_out(model, part).expectation for part in torch.from_numpy(values).split(BATCH)]
    predictions = {"cloze": torch.cat(parts).numpy(), "source_mean": np.zeros_like(values), "linear_gaussian": None}
    if imputer is not None:
        predictions["linear_gaussian"] = in_turn(imputer, values)
    scale = _spread(target, model.layout.slot_class) / model.class_std.numpy()
    truth = (values / scale[model.layout.slot_class]).astype(np.float64)
    for name, predicted in predictions.items():
        scaled = None if predicted is None else predicted / scale[model.layout.slot_class]
        yield {"representation": name, "metric": "masked_r2", **r2_row(truth, scaled, model.layout.slot_class, measuring)}


def r2_row(truth: np.ndarray, predicted: np.ndarray | None, classes: np.ndarray, measuring: Measuring) -> dict:
    """R² of predictions (N, T) about the means of slot classes (T,), with its interval and null."""
    if predicted is None:
        return undefined(len(truth))
    draws = r2_draws(truth, predicted, classes, measuring.resamples(len(truth)))[:, -1]
    return measured(draws, dealt_r2(truth, predicted, classes, seed=measuring.seed)[:, -1], len(truth))


def fit_readers(source: Networks, models: Mapping[str, ClozeModel], measuring: Measuring) -> Iterator[tuple[str, Callable]]:
    """Probes and clusters fitted on the source, each behind the name of the model that it reads with; it makes rows of a
    target and that model.
    """
    spec = NetworkSpec.parse(source.spec)
    states = unit_states(active_area(spec, source.train)).ravel()
    units = {name: (name, cloze_units, linear_classifier) for name in models}
    units |= {"raw": ("cloze", raw_units, linear_classifier), "raw_neighbours": ("cloze", raw_units, neighbour_classifier)}
    for name, (own, read, build) in units.items():
        predict = fit_probe(build, flat(read(models[own], source.train)), states)
        yield own, _probe_reader(name, read, predict, set(states), measuring)
    networks = {name: (name, cloze_networks) for name in models} | {"raw": ("cloze", raw_networks)}
    for name, (own, read) in networks.items():
        x = read(models[own], source.train)
        clusters = fit_kmeans(x, min(measuring.k, len(x)), seed=measuring.seed)
        yield own, _cluster_reader(name, read, clusters.predict, measuring)


def _probe_reader(name: str, read: Callable, predict: Callable, known: set[str], measuring: Measuring) -> Callable:
    def rows(target: Networks, model: ClozeModel) -> Iterator[dict]:
        truth = unit_states(active_area(model.spec, target.test))
        predicted = predict(flat(read(model, target.test))).reshape(truth.shape)
        unseen = float(1 - np.isin(truth, list(known)).mean())
        yield {"representation": name, "metric": "unit_probe", **probe_row(truth, predicted, measuring), "unseen": unseen}

    return rows


def probe_row(truth: np.ndarray, predicted: np.ndarray, measuring: Measuring) -> dict:
    """Balanced accuracy of predicted unit states (N, H), with its interval over networks and its null; `chance` is what one
    state for all would have. Undefined where fewer than two states have LEAST_UNITS units.
    """
    counted = [state for state in UNIT_STATES if (truth == state).sum() >= LEAST_UNITS]
    if len(counted) < 2:
        return undefined(len(truth))
    of_state = np.stack([truth == state for state in counted], axis=-1)
    weights, rng = measuring.resamples(len(truth)), np.random.default_rng(measuring.seed)

    def score(guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
        hits = (of_state & (guess == truth)[..., None]).sum(axis=1)
        n = weights @ of_state.sum(axis=1)
        recall = np.divide(weights @ hits, n, out=np.full(n.shape, np.nan), where=n > 0)
        return np.nanmean(recall, axis=1)

    dealt = np.concatenate([score(rng.permutation(predicted), weights[:1]) for _ in range(N_PERMUTATIONS)])
    return measured(score(predicted, weights), dealt, len(truth)) | {"chance": 1 / len(counted)}


def _cluster_reader(name: str, read: Callable, predict: Callable, measuring: Measuring) -> Callable:
    def rows(target: Networks, model: ClozeModel) -> Iterator[dict]:
        labels = compositions(active_area(model.spec, target.test))
        row = undefined(len(labels))
        if len(np.unique(labels)) > 1:
            clusters = predict(read(model, target.test))
            found = agreement(labels, clusters, seed=measuring.seed, n_permutations=N_PERMUTATIONS)["ari"]
            row |= {"value": found["value"], "low": found["low"], "high": found["high"], "null_p95": found["null"]}
        yield {"representation": name, "metric": "clusters_ari", **row}

    return rows


def measured(draws: np.ndarray, dealt: np.ndarray, n: int) -> dict:
    """A figure of n networks, the first of draws (B + 1,), with the interval of the others, the 95th percentile of deals of
    its answers to other networks, and its draws (B,).
    """
    return spread(draws, dealt) | {"n": n, "draws": draws[1:]}


def undefined(n: int) -> dict:
    """A figure that has no value on these networks."""
    return {"value": None, "low": None, "high": None, "null_p95": None, "n": n}


def cloze_units(model: ClozeModel, params: np.ndarray) -> np.ndarray:
    """(N, H, D): the mean hidden state of each first-layer unit."""
    return np.concatenate([_first_units(model, part).numpy() for part in _batches(params)]).astype(np.float64)


def cloze_networks(model: ClozeModel, params: np.ndarray) -> np.ndarray:
    """(N, F), F the same for every width: what the model believes of the first layer's units.

    For each unit the expected share of probe inputs at which it is off, whether it is off at any, whether at all; of these
    the mean, largest and least over units. Of a model without behaviour the mean and largest of the hidden states.
    """
    units = cloze_units(model, params)
    if model.decoder is None:
        return np.concatenate([units.mean(axis=1), units.max(axis=1)], axis=1)
    probes = torch.from_numpy(model.behaviour.finer(N_FINE).probes)
    with torch.no_grad():
        parts = [model.decoder(_first_units(model, part), probes).log_off.exp().numpy() for part in _batches(params)]
    off = np.concatenate(parts).astype(np.float64)
    return pooled(np.stack([off.mean(axis=2), off.max(axis=2) > 0.5, off.min(axis=2) > 0.5], axis=2))


def raw_units(model: ClozeModel, params: np.ndarray) -> np.ndarray:
    """(N, H, 5): each first-layer unit's sorted incoming weights, bias, mean and largest outgoing weight; norm 1 coming in."""
    layers = model.spec.unpack(canonical_scale(model.spec, params.astype(np.float64)))
    (weight, bias), outgoing = layers[0], np.swapaxes(layers[1][0], -1, -2)
    last = (bias[..., None], outgoing.mean(axis=-1, keepdims=True), outgoing.max(axis=-1, keepdims=True))
    return np.concatenate([np.sort(weight, axis=-1), *last], axis=-1)


def raw_networks(model: ClozeModel, params: np.ndarray) -> np.ndarray:
    """(N, 15): mean, largest and least over units of `raw_units`."""
    return pooled(raw_units(model, params))


def pooled(units: np.ndarray) -> np.ndarray:
    """(N, H, D) -> (N, 3 D): mean, largest and least over units."""
    return np.concatenate([units.mean(axis=1), units.max(axis=1), units.min(axis=1)], axis=1)


def flat(units: np.ndarray) -> np.ndarray:
    """(N, H, D) -> (N H, D)."""
    return units.reshape(-1, units.shape[-1])


def _batches(params: np.ndarray) -> Iterator[np.ndarray]:
    return (params[first : first + BATCH] for first in range(0, len(params), BATCH))


def _first_units(model: ClozeModel, params: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        values = model.read(params)
        states = model.encode(values, torch.zeros_like(values, dtype=torch.bool))
        return model.units(states)[:, : model.spec.hidden_widths[0]]


def _normalised(model: ClozeModel, params: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.read(params).numpy()


def _spread(target: Networks, classes: np.ndarray) -> np.ndarray:
    """(C,): the standard deviations of the target's slot classes among its training networks."""
    params = target.train.astype(np.float64)
    return np.array([max(1e-6, params[:, classes == number].std()) for number in range(classes.max() + 1)])
