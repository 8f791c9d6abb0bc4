"""What a member is given: settings, a folder for what several share, and the model of 2-2-1 networks with its zoo."""

from __future__ import annotations

from dataclasses import dataclass

from metarep.artefact import is_done, open_artefact
from metarep.cloze.model import ClozeModel
from metarep.cloze.pretrain import load_model, pretrain
from metarep.cloze.settings import PretrainConfig
from metarep.studies.experiment import Context
from metarep.studies.settings import BeyondConfig
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo, open_zoo


@dataclass(frozen=True)
class BeyondContext(Context):
    """See `Context`; `config` is a `BeyondConfig`."""

    config: BeyondConfig

    def pretrained(self) -> tuple[ClozeModel, Zoo]:
        """The model and the finished networks of the zoo that it was pretrained on; both are made where none is named.

        Raises MetarepError where the zoo is another one than the model's.
        """
        if self.config.model is None:
            return self._made_here()
        artefact = open_artefact(self.config.model, "model")
        zoo = open_zoo(self.config.zoo or artefact.input_path("zoo"))
        artefact.require_input("zoo", zoo.artefact)
        self.used.update(model=artefact, zoo=zoo.artefact)
        return load_model(artefact.path), zoo.final()

    def _made_here(self) -> tuple[ClozeModel, Zoo]:
        families = [{"variant": "e09", "n_networks": self.config.n_networks}]
        zoo = self.zoo("zoo", ZooConfig(families=families, seed=self.config.seed))
        settings = PretrainConfig.model_validate(self.config.pretrain.resolved() | {"seed": self.config.seed})
        path = self.shared / "model"
        if not is_done(path, "model", settings.resolved(), {"zoo": zoo.artefact}):
            pretrain(settings, zoo.artefact.path, path, overwrite=path.exists(), progress=self.progress)
        self.used["model"] = open_artefact(path, "model")
        return load_model(path), zoo.final()
