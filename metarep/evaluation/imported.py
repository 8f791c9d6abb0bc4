"""What is known of an imported zoo that representations can be held against, and baselines for networks of any architecture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from metarep.artefact import open_artefact
from metarep.evaluation.weight_statistics import layer_statistics
from metarep.zoos.imported import KIND, ImportedZoo
from metarep.zoos.subjects import open_subjects

MAX_CLASSES = 50
"""A text with more different values is a name, not a label."""

MAX_RAW = 20_000
"""Parameters of a network up to which they are a baseline themselves."""

MAX_COMPONENTS = 50


def is_imported(path: Path | str) -> bool:
    """Whether a folder holds an imported zoo."""
    return open_artefact(path).kind == KIND


def labels_of(zoo: ImportedZoo) -> dict[str, np.ndarray]:
    """Its text properties with 2 to 50 different values, each (N,) of texts, "" where there is none; and the architecture."""
    found = {}
    for name in zoo.properties:
        values = np.array(["" if value is None else str(value) for value in zoo[name]], dtype=object)
        is_text = any(isinstance(value, str) for value in zoo[name])
        if is_text and 2 <= len(set(values)) <= MAX_CLASSES:
            found[name] = values
    if 2 <= len(set(zoo["architecture"])) <= MAX_CLASSES:
        found["architecture"] = np.array([str(number) for number in zoo["architecture"]], dtype=object)
    return found


def numbers_of(zoo: ImportedZoo) -> dict[str, np.ndarray]:
    """Its numeric properties and the epoch, each (N,) float64, where every network has a finite one and they differ."""
    found = {}
    for name in ("epoch", *zoo.properties):
        if all(isinstance(value, int | float) for value in zoo[name]):
            values = np.array(zoo[name], dtype=np.float64)
            if np.isfinite(values).all() and values.std() > 0:
                found[name] = values
    return found


def imported_baselines(zoo: ImportedZoo, train: np.ndarray) -> dict[str, np.ndarray]:
    """Weight statistics, layer by layer; where all networks have one small architecture its parameters, raw and by their
    principal components, fitted on the rows `train`. Each (N, D) float64.
    """
    subjects = open_subjects(zoo.artefact.path)
    n_layers = max(architecture.n_layers for architecture in subjects.architectures)
    tensors = [subjects.tensors(index) for index in range(len(subjects))]
    rows = [layer_statistics(subjects.architecture_of(i), one, n_layers) for i, one in enumerate(tensors)]
    found = {"weight_statistics": np.stack(rows)}
    if len(subjects.architectures) == 1 and subjects.architectures[0].n_params <= MAX_RAW:
        raw = np.stack([np.concatenate([value.double().numpy().ravel() for value in one.values()]) for one in tensors])
        scaler = StandardScaler().fit(raw[train])
        pca = PCA(min(MAX_COMPONENTS, len(train), raw.shape[1]), svd_solver="full").fit(scaler.transform(raw[train]))
        found |= {"raw": raw, "pca": pca.transform(scaler.transform(raw))}
    return found
