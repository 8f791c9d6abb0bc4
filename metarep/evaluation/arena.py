"""What representations are compared on: the networks they are fitted and measured on, what is known of these, and vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metarep.embeddings.store import Embeddings
from metarep.errors import MetarepError
from metarep.evaluation.baselines import baselines_of
from metarep.evaluation.settings import ClusterConfig
from metarep.zoos.zoo import Zoo

FEW_CLASSES, MAX_CLASSES, MIN_PER_CLASS = 10, 50, 10
"""A text with more different values than the second is a name, not a label; so is one with more than the first whose values
have fewer networks than the third on average.
"""

MIN_FIT_NETWORKS = 10
"""Below this a probe's share of them is no longer enough for its five neighbours."""

EMBEDDING, BASELINE, ORACLE, JOINT = "embedding", "baseline", "oracle", "joint"


@dataclass(frozen=True)
class Representation:
    """Vectors (N, D) float64 of networks; `origin` is "embedding", "baseline", "oracle" or "joint", `model` "" without one."""

    name: str
    origin: str
    model: str
    kind: str
    untrained: bool
    description: str
    vectors: np.ndarray

    @property
    def columns(self) -> dict[str, str | int]:
        """The columns that say in every table which representation it is."""
        return {"representation": self.name, "model": self.model, "kind": self.kind, "untrained": int(self.untrained)}


@dataclass(frozen=True)
class Arena:
    """Row numbers of training and test networks, and what is known of all N networks of the zoo.

    Clusters are fitted on the networks `train`, probes on `probe_train`. `labels` are texts (N,), "" where a network has none;
    the first is the one that figures lead with. `numbers` (N,) are probed too, NaN where a network has none.
    """

    zoo: Zoo
    train: np.ndarray
    probe_train: np.ndarray
    test: np.ndarray
    labels: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]

    @property
    def main_label(self) -> str | None:
        """The label that figures lead with; None where there is none."""
        return next(iter(self.labels), None)


def arena_of(zoo: Zoo, config: ClusterConfig) -> Arena:
    """The networks of a zoo, a seeded choice where there are more than the config admits. Raises MetarepError for too few."""
    return Arena(zoo, **chosen_rows(zoo.split, config), labels=labels_of(zoo), numbers=numbers_of(zoo))


def labels_of(zoo: Zoo) -> dict[str, np.ndarray]:
    """Its labels that have some different values, but not too many, each (N,) of texts; and the architecture."""
    found = {name: zoo[name] for name in zoo.labels}
    found |= {"architecture": np.array([str(number) for number in zoo.architecture], dtype=object)}
    most = min(MAX_CLASSES, max(FEW_CLASSES, len(zoo) // MIN_PER_CLASS))
    return {name: values for name, values in found.items() if 2 <= len(set(values) - {""}) <= most}


def numbers_of(zoo: Zoo) -> dict[str, np.ndarray]:
    """Its numeric properties, each (N,) float64, NaN where there is none; those that differ among networks."""
    found = {name: zoo[name].astype(np.float64) for name in zoo.properties}
    return {name: values for name, values in found.items() if len(np.unique(values[np.isfinite(values)])) > 1}


def chosen_rows(split: np.ndarray, config: ClusterConfig) -> dict[str, np.ndarray]:
    """The rows "train", "probe_train" and "test", a seeded choice where there are more than the config admits."""
    rng = np.random.default_rng(config.seed)
    most_k = max(config.ks)
    if config.max_fit_networks <= most_k:
        met, expected, fix = config.max_fit_networks, f"more than {most_k}", "raise it, or set ks to smaller numbers"
        raise MetarepError(f"max_fit_networks is too small for {most_k} clusters", met=met, expected=expected, fix=fix)
    least = {"train": max(most_k + 1, MIN_FIT_NETWORKS), "test": most_k + 1}
    rows = {}
    for name, most in (("train", config.max_fit_networks), ("test", config.max_test_networks)):
        found = np.flatnonzero(split == name)
        if len(found) < least[name]:
            expected, fix = f"at least {least[name]}", "build a larger zoo, or set ks to smaller numbers"
            problem = f"too few {name} networks for up to {most_k} clusters"
            raise MetarepError(problem, met=len(found), expected=expected, fix=fix)
        drawn = rng.permutation(found)
        rows[name] = np.sort(drawn[:most])
        if name == "train":
            rows["probe_train"] = np.sort(drawn[: config.max_probe_networks or most])
    return rows


def representations_of(
    zoo: Zoo,
    embeddings: Sequence[Embeddings],
    train: np.ndarray,
    *,
    baselines: bool | Sequence[str],
    joint: Mapping[str, tuple[str, ...]],
) -> list[Representation]:
    """The embeddings of the networks of a zoo, the baselines that it allows (all, or those named), and joint ones.

    `train` are the rows that a baseline may be fitted on. Raises MetarepError for embeddings of another zoo, for two that no
    column tells apart, and for unknown parts of a joint one.
    """
    require_different(embeddings)
    found = [Representation(e.name, EMBEDDING, e.model, e.kind, e.untrained, "", vectors_of(e, zoo)) for e in embeddings]
    fitted = np.zeros(len(zoo), dtype=bool)
    fitted[train] = True
    for one in baselines_of(zoo) if baselines else ():
        if baselines is True or one.name in baselines:
            origin = ORACLE if one.oracle else BASELINE
            found.append(Representation(one.name, origin, "", one.name, False, one.description, one.make(zoo, fitted)))
    for name, parts in joint.items():
        vectors = np.concatenate([named(found, part, name).vectors for part in parts], axis=1)
        found.append(Representation(name, JOINT, "", "joint", False, " and ".join(parts), vectors))
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
    """The vectors (N, D) float64 of the networks of a zoo, in their order. Raises MetarepError where one is missing."""
    embeddings.artefact.require_input("zoo", zoo.artefact)
    row = {name: i for i, name in enumerate(embeddings.network_id)}
    missing = [name for name in zoo.network_id if name not in row]
    if missing:
        problem = f"{embeddings.artefact.path} does not hold every network of the zoo"
        raise MetarepError(problem, met=f"no {missing[0]}", fix="embed the zoo again")
    return embeddings.vectors[[row[name] for name in zoo.network_id]].astype(np.float64)
