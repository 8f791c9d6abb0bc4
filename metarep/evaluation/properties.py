"""What can be said of a network in plain words: facts and numbers, whatever brings them.

A domain brings properties of its own; of any zoo its numeric columns are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metarep.zoos.domain import Property


@dataclass(frozen=True)
class Side:
    """Networks of one split, fitted on or measured on: properties, clusters (N,) and the known labels {name: (N,) text}."""

    found: list[Property]
    clusters: np.ndarray
    labels: dict[str, np.ndarray]

    @property
    def table(self) -> np.ndarray:
        """(N, P): the values of the properties, a column each."""
        return np.stack([p.values for p in self.found], axis=1)

    def select(self, rows: np.ndarray) -> Side:
        """The same of some networks."""
        labels = {name: values[rows] for name, values in self.labels.items()}
        return Side([p.select(rows) for p in self.found], self.clusters[rows], labels)


def of_columns(columns: Mapping[str, np.ndarray]) -> list[Property]:
    """Numeric columns {name: (N,)} of a zoo as properties, without those that are constant or not all finite."""
    found = []
    for name, values in columns.items():
        numbers = np.asarray(values, dtype=np.float64)
        if np.isfinite(numbers).all() and np.ptp(numbers) > 0:
            found.append(Property(name.replace("_", " "), numbers, "properties of the zoo"))
    return found
