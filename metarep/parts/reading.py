"""Every unit, layer and window of one network as vectors, beside those of the same network with its parameters shuffled.

Where a part stands says much of what its vector is. So every vector is held against those that shuffled copies of the network
have at the same place: from each tensor's values in random order, n_shuffles times. What is left, in standard deviations of
the shuffled ones, is what the arrangement of the parameters adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from metarep.networks.architecture import Architecture, readable_tensors
from metarep.networks.inference import symmetries_of
from metarep.networks.tensor_symmetry import canonical_orders, permuted
from metarep.parts.settings import PartsConfig
from metarep.parts.source import Source
from metarep.progress import Progress
from metarep.windows.embed import Network, names_of_units, read_windows, vector_width
from metarep.windows.model import WindowModel
from metarep.windows.plan import build_plan
from metarep.windows.settings import WindowEmbedConfig

KINDS = ("unit", "layer", "window")


@dataclass(frozen=True)
class Parts:
    """The parts of one kind: names (M,), groups (M,) — the layer or group of units that each is in —, vectors (M, D) as the
    model gives them, and (1 + S, M, D) what the arrangement adds: the network's own first, then the S shuffled copies'."""

    kind: str
    names: np.ndarray
    groups: np.ndarray
    vectors: np.ndarray
    added: np.ndarray

    @property
    def saved(self) -> np.ndarray:
        """(M,) int64: the number that a unit was saved with in its group; of other parts the place among all."""
        if self.kind != "unit":
            return np.arange(len(self.names))
        return np.array([int(str(name).rsplit(":", 1)[1]) for name in self.names], dtype=np.int64)


def read_parts(config: PartsConfig, model: WindowModel, source: Source, progress: Progress) -> dict[str, Parts]:
    """The units, layers and windows of a network, and of its shuffled copies."""
    tensors = readable_tensors(source.architecture, source.tensors, where=source.name)
    context = config.context or model.context
    symmetries = symmetries_of(source.architecture, relu=source.relu)
    plan = build_plan(source.architecture, symmetries, chunk=model.chunk, context=context, overlap=model.overlap)
    embedding = WindowEmbedConfig(parts=KINDS, context=context, tokens_per_batch=config.tokens_per_batch)
    width, n_layers = vector_width(model, embedding.kind), source.architecture.n_layers
    generator = torch.Generator().manual_seed(config.seed)
    readings = []
    orders = canonical_orders(tensors, symmetries)
    unit_names = names_of_units(plan, symmetries, orders)
    with progress.task("read parts", 1 + config.n_shuffles, "copies") as task:
        for number in range(1 + config.n_shuffles):
            copy = tensors if number == 0 else shuffled(tensors, generator)
            placed = permuted(copy, symmetries, orders if number == 0 else canonical_orders(copy, symmetries))
            network = Network(source.name, plan, placed, unit_names, n_layers, width, embedding)
            read_windows(model, [network], embedding, lambda n: None)
            readings.append(network.reading())
            task.advance(1)
    unit_groups = [view.units.name for view in plan.views for _ in range(view.n_units)]
    window_groups = [plan.views[window[0].view].units.name for window in plan.windows]
    layer_names = layers_by_name(source.architecture)
    window_names = [f"window {number}" for number in range(len(plan.windows))]
    return {
        "unit": _parts("unit", unit_names, unit_groups, [np.concatenate(r.units) for r in readings]),
        "layer": _parts("layer", layer_names, layer_names, [r.layers for r in readings]),
        "window": _parts("window", window_names, window_groups, [r.windows for r in readings]),
    }


def layers_by_name(architecture: Architecture) -> list[str]:
    """For each operation in order of depth what its tensors' names have in common, such as "features.3"."""
    names: dict[int, list[list[str]]] = {}
    for tensor in architecture.tensors:
        names.setdefault(tensor.layer, []).append(tensor.name.split("."))
    found = []
    for layer in sorted(names):
        shared = []
        for pieces in zip(*names[layer], strict=False):
            if len(set(pieces)) > 1 or len(shared) == len(names[layer][0]) - 1:
                break
            shared.append(pieces[0])
        found.append(".".join(shared) or names[layer][0][0])
    return [name if found.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(found)]


def shuffled(tensors: Mapping[str, torch.Tensor], generator: torch.Generator) -> dict[str, torch.Tensor]:
    """The same values in each tensor, in random order."""
    return {
        name: value.flatten()[torch.randperm(value.numel(), generator=generator)].reshape(value.shape)
        for name, value in tensors.items()
    }


def _parts(kind: str, names: list[str], groups: list[str], vectors: list[np.ndarray]) -> Parts:
    return Parts(kind, np.array(names, object), np.array(groups, object), vectors[0], added_by_arrangement(np.stack(vectors)))


def added_by_arrangement(vectors: np.ndarray) -> np.ndarray:
    """(1 + S, M, D): vectors (1 + S, M, D), the network's own first, less the mean of the shuffled copies at the same place, in
    their standard deviations over all places. A shuffled copy is held against the other ones, as the network is against all.
    """
    own, copies = vectors[0].astype(np.float64), vectors[1:].astype(np.float64)
    s = len(copies)
    total = copies.sum(axis=0)
    mean = total / s
    # the spread of a new copy about the mean of s others, unbiased in both cases
    deviation = (copies - (total - copies) / (s - 1)) * np.sqrt((s - 1) / s)
    scale = np.sqrt(np.mean(np.square(deviation), axis=(0, 1)))
    scale = np.where(scale > 1e-6 * max(float(scale.max(initial=0.0)), 1e-12), scale, np.inf)
    return np.concatenate([((own - mean) * np.sqrt(s / (s + 1)))[None], deviation]) / scale
