"""A zoo of 2-2-1 networks and a model pretrained on it, small enough for tests and good enough to tell units apart."""

from dataclasses import dataclass

import numpy as np
import torch

from metarep.cloze.model import ClozeModel, masked_loss
from metarep.cloze.pretrain import build_model, build_optimiser, draw_batch
from metarep.cloze.settings import PretrainConfig
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import balanced

SETTINGS = PretrainConfig(
    d_model=24,
    n_layers=2,
    n_heads=2,
    n_components=2,
    behaviour_weight=0.3,
    whole_share=0.3,
    n_steps=300,
    batch_size=96,
    warmup_steps=20,
    lr=5e-3,
)
RATIO = 1.5


@dataclass(frozen=True)
class Known:
    """Networks (N, 9) of a family that is easy to know, and a model of them."""

    params: np.ndarray
    model: ClozeModel


def easy_networks(n: int, seed: int) -> np.ndarray:
    """(n, 9): each unit reads both inputs alike, and the two units are one number's two sides."""
    rng = np.random.default_rng(seed)
    size, place = rng.uniform(0.8, 1.6, (n, 1, 1)), rng.uniform(0.2, 1.2, (n, 1))
    weight = np.concatenate([size, size, -size, -size], axis=2).reshape(n, 2, 2)
    bias = np.concatenate([-place, 2 * place], axis=1)
    readout = np.concatenate([size, 0.5 * size], axis=2)
    params = MULTIPLIER.pack([(weight, bias), (readout, place)])
    return params + 0.03 * rng.standard_normal(params.shape)


def known(n: int = 2000) -> Known:
    """The family with a model that was pretrained for some seconds."""
    params = balanced(easy_networks(n, seed=0), RATIO)
    torch.manual_seed(0)
    model = build_model(SETTINGS, "2-2-1")
    tensor = torch.from_numpy(params.astype(np.float32))
    model.fit_normalisation(tensor)
    optimiser = build_optimiser(SETTINGS, model)
    for step in range(SETTINGS.n_steps):
        batch = draw_batch(SETTINGS, model, tensor, step)
        asked = {"behaviour_weight": SETTINGS.behaviour_weight, "generator": batch.generator}
        loss = masked_loss(model, model.read(batch.params), batch.mask, **asked)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return Known(params, model.eval())
