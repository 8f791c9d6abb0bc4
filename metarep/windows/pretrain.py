"""The stage that pretrains the window model on the training networks of one or several zoos of any architectures.

As in `metarep.cloze.pretrain`, every step draws from (seed, step) alone, and a run that was broken off carries on and ends
with the same weights as one that never was.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from torch import nn

from metarep.artefact import open_artefact, write_whole, writing
from metarep.cloze.pretrain import CHECKPOINT, TrainingState, build_optimiser, copy_of, learning_rate, restore_state, save_state
from metarep.errors import MetarepError
from metarep.networks.architecture import KINDS
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.windows.bank import Shown, batch_of, draw_windows, final_networks, random_masks
from metarep.windows.model import Batch, WindowModel, masked_loss
from metarep.windows.settings import WindowPretrainConfig
from metarep.windows.tokens import ROLES
from metarep.zoos.zoo import Zoo, open_zoo, say_left_out

KIND = "window-model"
N_FOLDS = 8
"""For the masked R² every token is hidden once: one in eight at a time."""


class Cloze(nn.Module):
    """What is trained: the window model alone."""

    def __init__(self, encoder: WindowModel):
        super().__init__()
        self.encoder = encoder


def pretrain_windows(
    config: WindowPretrainConfig,
    zoos: Sequence[Path | str],
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Trains a window model on the training splits of the zoos into the folder `out` and returns it.

    Networks with NaN or infinity are left out. Raises MetarepError without at least two others in each split of all zoos
    together.
    """
    out, progress = Path(out), progress or Progress()
    subjects = [open_zoo(zoo).finite() for zoo in zoos]
    for one in subjects:
        say_left_out(one, progress)
    require_networks(subjects)
    inputs = {"zoo" if len(zoos) == 1 else f"zoo_{i}": one.artefact for i, one in enumerate(subjects)}
    with writing(
        out, KIND, config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite, resume=True
    ) as folder:
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        train, valid, test = (draw_split(config, subjects, split, progress) for split in ("train", "valid", "test"))
        state = start_or_resume(config, train, folder / CHECKPOINT, device)
        run_training(config, state, train, valid, folder / CHECKPOINT, device, progress)
        model = state.objective.encoder.eval()
        model.load_state_dict(state.best)
        write_whole(folder / "masked_r2.csv", to_csv(masked_r2_rows(model, test, device=device, batch_size=config.batch_size)))
        model.to("cpu").save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        write_whole(folder / "log.csv", to_csv(state.log))
        (folder / CHECKPOINT).unlink()
    return out


def load_window_model(path: Path | str, *, device: str = "cpu") -> WindowModel:
    """The model of a finished artefact, ready to embed. Raises MetarepError for a damaged one."""
    artefact = open_artefact(path, KIND, check_hashes=True)
    with redirect_stdout(io.StringIO()):  # the Hub's loader prints where it reads from
        model = WindowModel.from_pretrained(artefact.path, local_files_only=True)
    return model.to(device).eval()


def require_networks(subjects: Sequence[Zoo]) -> None:
    """Raises MetarepError where a split of all zoos together has fewer than two networks."""
    counts = {split: len(final_networks(subjects, split)) for split in ("train", "valid", "test")}
    if min(counts.values()) < 2:
        met = ", ".join(f"{n} {split}" for split, n in counts.items()) + " networks"
        raise MetarepError(
            "too few networks to pretrain on", met=met, expected="at least 2 of each", fix="add networks or zoos"
        )


def draw_split(config: WindowPretrainConfig, subjects: Sequence[Zoo], split: str, progress: Progress) -> list[Shown]:
    """The windows of one split that are held in memory; training ones as the settings want them, others in canonical order."""
    train = split == "train"
    most = config.max_windows if train else config.max_valid_windows
    shuffled = train and config.units == "shuffled"
    networks = final_networks(subjects, split)
    return draw_windows(networks, config, most, seed=config.seed, shuffled=shuffled, progress=progress, name=f"read {split}")


def start_or_resume(config: WindowPretrainConfig, train: list[Shown], checkpoint: Path, device: str) -> TrainingState:
    """A fresh state, or the one that a broken-off run left."""
    torch.manual_seed(config.seed)
    model = build_model(config)
    model.fit_normalisation([batch_of(train[at : at + 512]) for at in range(0, len(train), 512)])
    objective = Cloze(model).to(device)
    state = TrainingState(objective, build_optimiser(config, objective), copy_of(model), math.inf, 0, [])
    if checkpoint.is_file():
        restore_state(state, checkpoint, device)
    return state


def build_model(config: WindowPretrainConfig) -> WindowModel:
    """A freshly initialised model; torch's global generator decides."""
    return WindowModel(
        chunk=config.chunk,
        context=max(config.contexts),
        overlap=config.overlap,
        d_model=config.d_model,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        n_components=config.n_components,
    )


def run_training(
    config: WindowPretrainConfig, state: TrainingState, train, valid, checkpoint: Path, device: str, progress: Progress
) -> None:
    """Takes the state from its step to the last one; evaluates and writes it aside every `eval_every` steps."""
    running: list[torch.Tensor] = []
    note = ""
    with progress.task("pretrain", config.n_steps, "steps", done=state.step) as task:
        while state.step < config.n_steps:
            running.append(train_step(config, state, train, device))
            state.step += 1
            if state.step % config.eval_every == 0 or state.step == config.n_steps:
                row = evaluate(config, state, valid, device, train_loss=float(torch.stack(running).mean()))
                state.log.append(row)
                running = []
                note = f"valid loss {row['valid_loss']:.3f}"
                save_state(state, checkpoint)
            task.advance(1, note)


