"""What representations are compared on: the networks they are fitted and measured on, what is known of these, and vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from metarep.embeddings.store import Embeddings
from metarep.errors import MetarepError
from metarep.evaluation.baselines import baselines_of
from metarep.evaluation.folds import (
    MIN_FIT,
    MIN_TEST,
    SAID,
    Fold,
    evaluation_split,
    folds_of,
    gathered,
    measured_rows,
    split_off,
)
from metarep.evaluation.settings import ClusterConfig
from metarep.evaluation.units import KEYS, Units
from metarep.zoos.readings import varies, why_no_label
from metarep.zoos.zoo import Zoo

MIN_FIT_NETWORKS = 10
"""Fewer are no training split: a probe's share of them is not enough for its five neighbours."""

EMBEDDING, BASELINE, ORACLE, JOINT = "embedding", "baseline", "oracle", "joint"


@dataclass(frozen=True)
class Representation:
    """Vectors (N, D) float64 of networks; `origin` is "embedding", "baseline", "oracle" or "joint", `model` "" without one.

    `by_fold` are those of a representation that is itself fitted on the training networks of each fold.
    """

    name: str
    origin: str
    model: str
    kind: str
    untrained: bool
    description: str
    vectors: np.ndarray
    by_fold: tuple[np.ndarray, ...] = ()

    @property
    def columns(self) -> dict[str, str | int]:
        """The columns that say in every table which representation it is."""
        return {"representation": self.name, "model": self.model, "kind": self.kind, "untrained": int(self.untrained)}

    def select(self, rows: np.ndarray) -> Representation:
        """The same of some networks."""
        return replace(self, vectors=self.vectors[rows], by_fold=tuple(x[rows] for x in self.by_fold))

    def in_folds(self, folds: Sequence[Fold]) -> list[np.ndarray]:
        """The vectors (N, D) for each fold."""
        return list(self.by_fold) or [self.vectors] * len(folds)


@dataclass(frozen=True)
class Arena:
    """The N networks, or units, that are fitted or measured on, in which folds, and what is known of them.

    `labels` are texts (N,), "" where a network has none; the first is the one that figures lead with. `numbers` (N,) are probed
    too, NaN where a network has none. `ks` are numbers of clusters; `left_out` are rows (what, name, reason) on labels,
    properties and ks that cannot be measured.
    """

    zoo: Zoo
    folds: tuple[Fold, ...]
    labels: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]
    ks: tuple[int, ...] = ()
    left_out: tuple[dict[str, str], ...] = ()

    @property
    def main_label(self) -> str | None:
        """The label that figures lead with; None where there is none."""
        return next(iter(self.labels), None)

    @cached_property
    def run(self) -> np.ndarray:
        """(N,): the number of each one's run, from 0."""
        return np.unique(self.zoo.run_id.astype(str), return_inverse=True)[1]

    def keys(self, rows: np.ndarray) -> list[dict[str, str | int]]:
        """The columns that say which networks or units some rows are."""
        names = key_names(self.zoo)
        return [dict(zip(names, key, strict=True)) for key in keys_of(self.zoo.select(rows))]

    @cached_property
    def measured(self) -> np.ndarray:
        """(M,): the rows that are measured, fold by fold."""
        return measured_rows(self.folds)

    def narrowed(self, *, probes: bool = True) -> tuple[np.ndarray, Arena]:
        """The rows (M,) that are in a fold, without `probes` those that clusters need, and the same of these alone."""
        rows, folds = gathered(self.folds, probes=probes)
        known = ({name: values[rows] for name, values in of.items()} for of in (self.labels, self.numbers))
        return rows, Arena(self.zoo.select(rows), folds, *known, self.ks, self.left_out)

    @property
    def columns(self) -> dict[str, str | int]:
        """The columns of every table that say what it was measured on."""
        return {"evaluation_split": evaluation_split(self.folds)}


