"""Every stage's settings, validated: one model a stage, and `RunConfig` for all of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from metarep.networks.spec import NetworkSpec
from metarep.settings import Settings

Variant = Literal["e01", "e02", "e03", "e04", "e05", "e06", "e07", "e08", "e09", "fourier"]
SourceName = Literal[
    "product",
    "seeds",
    "e05",
    "e06",
    "e07",
    "e08",
    "inputs",
    "slow",
    "fast",
    "width3",
    "width4",
    "depth2",
    "sum",
    "quotient",
    "square",
    "max",
    "random",
]
Embedding = Literal[
    "pooled", "states", "profile", "certainty", "surprisal", "description", "activity", "beliefs", "patterns", "coupling"
]


class FamilyConfig(Settings):
    """Many networks made by one variant of the recipe."""

    variant: Variant = "e09"
    task: Literal["product", "sum", "quotient", "square", "max"] = Field(
        "product", description="of two inputs: x1 x2, x1 + x2, x1 / (x2 + 1/2), x1 squared, the larger"
    )
    law: Literal["product", "square"] | None = Field(
        None,
        description="how inputs are drawn: with an even product, or evenly on the unit square; the variant's own if left out",
    )
    n_functions: int = Field(50, ge=1, description="fourier: random functions, each of which has as many networks")
    n_networks: int | None = Field(None, ge=1, description="how many networks; seeds are drawn from the zoo's seed")
    seeds: tuple[int, ...] | None = Field(None, min_length=1, description="the networks' own seeds, in place of n_networks")
    spec: str | None = Field(None, description="the architecture; the variant's own if left out")
    parents: str | None = Field(None, description="a zoo folder, or a variant of an earlier family of this zoo")
    n_steps: int | None = Field(None, ge=0, description="training steps; the variant's own if left out")
    lr: float | None = Field(None, gt=0, description="Adam's learning rate; the variant's own if left out")
    jitter: float | None = Field(None, ge=0, description="standard deviation of the noise on hand-crafted parameters")
    hidden_bias_start: tuple[float, float] | None = Field(None, description="e08: one start in place of the grid")

    @model_validator(mode="after")
    def _count_or_seeds(self) -> FamilyConfig:
        if (self.n_networks is None) == (self.seeds is None):
            raise ValueError("give n_networks or seeds, one of the two")
        if self.seeds is not None and (min(self.seeds) < 0 or max(self.seeds) >= 2**32):
            raise ValueError("seeds lie in 0 … 2^32 − 1")
        if self.seeds is not None and len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds repeat")
        if self.variant == "fourier" and self.task != "product":
            raise ValueError("fourier networks learn random functions; leave task out")
        if self.variant == "fourier" and self.law is not None:
            raise ValueError("fourier networks read one number, drawn from an interval; leave law out")
        if self.variant == "fourier" and (self.n_networks or len(self.seeds)) < self.n_functions:
            raise ValueError(f"{self.n_functions} functions ask for at least as many networks")
        if self.spec is not None:
            NetworkSpec.parse(self.spec)
        return self

    @model_serializer(mode="wrap")
    def _without_a_law_left_out(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that zoos from before there was a law to choose still have the settings that they were built with."""
        return {name: value for name, value in serialise(self).items() if name != "law" or value is not None}


class ZooConfig(Settings):
    """Which networks to train."""

    families: tuple[FamilyConfig, ...] = Field((FamilyConfig(n_networks=1000),), min_length=1)
    seed: int = Field(0, ge=0)
    n_snapshots: int = Field(0, ge=0, le=200, description="log-spaced steps of each run that are kept beside the end")
    networks_per_shard: int = Field(2000, ge=1, description="a shard is trained and written whole; memory grows with it")
    engine: Literal["fast", "torch", "loop"] = Field("fast", description="numba kernels; batched PyTorch; one network a time")


