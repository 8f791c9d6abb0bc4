"""A zoo of 2-2-1 networks with embeddings whose vectors are chosen, not computed."""

from pathlib import Path

import numpy as np

from metarep.artefact import canonical_json, open_artefact, write_whole, writing
from metarep.domains.multiplier.domain import columns_of
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.embeddings.store import EmbeddingWriter
from metarep.tables import to_csv
from metarep.zoos.columns import Contents, splits_of, write_columns


def write_embedded(folder: Path, *, n: int, seed: int = 0, names=("states", "other")) -> Path:
    """Writes zoo, embeddings of networks and units in islands, one a sign pattern, and the clusters of the first one."""
    rng = np.random.default_rng(seed)
    params = rng.normal(size=(n, MULTIPLIER.n_params)).astype(np.float32)
    ids = np.array([f"net-{i:05d}" for i in range(n)], dtype=object)
    known = columns_of(MULTIPLIER, params)
    columns = {"network_id": ids, "run_id": ids, "snapshot_of": np.full(n, "", object), "split": splits_of(ids.tolist())}
    columns |= {"finite": np.ones(n, bool), "spec": np.full(n, "2-2-1", object), "params": params, **known}
    columns |= {"log_error": rng.normal(size=n), "note": np.array(['a "note", with a comma'] * (n - 1) + ["plain"], object)}
    contents = Contents("multiplier", ("mode", "unit_states", "sign_pattern"), ("log_error",))
    with writing(folder / "zoo", "zoo", config={}, seed=seed) as path:
        write_columns(path / "shard-00000.parquet", columns, contents)
    zoo = open_artefact(folder / "zoo")
    island = np.unique(known["sign_pattern"], return_inverse=True)[1]
    for number, name in enumerate(names):
        centres = np.random.default_rng(number).normal(size=(4, 8)) * 3
        vectors = (centres[island] + rng.normal(size=(n, 8)) * 0.4).astype(np.float32)
        config = {"kind": "states", "name": name, "untrained": False, "max_per_split": None}
        with writing(folder / "embeddings" / name, "embeddings", config=config, seed=0, inputs={"zoo": zoo}) as path:
            write_vectors(path, ids, vectors, rng)
    rows = [
        {"representation": names[0], "model": "", "kind": "states", "untrained": 0, "network_id": i, "cluster": int(c)}
        for i, c in zip(ids, island, strict=True)
    ]
    embedded = {f"embeddings_{i}": open_artefact(folder / "embeddings" / name) for i, name in enumerate(names)}
    with writing(folder / "clusters", "clusters", config={}, seed=0, inputs={"zoo": zoo, **embedded}) as path:
        write_whole(path / "assignments.csv", to_csv(rows))
        write_whole(path / "metrics.json", canonical_json({}))
    (folder / "config.yaml").write_text("name: islands\n")
    return folder


def write_vectors(path: Path, ids, vectors, rng) -> None:
    """A vector a network, and one a unit."""
    units = rng.normal(size=(len(ids), 2, 8)).astype(np.float32) + vectors[:, None]
    with EmbeddingWriter(path / "embeddings.parquet", "states") as writer:
        for i, name in enumerate(ids):
            writer.add(name, "network", vectors[i : i + 1])
            writer.add(name, "unit", units[i], group="units of 0")
