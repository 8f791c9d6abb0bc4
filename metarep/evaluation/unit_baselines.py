"""What embeddings of units are compared with: their values, statistics of these, and how well simple models complete them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA

from metarep.embeddings.predictability import FLOOR, N_PATTERNS, RATIOS
from metarep.evaluation.baselines import baseline, statistics
from metarep.evaluation.imputers import MIXTURE_RANK, RIDGE, Gaussian, fit_gaussian
from metarep.evaluation.units import Units, hidden_views
from metarep.model.layout import SIDES
from metarep.model.mixture import MAX_VALUES, UnitMixture

ENERGY_FLOOR = 1e-4
"""Added to energies before their logarithm; those of a unit sum to at most 1."""

N_GAUSSIANS = 64
WITHIN_RANK, WITHIN_FOLDS = 16, 4
"""Completion within a network: the rank, and how many parts of its units are completed from the others."""


@dataclass(frozen=True)
class Rows:
    """The values (M, L) float64 of units of one kind, and which of them the unit reads out by, (L,) bool."""

    values: np.ndarray
    reads: np.ndarray

    @property
    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """What feeds the units, their own values among it, and what reads them."""
        return self.values[:, ~self.reads], self.values[:, self.reads]


def rows_of(units: Units, architecture: int, group: str) -> tuple[np.ndarray, Rows]:
    """Which of the units (M,) are of a group of an architecture, and their values; those of units that may be rescaled with
    incoming and outgoing length alike.
    """
    zoo, (view,) = units.networks, [one for one in hidden_views(units.networks, architecture) if one.units.name == group]
    chosen = np.flatnonzero((zoo.architecture[units["row"]] == architecture) & (units["units"] == group))
    networks, which = np.unique(units["row"][chosen], return_inverse=True)
    values = view.values(zoo.stacked(networks)).squeeze(-1).double().numpy()[which, units["unit"][chosen]]
    reads = np.array([part.member.side == SIDES[2] for part in view.slices])[view.slice_of_token]
    if view.units.positive_scale:
        fed, read = (np.linalg.norm(values[:, side], axis=1) for side in (~reads, reads))
        scale = np.sqrt(np.divide(read, fed, out=np.ones_like(fed), where=(fed > 0) & (read > 0)))[:, None]
        values = np.where(reads, values / scale, values * scale)
    return chosen, Rows(values, reads)


def only_rows(units: Units) -> Rows:
    """The values of units that are all of one kind."""
    return rows_of(units, *units.kinds[0])[1]


def of_rows(name: str, description: str, *, is_fitted: bool = False):
    """Registers a function (rows, fitted on (M,) bool) -> (M, D), for units of one kind."""

    def register(make: Callable[[Rows, np.ndarray], np.ndarray]):
        how = {"needs": ("one kind of unit",), "is_fitted": is_fitted, "part": "unit"}
        baseline(name, description, **how)(lambda units, train: make(only_rows(units), train))
        return make

    return register


@baseline("unit_statistics", "mean, spread and quartiles of what feeds a unit and of what reads it", part="unit")
def unit_statistics(units: Units, train: np.ndarray) -> np.ndarray:
    """(M, 14)."""
    found = np.zeros((len(units), 14))
    for kind in units.kinds:
        chosen, rows = rows_of(units, *kind)
        found[chosen] = np.concatenate([statistics(side) for side in rows.sides], axis=1)
    return found


@of_rows("unit_values", "the values of a unit")
def unit_values(rows: Rows, train: np.ndarray) -> np.ndarray:
    """(M, L)."""
    return rows.values


@of_rows("energies_30", "logarithms of a unit's energy in each of the first 30 principal components of units", is_fitted=True)
def energies_30(rows: Rows, train: np.ndarray) -> np.ndarray:
    """(M, 30)."""
    return log_energies(rows, train, 30)


@of_rows("energies_60", "the same of 60", is_fitted=True)
def energies_60(rows: Rows, train: np.ndarray) -> np.ndarray:
    """(M, 60)."""
    return log_energies(rows, train, 60)


@of_rows(
    "mixture_densities",
    f"log density of a unit's values, scaled to one length, under each of {N_GAUSSIANS} Gaussians fitted to units",
    is_fitted=True,
)
def mixture_densities(rows: Rows, train: np.ndarray) -> np.ndarray:
    """(M, 64), in nats a value."""
    z = standardised(rows.values, train)
    x = z if z.shape[1] <= MAX_VALUES else PCA(min(MAX_VALUES, int(train.sum())), random_state=0).fit(z[train]).transform(z)
    mixture = UnitMixture(x.shape[1], N_GAUSSIANS, MIXTURE_RANK).fit(x[train], seed=0)
    return mixture.log_densities(torch.from_numpy(x).float()).numpy() / x.shape[1]


def log_energies(rows: Rows, train: np.ndarray, n: int) -> np.ndarray:
    """(M, n): log squared scores of units of length one on principal components of the training units (M,) bool."""
    x = rows.values / np.maximum(np.linalg.norm(rows.values, axis=1, keepdims=True), 1e-12)
    pca = PCA(min(n, int(train.sum()), x.shape[1]), svd_solver="covariance_eigh").fit(x[train])
    return np.log(np.square(pca.transform(x)) + ENERGY_FLOOR)


@of_rows(
    "linear_gaussian_profile",
    "what the embedding predictability is, by a Gaussian over the values of units instead of the model",
    is_fitted=True,
)
def linear_gaussian_profile(rows: Rows, train: np.ndarray) -> np.ndarray:
    """(M, 12)."""
    z = standardised(rows.values, train)
    gaussian = fit_gaussian(z[train], [np.arange(z.shape[1])])
    return profile(z, rows.reads, lambda mask: gaussian.predict(z, mask))


@baseline(
    "within_network_profile",
    f"the same with a Gaussian of rank {WITHIN_RANK} over the other units of the network",
    needs=("one kind of unit",),
    part="unit",
)
def within_network_profile(units: Units, train: np.ndarray) -> np.ndarray:
    """(M, 12). Units of a network are put into folds; each is completed from the units of the others."""
    rows = only_rows(units)
    found = np.empty((len(units), 2 * len(RATIOS)))
    for row in np.unique(units["row"]):
        own = np.flatnonzero(units["row"] == row)
        z = rows.values[own] / max(rows.values[own].std(), 1e-12)
        for fold in range(WITHIN_FOLDS):
            held = np.arange(len(own)) % WITHIN_FOLDS == fold
            tested, gaussian = z[held], low_rank(z[~held], WITHIN_RANK)
            found[own[held]] = profile(tested, rows.reads, lambda mask, x=tested, g=gaussian: g.predict(x, mask))
    return found


def standardised(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """(M, L) in standard deviations of the training rows about their mean, column by column."""
    return (values - values[train].mean(axis=0)) / np.maximum(values[train].std(axis=0), 1e-9)


def low_rank(rows: np.ndarray, rank: int) -> Gaussian:
    """Probabilistic principal components of few rows (n, L): the variance that the factors leave is noise."""
    mean = rows.mean(axis=0)
    _, sizes, directions = np.linalg.svd(rows - mean, full_matrices=False)
    variances = np.square(sizes) / len(rows)
    rank = min(rank, len(rows) // 2)
    noise = variances[rank:].sum() / max(1, rows.shape[1] - rank) + RIDGE
    return Gaussian(mean, directions[:rank].T * np.sqrt((variances[:rank] - noise).clip(min=0)), noise)


def profile(z: np.ndarray, reads: np.ndarray, predict: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """(M, 12): the log mean squared error of masked values of rows (M, L), by side and then by ratio, over N_PATTERNS masks.

    predict: a mask (L,) bool, True masked -> what is said of the masked values (M, masked).
    """
    rng, n = np.random.default_rng(0), z.shape[1]
    total, count = np.zeros((2, len(RATIOS), len(z))), np.zeros((2, len(RATIOS), 1))
    for at, ratio in enumerate(RATIOS):
        for _ in range(N_PATTERNS):
            mask = rng.permutation(n) < np.clip(round(ratio * n), 1, n - 1)
            squares = np.square(predict(mask) - z[:, mask])
            for number, side in enumerate((~reads, reads)):
                total[number, at] += squares[:, side[mask]].sum(axis=1)
                count[number, at] += side[mask].sum()
    return np.log(total / np.maximum(count, 1) + FLOOR).reshape(-1, len(z)).T
