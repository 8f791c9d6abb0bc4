"""Pretraining on a zoo's training networks: the cloze test or another objective, the best checkpoint by validation loss.

Every step draws its batch, masks and augmentation from (seed, step) alone, and every
`eval_every` steps the whole state is written aside. So a run that was broken off carries on
and ends with the same weights as one that never was.
"""

from __future__ import annotations

import io
import json
import math
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from metarep.artefact import open_artefact, write_whole, writing
from metarep.cloze.augment import jitter, permute_units, scale_units
from metarep.cloze.masked_r2 import masked_r2_table
from metarep.cloze.masks import random_masks
from metarep.cloze.model import ClozeModel
from metarep.cloze.objectives import Objective, build_objective
from metarep.cloze.settings import PretrainConfig
from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.zoo import Zoo, open_zoo

CHECKPOINT = "checkpoint.safetensors"
MAX_TEST_NETWORKS = 5000
"""The masked R² is measured on so many test networks at most."""


class Batch(NamedTuple):
    """Parameters (B, P), masks (B, T), True hidden, and the generator of whatever else a step draws."""

    params: torch.Tensor
    mask: torch.Tensor
    generator: torch.Generator


@dataclass
class TrainingState:
    """What changes while training; `best` are the weights of the objective's encoder."""

    objective: Objective
    optimiser: torch.optim.AdamW
    best: dict[str, torch.Tensor]
    best_loss: float
    step: int
    log: list[dict]


