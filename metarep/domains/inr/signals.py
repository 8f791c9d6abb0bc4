"""The signals that sine networks hold: coordinates, values there, and what is known of each signal."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import pi
from pathlib import Path
from typing import Any

import numpy as np

from metarep.domains.inr.settings import FASHION_MNIST, InrConfig
from metarep.errors import MetarepError

LARGEST = 10.0
"""Amplitude and angular frequency of sines lie between 0 and this."""

CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
"""The classes of Fashion-MNIST."""


@dataclass(frozen=True)
class Signals:
    """N signals: their values (N, S) at coordinates (S, d), the run of each, so that networks of one signal stay together,
    and what is known of it.
    """

    coordinates: np.ndarray
    values: np.ndarray
    runs: tuple[str, ...]
    known: tuple[Mapping[str, Any], ...]


def draw_signals(config: InrConfig) -> Signals:
    """As many as the settings say, by their seed alone. Raises MetarepError where Fashion-MNIST is not there."""
    rng = np.random.default_rng(config.seed)
    if config.signals == "sines":
        amplitude, frequency = rng.uniform(0, LARGEST, (2, config.n_networks))
        x = np.linspace(-pi, pi, config.n_points, endpoint=False)
        known = [{"amplitude": float(a), "frequency": float(b)} for a, b in zip(amplitude, frequency, strict=True)]
        values = amplitude[:, None] * np.sin(frequency[:, None] * x)
        return Signals(x[:, None], values, tuple(f"sines-{n:05d}" for n in range(config.n_networks)), tuple(known))
    pictures, classes = load_digits() if config.signals == "digits" else load_fashion(config.folder or FASHION_MNIST)
    order = rng.permutation(len(pictures))
    chosen = order[np.arange(config.n_networks) % len(order)]
    axis = np.linspace(-1, 1, pictures.shape[1])
    coordinates = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    runs = tuple(f"{config.signals}-{number:05d}" for number in chosen)
    return Signals(coordinates, pictures[chosen].reshape(len(chosen), -1), runs, tuple({"class": classes[n]} for n in chosen))


def load_digits() -> tuple[np.ndarray, list[str]]:
    """scikit-learn's pictures (1797, 8, 8) in [0, 1], and their classes."""
    from sklearn.datasets import load_digits as load

    data = load()
    return data.images / 16, [str(digit) for digit in data.target]


@cache
def load_fashion(folder: Path) -> tuple[np.ndarray, list[str]]:
    """All pictures (70000, 28, 28) of Fashion-MNIST in [0, 1], and their classes."""
    parts = [
        (_idx(folder / f"{name}-images-idx3-ubyte.gz", 16), _idx(folder / f"{name}-labels-idx1-ubyte.gz", 8))
        for name in ("train", "t10k")
    ]
    pictures, classes = (np.concatenate(own) for own in zip(*parts, strict=True))
    return pictures.reshape(len(classes), 28, 28) / 255, [CLOTHES[number] for number in classes]


def _idx(path: Path, head: int) -> np.ndarray:
    """The bytes of an IDX file behind its head."""
    if not path.is_file():
        fix = "install Debian's dataset-fashion-mnist, or name the folder of its files: --set folder=…"
        raise MetarepError("the files of Fashion-MNIST are not there", met=path, fix=fix)
    return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8, offset=head)
