"""Settings of everything from nothing to a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from metarep.config.analysis import ClusterConfig, ScanConfig, TransferConfig
from metarep.config.cloze import EmbedConfig, Embedding, PretrainConfig
from metarep.config.zoo import ZooConfig
from metarep.settings import Settings


class ReportConfig(Settings):
    """How the report's figures are drawn."""

    dpi: int = Field(160, ge=40, le=600, description="pixels per inch of the figures")


class ModelConfig(Settings):
    """One more model of a run, and what is made of it: "<name>-<kind>" in every table."""

    pretrain: PretrainConfig = Field(
        PretrainConfig(), description="what differs from the run's own `pretrain`; the rest is its"
    )
    embed: EmbedConfig = Field(EmbedConfig(), description="what differs from the run's own `embed`; the rest is its")
    embeddings: tuple[Embedding, ...] = ("pooled",)
    untrained: tuple[Embedding, ...] = Field((), description="kinds that are also taken from an untrained encoder")


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
        """Fills each further model's settings up with those of the run."""
        models = data.get("models") if isinstance(data, dict) else None
        if not isinstance(models, dict):
            return data
        return data | {"models": {name: _filled(model, data) for name, model in models.items()}}


def _filled(model: Any, run: Mapping[str, Any]) -> Any:
    """What was said about a further model, with the run's own settings where it says nothing; other than tables stay."""
    if not isinstance(model, dict):
        return model
    sections = {name: (run.get(name) or {}, model.get(name) or {}) for name in ("pretrain", "embed")}
    tables = {name: pair for name, pair in sections.items() if all(isinstance(part, dict) for part in pair)}
    return model | {name: own | said for name, (own, said) in tables.items()}