def pretrain(
    config: PretrainConfig,
    zoo: Path | str,
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Trains a model on the zoo's training split into the folder `out` and returns it.

    Raises MetarepError for a zoo of several architectures or without training or validation networks.
    """
    out, progress = Path(out), progress or Progress()
    networks = open_zoo(zoo)
    train, valid, test = split_networks(networks, config)
    inputs = {"zoo": networks.artefact}
    with writing(
        out, "model", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite, resume=True
    ) as folder:
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        state = start_or_resume(config, train, folder / CHECKPOINT, device)
        run_training(config, state, train, valid, folder / CHECKPOINT, device, progress)
        model = state.objective.encoder.eval()
        model.load_state_dict(state.best)
        if config.objective == "cloze":
            few = test.select(np.arange(min(MAX_TEST_NETWORKS, len(test))))
            rows = masked_r2_table(model, train, few, config, device=device)
            write_whole(folder / "masked_r2.csv", to_csv(rows))
        model.to("cpu").save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        write_whole(folder / "log.csv", to_csv(state.log))
        (folder / CHECKPOINT).unlink()
    return out


def load_model(path: Path | str, *, device: str = "cpu") -> ClozeModel:
    """The model of a finished artefact, ready to embed. Raises MetarepError for a damaged one."""
    artefact = open_artefact(path, "model", check_hashes=True)
    with redirect_stdout(io.StringIO()):  # the Hub's loader prints where it reads from
        model = ClozeModel.from_pretrained(artefact.path, local_files_only=True)
    return model.to(device).eval()


def split_networks(zoo: Zoo, config: PretrainConfig) -> tuple[Zoo, Zoo, Zoo]:
    """The finished, finite networks of the three splits; at most as many as the config says."""
    final = zoo.final()
    _ = final.spec
    train, valid, test = (final.where(split=name) for name in ("train", "valid", "test"))
    if min(len(train), len(valid), len(test)) < 2:
        raise MetarepError(
            "the zoo is too small to pretrain on",
            met=f"{len(train)} train, {len(valid)} valid, {len(test)} test networks",
            expected="at least 2 of each",
            fix="build a larger zoo",
        )
    limit = range(min(config.max_train_networks or len(train), len(train)))
    few = range(min(config.max_valid_networks, len(valid)))
    return train.select(list(limit)), valid.select(list(few)), test


def start_or_resume(config: PretrainConfig, train: Zoo, checkpoint: Path, device: str) -> TrainingState:
    """A fresh state, or the one that a broken-off run left."""
    torch.manual_seed(config.seed)
    model = build_model(config, str(train.spec))
    model.fit_normalisation(torch.from_numpy(train.params))
    objective = build_objective(config, model).to(device)
    state = TrainingState(objective, build_optimiser(config, objective), copy_of(objective.encoder), math.inf, 0, [])
    if checkpoint.is_file():
        restore_state(state, checkpoint, device)
    return state


def build_model(config: PretrainConfig, spec: str) -> ClozeModel:
    """A freshly initialised model; torch's global generator decides."""
    return ClozeModel(
        spec=spec,
        d_model=config.d_model,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        head=config.head,
        n_components=config.n_components,
        positions=config.positions,
        tokens=config.tokens,
        n_probes=config.n_probes,
        probe_low=config.probe_range[0],
        probe_high=config.probe_range[1],
        behaviour=config.behaviour_weight > 0,
        objective=config.objective,
        bottleneck=config.bottleneck if config.objective == "autoencoder" else 0,
        scale=config.scale,
        units="canonical" if config.units == "canonical" else "as_written",
    )


def build_optimiser(config: PretrainConfig, objective: Objective) -> torch.optim.AdamW:
    """AdamW; matrices decay, vectors do not."""
    trained = [p for p in objective.parameters() if p.requires_grad]
    matrices, vectors = [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.99), fused=True)


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Linear warm-up, then a half cosine down to a twentieth; `step` counts from 0."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    share = (step - config.warmup_steps) / max(1, config.n_steps - config.warmup_steps)
    return config.lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def draw_batch(config: PretrainConfig, model: ClozeModel, params: torch.Tensor, step: int) -> Batch:
    """The batch of one step, by (seed, step) alone."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step + 1)
    batch = params[torch.randint(len(params), (config.batch_size,), generator=generator)]
    if config.units == "shuffled":
        batch = permute_units(batch, model.spec, generator=generator)
    if config.scale_units > 0:
        batch = scale_units(batch, model.spec, config.scale_units, generator=generator)
    mask = draw_masks(config, model, len(batch), generator)
    if config.jitter > 0:
        whole = ~mask.any(dim=1)
        batch[whole] = jitter(model.written(batch[whole]), model.spread, config.jitter, generator=generator)
    return Batch(batch, mask, generator)


def draw_masks(config: PretrainConfig, model: ClozeModel, n: int, generator: torch.Generator) -> torch.Tensor:
    """(n, T) masks as the config wants them."""
    ratio = (config.mask_ratio_min, config.mask_ratio_max)
    whole = config.whole_share if config.behaviour_weight else 0.0
    shares = {"unit_share": config.unit_mask_share, "whole_share": whole}
    return random_masks(model.layout, n, ratio=ratio, **shares, generator=generator)


def run_training(
    config: PretrainConfig, state: TrainingState, train: Zoo, valid: Zoo, checkpoint: Path, device: str, progress: Progress
) -> None:
    """Takes the state from its step to the last one; evaluates and writes it aside every `eval_every` steps."""
    params = torch.from_numpy(train.params)
    running: list[torch.Tensor] = []
    note = ""
    with progress.task("pretrain", config.n_steps, "steps", done=state.step) as task:
        while state.step < config.n_steps:
            batch = draw_batch(config, state.objective.model, params, state.step)
            running.append(train_step(config, state, batch, device))
            state.step += 1
            if state.step % config.eval_every == 0 or state.step == config.n_steps:
                row = evaluate(config, state, valid, device, train_loss=float(torch.stack(running).mean()))
                state.log.append(row)
                running = []
                note = ", ".join(f"{name.replace('_', ' ')} {row[name]:.3f}" for name in list(row)[2:-1])
                save_state(state, checkpoint)
            task.advance(1, note)


def train_step(config: PretrainConfig, state: TrainingState, batch: Batch, device: str) -> torch.Tensor:
    """One step of AdamW on one batch; returns the loss."""
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(config, state.step)
    objective = state.objective.train()
    loss = objective.loss(batch.params.to(device), batch.mask.to(device), generator=batch.generator)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(objective.parameters(), config.grad_clip)
    state.optimiser.step()
    objective.after_step()
    return loss.detach()


def evaluate(config: PretrainConfig, state: TrainingState, valid: Zoo, device: str, *, train_loss: float) -> dict:
    """A row of the log: loss and further figures on validation networks, always under the same masks and draws."""
    objective = state.objective.eval()
    generator = torch.Generator().manual_seed(config.seed)
    params = torch.from_numpy(valid.params).to(device)
    mask = draw_masks(config, objective.model, len(valid), generator).to(device)
    with torch.no_grad():
        loss = float(objective.loss(params, mask, generator=generator))
        figures = objective.figures(params, mask)
    if loss < state.best_loss:
        state.best, state.best_loss = copy_of(objective.encoder), loss
    losses = {"step": state.step, "train_loss": train_loss, "valid_loss": loss}
    return losses | figures | {"lr": learning_rate(config, state.step - 1)}


def copy_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a model as they are now."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def save_state(state: TrainingState, checkpoint: Path) -> None:
    """Writes the whole state aside, whole or not at all."""
    tensors = {f"objective.{name}": value for name, value in state.objective.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for index, entry in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in entry.items()}
    meta = {"step": state.step, "best_loss": state.best_loss, "log": state.log}
    aside = checkpoint.with_name(checkpoint.name + ".tmp")
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, aside, {"state": json.dumps(meta)})
    aside.rename(checkpoint)


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def restore_state(state: TrainingState, checkpoint: Path, device: str) -> None:
    """Takes the state to where `save_state` left it."""
    with safe_open(checkpoint, "pt", device=device) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        meta = json.loads(file.metadata()["state"])
    state.objective.load_state_dict(_under("objective.", tensors))
    state.best = _under("best.", tensors)
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            entries.setdefault(int(index), {})[key] = value.cpu() if key == "step" else value
    state.optimiser.load_state_dict({"state": entries, "param_groups": state.optimiser.state_dict()["param_groups"]})
    state.step, state.best_loss, state.log = meta["step"], meta["best_loss"], meta["log"]
