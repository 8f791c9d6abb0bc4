"""How long a large network takes to embed, and how much memory, at several sizes.

Each size is a random network of linear layers, saved as a checkpoint, imported, and embedded in a process of its own, which
says at its end how long it took and the most memory it held.
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
from matplotlib.figure import Figure

from metarep.artefact import open_artefact
from metarep.beyond.digits import digit_zoo, pretrained
from metarep.checkpoints.importing import import_networks
from metarep.config import ImportConfig, LargeConfig
from metarep.experiments.experiment import Claim, Context, Picture, Result
from metarep.report.style import MUTED, PALETTE, use_style
from metarep.report.wording import num

GIB = 2**30
LIMIT_MINUTES, LIMIT_GIB = 5.0, 4.0
"""What was asked for at ten million parameters."""

PROGRAM = """
import json, resource, sys, time
from metarep.config import WindowEmbedConfig
from metarep.windows.embed import embed_windows
start = time.monotonic()
embed_windows(WindowEmbedConfig(parts=("network", "layer", "unit")), *sys.argv[1:4])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.monotonic() - start, "peak_bytes": peak}))
"""


def run(context: Context) -> Result:
    """See the head of this file."""
    config: LargeConfig = context.config.large
    model = pretrained(context, digit_zoo(context))
    rows = []
    task_of = context.progress.task("embed large networks", len(config.sizes), "sizes")
    with tempfile.TemporaryDirectory() as folder, task_of as task:
        for size in config.sizes:
            rows.append(measure(Path(folder), model, size, seed=context.config.seed))
            task.advance(1, f"{rows[-1]['n_params']:,} parameters")
    slope = growth(rows)
    largest = rows[-1]
    return Result(
        claims=(
            Claim(f"seconds to embed {largest['n_params']:,} parameters", largest["seconds"], decimals=0),
            Claim("GiB of memory at most", largest["peak_gib"], decimals=2),
            Claim("power of the size that the time grows with (1 is linear)", slope, decimals=2),
        ),
        sentences=(
            f"A network of {largest['n_params']:,} parameters is embedded, its layers and units too, in "
            f"{largest['seconds']:.0f} seconds with {largest['peak_gib']:.2f} GiB at most, on {os.cpu_count()} cores: "
            f"{_verdict(largest)} of the {LIMIT_MINUTES:.0f} minutes and {LIMIT_GIB:.0f} GiB asked for at ten million.",
            f"Over {len(rows)} sizes the time grows with the power {num(slope)} of the size (logarithms, least squares; the "
            "start of the process counts).",
        ),
        tables={"sizes": rows},
        pictures={"sizes": Picture(sizes_figure(rows), "Time and memory by size; the dotted lines are what was asked for.")},
        numbers={"model_digest": open_artefact(model).digest},
        shown=("sizes",),
    )


def measure(folder: Path, model: Path, size: int, *, seed: int) -> dict[str, Any]:
    """A random network of about so many parameters: its row."""
    width = round((size / 4) ** 0.5)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(4):
        tensors[f"layers.{2 * layer}.weight"] = torch.randn(width, width, generator=generator) / width**0.5
        tensors[f"layers.{2 * layer}.bias"] = torch.randn(width, generator=generator) / width**0.5
    file = folder / f"network-{size}.pt"
    torch.save(tensors, file)
    zoo = import_networks(ImportConfig(), [file], folder / f"zoo-{size}")
    command = [sys.executable, "-c", PROGRAM, str(model), str(zoo), str(folder / f"embeddings-{size}")]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    n_params = sum(value.numel() for value in tensors.values())
    return {"n_params": n_params, "seconds": found["seconds"], "peak_gib": found["peak_bytes"] / GIB}


def growth(rows: list[dict[str, Any]]) -> float:
    """The slope of log time on log size."""
    x, y = (np.log([row[name] for row in rows]) for name in ("n_params", "seconds"))
    return float(np.polyfit(x, y, 1)[0])


def _verdict(row: dict[str, Any]) -> str:
    return "inside" if row["seconds"] <= 60 * LIMIT_MINUTES and row["peak_gib"] <= LIMIT_GIB else "outside"


def sizes_figure(rows: list[dict[str, Any]]) -> Figure:
    """Time and memory against the number of parameters."""
    n = [row["n_params"] for row in rows]
    with use_style():
        figure = Figure(figsize=(8.5, 3.2), layout="constrained")
        panels = (("seconds", "seconds", 60 * LIMIT_MINUTES), ("peak_gib", "GiB at most", LIMIT_GIB))
        for ax, (name, title, limit) in zip(figure.subplots(1, 2), panels, strict=True):
            ax.plot(n, [row[name] for row in rows], "o-", color=PALETTE[0])
            ax.axhline(limit, color=MUTED, ls=":", lw=1.2)
            ax.set(xscale="log", yscale="log", xlabel="parameters", title=title)
    return figure
