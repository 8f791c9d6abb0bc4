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

import torch
from torch import nn

from metarep.report.dots import Series, lines_figure, series_of
from metarep.report.style import MUTED
from metarep.report.wording import Score, num
from metarep.speed import power
from metarep.studies.digits.run import digit_model, digit_zoo
from metarep.studies.rows import values
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig

GIB = 2**30


def run(context: Context) -> Result:
    """Time and memory of reading networks of growing size."""
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tensors = NETWORKS[kind](size).state_dict()
    name = f"{kind}-{size}"
    torch.save(tensors, folder / f"{name}.pt")
    zoo = import_networks(ImportConfig(), [folder / f"{name}.pt"], folder / f"zoo-{name}")
    command = [sys.executable, "-m", "metarep.studies.large.measure", str(model), str(zoo), str(folder / f"embeddings-{name}")]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    n_params = sum(value.numel() for value in tensors.values())
    return {"kind": kind, "n_params": n_params, "seconds": found["seconds"], "peak_gib": found["peak_bytes"] / GIB}


def linear_layers(size: int) -> nn.Module:
    """Four linear layers of one width."""
    width = round((size / 4) ** 0.5)
    return nn.Sequential(*(nn.Linear(width, width) for _ in range(4)))


def convolutions(size: int) -> nn.Module:
    """Seven 3 × 3 convolutions of one width, the first of three channels, and a linear layer."""
    width = round((size / 54) ** 0.5)
    layers = [nn.Conv2d(width if layer else 3, width, 3) for layer in range(7)]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def transformer(size: int) -> nn.Module:
    """Six blocks whose MLP is four times as wide."""
    width = round((size / 72) ** 0.5)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(width, 1, 4 * width), 6, enable_nested_tensor=False)


NETWORKS = {"linear": linear_layers, "convolutions": convolutions, "transformer": transformer}
"""By kind: number of parameters, about, to network."""


def figures(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    """Time and memory against the number of parameters: a line for linear layers, a mark for each other kind."""
    x, kinds, panels = "million parameters", {kind: kind for kind in values(rows, "kind")}, {}
    rows = [row | {x: round(row["n_params"] / 1e6, 1)} for row in rows]
    for metric, title, limit in (("seconds", "Seconds", 60 * LIMIT_MINUTES), ("peak_gib", "GiB at most", LIMIT_GIB)):
        asked = Series("asked for", {row[x]: Score(limit) for row in rows}, MUTED, dashed=True)
        panels[title] = (x, [*series_of(rows, "kind", kinds, x, metric), asked])
    return {"sizes": Figure(lines_figure(panels, ylim=0), "Time and memory by size, and what was asked for at the largest.")}


LIMIT_MINUTES, LIMIT_GIB = 5.0, 4.0
"""What was asked for at ten million parameters."""


def growth(rows: list[dict[str, Any]]) -> float:
    """The power of the size that the time grows with."""
    return power([row["n_params"] for row in rows], [row["seconds"] for row in rows])


def sentences(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Time, memory and the power of growth, in words."""
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
