"""What changes while a model is trained, written aside and read again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from metarep.model.graphs import Recorder
from metarep.model.objectives import Objective

COUNTED = ("step", "best_loss", "log")
"""What a checkpoint holds of a training state beside tensors."""


@dataclass
class TrainingState:
    """What changes while training; `best` are the weights of the objective's encoder, `recorder` replays steps on a GPU."""

    objective: Objective
    optimiser: torch.optim.AdamW
    best: dict[str, torch.Tensor]
    best_loss: float
    step: int
    log: list[dict]
    recorder: Recorder | None = None


def copy_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a model as they are now."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def save_state(state: TrainingState, checkpoint: Path) -> None:
    """Writes the whole state aside, whole or not at all."""
    parts = {"objective": state.objective.state_dict(), "optimiser": state.optimiser.state_dict(), "best": state.best}
    aside = checkpoint.with_name(checkpoint.name + ".tmp")
    torch.save(parts | {name: getattr(state, name) for name in COUNTED}, aside)
    aside.rename(checkpoint)


def restore_state(state: TrainingState, checkpoint: Path, device: str) -> None:
    """Takes the state to where `save_state` left it."""
    held = torch.load(checkpoint, map_location=device, weights_only=True)
    state.objective.load_state_dict(held["objective"])
    state.optimiser.load_state_dict(held["optimiser"])
    state.best = held["best"]
    for name in COUNTED:
        setattr(state, name, held[name])
