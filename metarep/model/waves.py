"""Fourier features of positions along an axis."""

from __future__ import annotations

import math

import torch

N_FREQUENCIES = 8


def waves_at(share: torch.Tensor) -> torch.Tensor:
    """(…, 2 · N_FREQUENCIES): sines and cosines of positions in [0, 1), the slowest of half a period over the axis."""
    angle = share.unsqueeze(-1) * math.pi * 2.0 ** torch.arange(N_FREQUENCIES, device=share.device)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def moved_waves(waves: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The waves (T, F) of positions that lie further on by shares (B, T) of their axis, (B, T, F)."""
    sine, cosine = waves.chunk(2, dim=-1)
    further, along = waves_at(share).chunk(2, dim=-1)
    return torch.cat([sine * along + cosine * further, cosine * along - sine * further], dim=-1)
