"""Settings of what embeddings are held against: clusters, transfer, prediction."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metarep.embeddings.settings import Kind
from metarep.settings import Settings


class ClusterConfig(Settings):
    """The comparison of representations: clusters, agreement, probes. Fitted on train, measured on test."""

    seed: int = Field(0, ge=0, description="of every draw")
    part: Literal["network", "unit"] = Field("network", description="what is compared: networks, or their hidden units")
    baselines: bool | tuple[str, ...] = Field(
        True, description="baselines and oracles beside the embeddings: all that the zoo allows, or those named"
    )
    further: tuple[str, ...] = Field((), description="files of Python with further baselines, which are always compared")
    clusterers: tuple[Literal["kmeans", "gmm", "hdbscan"], ...] = Field(
        ("kmeans", "gmm", "hdbscan"), min_length=1, description="how vectors are clustered"
    )
    ks: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        (2, 3, 4, 5, 6, 8, 10, 12, 16), min_length=1, description="numbers of clusters tried"
    )
    described: tuple[str, ...] = Field(
        (), description="representations whose k-means clusters are described; the first embedding"
    )
    joint: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="representations side by side as one more")
    umap: bool | tuple[str, ...] = Field(
        True, description="UMAP as a map and as a second arm of clustering; of the representations named, if some are"
    )
    umap_neighbors: int = Field(30, ge=2, description="neighbours of UMAP")
    max_fit_networks: int = Field(4000, ge=10, description="training networks, or units")
    max_test_networks: int = Field(5000, ge=10, description="networks, or units, that are measured")
    max_probe_networks: int | None = Field(None, ge=10, description="training networks of the probes; as clusters if left out")
    n_bootstraps: int = Field(5, ge=1, description="resamples by which the stability of clusters is measured")
    n_permutations: int = Field(100, ge=10, description="permutations of the labels, for nulls")
    n_probe_seeds: int = Field(3, ge=1, description="draws of the probes' training networks")


class UnitEffectsConfig(Settings):
    """What removing units does, cluster by cluster."""

    seed: int = Field(0, ge=0, description="of the chosen units, resamples and permutations")
    n_inputs: int = Field(64, ge=2, description="inputs at which outputs are compared")
    max_units: int = Field(1000, ge=10, description="test units that are removed, one at a time")
    n_permutations: int = Field(100, ge=10, description="permutations of the clusters, for nulls")


class TransferConfig(Settings):
    """How well what was learned on one zoo holds on others."""

    seed: int = Field(0, ge=0, description="of every draw")
    kinds: tuple[Kind, ...] = Field(("states",), min_length=1, description="kinds of embeddings that are carried over")
    max_fit_networks: int = Field(4000, ge=10, description="training networks of the source")
    max_test_networks: int = Field(2000, ge=10, description="networks of a target that are measured")
    k: int = Field(6, ge=2, description="clusters carried over")


class MaskedR2Config(Settings):
    """How much of masked values a model predicts, beside simpler predictors."""

    seed: int = Field(0, ge=0, description="of masks, chosen windows, resamples and permutations")
    maskings: tuple[Literal["one in eight", "random", "leave one out"], ...] = Field(
        ("one in eight", "random", "leave one out"),
        min_length=1,
        description="tokens in turn, one in eight at a time; single values at random; each token of whole networks alone",
    )
    ratios: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.125, 0.5, 0.8, 0.9), min_length=1, description="shares of values that are masked at random"
    )
    n_patterns: int = Field(4, ge=1, description="random masks at each ratio; all windows of a shape are read under each")
    n_gaussians: int = Field(64, ge=0, description="in the mixture beside the linear-Gaussian imputer; 0 leaves it out")
    max_fit_windows: int = Field(4000, ge=10, description="training windows of an architecture that imputers are fitted on")
    max_test_windows: int = Field(1500, ge=2, description="test windows of an architecture")
    n_bootstraps: int = Field(200, ge=20, description="resamples of the networks, for intervals")
    n_permutations: int = Field(100, ge=20, description="permutations of the predictions, for nulls")
    tokens_per_batch: int = Field(65_536, ge=64, description="tokens that are read at once")


class PredictConfig(Settings):
    """Properties of networks predicted from frozen embeddings."""

    seed: int = Field(0, ge=0, description="of every draw")
    targets: tuple[str, ...] = Field((), description="numeric properties of the zoo; all that there are if left out")
    baselines: bool | tuple[str, ...] = Field(
        ("weight_statistics",), description="baselines beside the embeddings: those named, or all that the zoo allows"
    )
    joint: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="representations side by side as one more")
    n_bootstraps: int = Field(300, ge=20, description="resamples of the runs, for intervals")
    n_permutations: int = Field(20, ge=2, description="fits on permuted values, for nulls")
    n_trees: int = Field(120, ge=1, description="boosted one after the other")


class AuditConfig(Settings):
    """How far embeddings move when networks are rewritten and their function is not."""

    seed: int = Field(0, ge=0, description="of the sample of networks, of every draw and of resamples")
    kind: Kind | None = Field(
        None, description="the kind of embedding; by default that of `embed`, or layers where networks have no hidden units"
    )
    n_networks: int = Field(50, ge=2, description="finished networks that are rewritten, a sample")
    n_others: int = Field(500, ge=2, description="finished networks among which the nearest other one is looked for")
    n_bootstraps: int = Field(300, ge=20, description="resamples of the runs, for intervals")
    tokens_per_batch: int = Field(16_384, ge=64, description="tokens that are read at once")


class ReconstructConfig(Settings):
    """Networks that a decoder makes of their vectors, and of vectors between and beside these."""

    seed: int = Field(0, ge=0, description="of inputs, resamples and samples")
    max_fit_networks: int = Field(4000, ge=10, description="training networks that baselines and the density are fitted on")
    max_test_networks: int = Field(2000, ge=10, description="test networks that are decoded")
    n_inputs: int = Field(256, ge=2, description="inputs at which networks are run")
    n_bootstraps: int = Field(200, ge=20, description="resamples of the networks, for intervals")
    n_components: int = Field(8, ge=1, description="of the Gaussian mixture of vectors that is sampled")
    n_drawn: int = Field(4, ge=1, description="pairs of networks that are joined, and rows of samples, in the figures")
