"""What a model believes of each hidden unit of a network, unit by unit in the network's own order."""

from __future__ import annotations

import numpy as np
import torch

from metarep.cloze.embed import N_FINE
from metarep.cloze.model import ClozeModel
from metarep.errors import MetarepError

BATCH = 64


def unit_beliefs(model: ClozeModel, params: np.ndarray) -> np.ndarray:
    """(N, U, S) float32: the probability that each unit of networks (N, P) is off at each of about 100 inputs.

    Raises MetarepError for a model that was not asked for behaviour.
    """
    if model.decoder is None:
        raise MetarepError("the model was not trained to predict behaviour", fix="pretrain with behaviour_weight above 0")
    probes = torch.from_numpy(model.behaviour.finer(N_FINE).probes)
    with torch.no_grad():
        parts = []
        for values in model.read(np.asarray(params, dtype=np.float32)).split(BATCH):
            units = model.units(model.encode(values, torch.zeros_like(values, dtype=torch.bool)))
            parts.append(model.decoder(units, probes.to(values.device)).log_off.exp())
    return torch.cat(parts).cpu().numpy()
