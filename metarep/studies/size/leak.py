"""Whether the splits leak, and whether a model remembers: distances to training networks modulo unit order and scale.

A leak would put held-out networks nearer to training networks than training networks lie to each other. A memory
would make the model right on held-out networks that lie near those it saw. Crowded places are also the easy ones,
though, so the rank correlation of error and distance is held against that with networks which the model was not fitted on:
as many validation networks.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from metarep.evaluation.neighbours import Units, nearest_distance, units_of
from metarep.evaluation.resampling import LEVELS
from metarep.evaluation.roc import area, estimate
from metarep.networks.symmetry import canonical_scale
from metarep.studies.masked import kinds_of
from metarep.studies.rows import columns, number
from metarep.zoos.zoo import Zoo

DUPLICATE = 0.001
"""Standard deviations: networks that are nearer to each other than this count as one and the same."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SEEN, AS_MANY, UNSEEN = "all it saw", "as many that it saw", "as many that it did not see"


def canonical_units(train: Zoo) -> Units:
    """What distances are measured in: spreads of canonically scaled training networks, by kind of parameter."""
    spec = train.spec
    return units_of(canonical_scale(spec, train.params.astype(np.float64)), kinds_of(spec).number)


def leak_rows(
    train: Zoo, test: Zoo, units: Units, sizes: list[int], *, most: int, n_bootstraps: int, seed: int
) -> tuple[list[dict], dict[int, tuple[np.ndarray, np.ndarray]]]:
    """Two rows for each number of training networks, and the distances (held out, among training networks) by that number.

    Held-out networks to their nearest training network, training networks to their nearest other one, at most `most` of
    each. auc: the chance that a held-out network lies farther away than a training network; below 1/2 would be a leak.
    """
    rows, found = [], {}
    for n in sizes:
        params = train.params[:n]
        own = np.sort(np.random.default_rng(seed).permutation(n)[:most])
        held_out = nearest_distance(train.spec, params, test.params, units)
        among = nearest_distance(train.spec, params, params[own], units, own=own)
        curve = estimate({"auc": area}, held_out, among, n_bootstraps, seed=seed)["auc"]
        chance = curve.row("auc")
        for networks, distance in (("held out", held_out), ("training", among)):
            row = {"train_networks": n, "networks": networks, "least": number(distance.min())}
            row |= {f"q{100 * q:02.0f}": number(np.quantile(distance, q)) for q in QUANTILES}
            row |= {"n_duplicates": int((distance < DUPLICATE).sum()), "n": len(distance)}
            rows.append(row | (chance if networks == "held out" else dict.fromkeys(chance)))
        found[n] = held_out, among
    return rows, found


def memory_rows(
    name: str, error: np.ndarray, seen: Zoo, valid: Zoo, test: Zoo, units: Units, *, n_bootstraps: int, n_null: int, seed: int
) -> tuple[list[dict], np.ndarray]:
    """Rows of memory.csv for one model, whose mean squared error on test networks is error (N,); and their distances (N,)
    to the nearest of the training networks that it saw.

    rho: Spearman's rank correlation of distance and error. difference: rho less that with as many unseen networks.
    null: of |rho| when errors are permuted among networks.
    """
    few = min(len(seen), len(valid))
    banks = {SEEN: seen.params, AS_MANY: seen.params[:few], UNSEEN: valid.params[:few]}
    distances = {bank: nearest_distance(test.spec, params, test.params, units) for bank, params in banks.items()}
    rng = np.random.default_rng(seed)
    at = np.concatenate([np.arange(len(error))[None], rng.integers(0, len(error), (n_bootstraps, len(error)))])
    draws = {bank: rank_correlation(distance[at], error[at]) for bank, distance in distances.items()}
    shuffled = error[np.argsort(rng.random((n_null, len(error))), axis=1)]
    rows = []
    for bank, distance in distances.items():
        null = np.quantile(np.abs(rank_correlation(np.broadcast_to(distance, shuffled.shape), shuffled)), 0.95)
        row = {"model": name, "train_networks": len(seen), "nearest_of": bank, "bank_networks": len(banks[bank])}
        row |= columns("rho", draws[bank]) | {"null": number(null)}
        difference = columns("difference", draws[bank] - draws[UNSEEN])
        rows.append(row | (difference if bank == AS_MANY else dict.fromkeys(difference)) | {"n": len(error)})
    return rows, distances[SEEN]


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(B,): Spearman's rank correlation along the rows of (B, N) each; 0 where nothing varies."""
    a, b = (rankdata(values, axis=1) for values in (a, b))
    a, b = (values - values.mean(axis=1, keepdims=True) for values in (a, b))
    spread = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), spread, out=np.zeros(len(a)), where=spread > 0)


def binned(distance: np.ndarray, error: np.ndarray, n_bins: int = 8, *, seed: int = 0) -> np.ndarray:
    """(bins, 4): the median distance of equally many networks, nearest first, their mean error and its 95 % interval."""
    rng, rows = np.random.default_rng(seed), []
    for part in np.array_split(np.argsort(distance, kind="stable"), min(n_bins, len(distance))):
        means = error[part][rng.integers(0, len(part), (200, len(part)))].mean(axis=1)
        rows.append([np.median(distance[part]), error[part].mean(), *np.quantile(means, LEVELS)])
    return np.array(rows)
