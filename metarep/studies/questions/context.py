"""What a question is given: settings, shared zoos, and models that are pretrained once for all questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metarep.artefact import Artefact, is_done, open_artefact
from metarep.cloze.model import ClozeModel
from metarep.cloze.pretrain import load_model
from metarep.cloze.settings import PretrainConfig
from metarep.cloze.side_by_side import Job, pretrain_side_by_side
from metarep.studies.experiment import Context
from metarep.studies.settings import QuestionConfig
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo


@dataclass(frozen=True)
class QuestionContext(Context):
    """See `Context`; `config` is a `QuestionConfig`."""

    config: QuestionConfig

    def large_zoo(self) -> Zoo:
        """The zoo of 2-2-1 networks that questions 1, 3 and 4 share, those that did not diverge, finished."""
        families = [{"variant": "e09", "n_networks": self.config.n_networks}]
        return self.zoo("large", ZooConfig(families=families, seed=self.config.seed)).final()

    def settings(self, **changes: Any) -> PretrainConfig:
        """What all models have in common, with changes; validated."""
        shared = self.config.pretrain.resolved() | {"seed": self.config.seed}
        steps = changes.get("n_steps", shared["n_steps"])
        warmup = {"warmup_steps": min(shared["warmup_steps"], steps // 10)}
        return PretrainConfig.model_validate(shared | warmup | changes)

    def models(self, zoo: Zoo, wanted: Mapping[str, PretrainConfig]) -> dict[str, ClozeModel]:
        """The models `wanted`, by names of their own, pretrained on a zoo where they do not stand yet, several at once."""
        return self.models_of_zoos({name: (zoo, config) for name, config in wanted.items()})

    def models_of_zoos(self, wanted: Mapping[str, tuple[Zoo, PretrainConfig]]) -> dict[str, ClozeModel]:
        """As `models`, each on a zoo of its own."""
        jobs = [
            Job(name, config, zoo.artefact.path, self.shared / "models" / name)
            for name, (zoo, config) in wanted.items()
            if not is_done(self.shared / "models" / name, "model", config.resolved(), {"zoo": zoo.artefact})
        ]
        with self.progress.task("pretrain", len(jobs), "models") as task:
            for name, _ in pretrain_side_by_side(jobs, overwrite=True):
                task.advance(1, name)
        for name in wanted:
            self.used[f"model_{name}"] = self.model_artefact(name)
        return {name: load_model(self.shared / "models" / name) for name in wanted}

    def model_artefact(self, name: str) -> Artefact:
        """The artefact of a model that stands."""
        return open_artefact(self.shared / "models" / name, "model")
