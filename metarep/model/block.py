"""One block of the transformer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Attention within each window, then an MLP, both on the normalised residual stream."""

    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.attention_out = nn.Linear(d_model, d_model)
        self.mlp_in, self.mlp_out = nn.Linear(d_model, 4 * d_model), nn.Linear(4 * d_model, d_model)

    def forward(
        self, x: torch.Tensor, shapes: Sequence[tuple[int, int]], biases: Sequence[torch.Tensor | None]
    ) -> torch.Tensor:
        """x (N, D) holds segments of shapes (B, T) one behind the other; biases (heads, T, T) are added to their attention."""
        qkv = self.qkv(self.norm_attention(x))
        parts = qkv.split([b * t for b, t in shapes])
        mixed = [self._attend(part.view(*shape, -1), bias) for part, shape, bias in zip(parts, shapes, biases, strict=True)]
        x = x + self.attention_out(mixed[0] if len(mixed) == 1 else torch.cat(mixed))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.norm_mlp(x))))

    def _attend(self, qkv: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """(B · T, D). Written out in training on the CPU, whose fused kernel takes no bias that has a gradient."""
        b, t, width = qkv.shape
        q, k, v = qkv.view(b, t, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        if qkv.is_cuda or not torch.is_grad_enabled():
            bias = None if bias is None else bias.expand(b, self.n_heads, t, t)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).reshape(b * t, -1)
        scores = (q * (width // 3 // self.n_heads) ** -0.5) @ k.transpose(-1, -2)
        if bias is not None:
            scores = scores + bias
        return (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(b * t, -1)
