"""A model as a transformer of scikit-learn: networks in, vectors out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin

from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed_networks
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.zoos.memory import zoo_of
from metarep.zoos.zoo import Zoo

Networks = Zoo | Sequence[Path | str | Mapping[str, torch.Tensor]]


class Embedder(TransformerMixin, BaseEstimator):
    """Vectors of networks by a pretrained model, for pipelines and `cross_val_score`. Nothing is fitted.

    model: a model's folder, or a ClozeModel. kind: the kind of embedding, as `metarep embed --kinds` lists them; layers has one
    length for all architectures. n_copies: as in `EmbedConfig`.

        make_pipeline(Embedder("results/model"), StandardScaler(), LogisticRegression()).fit(["a.pt", "b.pt", …], labels)
    """

    def __init__(self, model: Path | str | ClozeModel, *, kind: str = "layers", n_copies: int = 0):
        self.model = model
        self.kind = kind
        self.n_copies = n_copies

    def fit(self, networks: Networks, y: object = None) -> Embedder:
        """Reads the model; networks are a Zoo, or a sequence of files and state dicts."""
        self.model_ = self.model if isinstance(self.model, ClozeModel) else load_model(self.model)
        self.n_features_out_ = self._vectors(_as_zoo(networks[:1])).shape[1]
        return self

    def transform(self, networks: Networks) -> np.ndarray:
        """(N, V) float32, in the order of the networks. Raises MetarepError for NaN, and for vectors of several lengths."""
        if not hasattr(self, "model_"):
            self.fit(networks)
        return self._vectors(_as_zoo(networks))

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """(V,) texts: the kind with a number."""
        return np.array([f"{self.kind}{i}" for i in range(self.n_features_out_)], dtype=object)

    def _vectors(self, zoo: Zoo) -> np.ndarray:
        return embed_networks(self.model_, zoo, np.arange(len(zoo)), EmbedConfig(kind=self.kind, n_copies=self.n_copies))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")


def _as_zoo(networks: Networks) -> Zoo:
    return networks if isinstance(networks, Zoo) else zoo_of(list(networks))