class PretrainConfig(Settings):
    """The cloze model and how it is trained."""

    seed: int = Field(0, ge=0)
    objective: Literal["cloze", "autoencoder", "contrastive", "latent"] = Field(
        "cloze",
        description="what the encoder learns by: predicting hidden values; telling the network back from a narrow vector; "
        "recognising networks of one function; predicting a slower copy's hidden states",
    )
    bottleneck: int = Field(8, ge=1, description="autoencoder: width of the vector from which the network is told back")
    temperature: float = Field(0.2, gt=0, description="contrastive: divides the cosine similarities")
    view_noise: float = Field(0.3, ge=0, description="contrastive: standard deviation of the function-preserving noise")
    view_scale: float = Field(0.5, ge=0, description="contrastive: standard deviation of the log scale drawn for each unit")
    teacher_momentum: float = Field(0.99, ge=0, lt=1, description="latent: share of the teacher that stays at each step")
    d_model: int = Field(64, ge=8)
    n_layers: int = Field(4, ge=1)
    n_heads: int = Field(4, ge=1)
    head: Literal["mixture", "gaussian", "squared", "rectified"] = Field(
        "mixture", description="what is predicted for a hidden value; rectified: exactly 0, or a mixture"
    )
    n_components: int = Field(8, ge=1, description="Gaussians in a mixture")
    positions: Literal["relational", "indexed"] = Field(
        "relational", description="relational: attention sees which units two tokens share; indexed: unit numbers"
    )
    tokens: Literal["parameters", "behaviour"] = Field(
        "parameters", description="what is hidden and predicted: parameters, or each hidden unit's contribution at probe inputs"
    )
    behaviour_weight: float = Field(
        0.0, ge=0, description="of predicting from the parameters what each hidden unit contributes at probe inputs; 0 is off"
    )
    whole_share: float = Field(0.3, ge=0, lt=1, description="share of networks shown whole, where behaviour is predicted")
    n_probes: int = Field(5, ge=2, le=64, description="behaviour: probe inputs along each input, midpoints of equal cells")
    probe_range: tuple[float, float] = Field((0.0, 1.0), description="behaviour: from where to where the probes reach")
    mask_ratio_min: float = Field(0.1, gt=0, le=1)
    mask_ratio_max: float = Field(0.6, gt=0, le=1)
    unit_mask_share: float = Field(0.2, ge=0, le=1, description="share of networks of which a whole unit is hidden")
    permute_units: bool = Field(True, description="shuffle the hidden units of each network at each step")
    scale_units: float = Field(0.0, ge=0, description="standard deviation of the log scale drawn for each unit; 0 is off")
    n_steps: int = Field(4000, ge=1)
    batch_size: int = Field(256, ge=1)
    lr: float = Field(2e-3, gt=0)
    warmup_steps: int = Field(200, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    grad_clip: float = Field(1.0, gt=0)
    eval_every: int = Field(250, ge=1)
    max_valid_networks: int = Field(2000, ge=1)
    max_train_networks: int | None = Field(None, ge=1, description="use only so many training networks")

    @model_validator(mode="after")
    def _coherent(self) -> PretrainConfig:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is no multiple of n_heads {self.n_heads}")
        if self.behaviour_weight and self.objective != "cloze":
            raise ValueError("behaviour_weight is for objective=cloze alone")
        if self.behaviour_weight and self.tokens == "behaviour":
            raise ValueError("behaviour_weight asks for behaviour behind parameters; tokens are behaviour already")
        if self.head == "rectified" and self.tokens == "parameters":
            raise ValueError("a rectified head predicts exact zeros, which parameters do not have; choose tokens=behaviour")
        if self.mask_ratio_min > self.mask_ratio_max:
            raise ValueError("mask_ratio_min is above mask_ratio_max")
        return self


class EmbedConfig(Settings):
    """Which embedding of which networks."""

    kind: Embedding = Field(
        "profile",
        description="hidden states pooled, or unit by unit; each token hidden in turn: prediction and entropy, entropy alone, "
        "surprisal, surprisal by unit; what units are believed to do; which tokens determine each other",
    )
    untrained: bool = Field(False, description="a freshly initialised encoder: the control for what pretraining adds")
    name: str | None = Field(None, description="what the representation is called in every table; its kind if left out")
    max_per_split: int | None = Field(
        None, ge=1, description="embed only the first so many finished networks of each split; all, snapshots too, if left out"
    )
    batch_size: int = Field(512, ge=1)
    seed: int = Field(0, ge=0, description="of the untrained encoder's initialisation")


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


class ModelConfig(Settings):
    """One more model of a run, and what is made of it: "<name>-<kind>" in every table."""

    pretrain: PretrainConfig = Field(
        PretrainConfig(), description="what differs from the run's own `pretrain`; the rest is its"
    )
    embeddings: tuple[Embedding, ...] = ("pooled",)
    untrained: tuple[Embedding, ...] = Field((), description="kinds that are also taken from an untrained encoder")


class ScanConfig(Settings):
    """The scans on a zoo: hand-built, by loss, fitted on parameters, by examples in an embedding."""

    seed: int = Field(0, ge=0)
    n_random: int = Field(2000, ge=10, description="random initialisations to tell each mode from")
    n_bootstraps: int = Field(500, ge=10)
    n_examples: int = Field(5, ge=1, description="training networks of a mode that the scan in an embedding is shown")
    n_example_draws: int = Field(10, ge=1, description="how often these examples are drawn anew")


class TransferConfig(Settings):
    """How well what was learned on one zoo holds on others."""

    seed: int = Field(0, ge=0)
    kinds: tuple[Embedding, ...] = Field(("profile",), min_length=1, description="embeddings that are carried over")
    max_fit_networks: int = Field(4000, ge=10)
    max_test_networks: int = Field(2000, ge=10)
    k: int = Field(6, ge=2, description="clusters carried over")


class ReportConfig(Settings):
    """How the report's figures are drawn."""

    dpi: int = Field(160, ge=40, le=600, description="pixels per inch of the figures")


class ShowConfig(Settings):
    """How one network is drawn."""

    dpi: int = Field(150, ge=40, le=600, description="pixels per inch")


class InfoConfig(Settings):
    """What is looked at of an artefact."""

    check_hashes: bool = Field(True, description="read every file and hold its hash against the manifest")


class ImportConfig(Settings):
    """How networks that others trained are read."""

    skip_damaged: bool = Field(False, description="leave damaged files out and list them; the first one ends it otherwise")
    partial_labels: bool = Field(False, description="rows of the labels without a file and files without a row are no error")
    shard_mb: float = Field(64, gt=0, description="MiB of networks in a shard, and in memory; a larger network has its own")


class ExportConfig(Settings):
    """How one network of a zoo is given back."""

    check_hashes: bool = Field(True, description="hold the zoo's files against its manifest first")


class DynamicsConfig(Settings):
    """How networks pass through the modes while they learn."""

    seed: int = Field(0, ge=0)
    window: int = Field(1, ge=0, description="snapshots on either side of a change that the drop reaches over")
    n_controls: int = Field(10, ge=3, description="networks that each change is compared with")
    n_bootstraps: int = Field(500, ge=20)
    n_permutations: int = Field(100, ge=20, description="shuffles of the times of change among networks: the null")
    n_embedded_runs: int = Field(300, ge=10, description="test runs that are embedded along their way, where a model is given")
    embedding: Embedding = "profile"


class ExperimentConfig(Settings):
    """The ten experiments, the optima and the dynamics; the defaults end in a quarter of an hour on two cores."""

    seed: int = Field(0, ge=0)
    n_networks: int = Field(12_000, ge=100, description="2-2-1 networks that experiments 3, 5, 9, 10 and the optima share")
    n_initialisations: int = Field(1000, ge=10, description="seeds of the small experiments 1 and 2")
    n_parents: int = Field(300, ge=10, description="mode-3 parents that experiment 5 trains further")
    bias_grid: int = Field(25, ge=3, description="starting biases of experiment 8 along each axis")
    n_starts: int = Field(200, ge=2, description="networks of each mode that the optima are searched from")
    n_snapshot_networks: int = Field(4000, ge=50, description="networks whose way through training is kept")
    n_snapshots: int = Field(40, ge=4, le=200)
    n_bootstraps: int = Field(500, ge=20)


class RunConfig(Settings):
    """Everything from nothing to a report."""

    name: str = "run"
    zoo: ZooConfig = ZooConfig()
    targets: dict[str, ZooConfig] = Field(default_factory=dict, description="further zoos that transfer is tested on")
    pretrain: PretrainConfig = PretrainConfig()
    embed: EmbedConfig = EmbedConfig()
    embeddings: tuple[Embedding, ...] = ("pooled", "profile", "certainty")
    models: dict[str, ModelConfig] = Field(default_factory=dict, description="further models, compared with the first by name")
    cluster: ClusterConfig = ClusterConfig()
    scan: ScanConfig = ScanConfig()
    transfer: TransferConfig = TransferConfig()
    report: ReportConfig = ReportConfig()

    @model_validator(mode="before")
    @classmethod
    def _models_differ_from_the_first(cls, data: Any) -> Any:
        """Fills each further model's pretraining settings up with those of the run."""
        models = data.get("models") if isinstance(data, dict) else None
        if not isinstance(models, dict) or not isinstance(data.get("pretrain", {}), dict):
            return data
        filled = {
            name: model | {"pretrain": data.get("pretrain", {}) | (model.get("pretrain") or {})}
            if isinstance(model, dict) and isinstance(model.get("pretrain") or {}, dict)
            else model
            for name, model in models.items()
        }
        return data | {"models": filled}


class SizeConfig(Settings):
    """Question 1: zoo sizes against model sizes."""

    train_networks: tuple[int, ...] = Field((100, 300, 1000, 3000, 10_000, 30_000, 100_000), min_length=2)
    model_sizes: tuple[tuple[int, int], ...] = Field(
        ((16, 1), (32, 2), (64, 3)), min_length=1, description="width and layers of each model"
    )
    n_steps: int = Field(1500, ge=1)
    max_test_networks: int = Field(2000, ge=20)
    k: int = Field(6, ge=2, description="clusters of the embeddings")


class SourcesConfig(Settings):
    """Question 2: what is carried over from which zoo to which."""

    sources: tuple[SourceName, ...] = Field(
        get_args(SourceName), min_length=2, description="zoos, each a source and a target; the recipe's own is product"
    )
    n_networks: int = Field(4000, ge=50, description="of each zoo")
    n_deep_networks: int = Field(1000, ge=50, description="of the zoo with two hidden layers, which trains slowly")
    n_steps: int = Field(800, ge=1)
    max_fit_networks: int = Field(2500, ge=20)
    max_test_networks: int = Field(800, ge=10)
    k: int = Field(6, ge=2, description="clusters carried over")


class InputConfig(Settings):
    """Question 3: what the input looks like, and what the model makes of a unit, a layer, a network."""

    n_train_networks: int = Field(20_000, ge=50)
    n_steps: int = Field(1200, ge=1)
    max_fit_networks: int = Field(5000, ge=20)
    max_test_networks: int = Field(2000, ge=20)


class CeilingConfig(Settings):
    """Question 4: how much of a hidden parameter the others say at all."""

    bank_sizes: tuple[int, ...] = Field((1000, 3000, 10_000, 30_000, 100_000), min_length=2)
    n_neighbours: int = Field(10, ge=2, description="that are averaged, and that the Gamma test draws its line through")
    n_local: int = Field(40, ge=10, description="neighbours that the local linear fit goes through")
    n_train_networks: int = Field(100_000, ge=50, description="that the model is trained on")
    n_steps: int = Field(4500, ge=1)
    mask_ratio_max: float = Field(0.3, gt=0, le=1, description="in pretraining; one parameter is hidden when it is measured")
    max_test_networks: int = Field(2000, ge=20)


class QuestionConfig(Settings):
    """The four questions of the notes; each adds its own settings to those that all share."""

    seed: int = Field(0, ge=0)
    n_networks: int = Field(150_000, ge=100, description="of the large zoo; seven tenths of them train")
    pretrain: PretrainConfig = Field(
        PretrainConfig(
            behaviour_weight=1.0,
            whole_share=0.5,
            d_model=48,
            n_layers=3,
            n_components=4,
            n_steps=1000,
            batch_size=128,
            warmup_steps=100,
        ),
        description="what the models of all questions have in common",
    )
    n_bootstraps: int = Field(200, ge=20)
    size: SizeConfig = SizeConfig()
    sources: SourcesConfig = SourcesConfig()
    input: InputConfig = InputConfig()
    ceiling: CeilingConfig = CeilingConfig()
