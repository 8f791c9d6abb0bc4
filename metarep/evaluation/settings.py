"""Settings of what embeddings are held against: clusters, transfer, prediction."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metarep.cloze.settings import Embedding
from metarep.settings import Settings


class ClusterConfig(Settings):
    """The comparison of representations: clusters, agreement, probes. Fitted on train, measured on test."""

    seed: int = Field(0, ge=0)
    baselines: bool = Field(True, description="raw, canonical, PCA, statistics, outputs, loss and oracle beside the embeddings")
    clusterers: tuple[Literal["kmeans", "gmm", "hdbscan"], ...] = Field(("kmeans", "gmm", "hdbscan"), min_length=1)
    ks: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        (2, 3, 4, 5, 6, 8, 10, 12, 16), min_length=1, description="numbers of clusters tried"
    )
    described: tuple[str, ...] = Field(
        (), description="representations whose k-means clusters are described; the first embedding"
    )
    joint: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="representations side by side as one more")
    umap: bool | tuple[str, ...] = Field(
        True, description="UMAP as a picture and as a second arm of clustering; of the representations named, if some are"
    )
    umap_neighbors: int = Field(30, ge=2)
    max_fit_networks: int = Field(4000, ge=10)
    max_test_networks: int = Field(5000, ge=10)
    max_probe_networks: int | None = Field(None, ge=10, description="training networks of the probes; as clusters if left out")
    n_bootstraps: int = Field(5, ge=1)
    n_permutations: int = Field(100, ge=10)
    n_probe_seeds: int = Field(3, ge=1)


class TransferConfig(Settings):
    """How well what was learned on one zoo holds on others."""

    seed: int = Field(0, ge=0)
    kinds: tuple[Embedding, ...] = Field(("profile",), min_length=1, description="embeddings that are carried over")
    max_fit_networks: int = Field(4000, ge=10)
    max_test_networks: int = Field(2000, ge=10)
    k: int = Field(6, ge=2, description="clusters carried over")


class PredictConfig(Settings):
    """Properties of networks predicted from frozen embeddings."""

    seed: int = Field(0, ge=0)
    targets: tuple[str, ...] = Field((), description="numeric properties of the zoo; all that there are if left out")
    baseline: bool = Field(True, description="weight statistics, layer by layer, beside the embeddings")
    joint: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="representations side by side as one more")
    n_bootstraps: int = Field(300, ge=20)
    n_permutations: int = Field(20, ge=2)
    n_trees: int = Field(120, ge=1, description="boosted one after the other")
