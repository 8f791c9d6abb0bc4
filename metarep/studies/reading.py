"""What a model says of networks of one spec: of each parameter, masked in turn, with R² by kind of parameter; and of the units
of the first layer.

Parameters of one kind are those that a permutation of hidden units can exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from metarep.embeddings.behaviour import N_FINE, predict_group
from metarep.embeddings.leave_one_out import masked_in_turn
from metarep.embeddings.readout import Readout, read_networks
from metarep.embeddings.specs import param_of_token, plan_of_spec, segment_of
from metarep.embeddings.stage import probe_space
from metarep.evaluation.imputers import fit_gaussian, unit_orders
from metarep.evaluation.resampling import N_DRAWS, explained, resamples, total_squares
from metarep.model.transformer import ClozeModel
from metarep.model.windows import plan_of
from metarep.networks.inference import symmetries_of
from metarep.networks.spec import NetworkSpec
from metarep.zoos.parameters import architecture_of_spec, as_sequential


@dataclass(frozen=True)
class Scale:
    """What parameters are measured in: the mean and standard deviation (P,) of their kind."""

    mean: np.ndarray
    std: np.ndarray

    def of(self, params: np.ndarray) -> np.ndarray:
        """params (…, P) in standard deviations about the mean, float64."""
        return (np.asarray(params, dtype=np.float64) - self.mean) / self.std


@dataclass(frozen=True)
class Kinds:
    """The kind (P,) of each parameter of a spec, numbered from 0, and the names of the kinds."""

    number: np.ndarray
    names: tuple[str, ...]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(N, C): values (N, P) summed over the parameters of each kind."""
        return values @ (self.number[:, None] == np.arange(len(self.names))).astype(np.float64)

    def scale(self, params: np.ndarray) -> Scale:
        """Mean and spread of networks (N, P) by the kind of their parameters, so that no unit comes first."""
        values = [np.asarray(params, np.float64)[:, self.number == kind] for kind in range(len(self.names))]
        mean, std = np.array([(one.mean(), max(one.std(), 1e-6)) for one in values]).T
        return Scale(mean[self.number], std[self.number])


@lru_cache(maxsize=32)
def kinds_of(spec: NetworkSpec) -> Kinds:
    """The kinds of a spec's parameters."""
    plan, _ = _plan(spec)
    layout, number = plan.shapes[0].layout, np.empty(spec.n_params, np.int64)
    number[param_of_token(plan, spec)[:, 0]] = layout.slot_class[:, 0]
    return Kinds(number, layout.slot_names)


def _plan(spec: NetworkSpec):
    architecture = architecture_of_spec(spec)
    symmetries = symmetries_of(architecture, relu=True)
    return plan_of(architecture, symmetries, chunk=1, context=max(8, spec.n_params), overlap=0.0), symmetries


def predicted_in_turn(model: ClozeModel, spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, P) float64: what the model expects of each parameter of networks (N, P) when its token alone is masked."""
    plan, _ = plan_of_spec(model, spec)
    at, segment = param_of_token(plan, spec), segment_of(plan, spec, params).to(model.device)
    said = masked_in_turn(model, segment)
    expected = torch.cat([model.denormalise(of_some.expectation(), some).cpu() for some, of_some in said]).double().numpy()
    found = np.empty(params.shape)
    found[:, at[at >= 0]] = expected[:, at >= 0]
    return found


def class_means(model: ClozeModel, spec: NetworkSpec) -> np.ndarray:
    """(P,): the mean of each parameter's class among the networks that the model was pretrained on."""
    plan, _ = plan_of_spec(model, spec)
    at = param_of_token(plan, spec)
    segment = segment_of(plan, spec, np.zeros((1, spec.n_params), np.float32)).to(model.device)
    with torch.no_grad():
        expected, found = model.denormalise(torch.zeros_like(segment.values), segment)[0].cpu().numpy(), np.empty(spec.n_params)
    found[at[at >= 0]] = expected[at >= 0]
    return found


def imputed_in_turn(spec: NetworkSpec, train: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(N, P): the same of values (N, P) by the linear-Gaussian imputer fitted on train (M, P); both standardised."""
    plan, symmetries = _plan(spec)
    at = param_of_token(plan, spec)[:, 0]
    gaussian = fit_gaussian(train[:, at], unit_orders(plan, plan.shapes[0], symmetries))
    found = np.empty(values.shape)
    for mask, position in zip(np.eye(len(at), dtype=bool), at, strict=True):
        found[:, position] = gaussian.predict(values[:, at], mask)[:, 0]
    return found


@dataclass(frozen=True)
class HeldOut:
    """Held-out networks: values (N, P) in standard deviations, their kinds, and resamples (B, N) of networks, the first of
    which is the sample itself.
    """

    values: np.ndarray
    kinds: Kinds
    weights: np.ndarray
    seed: int = 0

    @classmethod
    def of(cls, values: np.ndarray, kinds: Kinds, *, n_bootstraps: int, seed: int) -> HeldOut:
        """With so many resamples."""
        return cls(np.asarray(values, np.float64), kinds, resamples(n_bootstraps, len(values), seed=seed), seed)

    @property
    def total(self) -> np.ndarray:
        """(B, C): squared deviations from each kind's mean, summed."""
        parts = (np.ones_like(self.values), self.values, np.square(self.values))
        return total_squares(*(self.weights @ self.kinds.sums(part) for part in parts))

    def r2(self, predicted: np.ndarray) -> np.ndarray:
        """(B, C + 1): R² of predictions (N, P) for every kind and, last, over all."""
        return share_explained(self.weights @ self.kinds.sums(np.square(self.values - predicted)), self.total)

    def permuted_r2(self, predicted: np.ndarray, n_draws: int = N_DRAWS) -> np.ndarray:
        """(n_draws, C + 1): the same when predictions are permuted among networks, each network's as a whole."""
        rng, squares = np.random.default_rng(self.seed), np.square(self.values).sum(0) + np.square(predicted).sum(0)
        orders = (rng.permutation(len(predicted)) for _ in range(n_draws))
        products = np.stack([np.einsum("np,np->p", self.values, predicted[order]) for order in orders])
        return share_explained(self.kinds.sums(squares - 2 * products), self.total[:1])


def share_explained(left: np.ndarray, total: np.ndarray) -> np.ndarray:
    """(B, C + 1): 1 − left / total for sums of squares by kind (B, C), and for both summed over kinds."""
    total = np.broadcast_to(total, left.shape)
    return explained(*(np.concatenate([sums, sums.sum(axis=1, keepdims=True)], axis=1) for sums in (left, total)))


def read(model: ClozeModel, spec: NetworkSpec, params: np.ndarray) -> tuple[Readout, int]:
    """Networks (N, P) as they are, and the group of their first layer's units."""
    plan, _ = plan_of_spec(model, spec)
    readout = read_networks(model, plan, as_sequential(spec, params), space=probe_space(model, plan))
    return readout, next(one.group for one in readout.groups if one.hidden)


def unit_states(model: ClozeModel, spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, H, D): the mean state of each first-layer unit."""
    readout, first = read(model, spec, params)
    return readout.units[first].double().numpy()


def off_probabilities(model: ClozeModel, spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, H, S): how likely each first-layer unit is off at each of about 100 probes.

    Raises MetarepError for a model that was not asked for behaviour.
    """
    readout, first = read(model, spec, params)
    return predict_group(readout, first, N_FINE)[0].double().numpy()
