"""Every stage's settings, validated: one model a stage, and `RunConfig` for all of them."""

from metarep.config.analysis import ClusterConfig, DynamicsConfig, PredictConfig, ScanConfig, TransferConfig
from metarep.config.cloze import EmbedConfig, Embedding, PretrainConfig
from metarep.config.run import ModelConfig, ReportConfig, RunConfig
from metarep.config.series import (
    ArchitecturesConfig,
    CeilingConfig,
    DigitsStudyConfig,
    ExperimentConfig,
    InputConfig,
    LargeConfig,
    QuestionConfig,
    SizeConfig,
    SourceName,
    SourcesConfig,
)
from metarep.config.windows import Part, PartsConfig, WindowEmbedConfig, WindowEmbedding, WindowPretrainConfig
from metarep.config.zoo import (
    DigitsConfig,
    ExportConfig,
    FamilyConfig,
    ImportConfig,
    InfoConfig,
    ShowConfig,
    Variant,
    ZooConfig,
)

__all__ = [
    "ArchitecturesConfig",
    "CeilingConfig",
    "ClusterConfig",
    "DigitsConfig",
    "DigitsStudyConfig",
    "DynamicsConfig",
    "EmbedConfig",
    "Embedding",
    "ExperimentConfig",
    "ExportConfig",
    "FamilyConfig",
    "ImportConfig",
    "InfoConfig",
    "InputConfig",
    "LargeConfig",
    "ModelConfig",
    "Part",
    "PartsConfig",
    "PredictConfig",
    "PretrainConfig",
    "QuestionConfig",
    "ReportConfig",
    "RunConfig",
    "ScanConfig",
    "ShowConfig",
    "SizeConfig",
    "SourceName",
    "SourcesConfig",
    "TransferConfig",
    "Variant",
    "WindowEmbedConfig",
    "WindowEmbedding",
    "WindowPretrainConfig",
    "ZooConfig",
]
