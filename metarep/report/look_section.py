"""The section on single networks that are worth a look: those far from all others, and those that nearly coincide."""

from __future__ import annotations

import numpy as np
from sklearn.preprocessing import StandardScaler

from metarep.evaluation.nearest import nearest
from metarep.report.blocks import Block, Heading, Section, Table, Text
from metarep.report.results import Results
from metarep.report.wording import Finding, num

FEW = 5
FENCE = 3.0
"""Interquartile ranges beyond the quartiles: what lies farther out is an outlier (Tukey, "Exploratory Data Analysis", 1977)."""


def section(results: Results) -> Section | None:
    """The networks whose nearest neighbour, in the embedding shown, is farthest; and the nearest pairs of two runs; None
    where that embedding is not in the run.
    """
    title, embeddings = "Networks worth a look", results.shown_embeddings
    if embeddings is None:
        return None
    rows = [results.row_of.get(str(name)) for name in embeddings.network_id]
    known = [at for at, row in enumerate(rows) if row is not None]
    names = [str(embeddings.network_id[at]) for at in known]
    runs = np.array([str(results.final["run_id"][rows[at]]) for at in known])
    if len(set(runs.tolist())) < 2 * FEW:
        return Section("look", title, [Text(f"There are fewer than {2 * FEW} training runs to set beside each other.")])
    distance, other = nearest_of_another_run(StandardScaler().fit_transform(embeddings.vectors[known]), runs)
    if not np.isfinite(distance).any():
        return Section("look", title, [Text("Every network's nearest neighbours are of its own training run.")])
    middle = float(np.median(distance[np.isfinite(distance)]))
    ratio = np.where(np.isfinite(distance), distance / max(middle, 1e-12), np.nan)
    far, near = np.argsort(-ratio)[:FEW], np.argsort(ratio)
    pairs = list(dict.fromkeys(tuple(sorted((int(at), int(other[at])))) for at in near if np.isfinite(ratio[at])))[:FEW]
    show = lambda at: [names[at], names[other[at]], num(ratio[at])]  # noqa: E731
    columns = ["network", "nearest of another run", "distance"]
    blocks: list[Block] = [
        Text(
            f"Distances between networks in {results.title(results.shown)}, standardised, in units of the median distance of a "
            "network to the nearest one of another run."
        ),
        Heading("Farthest from all others"),
        Table(columns, [show(at) for at in far if np.isfinite(ratio[at])], n_left=2),
        Heading("Nearest to each other"),
        Table(columns, [[names[a], names[b], num(min(ratio[a], ratio[b]))] for a, b in pairs], n_left=2),
    ]
    n_odd, n_close = (f"{n:,}" if n else "none" for n in outliers(distance[np.isfinite(distance)]))
    text = (
        f"Of {len(names):,} networks {n_odd} {'is' if n_odd == '1' else 'are'} unusually far from the nearest one "
        f"of another run, and {n_close} unusually near: the logarithm of the distance lies more than {FENCE:g} "
        "interquartile ranges beyond the quartiles. Look there for failed runs and for copies."
    )
    return Section("look", title, blocks, [Finding(title, text)])


def outliers(distances: np.ndarray) -> tuple[int, int]:
    """How many of some distances (N,) are far above and how many far below the others, on a logarithmic scale."""
    log = np.log(np.maximum(distances, 1e-12))
    low, high = np.quantile(log, (0.25, 0.75))
    return int((log > high + FENCE * (high - low)).sum()), int((log < low - FENCE * (high - low)).sum())


def nearest_of_another_run(vectors: np.ndarray, run: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) distances and rows of the nearest of vectors (N, V) that is of another run; infinity where the nearest 50 are all of
    the same.
    """
    distances, rows = nearest(vectors, 51)
    distances = np.where(run[rows] != run[:, None], distances, np.inf)
    best = distances.argmin(axis=1)
    at = np.arange(len(run))
    return distances[at, best], rows[at, best]
