"""Every stage's settings, validated: one model a stage, and `RunConfig` for all of them."""

from metarep.config.analysis import ClusterConfig, DynamicsConfig, ScanConfig, TransferConfig
from metarep.config.cloze import EmbedConfig, Embedding, PretrainConfig
from metarep.config.run import ModelConfig, ReportConfig, RunConfig
from metarep.config.series import (
    BeyondConfig,
    CeilingConfig,
    ExperimentConfig,
    InputConfig,
    PlantedConfig,
    QuestionConfig,
    SizeConfig,
    SourceName,
    SourcesConfig,
    TrainedConfig,
)
from metarep.config.zoo import ExportConfig, FamilyConfig, ImportConfig, InfoConfig, ShowConfig, Variant, ZooConfig

__all__ = [
    "BeyondConfig",
    "CeilingConfig",
    "ClusterConfig",
    "DynamicsConfig",
    "EmbedConfig",
    "Embedding",
    "ExperimentConfig",
    "ExportConfig",
    "FamilyConfig",
    "ImportConfig",
    "InfoConfig",
    "InputConfig",
    "ModelConfig",
    "PlantedConfig",
    "PretrainConfig",
    "QuestionConfig",
    "ReportConfig",
    "RunConfig",
    "ScanConfig",
    "ShowConfig",
    "SizeConfig",
    "SourceName",
    "SourcesConfig",
    "TrainedConfig",
    "TransferConfig",
    "Variant",
    "ZooConfig",
]
