"""Fully connected networks that are given by a spec and parameters (N, P), as a model reads them."""

from __future__ import annotations

import numpy as np
import torch

from metarep.embeddings.stage import embed_tensors
from metarep.model.batches import Segment
from metarep.model.transformer import ClozeModel
from metarep.model.windows import Plan
from metarep.networks.inference import symmetries_of
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry_groups import Symmetries
from metarep.zoos.parameters import architecture_of_spec, as_sequential


def plan_of_spec(model: ClozeModel, spec: NetworkSpec) -> tuple[Plan, Symmetries]:
    """How a model reads networks of a spec, and their symmetries."""
    architecture = architecture_of_spec(spec)
    symmetries = symmetries_of(architecture, relu=True)
    return model.plan_of(architecture, symmetries), symmetries


def embed_params(model: ClozeModel, spec: NetworkSpec, params: np.ndarray, kind: str, **settings: object) -> np.ndarray:
    """The vectors (N, V) of networks params (N, P), units in any order; settings as those of `EmbedConfig`."""
    plan, symmetries = plan_of_spec(model, spec)
    return embed_tensors(model, plan, as_sequential(spec, params), symmetries, kind, **settings)


def segment_of(plan: Plan, spec: NetworkSpec, params: np.ndarray) -> Segment:
    """Networks params (N, P) that are one window each, units as they are."""
    values = plan.whole_values(as_sequential(spec, params))
    return Segment(plan.shapes[0].layout, values, torch.zeros(len(params), dtype=torch.int64))


def param_of_token(plan: Plan, spec: NetworkSpec) -> np.ndarray:
    """(T, C) int64: the parameter that each value of the one window of a network is; −1 where a chunk ends early."""
    segment = segment_of(plan, spec, np.arange(spec.n_params, dtype=np.float32)[None])
    return np.where(segment.layout.present.numpy(), segment.values[0].numpy().astype(np.int64), -1)
