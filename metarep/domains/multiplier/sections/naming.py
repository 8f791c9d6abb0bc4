"""Which mode a section is of: a frozen probe on what the model predicts of the behaviour of 2-2-1 networks, fitted on those
of a zoo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import balanced
from metarep.embeddings.specs import embed_params
from metarep.evaluation.probes import linear_classifier
from metarep.model.transformer import ClozeModel

KINDS = ("activity", "patterns")


@dataclass(frozen=True)
class ModeProbe:
    """A fitted probe; `predict` maps embeddings (N, D) to modes (N,)."""

    model: ClozeModel
    predict: Callable[[np.ndarray], np.ndarray]

    def modes(self, params: np.ndarray) -> np.ndarray:
        """(N,) text: the modes of windows params (N, 9), balanced as those that the probe was fitted on."""
        return self.predict(section_embedding(self.model, params)) if len(params) else np.array([], dtype=str)


def section_embedding(model: ClozeModel, params: np.ndarray) -> np.ndarray:
    """(N, D) float32: what the model predicts of the units of windows params (N, 9), balanced.

    Raises MetarepError for a model that was not asked for behaviour.
    """
    params = np.asarray(params, dtype=np.float32)
    return np.concatenate([embed_params(model, MULTIPLIER, params, kind) for kind in KINDS], axis=1)


def fit_mode_probe(model: ClozeModel, params: np.ndarray, modes: np.ndarray, ratio: float) -> ModeProbe:
    """The probe for modes (N,), fitted on networks params (N, 9) once these are balanced by `ratio`."""
    probe = linear_classifier().fit(section_embedding(model, balanced(params, ratio)), np.asarray(modes).astype(str))
    return ModeProbe(model, probe.predict)
