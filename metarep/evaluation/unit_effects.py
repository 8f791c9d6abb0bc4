"""What removing a unit does, and whether the units of one cluster are alike in that.

A unit is removed by setting to zero what reads it. Its effect are the changes of all outputs at inputs of the networks' kind.
Two units of different runs are alike by the squared cosine of their effects, which knows neither size nor sign. Clusters
mean something where units of one cluster are more alike than units of any two.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from metarep.artefact import open_artefact, writing
from metarep.evaluation.chains import inputs_of_zoo, pieces, runs_of
from metarep.evaluation.resampling import N_DRAWS, resamples, summary, wilson
from metarep.evaluation.settings import UnitEffectsConfig
from metarep.evaluation.units import KEYS, Units, units_of
from metarep.networks.chain_forward import Chain
from metarep.networks.symmetry_groups import SymmetryGroup
from metarep.networks.tensor_symmetry import times_units
from metarep.progress import Progress
from metarep.tables import read_csv, write_tables
from metarep.zoos.zoo import Zoo, open_zoo

KIND = "unit-effects"
REPRESENTATION = ("representation", "model", "kind", "untrained")
NOTHING = 1e-6
"""A unit does nothing if its effect has less than this share of the root mean square of the network's outputs."""


def unit_effects(
    config: UnitEffectsConfig,
    comparison: Path | str,
    zoo: Path | str,
    out: Path | str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Removes units that a comparison of units has put into clusters, into the folder `out`, which it returns.

    Test units alone are removed, a seeded choice where there are more than the settings admit. No tables for networks that
    cannot be run, and where no units were put into clusters.
    """
    compared, networks, progress = open_artefact(comparison, "clusters"), open_zoo(zoo).finite(), progress or Progress()
    inputs = {"units": compared, "zoo": networks.artefact}
    how = {"config": config.resolved(), "seed": config.seed, "inputs": inputs, "overwrite": overwrite}
    with writing(out, KIND, **how) as folder:
        file, tables, n = compared.path / "assignments.csv", {}, 0
        rows = [row for row in read_csv(file) if row["split"] == "test"] if file.is_file() else []
        if rows:
            units, clusters = units_and_clusters(networks, rows)
            every = np.array(sorted(set().union(*clusters.values())))
            chosen = np.sort(np.random.default_rng(config.seed).permutation(every)[: config.max_units])
            tables, n = measure(config, units, chosen, clusters, progress=progress), len(chosen)
        write_tables(folder, tables, {"n_units": n})
    return Path(out)


def units_and_clusters(networks: Zoo, rows: Sequence[dict]) -> tuple[Units, dict[tuple, dict[int, int]]]:
    """The units of the networks of rows of assignments.csv, and by representation the cluster of each, {row: cluster}; labels
    that set units apart are clusters, too.
    """
    named = {row["network_id"] for row in rows}
    units = units_of(networks.select(np.array([name in named for name in networks.network_id])))
    number = {key: at for at, key in enumerate(zip(*(units[name].tolist() for name in KEYS), strict=True))}
    clusters: dict[tuple, dict[int, int]] = {}
    for row in rows:
        unit = number[row["network_id"], row["units"], int(row["unit"])]
        clusters.setdefault(tuple(row[name] for name in REPRESENTATION), {})[unit] = int(row["cluster"])
    every = sorted(set().union(*clusters.values()))
    known = {label: _as_clusters(units, label, every) for label in units.labels}
    return units, clusters | {(f"label {label}", "", "", 0): own for label, own in known.items() if len(set(own.values())) > 1}


def _as_clusters(units: Units, label: str, rows: Sequence[int]) -> dict[int, int]:
    """A label as clusters of some units: what is known of them, beside what was found."""
    texts = units[label].astype(str)
    numbers = np.unique(texts, return_inverse=True)[1]
    return {unit: int(numbers[unit]) for unit in rows if texts[unit]}


def measure(
    config: UnitEffectsConfig, units: Units, chosen: np.ndarray, clusters: dict[tuple, dict[int, int]], *, progress: Progress
) -> dict[str, list[dict]]:
    """The rows of alike.csv and clusters.csv for some units (M,), by their rows; {} where they cannot be run."""
    networks = units.networks
    if not len(chosen) or not (chains := runs_of(networks)):
        return {}
    effects, size = effects_of(units, chosen, chains, config.n_inputs, progress=progress)
    active, run, layer = size > NOTHING, units.run_id[chosen].astype(str), units["units"][chosen].astype(str)
    known = np.full(len(units), np.nan)
    known[chosen] = size
    found: dict[str, list[dict]] = {"alike": [], "clusters": []}
    for key, own in clusters.items():
        has = np.array([unit in own for unit in chosen.tolist()])
        cluster = np.array([own.get(unit, -1) for unit in chosen.tolist()])
        columns, kept, every = dict(zip(REPRESENTATION, key, strict=True)), has & active, np.array(sorted(own))
        row = alike_row(effects[kept], cluster[kept], run[kept], layer[kept], config)
        found["alike"] += [columns | row] if row else []
        rows = cluster_rows(np.array([own[unit] for unit in every.tolist()]), known[every], units["row"][every])
        found["clusters"] += [columns | one for one in rows]
    return found


def effects_of(
    units: Units, chosen: np.ndarray, chains: dict[int, Chain], n_inputs: int, *, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """The effects (M, S · outputs) of removing units, of length 1; their root mean squares (M,) over those of outputs, NaN
    where these are not finite.
    """
    networks, found, size = units.networks, None, np.zeros(len(chosen))
    inputs = inputs_of_zoo(networks, next(iter(chains.values())), n_inputs)
    with progress.task("remove units", len(chosen), "units") as task:
        for row in np.unique(units["row"][chosen]):
            at, architecture = np.flatnonzero(units["row"][chosen] == row), networks.architecture[row]
            groups = {group.name: group for group in networks.symmetries[architecture].groups}
            tensors, chain = networks.stacked(np.array([row])), chains[architecture]
            before = chain.outputs(tensors, inputs).flatten(1).double().numpy()
            found = np.zeros((len(chosen), before.shape[1])) if found is None else found
            for some in pieces(at, chain, len(inputs)):
                own = [(groups[units["units"][unit]], int(units["unit"][unit])) for unit in chosen[some]]
                with np.errstate(invalid="ignore"):
                    change = before - chain.outputs(without(tensors, own), inputs).flatten(1).double().numpy()
                    size[some] = _rms(change) / max(_rms(before[0]), 1e-30)
                    found[some] = change / np.maximum(np.linalg.norm(change, axis=1, keepdims=True), 1e-30)
            task.advance(len(at))
    return found, np.where(np.isfinite(size), size, np.nan)


def _rms(values: np.ndarray) -> np.ndarray:
    """(…,): root mean squares along the last axis."""
    return np.sqrt(np.square(values).mean(axis=-1))


def without(tensors: dict[str, torch.Tensor], removed: Sequence[tuple[SymmetryGroup, int]]) -> dict[str, torch.Tensor]:
    """Copies (U, *shape) of one network (1, *shape), each without one unit of a group: what reads it is zero."""
    found = {name: value.expand(len(removed), *value.shape[1:]) for name, value in tensors.items()}
    for group in {id(group): group for group, _ in removed}.values():
        factor = torch.ones(len(removed), group.n, dtype=torch.float64)
        for copy, (other, unit) in enumerate(removed):
            if other is group:
                factor[copy, unit] = torch.inf  # what reads a unit is divided by its factor
        found |= times_units(found, group.n, [member for member in group.members if member.side == "out"], factor)
    return found


def alike_row(
    effects: np.ndarray, cluster: np.ndarray, run: np.ndarray, layer: np.ndarray, config: UnitEffectsConfig
) -> dict | None:
    """How alike units (M,) of one cluster and different runs are, in the mean over units that have such others; `between` is
    that of units of different clusters. Intervals resample runs, of both units; the null permutes clusters among the units
    of a layer (M,), so that to find the layers is not enough. None where no unit has others to be like.
    """
    apart = run[:, None] != run[None, :]
    squares, every = np.square(effects @ effects.T), np.ones((1, len(run)))
    same = _same(cluster) & apart
    has = same.any(axis=1)
    if not has.any():
        return None
    rng, n_runs = np.random.default_rng(config.seed), len(set(run[has].tolist()))
    permuted = (_same(_within_layers(cluster, layer, rng)) & apart for _ in range(config.n_permutations))
    nulls = np.array([float(mean_of_pairs(squares, pairs, every)[0]) for pairs in permuted if pairs.any()])
    draws = mean_of_pairs(squares, same, resamples(N_DRAWS, len(run), seed=config.seed, groups=run))
    between = float(mean_of_pairs(squares, ~_same(cluster) & apart, every)[0])
    score = summary(draws, nulls if len(nulls) else np.array([np.nan]), n_runs)
    about = {"n_clusters": len(set(cluster.tolist())), "n": int(has.sum()), "n_runs": n_runs}
    return {"metric": "squared cosine", **score, "between": between, **about}


def _within_layers(cluster: np.ndarray, layer: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Clusters (M,) permuted among the units of each layer (M,)."""
    found = cluster.copy()
    for one in np.unique(layer):
        at = np.flatnonzero(layer == one)
        found[at] = rng.permutation(cluster[at])
    return found


def _same(cluster: np.ndarray) -> np.ndarray:
    """(M, M) bool: whether two units are of one cluster."""
    return cluster[:, None] == cluster[None, :]


def mean_of_pairs(squares: np.ndarray, pairs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,): the mean over units of their mean square (M, M) with those that they are paired with, (M, M) bool, where each unit
    occurs as often as weights (B, M) say; NaN where none has another.
    """
    counts, totals = weights @ pairs.astype(np.float64), weights @ np.where(pairs, squares, 0)
    own = np.where(counts > 0, weights, 0)
    n = own.sum(axis=1)
    return np.divide((own * totals / np.maximum(counts, 1)).sum(axis=1), n, out=np.full(len(n), np.nan), where=n > 0)


def cluster_rows(cluster: np.ndarray, size: np.ndarray, network: np.ndarray) -> list[dict]:
    """For each cluster its share of the units (Wilson), in how many networks it occurs, and the effects (M,) of its units, of
    those that were removed; NaN are those of others.
    """
    rows, n_networks = [], len(set(network.tolist()))
    for number in np.unique(cluster):
        own = cluster == number
        low, high = wilson(int(own.sum()), len(own))
        row = {"cluster": int(number), "n": int(own.sum()), "share": float(own.mean()), "low": low, "high": high}
        row |= {"n_networks": len(set(network[own].tolist())), "of_networks": n_networks}
        sizes = size[own & np.isfinite(size)]
        quartiles = map(float, np.quantile(sizes, [0.25, 0.5, 0.75])) if len(sizes) else [np.nan] * 3
        row |= {"n_removed": len(sizes)} | dict(zip(("effect_low", "effect", "effect_high"), quartiles, strict=True))
        rows.append(row | {"does_nothing": float((sizes <= NOTHING).mean()) if len(sizes) else np.nan})
    return rows
