"""What is known of an imported zoo that representations can be held against, and baselines for networks of any architecture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from metarep.evaluation.weight_statistics import layer_statistics
from metarep.zoos.zoo import Zoo, open_zoo

MAX_CLASSES = 50
"""A text with more different values is a name, not a label."""

MAX_RAW = 20_000
"""Parameters of a network up to which they are a baseline themselves."""

MAX_COMPONENTS = 50


def is_imported(path: Path | str) -> bool:
    """Whether a folder holds an imported zoo."""
    return "shard" in open_zoo(path, check_hashes=False)


def labels_of(zoo: Zoo) -> dict[str, np.ndarray]:
    """Its text properties with 2 to 50 different values, each (N,) of texts, "" where there is none; and the architecture."""
    found = {}
    for name in zoo.labels:
        if 2 <= len(set(zoo[name])) <= MAX_CLASSES:
            found[name] = zoo[name]
    if 2 <= len(set(zoo.architecture)) <= MAX_CLASSES:
        found["architecture"] = zoo.architecture.astype(str).astype(object)
    return found


def numbers_of(zoo: Zoo) -> dict[str, np.ndarray]:
    """Its numeric properties and the epoch, each (N,) float64, where every network has a finite one and they differ."""
    found = {}
    for name in zoo.properties:
        values = zoo[name].astype(np.float64)
        if np.isfinite(values).all() and values.std() > 0:
            found[name] = values
    return found


def imported_baselines(zoo: Zoo, train: np.ndarray) -> dict[str, np.ndarray]:
    """Weight statistics, layer by layer; where all networks have one small architecture its parameters, raw and by their
    principal components, fitted on the rows `train`. Each (N, D) float64.
    """
    n_layers = max(architecture.n_layers for architecture in zoo.architectures)
    tensors = [zoo.tensors(row) for row in range(len(zoo))]
    rows = [layer_statistics(zoo.architecture_of(row), one, n_layers) for row, one in enumerate(tensors)]
    found = {"weight_statistics": np.stack(rows)}
    if len(zoo.architectures) == 1 and zoo.architectures[0].n_params <= MAX_RAW:
        raw = np.stack([np.concatenate([value.double().numpy().ravel() for value in one.values()]) for one in tensors])
        scaler = StandardScaler().fit(raw[train])
        pca = PCA(min(MAX_COMPONENTS, len(train), raw.shape[1]), svd_solver="full").fit(scaler.transform(raw[train]))
        found |= {"raw": raw, "pca": pca.transform(scaler.transform(raw))}
    return found
