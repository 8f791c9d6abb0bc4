"""Which networks of a zoo, or which of their units, are most like a network, and how much that says.

Distances are Euclidean between vectors in standard deviations of the zoo, divided by √V. Three things tell whether one is
small: the share of pairs of the zoo, of different runs, that are nearer; how far networks of the zoo have to their own nearest;
and, of a network, the distance of its neighbour to copies of it with permuted parameters, which are as alike as statistics
of weights alone make them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from metarep.embeddings.registry import kind_named
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import network_vectors, read_zoo, write_parts
from metarep.embeddings.store import Embeddings, PartRows, load_embeddings
from metarep.errors import MetarepError
from metarep.evaluation.nearest import nearest
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.parts.reading import shuffled
from metarep.zoos.memory import zoo_of
from metarep.zoos.zoo import Zoo, open_zoo

N_PAIRS, N_OTHERS, N_COPIES = 20_000, 200, 19
"""Pairs of the zoo that distances are set against, parts of which the own nearest is looked for, permuted copies of a query."""


@dataclass(frozen=True, repr=False)
class Likeness:
    """The neighbours of a query as rows, the nearest first of each of its parts, and how far others have to their nearest.

    A row has query_group and query_index, rank, network_id, group, index, distance, nearer_pairs (the share of pairs of the zoo
    that are nearer), permuted_p (how often a permuted copy of the query is as near, smoothed; None for units), same_run, and
    what is known of the neighbour. `others` are the 5, 50 and 95 % quantiles of the distances to the own nearest of networks,
    or units, of the zoo, of another run.
    """

    query: str
    kind: str
    part: str
    rows: list[dict[str, Any]]
    others: tuple[float, float, float]

    def frame(self) -> pd.DataFrame:
        """The rows as a data frame."""
        return pd.DataFrame(self.rows)

    def _repr_html_(self) -> str:
        return self.frame().to_html(index=False)

    def __repr__(self) -> str:
        return f"Likeness({self.query!r}, kind={self.kind!r}, part={self.part!r}, {len(self.rows)} rows)"


@dataclass(frozen=True)
class Space:
    """Vectors (N, V) of parts of a zoo in its standard deviations, float32, with the network of each, its run, and an index."""

    held: Embeddings
    runs: np.ndarray
    scale: np.ndarray
    vectors: np.ndarray

    def scaled(self, vectors: np.ndarray) -> np.ndarray:
        """Other vectors (M, V) likewise, so that the Euclidean distance is that of this module."""
        return (vectors / self.scale).astype(np.float32)


def neighbours(
    run: Path | str,
    query: Path | str,
    *,
    kind: str | None = None,
    part: str = "network",
    k: int = 10,
    seed: int = 0,
) -> Likeness:
    """The k networks of a run's zoo, or units of them with part="unit", that are most like a checkpoint or one of its networks.

    `query` is a file, or the id of a network of the zoo; `kind` is one of the run's embeddings, by default its first. Relatives
    (networks of the same run) are neighbours like others, and marked. Raises MetarepError where the run has no such embeddings
    and where the query's vectors have another length.
    """
    folder = embeddings_of(Path(run), kind)
    held = load_embeddings(folder, part=part)
    zoo = open_zoo(held.artefact.input_path("zoo"), check_hashes=False)
    model = load_model(held.artefact.input_path("model"))
    space = space_of(held, zoo)
    asked = read_query(model, zoo, query, held, part=part, seed=seed)
    if asked.vectors.shape[1] != space.vectors.shape[1]:
        met = f"{asked.vectors.shape[1]} and {space.vectors.shape[1]} numbers"
        fix = "--kind layers has vectors of one length for all architectures"
        raise MetarepError(f"{query} and the zoo have {held.kind} vectors of different lengths", met=met, fix=fix)
    rng = np.random.default_rng(seed)
    pairs = np.sort(pair_distances(space, rng))
    rows = list(_rows(space, zoo, asked, pairs, part=part, k=k))
    return Likeness(str(query), held.kind, part, rows, nearest_of_others(space, rng))


def _rows(space: Space, zoo: Zoo, asked: Query, pairs: np.ndarray, *, part: str, k: int) -> Iterator[dict[str, Any]]:
    held, is_own = space.held, space.held.network_id == asked.network_id
    permuted = None if asked.copies is None else space.scaled(asked.copies)
    found = nearest(space.vectors, k + int(is_own.sum()), space.scaled(asked.vectors))
    for number, (away, near) in enumerate(zip(*found, strict=True)):
        others = [(float(distance), row) for distance, row in zip(away, near, strict=True) if not is_own[row]]
        for rank, (distance, row) in enumerate(others[:k], 1):
            whose = {"query_group": asked.group[number], "query_index": int(asked.index[number])} if part == "unit" else {}
            where = {"group": held.group[row], "index": int(held.index[row])} if part == "unit" else {}
            yield {
                **whose,
                "rank": rank,
                "network_id": str(held.network_id[row]),
                **where,
                "distance": distance,
                "nearer_pairs": float(np.searchsorted(pairs, distance) / max(1, len(pairs))),
                "permuted_p": None if permuted is None else _p(space.vectors[row], permuted, distance),
                "same_run": asked.run_id != "" and space.runs[row] == asked.run_id,
                **known_of(zoo, str(held.network_id[row])),
            }


def embeddings_of(run: Path, kind: str | None) -> Path:
    """The folder of a run's embeddings of one kind, or of its first that units of all lengths share. Raises MetarepError."""
    found = sorted(path.parent for path in (run / "embeddings" / "model").glob("*/manifest.json"))
    names = [path.name for path in found]
    if not found or (kind is not None and kind not in names):
        met = None if kind is None else f"--kind {kind}"
        expected = f"one of {', '.join(names)}" if names else "a finished run: metarep run SOURCE"
        raise MetarepError(f"{run} has no such embeddings", met=met, expected=expected)
    return found[names.index(kind if kind is not None else "layers" if "layers" in names else names[0])]


