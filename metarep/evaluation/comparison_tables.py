"""The tables that a comparison of representations fills, gathered representation by representation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metarep.artefact import write_whole
from metarep.tables import to_csv


class Tables:
    """The rows of every table, gathered representation by representation."""

    def __init__(self):
        self.agreement: list[dict] = []
        self.probes: list[dict] = []
        self.k_curve: list[dict] = []
        self.chosen_k: list[dict] = []
        self.assignments: list[dict] = []
        self.contingency: list[dict] = []
        self.umap: list[dict] = []
        self.seeds: list[dict] = []
        self.descriptions: list[dict] = []
        self.rules: list[dict] = []
        self.unexplained: list[dict] = []
        self.test_clusters: dict[tuple[str, str, int], np.ndarray] = {}
        """The clusters of the test networks by (representation, clusterer, k): not a table, but what `seeds` is made from."""

    def extend(self, other: Tables) -> None:
        """Adds the rows of another."""
        self.test_clusters |= other.test_clusters
        for name, rows in self.rows().items():
            rows.extend(getattr(other, name))

    def rows(self) -> dict[str, list[dict]]:
        """Every table by its name."""
        return {name: rows for name, rows in vars(self).items() if name != "test_clusters"}

    def write(self, folder: Path) -> None:
        """Writes each table that has rows as `<name>.csv`."""
        for name, rows in self.rows().items():
            if rows:
                write_whole(folder / f"{name}.csv", to_csv(rows))
