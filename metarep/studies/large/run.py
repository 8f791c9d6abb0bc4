"""How long a large network takes to embed, and how much memory, at several sizes.

Each size is a random network of linear layers; of the largest size there are a convolutional network and a transformer too.
Each is saved as a checkpoint, imported, and embedded in a process of its own, which says at its end how long that took (the
time to start the process and to import libraries left out) and the most memory that it held.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metarep.report.style import MUTED
from metarep.report.wording import num
from metarep.studies.digits.run import digit_model, digit_zoo
from metarep.studies.drawing import Series, lines_figure, series_of
from metarep.studies.rows import values
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig

GIB = 2**30


def run(context: Context) -> Result:
    config = context.config.large
    digit_model(context, digit_zoo(context))
    model = context.model_artefact("digits")
    cases = [("linear", size) for size in config.sizes]
    cases += [(kind, max(config.sizes)) for kind in ("convolutions", "transformer")]
    rows = []
    task_of = context.progress.task("embed large networks", len(cases), "networks")
    with tempfile.TemporaryDirectory() as folder, task_of as task:
        for kind, size in cases:
            rows.append(measure(Path(folder), model.path, kind, size, seed=context.config.seed))
            task.advance(1, f"{kind}, {rows[-1]['n_params']:,} parameters")
    linear = [row for row in rows if row["kind"] == "linear"]
    largest = linear[-1]
    return Result(
        claims=(
            Claim(f"seconds to embed {largest['n_params']:,} parameters", largest["seconds"], decimals=0),
            Claim("GiB of memory at most", largest["peak_gib"], decimals=2),
            Claim("power of the size that the time grows with (1 is linear)", growth(linear), decimals=2),
        ),
        sentences=sentences(rows),
        tables={"sizes": rows},
        figures=figures(rows),
        numbers={"model_digest": model.digest},
    )


def measure(folder: Path, model: Path, kind: str, size: int, *, seed: int) -> dict[str, Any]:
    """A random network of one kind with about so many parameters: its row."""
    shapes = SHAPES[kind](size)
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: torch.randn(shape, generator=generator) / shape[-1] ** 0.5 for name, shape in shapes.items()}
    name = f"{kind}-{size}"
    torch.save(tensors, folder / f"{name}.pt")
    zoo = import_networks(ImportConfig(), [folder / f"{name}.pt"], folder / f"zoo-{name}")
    command = [sys.executable, "-m", "metarep.studies.large.measure", str(model), str(zoo), str(folder / f"embeddings-{name}")]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    n_params = sum(value.numel() for value in tensors.values())
    return {"kind": kind, "n_params": n_params, "seconds": found["seconds"], "peak_gib": found["peak_bytes"] / GIB}


def linear_shapes(size: int) -> dict[str, tuple[int, ...]]:
    """Four linear layers of one width."""
    width = round((size / 4) ** 0.5)
    places = [f"layers.{2 * layer}" for layer in range(4)]
    return {f"{place}.{name}": (width,) * n for place in places for name, n in (("weight", 2), ("bias", 1))}


def convolution_shapes(size: int) -> dict[str, tuple[int, ...]]:
    """Seven 3 × 3 convolutions of one width, the first of three channels, and a linear layer."""
    width = round((size / 54) ** 0.5)
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(7):
        channels = width if layer else 3
        found |= {f"features.{2 * layer}.weight": (width, channels, 3, 3), f"features.{2 * layer}.bias": (width,)}
    return found | {"classifier.weight": (10, width), "classifier.bias": (10,)}


def transformer_shapes(size: int) -> dict[str, tuple[int, ...]]:
    """Six blocks of PyTorch's `TransformerEncoderLayer`, whose MLP is four times as wide."""
    width = round((size / 72) ** 0.5)
    places = {"self_attn.in_proj_": (3, 1), "self_attn.out_proj.": (1, 1), "linear1.": (4, 1), "linear2.": (1, 4)}
    found: dict[str, tuple[int, ...]] = {}
    for block in range(6):
        for place, (rows, columns) in places.items():
            shapes = {"weight": (rows * width, columns * width), "bias": (rows * width,)}
            found |= {f"layers.{block}.{place}{name}": shape for name, shape in shapes.items()}
        found |= {f"layers.{block}.norm{n}.{name}": (width,) for n in (1, 2) for name in ("weight", "bias")}
    return found


SHAPES = {"linear": linear_shapes, "convolutions": convolution_shapes, "transformer": transformer_shapes}


def figures(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    """Time and memory against the number of parameters: a line for linear layers, a mark for each other kind."""
    rows = [row | {"million parameters": round(row["n_params"] / 1e6, 1)} for row in rows]
    kinds = {kind: kind for kind in values(rows, "kind")}
    panels = {}
    for of, title, limit in (("seconds", "Seconds", 60 * LIMIT_MINUTES), ("peak_gib", "GiB at most", LIMIT_GIB)):
        asked = [{"million parameters": row["million parameters"], of: limit} for row in rows]
        lines = [*series_of(rows, "kind", kinds, of=of), Series("asked for", asked, MUTED, of=of, dashed=True)]
        panels[title] = ("million parameters", lines)
    return {"sizes": Figure(lines_figure(panels, ylim=0), "Time and memory by size, and what was asked for at the largest.")}


LIMIT_MINUTES, LIMIT_GIB = 5.0, 4.0
"""What was asked for at ten million parameters."""


def growth(rows: list[dict[str, Any]]) -> float:
    """The slope of log time on log size."""
    x, y = (np.log([row[name] for row in rows]) for name in ("n_params", "seconds"))
    return float(np.polyfit(x, y, 1)[0])


def sentences(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    linear = [row for row in rows if row["kind"] == "linear"]
    largest = linear[-1]
    inside = largest["seconds"] <= 60 * LIMIT_MINUTES and largest["peak_gib"] <= LIMIT_GIB
    others = [
        f"{row['kind']} ({row['n_params']:,}) {row['seconds']:.0f} s and {row['peak_gib']:.2f} GiB"
        for row in rows
        if row["kind"] != "linear"
    ]
    return (
        f"A network of {largest['n_params']:,} parameters is embedded, its layers and units too, in "
        f"{largest['seconds']:.0f} seconds with {largest['peak_gib']:.2f} GiB at most, on {os.cpu_count()} cores: "
        f"{'inside' if inside else 'outside'} the {LIMIT_MINUTES:.0f} minutes and {LIMIT_GIB:.0f} GiB asked for at ten "
        "million.",
        f"Over {len(linear)} sizes the time grows with the power {num(growth(linear))} of the size (logarithms, least "
        "squares).",
        f"Other networks of about the largest size: {'; '.join(others)}.",
    )
