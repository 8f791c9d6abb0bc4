"""What importing costs against the size of a network and the number of files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import Field

from metarep.artefact import sha256_of
from metarep.progress import Progress
from metarep.settings import Settings
from metarep.speed import power, seconds_of
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig


class ImportBenchConfig(Settings):
    """Which files are written and imported."""

    widths: tuple[int, ...] = Field((100, 400, 1600), min_length=1, description="of the two hidden layers of one network")
    n_files: tuple[int, ...] = Field((10, 100), description="numbers of files with a small network each")
    rounds: int = Field(2, ge=1, description="times that each is timed; the best counts")
    seed: int = Field(0, ge=0, description="of every draw")


def bench_import(config: ImportBenchConfig, *, progress: Progress | None = None) -> list[dict]:
    """A row for each width and number of files: seconds, megabytes a second, and how often the files could have been hashed
    in that time. `power` is the p of seconds ~ bytes^p over the rows of one kind up to that one.
    """
    progress, rng, rows = progress or Progress(), np.random.default_rng(config.seed), []
    cases = [("one file", 1, width) for width in config.widths] + [("small files", n, 16) for n in config.n_files]
    with TemporaryDirectory() as place, progress.task("bench import", len(cases), "imports") as task:
        for kind, n_files, width in cases:
            folder = Path(place, f"{n_files}-{width}")
            files = [_write(folder / f"{number}.safetensors", width, rng) for number in range(n_files)]
            n_bytes = sum(file.stat().st_size for file in files)
            out = folder.with_suffix(".zoo")
            call = lambda files=files, out=out: import_networks(ImportConfig(), files, out, overwrite=True)  # noqa: E731
            seconds = min(seconds_of(call) for _ in range(config.rounds))
            hashing = seconds_of(lambda files=files: [sha256_of(file) for file in files])
            row = {"kind": kind, "n_files": n_files, "megabytes": n_bytes / 1e6, "seconds": seconds}
            row |= {"megabytes_per_s": n_bytes / 1e6 / seconds, "ratio_to_hashing": seconds / hashing}
            same = [one for one in rows if one["kind"] == kind] + [row]
            rows.append(row | {"power": power([one["megabytes"] for one in same], [one["seconds"] for one in same])})
            task.advance(1)
    return rows


def _write(path: Path, width: int, rng: np.random.Generator) -> Path:
    from safetensors.numpy import save_file

    path.parent.mkdir(exist_ok=True)
    tensors = {}
    for number, (n_in, n_out) in enumerate(pairwise((16, width, width, 4))):
        tensors[f"fc{number}.weight"] = rng.standard_normal((n_out, n_in), np.float32)
        tensors[f"fc{number}.bias"] = rng.standard_normal(n_out, np.float32)
    save_file(tensors, path)
    return path
