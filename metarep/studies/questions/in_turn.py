"""What is expected of parameters that are masked in turn, and embeddings, in batches; how far the first is right is in
`cloze.r2_draws`.
"""

from __future__ import annotations

import numpy as np
import torch

from metarep.cloze.embed import embed_params, leave_one_out
from metarep.cloze.imputers import fit_linear_gaussian, in_turn
from metarep.cloze.model import ClozeModel


def predicted_in_turn(model: ClozeModel, params: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
    """(N, P) float64: what the model expects of each parameter of networks (N, P) when it alone is masked."""
    with torch.no_grad():
        parts = [model.denormalise(leave_one_out(model, values)[0]) for values in model.read(params).split(batch_size)]
    return torch.cat(parts).cpu().numpy().astype(np.float64)


def imputed_in_turn(train: np.ndarray, values: np.ndarray, layout) -> np.ndarray:
    """(N, P): the same by the linear-Gaussian imputer fitted on train (M, P); all in one and the same units."""
    return in_turn(fit_linear_gaussian(train, layout), values)


def embed_in_batches(model: ClozeModel, params: np.ndarray, kind: str, *, batch_size: int = 512) -> np.ndarray:
    """The embeddings (N, D) float64 of networks (N, P)."""
    parts = [embed_params(model, params[i : i + batch_size], kind) for i in range(0, len(params), batch_size)]
    return np.concatenate(parts).astype(np.float64)
