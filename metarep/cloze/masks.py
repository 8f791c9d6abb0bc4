"""Which parameters are hidden. True means hidden from the model."""

from __future__ import annotations

import torch

from metarep.cloze.tokens import Layout


def random_masks(
    layout: Layout,
    n: int,
    *,
    ratio: tuple[float, float],
    unit_share: float,
    generator: torch.Generator,
    whole_share: float = 0.0,
) -> torch.Tensor:
    """(n, T) bool: each network hides a random share of its parameters, between the two ratios.

    Of a share `unit_share` of the networks one hidden unit is hidden instead, with all its
    incoming and outgoing parameters. Every network hides at least one parameter and shows at
    least one, save the share `whole_share` that hides none: there is behaviour to predict.
    """
    t = layout.n_tokens
    share = ratio[0] + (ratio[1] - ratio[0]) * torch.rand(n, 1, generator=generator)
    draw = torch.rand(n, t, generator=generator)
    order = draw.argsort(dim=1).argsort(dim=1)
    n_hidden = (share * t).round().clamp(1, max(t - 1, 1))
    masks = order < n_hidden
    if layout.hidden_units and unit_share > 0:
        unit_masks = torch.zeros(len(layout.hidden_units), t, dtype=torch.bool)
        for unit, indices in enumerate(layout.hidden_units):
            unit_masks[unit, torch.from_numpy(indices)] = True
        chosen = torch.randint(len(unit_masks), (n,), generator=generator)
        whole = torch.rand(n, 1, generator=generator) < unit_share
        masks = torch.where(whole, unit_masks[chosen], masks)
    if whole_share > 0:
        masks &= torch.rand(n, 1, generator=generator) >= whole_share
    return masks


def leave_one_out_masks(layout: Layout) -> torch.Tensor:
    """(T, T) bool: row t hides parameter t alone."""
    return torch.eye(layout.n_tokens, dtype=torch.bool)