def arena_of(zoo: Zoo, config: ClusterConfig, say: Callable[[str], None] = lambda text: None) -> Arena:
    """The networks of a zoo that are compared, a seeded choice where there are more than the config admits.

    `say` is told what is left out, and why. Raises MetarepError for too few networks.
    """
    most_k = max(config.ks)
    if config.max_fit_networks <= most_k:
        met, expected, fix = config.max_fit_networks, f"more than {most_k}", "raise it, or set ks to smaller numbers"
        raise MetarepError(f"max_fit_networks is too small for {most_k} clusters", met=met, expected=expected, fix=fix)
    most = {"most_fit": config.max_fit_networks, "most_test": config.max_test_networks, "most_probe": config.max_probe_networks}
    arena = measurable(zoo, say, seed=config.seed, **most)
    require_enough(arena.folds)
    n_fit = min(len(fold.train) for fold in arena.folds)
    ks, left_out = tuple(k for k in config.ks if 2 * k <= n_fit) or (2,), arena.left_out
    if dropped := [str(k) for k in config.ks if k not in ks]:
        reason = f"fewer than two networks a cluster among {n_fit} that are fitted on"
        say(f"k = {', '.join(dropped)} left out: {reason}")
        left_out += tuple({"what": "k", "name": k, "reason": reason} for k in dropped)
    return replace(arena, ks=ks, left_out=left_out)


def measurable(zoo: Zoo, say: Callable[[str], None], *, seed: int, **most: int | None) -> Arena:
    """The networks of a zoo in folds, a seeded choice where there are more than `most` (`folds_of`), with those labels and
    properties that the folds can measure; `say` is told what is left out, and why.
    """
    folds = folds_of(zoo.split, zoo.run_id, seed=seed, **most)
    if len(folds) > 1:
        say(SAID)
    labels, no_labels = split_off(labels_of(zoo), folds, "label", say)
    numbers, no_numbers = split_off(numbers_of(zoo), folds, "property", say)
    return Arena(zoo, folds, labels, numbers, left_out=(*no_labels, *no_numbers)).narrowed()[1]


def require_enough(folds: Sequence[Fold]) -> None:
    """Raises MetarepError where there are too few networks to fit or to measure on."""
    n_fit, n_test = min(len(fold.train) for fold in folds), len(measured_rows(folds))
    least = (MIN_FIT, MIN_TEST) if len(folds) > 1 else (MIN_FIT_NETWORKS, MIN_TEST)
    if n_fit < least[0] or n_test < least[1]:
        met, expected = f"{n_fit} to fit on and {n_test} to measure on", f"at least {least[0]} and {least[1]}"
        raise MetarepError("too few networks to compare", met=met, expected=expected, fix="add networks, or build a larger zoo")


def labels_of(zoo: Zoo) -> dict[str, np.ndarray]:
    """Its labels, each (N,) of texts, without those that have one class alone; of networks their architecture too, where there
    are not too many. What is a label was decided when the zoo was made.
    """
    found = {name: zoo.label(name) for name in zoo.labels}
    if not isinstance(zoo, Units):
        architecture = np.array(zoo.architecture_names, dtype=object)[zoo.architecture]
        found |= {} if why_no_label(architecture, zoo.run_id) else {"architecture": architecture}
    return {name: values for name, values in found.items() if varies(values)}


def numbers_of(zoo: Zoo) -> dict[str, np.ndarray]:
    """Its numeric properties that differ among networks, each (N,) float64, NaN where there is none."""
    found = {name: zoo.number(name) for name in zoo.properties}
    return {name: values for name, values in found.items() if varies(values)}


