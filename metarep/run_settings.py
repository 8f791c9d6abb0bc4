"""Settings of a whole run: where its zoo comes from, its models, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from metarep.embeddings.settings import EmbedConfig
from metarep.evaluation.settings import (
    AuditConfig,
    ClusterConfig,
    MaskedR2Config,
    PredictConfig,
    TransferConfig,
    UnitEffectsConfig,
)
from metarep.map.settings import MapConfig
from metarep.model.settings import PretrainConfig
from metarep.parts.settings import PartsConfig
from metarep.report.settings import ReportConfig
from metarep.settings import Settings, with_defaults
from metarep.training.settings import ZooConfig
from metarep.zoos.domain import builders
from metarep.zoos.settings import ImportConfig

MAIN = "model"
"""The run's own model, in paths and tables."""


class ImportedZoo(ImportConfig):
    """A zoo of networks that others trained."""

    paths: tuple[str, ...] = Field(min_length=1, alias="import", description="files, folders or glob patterns of checkpoints")
    labels: Path | None = Field(None, description="a CSV or Parquet table of labels and properties; its column `file` joins")
    architecture: Path | None = Field(None, description="a YAML that says of tensors what their names do not")


class FinishedZoo(Settings):
    """A zoo that exists."""

    folder: Path = Field(description="the folder of a zoo that is used as it is")


class TrainedZoo(Settings):
    """A zoo that a domain trains by an engine of its own."""

    variant: str = Field(description="groups: composition in finite groups; digits: convolutional networks")
    settings: dict[str, Any] = Field(default_factory=dict, description="as --help of `build-zoo` shows them for the variant")

    @model_validator(mode="after")
    def _known(self) -> TrainedZoo:
        if self.variant not in builders():
            raise ValueError("variant is one of " + ", ".join(builders()))
        _ = self.own
        return self

    @property
    def own(self) -> Settings:
        """The settings of the class that the variant has."""
        kind = builders()[self.variant].settings
        return kind().changed(self.settings, where="zoo.settings")


def _origin(value: Any) -> str:
    """Which of the four `zoo:` is meant."""
    given = value if isinstance(value, Mapping) else ()
    if isinstance(value, FinishedZoo) or "folder" in given:
        return "finished"
    if isinstance(value, TrainedZoo) or "variant" in given:
        return "trained"
    return "imported" if isinstance(value, ImportedZoo) or "import" in given else "built"


ZooSource = Annotated[
    Annotated[ZooConfig, Tag("built")]
    | Annotated[TrainedZoo, Tag("trained")]
    | Annotated[ImportedZoo, Tag("imported")]
    | Annotated[FinishedZoo, Tag("finished")],
    Discriminator(_origin),
]


UnitsConfig = with_defaults(ClusterConfig, "UnitsConfig", part="unit", umap=False)


class ModelChanges(Settings):
    """One more model of a run: what differs from the run's own settings, and what is made of it."""

    pretrain: dict[str, Any] = Field(default_factory=dict, description="settings of `pretrain` that differ from the run's")
    embed: dict[str, Any] = Field(default_factory=dict, description="settings of `embed` that differ from the run's")
    embeddings: tuple[str, ...] = Field((), description="kinds of embeddings")
    untrained: tuple[str, ...] = Field((), description="kinds that are also taken from an untrained encoder")


class RunConfig(Settings):
    """Everything from nothing to a report."""

    name: str = Field("run", description="of the run; its folder by default is results/NAME")
    seed: int | None = Field(None, ge=0, description="overrides the seeds of all stages; targets keep theirs")
    zoo: ZooSource = Field(ZooConfig(), description="built (families or variant), imported (import) or finished (folder)")
    targets: dict[str, ZooSource] = Field(default_factory=dict, description="further zoos that transfer is tested on")
    beside: tuple[Path, ...] = Field((), description="folders of further zoos that the models are pretrained on")
    pretrained: Path | None = Field(None, description="the folder of a finished model, used in place of pretraining one")
    pretrain: PretrainConfig = PretrainConfig()
    embed: EmbedConfig = EmbedConfig()
    embeddings: tuple[str, ...] = Field((), description="kinds of embeddings; by default those that suit the zoo")
    untrained: tuple[str, ...] = Field((), description="kinds that are also taken from an untrained encoder")
    models: dict[str, ModelChanges] = Field(default_factory=dict, description="further models, by name")
    masked_r2: MaskedR2Config = MaskedR2Config()
    cluster: ClusterConfig = ClusterConfig()
    units: UnitsConfig = Field(UnitsConfig(), description="hidden units compared, where they have labels and are embedded")
    unit_effects: UnitEffectsConfig = UnitEffectsConfig()
    predict: PredictConfig = PredictConfig()
    audit: AuditConfig = AuditConfig()
    parts: PartsConfig = PartsConfig()
    transfer: TransferConfig = TransferConfig()
    map: MapConfig = MapConfig()
    report: ReportConfig = ReportConfig()
    stages: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of the stages that the zoo's domain adds, such as `scan`"
    )
    without: tuple[str, ...] = Field((), description="stages to leave out, such as transfer or scan")
    publish: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="patterns of files that --publish copies, by the folder they go to"
    )


def model_settings(config: RunConfig, name: str) -> tuple[PretrainConfig, EmbedConfig]:
    """How one of the run's models is pretrained and embedded: the run's own settings with what is stated for it."""
    pretrain, embed = seeded(config.pretrain, config.seed), seeded(config.embed, config.seed)
    if name == MAIN:
        return pretrain, embed
    changes = config.models[name]
    where = f"models.{name}"
    return (
        pretrain.changed(changes.pretrain, where=f"{where}.pretrain"),
        embed.changed(changes.embed, where=f"{where}.embed"),
    )


def seeded(settings: Any, seed: int | None) -> Any:
    """The settings with another seed, where there is one and they have one."""
    if seed is not None and isinstance(settings, TrainedZoo):
        return settings.model_copy(update={"settings": settings.settings | {"seed": seed}})
    return settings if seed is None or "seed" not in type(settings).model_fields else settings.model_copy(update={"seed": seed})
