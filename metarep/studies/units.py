"""What a model makes of the first-layer units of networks of one spec."""

from __future__ import annotations

import numpy as np

from metarep.embeddings.behaviour import N_FINE, predict_group
from metarep.embeddings.readout import Readout, read_networks
from metarep.embeddings.specs import plan_of_spec
from metarep.embeddings.stage import probe_space
from metarep.model.transformer import ClozeModel
from metarep.networks.spec import NetworkSpec
from metarep.zoos.parameters import as_sequential


def read(model: ClozeModel, spec: NetworkSpec, params: np.ndarray) -> tuple[Readout, int]:
    """Networks (N, P) as they are, and the group of their first layer's units."""
    plan, _ = plan_of_spec(model, spec)
    readout = read_networks(model, plan, as_sequential(spec, params), space=probe_space(model, plan))
    return readout, next(one.group for one in readout.groups if one.hidden)


def unit_states(model: ClozeModel, spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, H, D): the mean state of each first-layer unit."""
    readout, first = read(model, spec, params)
    return readout.units[first].double().numpy()


def off_probabilities(model: ClozeModel, spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """(N, H, S): how likely each first-layer unit is off at each of about 100 probes.

    Raises MetarepError for a model that was not asked for behaviour.
    """
    readout, first = read(model, spec, params)
    return predict_group(readout, first, N_FINE)[0].double().numpy()
