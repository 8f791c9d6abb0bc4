"""Settings of the series of studies."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from metarep.domains.digits.settings import DigitsConfig
from metarep.evaluation.settings import PredictConfig
from metarep.model.settings import PretrainConfig
from metarep.settings import Settings, with_defaults

Recipe = Literal["product", "seeds", "e05", "e06", "e07", "e08"]
Inputs = Literal["inputs", "wide", "diagonal", "slow", "fast"]
Shape = Literal["width3", "width4", "depth2"]
Task = Literal["product", "sum", "quotient", "square", "max"]
SourceName = Literal[Recipe, Inputs, Shape, "sum", "quotient", "square", "max", "random"]


class ExperimentConfig(Settings):
    """The ten experiments, the optima and the dynamics; the defaults end in a quarter of an hour on two cores."""

    seed: int = Field(0, ge=0, description="of every draw")
    n_networks: int = Field(12_000, ge=100, description="2-2-1 networks that experiments 3, 5, 9, 10 and the optima share")
    n_initialisations: int = Field(1000, ge=10, description="seeds of the small experiments 1 and 2")
    n_parents: int = Field(300, ge=10, description="mode-3 parents that experiment 5 trains further")
    bias_grid: int = Field(25, ge=3, description="starting biases of experiment 8 along each axis")
    n_starts: int = Field(200, ge=2, description="networks of each mode that the optima are searched from")
    n_snapshot_networks: int = Field(4000, ge=50, description="networks whose way through training is kept")
    n_snapshots: int = Field(40, ge=4, le=200, description="of each of these on its way")
    n_bootstraps: int = Field(500, ge=20, description="resamples behind each interval")


class SizeConfig(Settings):
    """Question 1: zoo sizes against model sizes."""

    train_networks: tuple[int, ...] = Field(
        (100, 300, 1000, 3000, 10_000, 30_000, 100_000), min_length=2, description="numbers of training networks"
    )
    model_sizes: tuple[tuple[int, int], ...] = Field(((16, 1), (32, 2), (64, 3)), min_length=1, description="width, layers")
    n_steps: int = Field(1500, ge=1, description="of pretraining")
    max_test_networks: int = Field(2000, ge=20, description="networks that are measured")
    k: int = Field(6, ge=2, description="clusters of the embeddings")


class SourcesConfig(Settings):
    """Question 2: what is carried over from which zoo to which."""

    sources: tuple[SourceName, ...] = Field(
        get_args(SourceName), min_length=2, description="zoos, each a source and a target; the recipe's own is product"
    )
    n_networks: int = Field(4000, ge=50, description="of each zoo")
    n_deep_networks: int = Field(1000, ge=50, description="of the zoo with two hidden layers, which trains slowly")
    n_steps: int = Field(800, ge=1, description="of pretraining")
    max_fit_networks: int = Field(2500, ge=20, description="networks that probes and clusters are fitted on")
    max_test_networks: int = Field(800, ge=10, description="networks that are measured")
    k: int = Field(6, ge=2, description="clusters carried over")


class InputConfig(Settings):
    """Question 3: what the input looks like."""

    n_train_networks: int = Field(20_000, ge=50, description="networks that the models see")
    n_steps: int = Field(1200, ge=1, description="of pretraining")
    max_fit_networks: int = Field(5000, ge=20, description="networks that probes are fitted on")
    max_test_networks: int = Field(2000, ge=20, description="networks that are measured")


class CeilingConfig(Settings):
    """Question 4: how much of a masked parameter the others say at all."""

    n_neighbours: int = Field(10, ge=2, description="that the Gamma test draws its line through")
    n_train_networks: int = Field(100_000, ge=50, description="that the model is trained on, and the neighbours' bank")
    n_steps: int = Field(4500, ge=1, description="of pretraining")
    mask_ratio_max: float = Field(0.3, gt=0, le=1, description="in pretraining; one parameter is masked when it is measured")
    max_test_networks: int = Field(2000, ge=20, description="networks that are measured")


ASKED = {"behaviour_weight": 1.0, "unmasked_share": 0.5, "n_layers": 3}
"""Of models that are asked for behaviour."""

QuestionPretrain = with_defaults(
    PretrainConfig, "QuestionPretrain", **ASKED, jitter=1.0, d_model=48, n_steps=1000, warmup_steps=100
)


class QuestionConfig(Settings):
    """The four questions of the notes; each adds its own settings to those that all share."""

    seed: int = Field(0, ge=0, description="of every draw")
    n_networks: int = Field(150_000, ge=100, description="of the large zoo; seven tenths of them train")
    pretrain: QuestionPretrain = Field(QuestionPretrain(), description="what the models of all questions have in common")
    n_bootstraps: int = Field(200, ge=20, description="resamples behind each interval")
    size: SizeConfig = SizeConfig()
    sources: SourcesConfig = SourcesConfig()
    input: InputConfig = InputConfig()
    ceiling: CeilingConfig = CeilingConfig()

    @model_validator(mode="after")
    def _networks_as_stored(self) -> QuestionConfig:
        if self.pretrain.units == "canonical":
            raise ValueError("the questions compare predictions with parameters as stored; no canonical units")
        return self


ArchitecturesPretrain = with_defaults(PretrainConfig, "ArchitecturesPretrain", chunk=1, n_steps=1500, batch_size=64)
DigitsPretrain = with_defaults(PretrainConfig, "DigitsPretrain", chunk=9, n_steps=1500, batch_size=32, max_windows=20_000)
BeyondPretrain = with_defaults(PretrainConfig, "BeyondPretrain", **ASKED, n_steps=3000)


class ArchitecturesConfig(Settings):
    """Pretrained on networks of some architectures, tested on others."""

    seen: tuple[str, ...] = Field(
        ("2-2-1", "2-4-1", "2-8-1", "2-16-1", "2-2-2-1", "2-4-4-1", "2-3-3-3-1"), min_length=1, description="pretrained on"
    )
    left_out: tuple[str, ...] = Field(
        ("2-3-1", "2-12-1", "2-3-3-1", "2-2-2-2-1"), min_length=1, description="read for the first time when tested"
    )
    tasks: tuple[Task, ...] = Field(
        ("product", "sum", "square", "max"), min_length=2, description="what networks are trained to compute"
    )
    n_networks: int = Field(100, ge=5, description="of each architecture and task")
    n_training_steps: int = Field(1500, ge=1, description="of each network")
    pretrain: ArchitecturesPretrain = ArchitecturesPretrain()


class DigitsStudyConfig(Settings):
    """What frozen embeddings say of digit networks."""

    zoo: DigitsConfig = DigitsConfig()
    pretrain: DigitsPretrain = DigitsPretrain()
    predict: PredictConfig = PredictConfig()


class LargeConfig(Settings):
    """Time and memory of embedding large networks."""

    sizes: tuple[int, ...] = Field((1_000_000, 3_000_000, 10_000_000), min_length=2, description="parameters, about")


class PlantedConfig(Settings):
    """Beyond, planted: 2-2-1 networks side by side in one layer, and how many of them are found."""

    blocks: tuple[int, ...] = Field((2, 4, 8), min_length=1, description="how many in a network")
    sigmas: tuple[float, ...] = Field(
        (0.0, 0.05, 0.1, 0.2, 0.4, 0.8),
        min_length=1,
        description="noise between blocks, as a share of the root mean square of the weights within them",
    )
    n_blocks: int = Field(96, ge=2, description="planted in all for each setting, over as many networks as they fill")
    max_fit_networks: int = Field(5000, ge=50, description="training networks that the probe for modes is fitted on")


class TrainedConfig(Settings):
    """Beyond, trained: the units of 2-16-1 networks, ablated."""

    n_wide: int = Field(400, ge=20, description="2-16-1 networks; a fifth is held out and ablated")
    n_samples: int = Field(1000, ge=10, le=2000, description="that each is ablated on")
    ks: tuple[int, ...] = Field((2, 3, 4, 5, 6, 8), min_length=1, description="numbers of clusters of units to choose from")
    n_random: int = Field(100, ge=10, description="random groups of the same sizes beside every group")


class BeyondConfig(Settings):
    """What lies beyond networks of the pretrained size; each member adds its own settings to those that all share."""

    seed: int = Field(0, ge=0, description="of every draw")
    model: str | None = Field(
        None, description="a model pretrained on 2-2-1 networks, asked for behaviour; made here if left out"
    )
    zoo: str | None = Field(None, description="the zoo that it was pretrained on; where its manifest says if left out")
    n_networks: int = Field(20_000, ge=100, description="of the zoo, where it is made here")
    pretrain: BeyondPretrain = Field(BeyondPretrain(), description="how the model is made, where it is")
    n_bootstraps: int = Field(500, ge=20, description="resamples behind each interval")
    planted: PlantedConfig = PlantedConfig()
    trained: TrainedConfig = TrainedConfig()
    architectures: ArchitecturesConfig = ArchitecturesConfig()
    digits: DigitsStudyConfig = DigitsStudyConfig()
    large: LargeConfig = LargeConfig()
