"""The small cloze model that experiments share: trained within minutes on the zoo of multipliers."""

from __future__ import annotations

from metarep.artefact import Artefact, is_done, open_artefact
from metarep.cloze.pretrain import pretrain
from metarep.cloze.settings import PretrainConfig
from metarep.studies.experiment import Context

SETTINGS = PretrainConfig(d_model=32, n_layers=3, n_heads=4, n_components=4, n_steps=1200, warmup_steps=100, eval_every=250)


def small_model(context: Context) -> Artefact:
    """The model, made where it does not stand yet."""
    zoo = context.multipliers().artefact
    path = context.shared / "model"
    settings = SETTINGS.model_copy(update={"seed": context.config.seed})
    if not is_done(path, "model", settings.resolved(), {"zoo": zoo}):
        pretrain(settings, zoo.path, path, overwrite=path.exists(), progress=context.progress)
    return open_artefact(path)
