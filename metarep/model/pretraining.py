"""Pretraining on the training networks of one or several zoos: the best checkpoint by validation loss.

Every step draws its windows, masks and augmentation from (seed, step) alone, and every `eval_every` steps the whole state is
written aside. So a run that was interrupted carries on and ends with the same weights as one that never was.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from metarep.artefact import open_artefact, partial_path, write_whole, writing
from metarep.devices import fast_products, is_gpu
from metarep.errors import MetarepError
from metarep.model.batches import Batch, Segment
from metarep.model.behaviour import space_name
from metarep.model.data import (
    MAX_POOL,
    Cohort,
    TrainingData,
    WholeNetworks,
    cohorts_of,
    read_probes,
    training_data,
)
from metarep.model.fitting import ask_behaviour, fill_pools, fit_statistics
from metarep.model.graphs import Recorder
from metarep.model.masks import MaskRule, random_masks
from metarep.model.mixture import MAX_VALUES, MIN_ROWS, unitwise
from metarep.model.objectives import Cloze, Objective, build_objective, on_device
from metarep.model.optimiser import build_optimiser, learning_rate, set_rate
from metarep.model.settings import PretrainConfig
from metarep.model.state import TrainingState, copy_of, restore_state, save_state
from metarep.model.team import ALONE, Team, joined_team
from metarep.model.transformer import ClozeModel
from metarep.model.workers import Drawn, drawn_by_workers
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.zoo import Zoo, open_zoo, say_left_out

KIND = "model"
CHECKPOINT = "checkpoint.pt"
MIN_SHARED = 8
"""Slots of an architecture are standardised one by one where at least so many training networks share it."""
MAX_POSITIONS = 4096
"""Longer fixed axes have no learned vectors; Fourier features say where a token stands there."""
MOST_STEPS, LEAST_STEPS, STEPS_A_WINDOW, MOST_COPIES = 4000, 300, 20, 4
"""Steps of the optimiser where the settings leave open how many, and how often a step then shows a window on average."""
N_DRAWING = max(1, min(6, (os.cpu_count() or 1) - 1))
"""Processes that draw batches for a GPU."""


@dataclass
class Prepared:
    """Everything that training starts from."""

    config: PretrainConfig
    model: ClozeModel
    objective: Objective
    train: TrainingData
    valid: TrainingData


def pretrain(
    config: PretrainConfig,
    zoos: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Trains a model on the training networks of one or several zoos into the folder `out` and returns it.

    Networks with NaN or infinity are left out. Raises MetarepError without at least two others in each split of all zoos
    together, and where behaviour is asked for and of no network known.
    """
    with joined_team(device) as team:
        return _pretrain(config, zoos, Path(out), team, overwrite, progress or Progress())


def _pretrain(
    config: PretrainConfig, zoos: Path | str | Sequence[Path | str], out: Path, team: Team, overwrite: bool, progress: Progress
) -> Path:
    progress, device = progress if team.leads else Progress(), team.device
    subjects = [open_zoo(zoo).finite() for zoo in ([zoos] if isinstance(zoos, Path | str) else zoos)]
    for one in subjects:
        say_left_out(one, progress)
    require_networks(subjects)
    inputs = {"zoo" if len(subjects) == 1 else f"zoo_{i}": one.artefact for i, one in enumerate(subjects)}
    how = {"config": config.resolved(), "seed": config.seed, "inputs": inputs, "overwrite": overwrite}
    with team.written_by_the_first(writing(out, KIND, **how, resume=True), partial_path(out)) as folder:
        prepared = prepare(config, subjects, progress=progress)
        state = start_or_resume(prepared, folder / CHECKPOINT, team)
        team.wait()
        with fast_products(device):
            run_training(prepared, state, folder / CHECKPOINT, team, progress)
        if not team.leads:
            return out
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        model = state.objective.encoder.eval()
        model.load_state_dict(state.best)
        model.to("cpu").save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        write_whole(folder / "log.csv", to_csv(state.log))
        (folder / CHECKPOINT).unlink()
    return out


