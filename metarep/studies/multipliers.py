"""The zoos and models of 2-2-1 multipliers that several studies share."""

from __future__ import annotations

from typing import Any

from metarep.artefact import Artefact, open_artefact
from metarep.model.pretraining import load_model
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel
from metarep.studies.study import Context
from metarep.zoos.zoo import Zoo, open_zoo

SMALL_MODEL = PretrainConfig(d_model=32, n_layers=3, n_heads=4, n_steps=1200, warmup_steps=100)
"""Of the experiments: trained within minutes on their shared zoo."""


def multipliers(context: Context, name: str = "e09") -> Zoo:
    """`n_networks` networks from scratch, those that did not diverge."""
    return context.family(name, variant="e09", n_networks=context.config.n_networks).final()


def large_zoo(context: Context) -> Zoo:
    """The zoo that questions 1, 3 and 4 share."""
    return multipliers(context, "large")


def question_model(context: Context, **changes: Any) -> PretrainConfig:
    """What the models of all questions have in common, with changes; validated."""
    shared = context.config.pretrain.resolved() | {"seed": context.config.seed}
    steps = changes.get("n_steps", shared["n_steps"])
    warmup = {"warmup_steps": min(shared["warmup_steps"], steps // 10)}
    return PretrainConfig.model_validate(shared | warmup | changes)


def small_model(context: Context) -> Artefact:
    """The small model of the experiments' shared zoo."""
    settings = SMALL_MODEL.model_copy(update={"seed": context.config.seed})
    context.models({"small": (settings, [multipliers(context).artefact.path])})
    return context.model_artefact("small")


def pretrained(context: Context) -> tuple[ClozeModel, Zoo]:
    """The model of 2-2-1 networks that the settings name, and the finished networks of the zoo that it was pretrained on; both
    are made where none is named.

    Raises MetarepError where the zoo is another one than the model's.
    """
    config = context.config
    if config.model is None:
        zoo = multipliers(context, "multipliers")
        settings = PretrainConfig.model_validate(config.pretrain.resolved() | {"seed": config.seed})
        return context.models({"multipliers": (settings, [zoo.artefact.path])})["multipliers"], zoo
    artefact = open_artefact(config.model, "model")
    zoo = open_zoo(config.zoo or artefact.input_path("zoo"))
    artefact.require_input("zoo", zoo.artefact)
    context.use("model", artefact.path)
    context.use("zoo", zoo.artefact.path)
    return load_model(artefact.path), zoo.final()
