"""Embeddings on disk: one Parquet file, a row a part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metarep.artefact import Artefact, open_artefact
from metarep.errors import MetarepError

KIND = "embeddings"
FILE = "embeddings.parquet"
SCHEMA = pa.schema(
    [
        ("network_id", pa.string()),
        ("part", pa.string()),
        ("kind", pa.string()),
        ("group", pa.string()),
        ("index", pa.int64()),
        ("embedding", pa.list_(pa.float32())),
    ]
)
"""`part` is network, layer, unit or window, `kind` that of the embedding; `index` counts the layers, windows or, in their
`group` and as the network was saved, the units of a network.
"""


@dataclass(frozen=True, repr=False)
class Embeddings:
    """Vectors (N, V) float32 of one kind of part of networks: network_id, group and index (N,)."""

    artefact: Artefact
    network_id: np.ndarray
    group: np.ndarray
    index: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.network_id)

    def __repr__(self) -> str:
        n_networks = len(set(self.network_id.tolist()))
        return f"Embeddings({self.name!r}, {len(self):,} vectors of {self.vectors.shape[1]} numbers, {n_networks:,} networks)"

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.vectors, dtype=dtype, copy=copy)

    @property
    def kind(self) -> str:
        return self.artefact.config["kind"]

    @property
    def untrained(self) -> bool:
        return self.artefact.config["untrained"]

    @property
    def model(self) -> str:
        """The name of the model's folder; "" for vectors that no model made."""
        made_from = self.artefact.manifest["inputs"]
        return Path(made_from["model"]["path"]).name if "model" in made_from else ""

    @property
    def name(self) -> str:
        """The representation's name in every table."""
        return self.artefact.config["name"] or self.kind


def load_embeddings(path: Path | str, *, part: str = "network") -> Embeddings:
    """Reads the vectors of one kind of part of a finished artefact.

    Raises MetarepError for a foreign or altered one, where it holds no such parts, and where their vectors differ in length.
    """
    artefact = open_artefact(path, KIND, check_hashes=True)
    table = pq.read_table(artefact.path / FILE, filters=[("part", "=", part)])
    if not len(table):
        raise MetarepError(f"{path} holds no {part}s", expected=f"the part {part}", fix=f"embed with parts=[{part}]")
    vectors = table.column("embedding").combine_chunks()
    lengths = np.unique(np.diff(vectors.offsets.to_numpy()))
    if len(lengths) > 1:
        met = f"vectors of {', '.join(map(str, lengths[:5]))} numbers"
        fix = "embed kind=layers, whose vectors have one length for all architectures"
        raise MetarepError(f"{path}: networks of several architectures cannot be compared", met=met, fix=fix)
    texts = [np.array(table.column(name).to_pylist(), dtype=object) for name in ("network_id", "group")]
    flat = vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1)
    return Embeddings(artefact, *texts, table.column("index").to_numpy(), flat)


@dataclass
class PartRows:
    """Vectors of parts of networks in memory, gathered as `EmbeddingWriter` writes them."""

    parts: list[tuple[str, str, str, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, network_id: str, part: str, vectors: np.ndarray, *, group: str = "", index: np.ndarray | None = None) -> None:
        """See `EmbeddingWriter.add`."""
        self.parts.append((network_id, part, group, np.arange(len(vectors)) if index is None else index, vectors))

    def write(self, writer: EmbeddingWriter) -> None:
        """Hands everything on, in order."""
        for network_id, part, group, index, vectors in self.parts:
            writer.add(network_id, part, vectors, group=group, index=index)

    def __len__(self) -> int:
        return sum(len(vectors) for *_, vectors in self.parts)

    @property
    def group(self) -> np.ndarray:
        """(N,) texts."""
        return np.repeat([group for _, _, group, _, _ in self.parts], [len(vectors) for *_, vectors in self.parts])

    @property
    def index(self) -> np.ndarray:
        """(N,): the number of each part in its group."""
        return np.concatenate([index for *_, index, _ in self.parts])

    @property
    def vectors(self) -> np.ndarray:
        """(N, V) float32."""
        return np.concatenate([vectors for *_, vectors in self.parts])


class EmbeddingWriter:
    """Writes rows to Parquet, some thousand at a time."""

    N_ROWS = 16_384

    def __init__(self, path: Path, kind: str):
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._kind = kind
        self.counts: Counter[tuple[str, str]] = Counter()
        self._waiting: list[tuple[str, str, str, np.ndarray, np.ndarray]] = []
        self._n_waiting = 0

    def add(self, network_id: str, part: str, vectors: np.ndarray, *, group: str = "", index: np.ndarray | None = None) -> None:
        """The vectors (M, V) of M parts of a network; their numbers (M,) are 0 … M − 1 where they are left out."""
        self.counts[network_id, part] += len(vectors)
        self._waiting.append((network_id, part, group, np.arange(len(vectors)) if index is None else index, vectors))
        self._n_waiting += len(vectors)
        if self._n_waiting >= self.N_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        ids, parts, groups, index, vectors = zip(*self._waiting, strict=True)
        counts = [len(one) for one in vectors]
        texts = [np.repeat(np.array(column, dtype=object), counts) for column in (ids, parts, groups)]
        widths = np.repeat([one.shape[1] for one in vectors], counts)
        offsets = pa.array(np.concatenate([[0], np.cumsum(widths)]), pa.int32())
        flat = pa.array(np.concatenate([one.reshape(-1) for one in vectors]), pa.float32())
        columns = [texts[0], texts[1], [self._kind] * len(widths), texts[2], np.concatenate(index)]
        table = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=False)]
        self._writer.write_table(pa.table([*table, pa.ListArray.from_arrays(offsets, flat)], schema=SCHEMA))
        self._waiting, self._n_waiting = [], 0

    def __enter__(self) -> EmbeddingWriter:
        return self

    def __exit__(self, *_) -> None:
        self._flush()
        self._writer.close()