def load_model(path: Path | str, *, device: str = "cpu") -> ClozeModel:
    """The model of a finished artefact, ready to embed. Raises MetarepError for a damaged one."""
    artefact = open_artefact(path, KIND, check_hashes=True)
    with redirect_stdout(io.StringIO()):  # the Hub's loader prints where it reads from
        model = ClozeModel.from_pretrained(artefact.path, local_files_only=True)
    return model.to(device).eval()


def require_networks(subjects: Sequence[Zoo]) -> None:
    """Raises MetarepError where a split of all zoos together has fewer than two finished networks."""
    counts = {
        name: sum(int((one.is_final & (one.split == name)).sum()) for one in subjects) for name in ("train", "valid", "test")
    }
    if min(counts.values()) < 2:
        met = ", ".join(f"{n} {split}" for split, n in counts.items()) + " networks"
        raise MetarepError(
            "too few networks to pretrain on", met=met, expected="at least 2 of each", fix="add networks or zoos"
        )


def prepare(config: PretrainConfig, subjects: Sequence[Zoo], *, progress: Progress) -> Prepared:
    """Data, model and objective, freshly initialised from the seed."""
    chunk = config.chunk or chosen_chunk(subjects, config.context)
    cohorts = cohorts_of(subjects, "train", config, chunk)
    torch.manual_seed(config.seed)
    model = build_model(config, cohorts, chunk)
    spaces = {} if model.decoder is None else dict(deepcopy(model.decoder.spaces).items())  # the model's go to its device
    train = training_data(cohorts, config, split="train", spaces=spaces, progress=progress)
    others = cohorts_of(subjects, "valid", config, chunk)
    valid = training_data(others, config, split="valid", spaces=spaces, progress=progress)
    if config.n_gaussians and not model.mixtures:
        progress.say("pretrain: no mixtures, since no window shows units of one layer that at least 8 networks have")
    fit_statistics(config, model, train)
    config = with_steps(config, len(train), progress)
    alone = len(train.sources) == 1 and isinstance(train.sources[0], WholeNetworks)
    subject = train.sources[0] if alone else None
    return Prepared(config, model, build_objective(config, model, subject), train, valid)


