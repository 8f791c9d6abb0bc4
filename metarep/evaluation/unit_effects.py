"""What removing a unit does, and whether the units of one cluster are alike in that.

A unit is removed by setting to zero what reads it. Its effect are the changes of all outputs at inputs of the networks' kind.
Two units of different networks are alike by the squared cosine of their effects, which knows neither size nor sign. Clusters
mean something where units of one cluster are more alike than units of any two.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from metarep.artefact import open_artefact, writing
from metarep.evaluation.chains import inputs_of_zoo, runs_of
from metarep.evaluation.resampling import N_DRAWS, resamples, summary, wilson
from metarep.evaluation.settings import UnitEffectsConfig
from metarep.evaluation.units import KEYS, Units, units_of
from metarep.networks.chain_forward import Chain
from metarep.networks.symmetry_groups import SymmetryGroup
from metarep.networks.tensor_symmetry import times_units
from metarep.progress import Progress
from metarep.tables import read_csv, write_tables
from metarep.zoos.zoo import open_zoo

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
    cannot be run.
    """
    compared, networks, progress = open_artefact(comparison, "clusters"), open_zoo(zoo).finite(), progress or Progress()
    inputs = {"units": compared, "zoo": networks.artefact}
    how = {"config": config.resolved(), "seed": config.seed, "inputs": inputs, "overwrite": overwrite}
    with writing(out, KIND, **how) as folder:
        rows = [row for row in read_csv(compared.path / "assignments.csv") if row["split"] == "test"]
        units = units_of(networks)
        number = {key: at for at, key in enumerate(zip(*(units[name].tolist() for name in KEYS), strict=True))}
        clusters: dict[tuple, dict[int, int]] = {}
        for row in rows:
            unit = number[row["network_id"], row["units"], int(row["unit"])]
            clusters.setdefault(tuple(row[name] for name in REPRESENTATION), {})[unit] = int(row["cluster"])
        every = sorted(set().union(*clusters.values()))
        known = {label: _as_clusters(units, label, every) for label in units.labels}
        clusters |= {(f"label {label}", "", "", 0): own for label, own in known.items() if len(set(own.values())) > 1}
        chosen = np.sort(np.random.default_rng(config.seed).permutation(np.array(every, dtype=np.int64))[: config.max_units])
        write_tables(folder, measure(config, units, chosen, clusters, progress=progress), {"n_units": len(chosen)})
    return Path(out)


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
    active = size > NOTHING
    network, run = units["row"][chosen], np.unique(networks.run_id.astype(str), return_inverse=True)[1][units["row"][chosen]]
    found: dict[str, list[dict]] = {"alike": [], "clusters": []}
    for key, own in clusters.items():
        has = np.array([unit in own for unit in chosen.tolist()])
        cluster = np.array([own.get(unit, -1) for unit in chosen.tolist()])
        columns, kept = dict(zip(REPRESENTATION, key, strict=True)), has & active
        row = alike_row(effects[kept], cluster[kept], network[kept], run[kept], config)
        found["alike"] += [columns | row] if row else []
        found["clusters"] += [columns | one for one in cluster_rows(cluster[has], size[has], network[has])]
    return found


def effects_of(
    units: Units, chosen: np.ndarray, chains: dict[int, Chain], n_inputs: int, *, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """The effects (M, S · outputs) of removing units, of length 1; their root mean squares (M,) over those of outputs."""
    networks, found, size = units.networks, None, np.zeros(len(chosen))
    inputs = inputs_of_zoo(networks, next(iter(chains.values())), n_inputs)
    with progress.task("remove units", len(chosen), "units") as task:
        for row in np.unique(units["row"][chosen]):
            at, architecture = np.flatnonzero(units["row"][chosen] == row), networks.architecture[row]
            groups = {group.name: group for group in networks.symmetries[architecture].groups}
            tensors, chain = networks.stacked(np.array([row])), chains[architecture]
            own = [(groups[units["units"][unit]], int(units["unit"][unit])) for unit in chosen[at]]
            before = chain.outputs(tensors, inputs).flatten(1)
            change = (before - chain.outputs(without(tensors, own), inputs).flatten(1)).double().numpy()
            lengths, scale = np.sqrt(np.square(change).mean(axis=1)), float(before.double().square().mean().sqrt())
            found = np.zeros((len(chosen), change.shape[1])) if found is None else found
            size[at] = lengths / max(scale, 1e-30)
            found[at] = change / np.maximum(np.linalg.norm(change, axis=1, keepdims=True), 1e-30)
            task.advance(len(at))
    return found, size


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
    effects: np.ndarray, cluster: np.ndarray, network: np.ndarray, run: np.ndarray, config: UnitEffectsConfig
) -> dict | None:
    """How alike units (M,) of one cluster and different networks are, in the mean over units that have such others; `between`
    is that of units of different clusters. Intervals resample runs; the null permutes clusters among units. None where no
    unit has others to be like.
    """
    apart = (network[:, None] != network[None, :]).astype(np.float64)
    squares = np.square(effects @ effects.T) * apart
    within, counts = _within(squares, apart, cluster)
    has = counts > 0
    if not has.any():
        return None
    rng = np.random.default_rng(config.seed)
    nulls = []
    for _ in range(config.n_permutations):
        one, n = _within(squares, apart, rng.permutation(cluster))
        nulls.append(float(one[n > 0].mean()))
    weights = resamples(N_DRAWS, int(has.sum()), seed=config.seed, groups=run[has])
    score = summary(
        weights @ within[has] / np.maximum(weights.sum(axis=1), 1e-30), np.array(nulls), len(set(run[has].tolist()))
    )
    others, n_others = squares.sum(axis=1) - within * counts, apart.sum(axis=1) - counts
    between = float((others[n_others > 0] / n_others[n_others > 0]).mean()) if (n_others > 0).any() else None
    about = {"n_clusters": len(set(cluster.tolist())), "n": int(has.sum()), "n_runs": len(set(run[has].tolist()))}
    return {"metric": "squared cosine", **score, "between": between, **about}


def _within(squares: np.ndarray, apart: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M,): the mean square of each unit with the others of its cluster, 0 without any, and how many these are."""
    _, numbers = np.unique(cluster, return_inverse=True)
    member = np.eye(numbers.max() + 1 if len(numbers) else 0)[numbers]
    at = np.arange(len(numbers))
    totals, counts = (squares @ member)[at, numbers], (apart @ member)[at, numbers]
    return totals / np.maximum(counts, 1), counts


def cluster_rows(cluster: np.ndarray, size: np.ndarray, network: np.ndarray) -> list[dict]:
    """For each cluster its share of the units (Wilson), in how many networks it occurs, and the effects of its units."""
    rows, n_networks = [], len(set(network.tolist()))
    for number in np.unique(cluster):
        own = cluster == number
        low, high = wilson(int(own.sum()), len(own))
        row = {"cluster": int(number), "n": int(own.sum()), "share": float(own.mean()), "low": low, "high": high}
        row |= {"n_networks": len(set(network[own].tolist())), "of_networks": n_networks}
        quartiles = np.quantile(size[own], [0.25, 0.5, 0.75])
        row |= dict(zip(("effect_low", "effect", "effect_high"), map(float, quartiles), strict=True))
        rows.append(row | {"does_nothing": float((size[own] <= NOTHING).mean())})
    return rows
