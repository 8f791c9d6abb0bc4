"""What clustering costs against the number of networks."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from metarep.evaluation.clusters import CLUSTERERS, fit_umap
from metarep.progress import Progress
from metarep.settings import Settings
from metarep.speed import power, seconds_of


class ClusterBenchConfig(Settings):
    """Which vectors are clustered."""

    sizes: tuple[int, ...] = Field((500, 1000, 2000, 4000), min_length=1, description="numbers of networks")
    width: int = Field(128, ge=2, description="of their vectors")
    k: int = Field(6, ge=2, description="clusters that are asked for, and that there are")
    umap: bool = Field(True, description="also time UMAP")
    seed: int = Field(0, ge=0, description="of every draw")


def bench_clustering(config: ClusterBenchConfig, *, progress: Progress | None = None) -> list[dict]:
    """A row for each method and size: seconds to fit once, the ratio to k-means at that size, and `power`, the p of
    seconds ~ networks^p up to that row.
    """
    progress, rng = progress or Progress(), np.random.default_rng(config.seed)
    centres = 3 * rng.standard_normal((config.k, config.width))
    fits = {name: lambda x, fit=fit: fit(x, config.k, seed=config.seed) for name, fit in CLUSTERERS.items()}
    if config.umap:
        fits["umap"] = lambda x: fit_umap(x, n_neighbors=30, seed=config.seed)
    rows: list[dict] = []
    with progress.task("bench cluster", len(fits) * len(config.sizes), "fits") as task:
        for name, fit in fits.items():
            fit(_vectors(centres, 200, rng))
            for size in config.sizes:
                x = _vectors(centres, size, rng)
                seconds = seconds_of(lambda fit=fit, x=x: fit(x))
                kmeans = next((row["seconds"] for row in rows if row["n_networks"] == size), seconds)
                row = {"method": name, "n_networks": size, "seconds": seconds, "ratio_to_kmeans": seconds / kmeans}
                same = [one for one in rows if one["method"] == name] + [row]
                rows.append(row | {"power": power([one["n_networks"] for one in same], [one["seconds"] for one in same])})
                task.advance(1, f"{name} {size}")
    return rows


def _vectors(centres: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return centres[rng.integers(0, len(centres), n)] + rng.standard_normal((n, centres.shape[1]))