def with_steps(config: PretrainConfig, n_windows: int, progress: Progress) -> PretrainConfig:
    """The settings with as many steps as suit so many training windows, where they leave it open; a short training has small
    batches, and warms up and validates in fifths.
    """
    if config.n_steps is not None:
        return config
    n_steps = min(MOST_STEPS, max(LEAST_STEPS, STEPS_A_WINDOW * n_windows))
    batch_size = min(config.batch_size, max(16, MOST_COPIES * n_windows))
    if n_steps < MOST_STEPS:
        few = f"{n_steps:,} steps of {batch_size} windows, since there are only {n_windows} windows to train on"
        progress.say(f"pretrain: {few}; --set n_steps=N asks for others (pretrain.n_steps in a run)")
    fifth = {name: min(getattr(config, name), max(1, n_steps // 5)) for name in ("warmup_steps", "eval_every")}
    return config.model_copy(update={"n_steps": n_steps, "batch_size": batch_size, **fifth})


def chosen_chunk(subjects: Sequence[Zoo], context: int) -> int:
    """A token a value where every network fits into one window so, else four values."""
    return 1 if max(one.n_params for zoo in subjects for one in zoo.architectures) <= context else 4


def build_model(config: PretrainConfig, cohorts: Sequence[Cohort], chunk: int) -> ClozeModel:
    """A freshly initialised model that knows the fixed axes and slots of some networks; torch's global generator decides."""
    axes: dict[str, int] = {}
    slots: dict[str, int] = {}
    mixed: dict[str, int] = {}
    for cohort in cohorts:
        shared = len(cohort.rows) >= MIN_SHARED
        for layout in (shape.layout for shape in cohort.plan.shapes):
            axes |= {str(axis): axis.length for axis in layout.axes if axis.length <= MAX_POSITIONS}
            slots |= {one.key: one.n for one in layout.slots if shared}
            read = unitwise(layout) if shared and config.n_gaussians else None
            if read is not None and read.index.shape[1] <= MAX_VALUES and len(cohort.rows) * len(read.index) >= MIN_ROWS:
                mixed[read.name] = read.index.shape[1]
    model = ClozeModel(
        chunk=chunk,
        context=config.context,
        overlap=config.overlap,
        d_model=config.d_model,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        head=config.head,
        n_components=config.n_components,
        positions=config.positions,
        slot_vectors=config.slot_vectors,
        predicts=config.objective == "cloze",
        bottleneck=config.bottleneck if config.decoder or config.objective == "autoencoder" else 0,
        n_decoded=cohorts[0].plan.shapes[0].layout.present.numel(),
        axes=axes,
        slots=slots,
        spaces=probe_spaces(config, cohorts) if config.behaviour_weight else None,
        mixed=mixed,
        n_gaussians=config.n_gaussians,
        gaussian_rank=config.gaussian_rank,
    )
    fill_pools(config, model)
    return model


def probe_spaces(config: PretrainConfig, cohorts: Sequence[Cohort]) -> dict[str, dict[str, float]]:
    """The spaces of probes that the networks have. Raises MetarepError where it is not known how any of them is run."""
    forwards = [cohort.forward for cohort in cohorts if cohort.forward is not None]
    if not forwards:
        fix = "state their activation (activation=relu) if they are plain chains, or set behaviour_weight=0"
        raise MetarepError("behaviour cannot be predicted of networks that cannot be run", met="no forward pass known", fix=fix)
    pool = 0 if config.probes is None else min(MAX_POOL, len(read_probes(config)))
    low, high = config.probe_range
    shared = {"low": low, "high": high, "n_pool": pool}
    return {
        space_name(one.n_inputs, one.n_outputs): {"n_inputs": one.n_inputs, "n_outputs": one.n_outputs, **shared}
        for one in forwards
    }


def draw_batch(
    config: PretrainConfig, model: ClozeModel, data: TrainingData, step: int
) -> tuple[list[Segment], list[torch.Tensor], torch.Generator]:
    """Segments, masks and the generator of whatever else the step draws, by (seed, step) alone."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step + 1)
    batch, masks = [], []
    for source, rows in data.at(step, config).draw(config.batch_size, generator):
        for segment in source.segments(rows, config, generator=generator):
            mask = random_masks(segment, mask_rule(config, step), generator=generator)
            batch.append(ask_behaviour(config, model, source, segment, ~mask.flatten(1).any(dim=1), generator))
            masks.append(mask)
    return batch, masks, generator


def batches_ahead(prepared: Prepared, first: int, device: str) -> Iterator[Drawn]:
    """What each step from `first` on is trained on, on the device. For a GPU other processes draw it ahead; it depends on the
    step alone.
    """
    config, data = prepared.config, prepared.train
    model = deepcopy(prepared.model).cpu() if is_gpu(device) else prepared.model  # processes must not touch the GPU
    draw, steps = partial(draw_batch, config, model, data), range(first, config.n_steps)
    drawn = map(draw, steps)
    if is_gpu(device):
        drawn = drawn_by_workers(draw, steps, data.layouts, n_workers=N_DRAWING)
    for batch, masks, generator in drawn:
        batch, masks = on_device(batch, masks, device)
        yield [prepared.objective.model.guessed(*pair) for pair in zip(batch, masks, strict=True)], masks, generator


def mask_rule(config: PretrainConfig, step: int | None = None) -> MaskRule:
    """The masks that the config asks for, at a step of training or in the end."""
    none = config.unmasked_share if config.behaviour_weight else 0.0
    growing = config.mask_growth * (config.n_steps or 0)
    share = 1.0 if step is None or step >= growing else step / growing
    ratio = (config.mask_ratio_min, config.mask_ratio_min + share * (config.mask_ratio_max - config.mask_ratio_min))
    return MaskRule(ratio, units=config.unit_mask_share, values=config.value_mask_share, none=none)


def start_or_resume(prepared: Prepared, checkpoint: Path, team: Team) -> TrainingState:
    """A fresh state, or the one that an interrupted run left."""
    device, config = team.device, prepared.config
    objective = prepared.objective.to(device)
    objective.everywhere = is_gpu(device)
    optimiser = build_optimiser(config, objective)
    is_whole = team.size == config.accumulate == 1
    recorder = Recorder() if is_gpu(device) and isinstance(objective, Cloze) and is_whole else None  # others draw within a step
    state = TrainingState(objective, optimiser, copy_of(objective.encoder), math.inf, 0, [], recorder)
    if checkpoint.is_file():
        restore_state(state, checkpoint, device)
    return state


def run_training(prepared: Prepared, state: TrainingState, checkpoint: Path, team: Team, progress: Progress) -> None:
    """Takes the state from its step to the last one; evaluates and writes it aside every `eval_every` steps."""
    config, device, running, note = prepared.config, team.device, [], ""
    batches = batches_ahead(prepared, state.step, device)
    with progress.task("pretrain", config.n_steps, "steps", done=state.step) as task:
        while state.step < config.n_steps:
            running.append(train_step(config, state, *next(batches), team=team))
            state.step += 1
            if team.leads and (state.step % config.eval_every == 0 or state.step == config.n_steps):
                row = evaluate(prepared, state, device, train_loss=float(torch.stack(running).mean()))
                state.log.append(row)
                running = []
                note = ", ".join(f"{name.replace('_', ' ')} {row[name]:.3f}" for name in list(row)[2:-1])
                save_state(state, checkpoint)
            task.advance(1, note)


def train_step(
    config: PretrainConfig,
    state: TrainingState,
    batch: Batch,
    masks: Sequence[torch.Tensor],
    generator: torch.Generator,
    *,
    team: Team = ALONE,
) -> torch.Tensor:
    """One step of AdamW on one batch, or the replay of one; returns the loss."""
    set_rate(state.optimiser, learning_rate(config, state.step))
    state.objective.train()

    def whole(batch: Batch, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        loss = state.objective.loss(batch, masks, generator=generator)
        loss.backward()
        return loss.detach()

    def shared(batch: Batch, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        counts, total = state.objective.counts(batch, masks), torch.zeros((), device=team.device)
        for piece in team.pieces(batch, masks, config.accumulate):
            loss = state.objective.share(*piece, counts)
            loss.backward()
            total += loss.detach()
        return team.add_up([one for one in state.objective.parameters() if one.requires_grad], total)

    def descend(batch: Batch, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        state.optimiser.zero_grad(set_to_none=True)
        loss = whole(batch, masks) if team.size == config.accumulate == 1 else shared(batch, masks)
        torch.nn.utils.clip_grad_norm_(state.objective.parameters(), config.grad_clip)
        state.optimiser.step()
        state.objective.after_step()
        return loss

    return descend(batch, masks) if state.recorder is None else state.recorder(descend, batch, masks)


def evaluate(prepared: Prepared, state: TrainingState, device: str, *, train_loss: float) -> dict:
    """A row of the log: loss and further metrics on validation windows, always under the same masks and draws."""
    config, objective = prepared.config, state.objective.eval()
    generator = torch.Generator().manual_seed(config.seed)
    losses, metrics, weights = [], [], []
    with torch.no_grad():
        for drawn in prepared.valid.everything(8 * config.batch_size):
            pieces = [(source, piece) for source, rows in drawn for piece in source.segments(rows, config, generator=None)]
            masks = [random_masks(piece, mask_rule(config), generator=generator) for _, piece in pieces]
            asked = [ask_behaviour(config, prepared.model, *pair, torch.zeros(0), generator) for pair in pieces]
            asked, masks = on_device(asked, masks, device)
            asked = [objective.model.guessed(*pair) for pair in zip(asked, masks, strict=True)]
            losses.append(float(objective.loss(asked, masks, generator=generator)))
            metrics.append(objective.metrics(asked, masks))
            weights.append(sum(len(segment) for segment in asked))
    loss = float(np.average(losses, weights=weights))
    if loss < state.best_loss:
        state.best, state.best_loss = copy_of(objective.encoder), loss
    found = {name: float(np.average([one[name] for one in metrics], weights=weights)) for name in metrics[0]}
    now = {"step": state.step, "train_loss": train_loss, "valid_loss": loss}
    return now | found | {"lr": learning_rate(config, state.step - 1)}
