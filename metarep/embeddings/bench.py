"""What embedding costs against the size of a network."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from pydantic import Field

from metarep.embeddings.stage import embed_tensors
from metarep.model.bench import linear_operations
from metarep.model.transformer import ClozeModel
from metarep.networks.architecture import Architecture, read_architecture
from metarep.networks.inference import symmetries_of
from metarep.progress import Progress
from metarep.settings import Settings
from metarep.speed import gemm_rate, power, seconds_of

N_INPUTS, N_OUTPUTS = 64, 10


class EmbedBenchConfig(Settings):
    """Which networks are embedded by which model; its weights are random, which changes no time."""

    sizes: tuple[int, ...] = Field((10_000, 100_000, 1_000_000), min_length=1, description="parameters of a network, about")
    kind: str = Field("layers", description="the kind of embedding")
    d_model: int = Field(64, ge=8, description="width of the transformer")
    n_layers: int = Field(4, ge=1, description="its blocks")
    context: int = Field(128, ge=8, description="most tokens in a window")
    tokens_per_batch: int = Field(16_384, ge=64, description="tokens that are read at once")
    rounds: int = Field(2, ge=1, description="times that each is timed; the best counts")
    seed: int = Field(0, ge=0, description="of every draw")


def bench_embedding(config: EmbedBenchConfig, *, device: str = "cpu", progress: Progress | None = None) -> list[dict]:
    """A row for each size: seconds from tensors on the CPU to a vector, parameters a second, the share of the GEMM rate.

    Operations are those of the linear layers and of attention. `power` is the p of seconds ~ size^p up to that row.
    """
    progress = progress or Progress()
    torch.manual_seed(config.seed)
    shape = {"d_model": config.d_model, "n_layers": config.n_layers, "context": config.context}
    model = ClozeModel(chunk=4, **shape).to(device).eval()
    gemm, rows = gemm_rate(device, "tf32"), []
    with progress.task("bench embed", len(config.sizes), "sizes") as task:
        for size in config.sizes:
            architecture = chain_of(size)
            symmetries = symmetries_of(architecture)
            plan = model.plan_of(architecture, symmetries)
            tensors = {one.name: torch.randn(1, *one.shape) for one in architecture.tensors}
            settings = {"tokens_per_batch": config.tokens_per_batch}
            call = lambda how=(model, plan, tensors, symmetries, config.kind), s=settings: embed_tensors(*how, **s)  # noqa: E731
            call()
            best = min(seconds_of(call, device) for _ in range(config.rounds))
            operations = operations_of(model, [(one.n_windows, one.layout.n_tokens) for one in plan.shapes])
            n_params = architecture.n_params
            row = {"n_params": n_params, "seconds": best, "params_per_s": n_params / best}
            row["share_of_gemm"] = operations / best / gemm
            so_far = [*rows, row]
            row["power"] = power([one["n_params"] for one in so_far], [one["seconds"] for one in so_far])
            rows.append(row)
            task.advance(1)
    return rows


def chain_of(n_params: int) -> Architecture:
    """Three linear layers, two hidden layers alike, of about so many parameters."""
    ends = N_INPUTS + N_OUTPUTS
    width = max(2, round((math.sqrt(ends**2 + 4 * n_params) - ends) / 2))
    widths = (N_INPUTS, width, width, N_OUTPUTS)
    named = []
    for number, (n_in, n_out) in enumerate(pairwise(widths)):
        named += [(f"fc{number}.weight", (n_out, n_in), "float32"), (f"fc{number}.bias", (n_out,), "float32")]
    return read_architecture(named)


def operations_of(model: ClozeModel, windows: list[tuple[int, int]]) -> float:
    """Operations of the linear layers and of attention on windows, given as (how many, tokens)."""
    linear, mixing = linear_operations(model), 4 * model.d_model * len(model.blocks)
    return float(sum(n * t * (linear + mixing * t) for n, t in windows))
