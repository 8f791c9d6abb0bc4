"""Networks of a family that is easy to know, and a model pretrained on them, good enough to tell units apart."""

from dataclasses import dataclass

import numpy as np
from small_networks import fresh_state, prepared_for, whole_networks

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import balanced
from metarep.model.data import WholeNetworks
from metarep.model.pretraining import draw_batch, train_step
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel
from metarep.networks.spec import NetworkSpec
from metarep.zoos.parameters import as_sequential

SETTINGS = PretrainConfig(
    d_model=24,
    n_layers=2,
    n_heads=2,
    n_components=2,
    behaviour_weight=0.3,
    unmasked_share=0.3,
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


def networks_of(spec: NetworkSpec, params: np.ndarray) -> WholeNetworks:
    """Networks (N, P) of a spec as a model learns from them."""
    networks = whole_networks(str(spec), 1)
    networks.tensors = as_sequential(spec, params)
    return networks


def known(n: int = 2000) -> Known:
    """The family with a model that was pretrained for some seconds."""
    params = balanced(easy_networks(n, seed=0), RATIO)
    networks = networks_of(MULTIPLIER, params)
    prepared = prepared_for(SETTINGS, networks)
    state = fresh_state(prepared)
    while state.step < SETTINGS.n_steps:
        train_step(SETTINGS, state, *draw_batch(SETTINGS, prepared.model, prepared.train, state.step))
        state.step += 1
    return Known(params, prepared.model.eval())
