"""metarep: what trained networks have learned, from their parameters alone.

    import metarep

    zoo = metarep.build_zoo(metarep.load_config(metarep.ZooConfig, overrides=["seed=1"]), "zoo")
    model = metarep.pretrain(metarep.PretrainConfig(n_steps=500), zoo, "model")

Names are loaded when they are first used, so that importing metarep costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "errors": ("MetarepError",),
    "artefact": ("Artefact", "open_artefact"),
    "config": (
        "BeyondConfig",
        "ClusterConfig",
        "DigitsConfig",
        "DynamicsConfig",
        "EmbedConfig",
        "ExperimentConfig",
        "ExportConfig",
        "FamilyConfig",
        "ImportConfig",
        "PretrainConfig",
        "QuestionConfig",
        "RunConfig",
        "ScanConfig",
        "TransferConfig",
        "WindowEmbedConfig",
        "WindowPretrainConfig",
        "ZooConfig",
    ),
    "settings": ("load_config",),
    "progress": ("Progress",),
    "networks.spec": ("NetworkSpec",),
    "networks.forward": ("forward", "stages"),
    "networks.geometry": ("active_area", "quadrant_area"),
    "networks.modes": ("label_modes",),
    "zoo.build": ("build_zoo",),
    "zoo.store": ("Zoo", "load_zoo"),
    "checkpoints.architecture": ("Architecture", "read_architecture"),
    "checkpoints.store": ("ImportedZoo", "load_imported"),
    "checkpoints.importing": ("import_networks",),
    "checkpoints.exporting": ("export_network",),
    "digits.build": ("build_digits",),
    "cloze.pretrain": ("pretrain",),
    "cloze.embed": ("Embeddings", "embed", "load_embeddings"),
    "windows.pretrain": ("pretrain_windows",),
    "windows.embed": ("embed_windows",),
    "analysis.compare": ("cluster",),
    "analysis.dynamics": ("dynamics",),
    "analysis.scan": ("scan", "scan_score"),
    "analysis.transfer": ("transfer",),
    "report.page": ("write_report",),
    "report.square": ("draw_network",),
    "experiments.stage": ("experiment",),
    "questions.stage": ("question",),
    "beyond.stage": ("look_beyond",),
    "pipeline": ("run",),
}
_ALIASES = {"write_report": "report"}
"""`metarep.report` is the room, so its stage goes by another name here."""

_SOURCES = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_SOURCES]


def __getattr__(name: str) -> Any:
    if name not in _SOURCES:
        raise AttributeError(f"module 'metarep' has no attribute {name!r}")
    value = getattr(import_module(f"metarep.{_SOURCES[name]}"), _ALIASES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