def train_step(config: WindowPretrainConfig, state: TrainingState, train: list[Shown], device: str) -> torch.Tensor:
    """One step of AdamW on windows drawn by (seed, step) alone; returns the loss."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step + 1)
    drawn = torch.randint(len(train), (config.batch_size,), generator=generator).tolist()
    batch = batch_of([train[i] for i in drawn])
    mask = draw_masks(config, batch, generator)
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(config, state.step)
    model = state.objective.encoder.train()
    loss = masked_loss(model, batch.to(device), mask.to(device))
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
    state.optimiser.step()
    return loss.detach()


def draw_masks(config: WindowPretrainConfig, batch: Batch, generator: torch.Generator) -> torch.Tensor:
    """(B, T) masks as the config wants them."""
    ratio = (config.mask_ratio_min, config.mask_ratio_max)
    return random_masks(batch, ratio=ratio, unit_share=config.unit_mask_share, generator=generator)


def evaluate(config: WindowPretrainConfig, state: TrainingState, valid: list[Shown], device: str, *, train_loss: float) -> dict:
    """A row of the log; validation windows always wear the same masks."""
    model = state.objective.encoder.eval()
    generator = torch.Generator().manual_seed(config.seed)
    losses, weights = [], []
    with torch.no_grad():
        for at in range(0, len(valid), config.batch_size):
            batch = batch_of(valid[at : at + config.batch_size])
            mask = draw_masks(config, batch, generator)
            losses.append(float(masked_loss(model, batch.to(device), mask.to(device))))
            weights.append(int((mask.unsqueeze(-1) & batch.present).sum()))
    loss = float(np.average(losses, weights=weights))
    if loss < state.best_loss:
        state.best, state.best_loss = copy_of(model), loss
    return {
        "step": state.step,
        "train_loss": train_loss,
        "valid_loss": loss,
        "lr": learning_rate(config, state.step - 1),
    }


def masked_r2_rows(model: WindowModel, shown: list[Shown], *, device: str, batch_size: int) -> list[dict]:
    """Rows (masking, predictor, group, r2, n_values): how much of hidden values is predicted on these windows.

    One in eight tokens is hidden at a time, each once; R² of values as the model sees them (standardised, compressed),
    against the mean of the group: all values, or those of one kind and role. "window mean" predicts the mean of what the
    window shows of the same kind and role.
    """
    truth, member, predicted, simple = [], [], [], []
    with torch.no_grad():
        for at in range(0, len(shown), batch_size):
            batch = batch_of(shown[at : at + batch_size]).to(device)
            z = model.normalise(batch)
            expected, mean = model.predict(hidden_states(model, batch)).expectation(), torch.zeros_like(z)
            for mask in fold_masks(batch.real):
                mean = torch.where(mask.unsqueeze(-1), _visible_means(z, batch, mask), mean)
            found = batch.present
            classes = batch.ids[..., 4].unsqueeze(-1).expand_as(z)
            for values, part in ((truth, z), (member, classes), (predicted, expected), (simple, mean)):
                values.append(part[found].cpu().numpy())
    y, classes = np.concatenate(truth), np.concatenate(member)
    rows = []
    for predictor, values in (("cloze", np.concatenate(predicted)), ("window mean", np.concatenate(simple))):
        for number in (None, *np.unique(classes)):
            some = np.ones(len(y), dtype=bool) if number is None else classes == number
            group = "all" if number is None else f"{KINDS[number // len(ROLES)]} {ROLES[number % len(ROLES)]}"
            spread = float(np.square(y[some] - y[some].mean()).sum())
            r2 = 1 - float(np.square(y[some] - values[some]).sum()) / spread if spread > 0 else None
            row = {"masking": "one in eight", "predictor": predictor, "group": group, "r2": r2}
            rows.append(row | {"n_values": int(some.sum())})
    return rows


def hidden_states(model: WindowModel, batch: Batch) -> torch.Tensor:
    """(B, T, D): the state of each token when it is hidden, one token in eight at a time."""
    states = torch.zeros(*batch.real.shape, model.norm.normalized_shape[0], device=batch.real.device)
    for mask in fold_masks(batch.real):
        states = torch.where(mask.unsqueeze(-1), model.encode(batch, mask), states)
    return states


def fold_masks(real: torch.Tensor) -> list[torch.Tensor]:
    """Masks (B, T) that hide each token of real (B, T) exactly once, about one in N_FOLDS at a time, all over the window."""
    place = torch.arange(real.shape[1], device=real.device)
    fold = (place * 5 + place // N_FOLDS) % N_FOLDS
    masks = [(fold == number) & real for number in range(N_FOLDS)]
    return [mask for mask in masks if bool(mask.any())]


def _visible_means(z: torch.Tensor, batch: Batch, mask: torch.Tensor) -> torch.Tensor:
    """(B, T, 1): the mean visible value of the token's class in its window; 0 where none is visible."""
    visible = (batch.present & ~mask.unsqueeze(-1)).to(z.dtype)
    same = (batch.ids[..., 4].unsqueeze(2) == batch.ids[..., 4].unsqueeze(1)).to(z.dtype)
    total, count = same @ (z * visible).sum(-1, keepdim=True), same @ visible.sum(-1, keepdim=True)
    return total / count.clamp_min(1)