def representations_of(
    zoo: Zoo,
    embeddings: Sequence[Embeddings],
    folds: Sequence[Fold],
    *,
    baselines: bool | Sequence[str],
    joint: Mapping[str, tuple[str, ...]],
) -> list[Representation]:
    """The embeddings of the networks of a zoo, the baselines that it allows (all, or those named), and joint ones.

    Baselines that are fitted are fitted on the training networks of each fold. Raises MetarepError for embeddings of another
    zoo, for two that no column tells apart, and for unknown parts of a joint one.
    """
    require_different(embeddings)
    found = [Representation(e.name, EMBEDDING, e.model, e.kind, e.untrained, "", vectors_of(e, zoo)) for e in embeddings]
    fitted = [np.isin(np.arange(len(zoo)), fold.train) for fold in folds]
    for one in baselines_of(zoo) if baselines else ():
        if baselines is True or one.name in baselines:
            origin = ORACLE if one.oracle else BASELINE
            made = tuple(one.make(zoo, rows) for rows in (fitted if one.is_fitted else fitted[:1]))
            by_fold = made if len(made) > 1 else ()
            found.append(Representation(one.name, origin, "", one.name, False, one.description, made[0], by_fold))
    for name, parts in joint.items():
        beside = [named(found, part, name).in_folds(folds) for part in parts]
        made = tuple(np.concatenate(one, axis=1) for one in zip(*beside, strict=True))
        found.append(Representation(name, JOINT, "", "joint", False, " and ".join(parts), made[0], made))
    return found


def require_different(embeddings: Sequence[Embeddings]) -> None:
    """Raises MetarepError where two embeddings would share every column that says which representation it is."""
    folders: dict[tuple, object] = {}
    for e in embeddings:
        key = (e.name, e.model, e.kind, e.untrained)
        if key in folders:
            expected = "embeddings of different names, models or kinds"
            fix = "give one another name (embed with name=…), or compare them in two runs"
            problem = f"{folders[key]} and {e.artefact.path} are both called {e.name}"
            raise MetarepError(problem, expected=expected, fix=fix)
        folders[key] = e.artefact.path


def named(representations: Sequence[Representation], part: str, joint: str) -> Representation:
    """The representation called `part`, a trained one where both are. Raises MetarepError for none and for several."""
    found = [one for one in representations if one.name == part]
    found = [one for one in found if not one.untrained] or found
    if len(found) != 1:
        names = ", ".join(dict.fromkeys(one.name for one in representations))
        raise MetarepError(f"joint.{joint}: {len(found)} representations called {part}", expected=f"one of {names}")
    return found[0]


def embedded_in_all(embeddings: Sequence[Embeddings], zoo: Zoo) -> Zoo:
    """The networks that every embedding holds which was made of some of each split on purpose."""
    held = np.ones(len(zoo), dtype=bool)
    for one in (e for e in embeddings if e.artefact.config["max_per_split"]):
        held &= np.isin(zoo.network_id.astype(str), one.network_id.astype(str))
    return zoo if held.all() else zoo.select(held)


def vectors_of(embeddings: Embeddings, zoo: Zoo) -> np.ndarray:
    """The vectors (N, D) float64 of the networks of a zoo, or of units, in their order. Raises MetarepError where one is
    missing.
    """
    embeddings.artefact.require_input("zoo", zoo.artefact)
    columns = (embeddings.network_id, embeddings.group, embeddings.index)[: len(key_names(zoo))]
    row = {key: i for i, key in enumerate(zip(*columns, strict=True))}
    keys = keys_of(zoo)
    missing = [key for key in keys if key not in row]
    if missing:
        problem = f"{embeddings.artefact.path} does not hold every {'unit' if len(keys[0]) > 1 else 'network'} of the zoo"
        raise MetarepError(problem, met=f"no {' '.join(map(str, missing[0]))}", fix="embed the zoo again")
    return embeddings.vectors[[row[key] for key in keys]].astype(np.float64)


def key_names(zoo: Zoo) -> tuple[str, ...]:
    """The names of the columns that say which network or unit a row is."""
    return KEYS if isinstance(zoo, Units) else KEYS[:1]


def keys_of(zoo: Zoo) -> list[tuple]:
    """What these columns hold, row by row."""
    return list(zip(*(zoo[name].tolist() for name in key_names(zoo)), strict=True))
