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
    "settings": ("load_config",),
    "progress": ("Progress",),
    "networks.spec": ("NetworkSpec",),
    "networks.forward": ("forward", "stages"),
    "networks.architecture": ("Architecture", "read_architecture"),
    "zoos.settings": ("ImportConfig",),
    "zoos.zoo": ("Zoo", "open_zoo"),
    "zoos.domain": ("Domain", "domain_of"),
    "zoos.importing": ("import_networks",),
    "zoos.exporting": ("export_network",),
    "training.settings": ("FamilyConfig", "ZooConfig"),
    "training.build": ("build_zoo",),
    "model.settings": ("PretrainConfig",),
    "model.pretraining": ("pretrain", "load_model"),
    "embeddings.settings": ("EmbedConfig",),
    "embeddings.stage": ("embed",),
    "embeddings.store": ("Embeddings", "load_embeddings"),
    "embeddings.embedder": ("Embedder",),
    "evaluation.settings": ("AuditConfig", "ClusterConfig", "MaskedR2Config", "PredictConfig", "TransferConfig"),
    "evaluation.audit": ("audit",),
    "evaluation.compare": ("cluster",),
    "evaluation.transfer": ("transfer",),
    "evaluation.predict": ("predict",),
    "evaluation.masked_r2": ("masked_r2",),
    "report.page": ("write_report",),
    "domains.multiplier.settings": ("DynamicsConfig", "ScanConfig"),
    "domains.multiplier.geometry": ("active_area", "quadrant_area"),
    "domains.multiplier.modes": ("label_modes",),
    "domains.multiplier.dynamics": ("dynamics",),
    "domains.multiplier.scan": ("scan",),
    "domains.multiplier.scores": ("scan_score",),
    "domains.multiplier.figures.square": ("draw_network",),
    "domains.digits.settings": ("DigitsConfig",),
    "domains.digits.build": ("build_digits",),
    "domains.groups.settings": ("GroupsConfig",),
    "domains.groups.build": ("build_groups",),
    "studies.settings": ("BeyondConfig", "ExperimentConfig", "QuestionConfig"),
    "studies.series": ("BEYOND", "EXPERIMENTS", "QUESTIONS"),
    "studies.running": ("run_series",),
    "run_settings": ("RunConfig",),
    "pipeline": ("run",),
    "likeness": ("neighbours",),
    "outlook": ("run_folder",),
    "notebook": ("Run", "open_run"),
    "hub": ("from_pretrained", "push"),
    "examples": ("Example", "load_example"),
}
_ALIASES = {"write_report": "report"}
"""`metarep.report` is the package, so its stage goes by another name here."""

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
