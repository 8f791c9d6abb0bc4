"""AdamW and its learning rate."""

from __future__ import annotations

import math

import torch

from metarep.devices import is_gpu
from metarep.model.settings import PretrainConfig


def build_optimiser(config: PretrainConfig, objective: torch.nn.Module) -> torch.optim.AdamW:
    """AdamW; matrices decay, vectors do not."""
    trained = [p for p in objective.parameters() if p.requires_grad]
    matrices, vectors = [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    device, how = trained[0].device, {"betas": (0.9, 0.99), "fused": True}
    if is_gpu(device):  # a recorded step reads the rate where it lies
        return torch.optim.AdamW(groups, lr=torch.tensor(config.lr, device=device), capturable=True, **how)
    return torch.optim.AdamW(groups, lr=config.lr, **how)


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Linear warm-up, then a half cosine down to a twentieth; `step` counts from 0."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    share = (step - config.warmup_steps) / max(1, config.n_steps - config.warmup_steps)
    return config.lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def set_rate(optimiser: torch.optim.AdamW, rate: float) -> None:
    """Sets the learning rate, in place where it lies on a GPU."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