def space_of(held: Embeddings, zoo: Zoo) -> Space:
    """The vectors of a zoo's parts in its standard deviations over √V."""
    scale = np.maximum(held.vectors.std(axis=0, dtype=np.float64), 1e-9) * np.sqrt(held.vectors.shape[1])
    run_of = dict(zip(zoo.network_id, zoo.run_id, strict=True))
    runs = np.array([run_of[name] for name in held.network_id], dtype=object)
    return Space(held, runs, scale, (held.vectors / scale).astype(np.float32))


@dataclass(frozen=True)
class Query:
    """A network to find others like: its id in the zoo and its run, "" for none; group and index (M,) of its parts, their
    vectors (M, V); of a network the vectors (S, V) of its permuted copies.
    """

    network_id: str
    run_id: str
    group: np.ndarray
    index: np.ndarray
    vectors: np.ndarray
    copies: np.ndarray | None


def read_query(model: ClozeModel, zoo: Zoo, query: Path | str, held: Embeddings, *, part: str, seed: int) -> Query:
    """A checkpoint, or a network of the zoo by its id, read as the zoo's networks were. Raises MetarepError for neither."""
    settings = EmbedConfig(**{**held.artefact.config, "parts": (part,), "name": None})
    is_known = str(query) in zoo.network_id
    if not is_known and not Path(query).is_file():
        expected = f"a file, or the id of a network, such as {zoo.network_id[0]}"
        raise MetarepError(f"{query} is no file, and no network of {zoo.artefact.path}", expected=expected)
    name = str(query) if is_known else ""
    alone = zoo_of([zoo.network(name) if is_known else query], [str(query)], like=zoo)
    tensors, generator = alone.raw_tensors(0), torch.Generator().manual_seed(seed)
    copies = [shuffled(tensors, generator) for _ in range(N_COPIES if part == "network" else 0)]
    found = embedded(model, zoo_of([tensors, *copies], like=alone), settings)
    n = len(found) - len(copies)
    run = str(zoo.run_id[zoo.row_of(name)]) if is_known else ""
    return Query(name, run, found.group[:n], found.index[:n], found.vectors[:n], found.vectors[n:] if copies else None)


def embedded(model: ClozeModel, zoo: Zoo, config: EmbedConfig) -> PartRows:
    """The vectors of one kind of part of networks that are in no zoo on disk."""
    rows, kind = PartRows(), kind_named(config.kind)
    for some in read_zoo(model, zoo, np.arange(len(zoo)), config):
        write_parts(rows, zoo, some, kind, network_vectors(kind, some.readout, config), config)
    return rows


def pair_distances(space: Space, rng: np.random.Generator) -> np.ndarray:
    """The distances of random pairs of different runs."""
    a, b = rng.integers(len(space.vectors), size=(2, N_PAIRS))
    other = space.runs[a] != space.runs[b]
    return np.linalg.norm(space.vectors[a[other]] - space.vectors[b[other]], axis=1)


def nearest_of_others(space: Space, rng: np.random.Generator) -> tuple[float, float, float]:
    """The 5, 50 and 95 % quantiles of the distances of some parts to the nearest of another run; NaN without one."""
    some = rng.permutation(len(space.vectors))[:N_OTHERS]
    nearest = np.full(len(some), np.nan)
    for number, row in enumerate(some):
        others = space.vectors[space.runs != space.runs[row]]
        if len(others):
            nearest[number] = np.linalg.norm(others - space.vectors[row], axis=1).min()
    return tuple(np.nanquantile(nearest, (0.05, 0.5, 0.95)).tolist()) if np.isfinite(nearest).any() else (np.nan,) * 3


def known_of(zoo: Zoo, network_id: str) -> dict[str, Any]:
    """The labels and properties of a network."""
    one = zoo.select(np.array([zoo.row_of(network_id)]))
    texts = {name: one.label(name)[0] for name in one.labels}
    return texts | {name: float(one.number(name)[0]) for name in one.properties if name not in texts}


def _p(vector: np.ndarray, permuted: np.ndarray, distance: float) -> float:
    nearer = int((np.linalg.norm(permuted - vector, axis=1) <= distance).sum())
    return (1 + nearer) / (1 + len(permuted))
