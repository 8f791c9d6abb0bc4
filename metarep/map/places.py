"""Where the points of an embedding lie, and which are near each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from metarep.evaluation.clusters import UMAP_MAX_ROWS, fit_umap
from metarep.evaluation.compare import MIN_PLACES
from metarep.evaluation.nearest import nearest
from metarep.map.settings import MapConfig
from metarep.work import spread

BLOCK = 4096
"""Points that are placed at once."""

PAIRS = 20_000
"""Pairs of points whose distances stand for the spread of all."""


@dataclass(frozen=True)
class Places:
    """Points (N, 2) by the name of the projection; the k nearest others (N, k) with their distances (N, k), in units of the
    median distance of two points; of these distances the quantiles (101,); what there is to say.
    """

    positions: dict[str, np.ndarray]
    nearest: np.ndarray
    distance: np.ndarray
    quantiles: np.ndarray
    note: str


def all_places(
    named: Mapping[str, np.ndarray], fitted: np.ndarray, config: MapConfig, advance: Callable[[int], None] = lambda n: None
) -> dict[str, Places]:
    """The places of the rows (N, D) of each embedding, side by side; `advance` is told how many rows were placed."""
    found = {}
    made = spread(places_of, list(named.values()), fitted, config, n_networks=len(fitted))
    for (name, x), places in zip(named.items(), made, strict=True):
        found[name] = places
        advance(len(x))
    return found


def places_of(x: np.ndarray, fitted: np.ndarray, config: MapConfig) -> Places:
    """The places of rows x (N, D), fitted on some of them, row numbers (M,)."""
    scaler = StandardScaler().fit(x[fitted])
    scaled = scaler.transform(x)
    positions, note = {}, ""
    n_places = len(np.unique(x[fitted][:UMAP_MAX_ROWS], axis=0))
    if config.umap and n_places >= MIN_PLACES:
        place = fit_umap(x[fitted], n_neighbors=min(config.umap_neighbors, n_places - 1), seed=config.seed)
        positions["UMAP"] = np.concatenate([place(x[at : at + BLOCK]) for at in range(0, len(x), BLOCK)])
        n_fit = min(len(fitted), UMAP_MAX_ROWS)
        note = f"UMAP fitted on {n_fit:,} of {len(x):,} points" + (", the others placed in it" if n_fit < len(x) else "")
    elif config.umap:
        note = f"no UMAP of {n_places} different points; {MIN_PLACES} are the least"
    wide = np.pad(scaled, [(0, 0), (0, max(0, 2 - scaled.shape[1]))])
    positions["PCA"] = PCA(2, svd_solver="full").fit(wide[fitted]).transform(wide)
    return Places(positions, *neighbours_of(scaled, config), note)


def neighbours_of(scaled: np.ndarray, config: MapConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest others (N, k), their distances and the quantiles (101,) of distances of two points, by their median."""
    n = len(scaled)
    k = min(config.n_neighbors, n - 1)
    rng = np.random.default_rng(config.seed)
    first, second = rng.integers(0, n, (2, PAIRS))
    apart = np.linalg.norm(scaled[first] - scaled[second], axis=1)[first != second]
    quantiles = np.quantile(apart, np.linspace(0, 1, 101)) if len(apart) else np.zeros(101)
    distance, near = nearest(scaled, k + 1, seed=config.seed)
    itself = near == np.arange(n)[:, None]
    at = np.where(itself.any(axis=1), itself.argmax(axis=1), k)
    kept = np.arange(k + 1) != at[:, None]  # a point is no neighbour of itself, whatever lies exactly on it
    unit = quantiles[50] or 1.0
    return near[kept].reshape(n, k), distance[kept].reshape(n, k) / unit, quantiles / unit
