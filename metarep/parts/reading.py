"""Every unit, layer and window of one network as vectors, less what shuffled copies of the network have at the same position.

What is left, in standard deviations of the copies, is what the arrangement of the parameters adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from metarep.embeddings.readout import read_networks, unit_groups
from metarep.model.transformer import ClozeModel
from metarep.model.windows import Plan
from metarep.networks.architecture import Architecture, readable_tensors
from metarep.networks.further_inference import with_further
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Symmetries
from metarep.networks.tensor_symmetry import canonical_form
from metarep.parts.settings import PartsConfig
from metarep.parts.source import Subject
from metarep.progress import Progress


@dataclass(frozen=True)
class PartVectors:
    """The parts of one kind: groups (M,) — the layer or the group of units that each is in —, index (M,) — the number of a
    unit within its group as it was saved, of a layer or window among all —, vectors (M, D) as the model gives them, and
    (1 + S, M, D) what the arrangement adds: the network's own first, then the S shuffled copies'.
    """

    kind: str
    groups: np.ndarray
    index: np.ndarray
    vectors: np.ndarray
    added: np.ndarray

    def __len__(self) -> int:
        return len(self.groups)


def read_parts(config: PartsConfig, model: ClozeModel, source: Subject, progress: Progress) -> dict[str, PartVectors]:
    """The units, layers and windows of a network beside those of its shuffled copies, without kinds of which it has none."""
    tensors = readable_tensors(source.architecture, source.tensors, where=source.name)
    symmetries = with_further(source.architecture, symmetries_of(source.architecture, relu=source.relu))
    plan = model.plan_of(source.architecture, symmetries, context=config.context)
    generator = torch.Generator().manual_seed(config.seed)
    found: dict[str, list[np.ndarray]] = {"unit": [], "layer": [], "window": []}
    with progress.task("read parts", 1 + config.n_shuffles, "copies") as task:
        for number in range(1 + config.n_shuffles):
            copy = tensors if number == 0 else shuffled(tensors, generator)
            for kind, vectors in vectors_of(config, model, plan, symmetries, copy).items():
                found[kind].append(vectors)
            task.advance(1)
    places = places_of(plan, source.architecture, canonical_form(tensors, symmetries)[1])
    return {
        kind: PartVectors(kind, *places[kind], vectors[0], added_by_arrangement(np.stack(vectors)))
        for kind, vectors in found.items()
        if len(vectors[0])
    }


def vectors_of(
    config: PartsConfig, model: ClozeModel, plan: Plan, symmetries: Symmetries, tensors: dict[str, torch.Tensor]
) -> dict[str, np.ndarray]:
    """(M, D) of each kind of part: what the model makes of one network, its units in canonical order."""
    placed, _ = canonical_form(tensors, symmetries)
    alone = {name: value.unsqueeze(0) for name, value in placed.items()}
    readout = read_networks(model, plan, alone, tokens_per_batch=config.tokens_per_batch, with_windows=True)
    units = [torch.zeros(0, model.d_model), *(readout.units[one.group][0] for one in readout.groups)]
    found = {"unit": torch.cat(units), "layer": readout.layer_states[0], "window": readout.windows[0]}
    return {kind: vectors.float().numpy() for kind, vectors in found.items()}


def places_of(
    plan: Plan, architecture: Architecture, orders: list[torch.Tensor | None]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The group and the index (M,) of every part of each kind; `orders` as the units of each group were brought into."""
    groups = unit_groups(plan)
    saved = [orders[one.group] if one.group < len(orders) else None for one in groups]
    index = [np.arange(one.n) if own is None else own.numpy() for one, own in zip(groups, saved, strict=True)]
    units = [one.name for one in groups for _ in range(one.n)]
    windows = [
        "the whole network" if plan.whole else plan.views[shape.stretches[0].view].units.name
        for shape in plan.shapes
        for _ in range(shape.n_windows)
    ]
    layers = layers_by_name(architecture)
    return {
        "unit": (np.array(units, object), np.concatenate([np.zeros(0, np.int64), *index])),
        "layer": (np.array(layers, object), np.arange(len(layers))),
        "window": (np.array(windows, object), np.arange(len(windows))),
    }


def layers_by_name(architecture: Architecture) -> list[str]:
    """For each operation in order of depth what its tensors' names have in common, such as "features.3"."""
    names: dict[int, list[list[str]]] = {}
    for tensor in architecture.tensors:
        if tensor.role != "buffer":
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


def added_by_arrangement(vectors: np.ndarray) -> np.ndarray:
    """(1 + S, M, D): vectors (1 + S, M, D), the network's own first, less the mean of the shuffled copies at the same position,
    in their standard deviations over all positions. A shuffled copy is held against the other ones, as the network is against
    all.
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
