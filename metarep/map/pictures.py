"""What the card of a network shows beside its facts: a domain's picture, or its weights as small images with their spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.map.packing import Pack
from metarep.map.settings import MapConfig
from metarep.map.sources import Sources
from metarep.networks.architecture import BUFFER_ROLES, Architecture
from metarep.zoos.zoo import Zoo

SIDES = (32, 24, 16, 12, 8)
"""Pixels along the longest side of an image; the first that leaves room for all networks is taken."""

MAX_IMAGES = 12
"""Weights of a network that have an image: of more, the first in order of depth."""

MAX_SPECTRUM, MAX_SPECTRUM_SIDE = 32, 512
"""Singular values that are kept, and the longest shorter side of a matrix of which they are computed."""

MAX_READ = 2_000_000_000
"""Values that are read for images; beyond it a map would take longer than what it shows is worth."""


def pictures_of(sources: Sources, config: MapConfig, pack: Pack) -> tuple[dict[str, Any] | None, str]:
    """How the pictures of the networks lie in the pack, or None; and what there is to say."""
    zoo, domain = sources.zoo, sources.domain
    if domain and domain.map_picture and "params" in zoo:
        params = list(zoo["params"])
        ends = np.cumsum([0, *(len(one) for one in params)]).astype(np.uint32)
        flat = np.concatenate(params).astype(np.float32)
        how = {"kind": "domain", "caption": domain.map_picture.caption, "spec": pack.texts(zoo["spec"])}
        return how | {"params": pack.add(flat), "ends": pack.add(ends)}, ""
    return weights_of(zoo, config, pack)


def weights_of(zoo: Zoo, config: MapConfig, pack: Pack) -> tuple[dict[str, Any] | None, str]:
    """Images of the weights, from −127 to 127 at the largest value of each, and their singular values by the largest."""
    shown = [_shown(one) for one in zoo.architectures]
    n_values = sum(zoo.architectures[i].n_params for i in zoo.architecture)
    counts = np.bincount(zoo.architecture, minlength=len(shown))
    room = config.picture_megabytes * 1e6
    fitting = [s for s in SIDES if sum(n * _n_bytes(one, s) for n, one in zip(counts, shown, strict=True)) <= room]
    if not fitting or n_values > MAX_READ:
        small = f"they need more than {config.picture_megabytes:g} MB (picture_megabytes)"
        return None, f"no images of weights: {f'{n_values:,} parameters are too many to read' if fitting else small}"
    side, images, ends = fitting[0], [], [0]
    for row in range(len(zoo)):
        own = shown[zoo.architecture[row]]
        try:
            tensors = zoo.raw_tensors(row)
            found = [part for tensor in own for part in _image(tensors[tensor.name], side)]
        except MetarepError:  # values that are no numbers
            found = []
        images += found
        ends.append(ends[-1] + sum(len(one) for one in found))
    how = {"kind": "weights", "architecture": pack.add(zoo.architecture.astype(np.uint32)), "architectures": []}
    how["architectures"] = [[_entry(one.name, one.shape, side) for one in own] for own in shown]
    flat = np.concatenate(images) if images else np.zeros(0, np.int8)
    return how | {"ends": pack.add(np.array(ends, dtype=np.uint32)), "pixels": pack.add(flat)}, ""


def _shown(architecture: Architecture) -> list:
    matrices = [one for one in architecture.tensors if len(one.shape) > 1 and one.size > 1 and one.role not in BUFFER_ROLES]
    return sorted(matrices, key=lambda one: one.layer)[:MAX_IMAGES]


def _rows_columns(shape: tuple[int, ...]) -> tuple[int, int]:
    rows = shape[0]
    return rows, int(np.prod(shape[1:]))


def _size(shape: tuple[int, ...], side: int) -> list[int]:
    rows, columns = _rows_columns(shape)
    return [min(rows, side), min(columns, side)]


def _entry(name: str, shape: tuple[int, ...], side: int) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "size": _size(shape, side), "n": _n_singular(shape)}


def _n_singular(shape: tuple[int, ...]) -> int:
    shorter = min(_rows_columns(shape))
    return min(shorter, MAX_SPECTRUM) if 1 < shorter <= MAX_SPECTRUM_SIDE else 0


def _n_bytes(tensors: list, side: int) -> int:
    return sum(int(np.prod(_size(one.shape, side))) + _n_singular(one.shape) for one in tensors)


def _image(values: torch.Tensor, side: int) -> list[np.ndarray]:
    """The matrix (rows, columns) at evenly spread rows and columns, and its spectrum, both int8."""
    matrix = values.reshape(values.shape[0], -1).float()
    height, width = _size(tuple(values.shape), side)
    rows = np.linspace(0, matrix.shape[0] - 1, height).round().astype(int)
    columns = np.linspace(0, matrix.shape[1] - 1, width).round().astype(int)
    some = matrix[rows][:, columns].numpy()
    pixels = np.round(127 * some / (np.abs(some).max() or 1)).astype(np.int8).reshape(-1)
    n = _n_singular(tuple(values.shape))
    if not n:
        return [pixels]
    gram = (matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix).double()
    singular = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().flip(0)[:n]
    return [pixels, (127 * singular / (singular[0] or 1)).round().numpy().astype(np.int8)]
