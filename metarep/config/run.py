"""Settings of everything from nothing to a report."""

from __future__ import annotations

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
