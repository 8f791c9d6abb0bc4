"""Networks of a family that is easy to know, and a model pretrained on them, good enough to tell units apart."""

from dataclasses import dataclass
from math import inf
from types import SimpleNamespace

import numpy as np
import torch

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import balanced
from metarep.model.data import TrainingData, WholeNetworks
from metarep.model.objectives import build_objective
from metarep.model.pretraining import TrainingState, build_model, build_optimiser, draw_batch, fit_statistics, train_step
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel
from metarep.model.windows import plan_of
from metarep.networks.chain_forward import chain_forward
from metarep.networks.inference import symmetries_of
from metarep.zoos.parameters import architecture_of_spec, as_sequential

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


def networks_of(spec, params: np.ndarray, chunk: int = 1) -> WholeNetworks:
    """Networks (N, P) of a spec as a model learns from them."""
    architecture = architecture_of_spec(spec)
    symmetries = symmetries_of(architecture, relu=True)
    plan = plan_of(architecture, symmetries, chunk=chunk, context=128, overlap=0.25)
    forward = chain_forward(architecture, symmetries, activation="relu")
    return WholeNetworks(as_sequential(spec, params.astype(np.float32)), plan, symmetries, forward)


def untrained(config: PretrainConfig, networks: WholeNetworks) -> ClozeModel:
    """A model that is ready to learn from these networks."""
    torch.manual_seed(0)
    cohort = SimpleNamespace(rows=np.arange(len(networks)), plan=networks.plan, forward=networks.forward)
    model = build_model(config, [cohort], networks.plan.views[0].chunk)
    fit_statistics(config, model, TrainingData([networks]))
    return model


def known(n: int = 2000) -> Known:
    """The family with a model that was pretrained for some seconds."""
    params = balanced(easy_networks(n, seed=0), RATIO)
    networks = networks_of(MULTIPLIER, params)
    model, data = untrained(SETTINGS, networks), TrainingData([networks])
    objective = build_objective(SETTINGS, model, networks)
    state = TrainingState(objective, build_optimiser(SETTINGS, objective), {}, inf, 0, [])
    while state.step < SETTINGS.n_steps:
        train_step(SETTINGS, state, *draw_batch(SETTINGS, model, data, state.step))
        state.step += 1
    return Known(params, model.eval())
