"""Tensors that are kept with the weights and that nothing trains: by their names and shapes, and by their values.

Masks, position tables by formula, rotary frequencies, anchors, mel filters, schedules of diffusion, statistics of inputs,
weights of classes in a loss, counters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch

BUFFER_NAMES = (
    # places and masks
    r"position_ids|token_type_ids|(.*_)?index(es)?|indices|.*coords_table|(.*_)?masks?|masked_bias|ignore|tril|triu|causal",
    r"(.*_)?inv_freqs?|freqs(_cis)?|freq_bands|(cos|sin)(_cached?)?|rope_cache",
    # signals, pictures, physics
    r"anchors?(_grid|_points)?|strides?|(mel_)?filters?|mel_(fb|basis|scale)|fb|(.*_)?window|dct_mat|normal_vectors?|grid",
    # what losses weigh, what normalises inputs
    r"(class|cls|pos|ce|loss|sample)_?weights?|prior(_counts)?",
    r"(input|in|x|obs|state|data|pixel|image|target|y|feature|act|action|output|out|ret)s?_(mean|std|var|rms|min|max|low|high)s?",
    r"(input|obs|data|pixel|image|state)_(scale|shift|bias|offset)|means?|std(ev|s)?|mean_?std|norm_(mean|std)|scaler_(mean|scale)",
    # schedules of diffusion
    r"(.*_)?alphas(_.*)?|betas|sigmas|log_sigmas|(log_|sqrt_)?one_minus_.*|(sqrt_)?(recip|recipm1)_.*|posterior_.*|timesteps",
    # counters and flags
    r"(.*_)?(steps?|iterations?|iters?|epochs?|num_updates|calls)|counts?|counter|(.*_)(count|counter)|n_(seen|calls|steps)",
    r"initted|initiali[sz]ed|is_init(iali[sz]ed)?|version|decay|cluster_size|embed_avg|zero_point|scaling_factor|eps(ilon)?",
    r"(.*_)?dummy(_.*)?|_?device_(indicator|param|tensor)|_extra_state",
)
"""Leaves of names, in lower case, that say so. Those in `BESIDE_WEIGHTS` do so only where no weight stands beside them."""

BESIDE_WEIGHTS = re.compile(r"means?|stds?|filters?|grid|scaling_factor|betas|sigmas")
_NAMES = re.compile("|".join(BUFFER_NAMES))
_LOSS = re.compile(
    r"(?:^|\.)(?:loss\w*|\w*_loss|criterion|loss_f(?:n|unction|unc)|lpips|perceptual\w*|metrics?|\w*_metrics?)\."
)
_INPUTS = re.compile(
    r"(?:^|\.)(?:\w*normali[sz]er\w*|\w*scaler|\w*rms|obs_norm|ret_rms|(?:input|output)_?norm(?:ali[sz]ation)?)\."
)
_TABLE = re.compile(r"(?:^|\.)(?:pos\w*enc\w*|pe|sin\w*|positional_?encod\w*)\.pe$|(?:^|\.)(?:rope|rotary\w*)\.\w+$")
_SQUARE_BIAS = re.compile(r"(?:^|\.)(?:\w*attn|\w*attention)\.bias$")

Shape = tuple[int, ...]


def is_buffer(name: str, leaf: str, shape: Shape, siblings: Mapping[str, Shape]) -> bool:
    """Whether a tensor's name and shape say that nothing trains it.

    `name` is the whole name with dots between its components, `leaf` its last one, `siblings` the leaves beside it.
    """
    name, leaf = name.lower(), leaf.lower()
    if _SQUARE_BIAS.search(name) and len(shape) > 2 and shape[-1] == shape[-2]:
        return True  # GPT-2's causal mask
    if _TABLE.search(name) or (_LOSS.search(name) and len(shape) < 2):
        return True
    if _INPUTS.search(name) and len(shape) < 2:
        return leaf not in ("weight", "bias", "gamma", "beta")
    if not _NAMES.fullmatch(leaf):
        return False
    weights = any(len(other) > 1 for key, other in siblings.items() if key != leaf)
    return not (BESIDE_WEIGHTS.fullmatch(leaf) and (weights or len(shape) > 1))


def buffers_by_value(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """The tensors whose values nothing trains, with why: infinities, triangles of 0 and 1, tables of sines.

    Layers that are all 0 or all 1 are none: that is how biases and norms begin.
    """
    found = {}
    for name, value in tensors.items():
        if value.is_floating_point() and value.numel() and (why := _why(value.detach())):
            found[name] = why
    return found


def constant(networks: Sequence[Mapping[str, torch.Tensor]]) -> tuple[str, ...]:
    """The tensors that are equal bit for bit in all networks, where at least one other tensor differs; () for one network."""
    if len(networks) < 2:
        return ()
    first, others = networks[0], networks[1:]
    same = [name for name, value in first.items() if all(name in one and torch.equal(one[name], value) for one in others)]
    return tuple(same) if len(same) < len(first) else ()


def _why(value: torch.Tensor) -> str | None:
    if bool(torch.isinf(value).any()):
        return "holds infinities" if not bool(torch.isnan(value).any()) else None
    if value.ndim >= 2 and value.shape[-1] == value.shape[-2] > 1 and _is_triangle(value.reshape(-1, *value.shape[-2:])[0]):
        return "is a triangular mask"
    if value.ndim >= 2 and _is_table_of_sines(value.reshape(-1, value.shape[-1]).float()):
        return "is a table of sines"
    return None


def _is_triangle(square: torch.Tensor) -> bool:
    """Whether a square of 0 and 1 (or 0 and one very negative number) is a triangle."""
    low = square[0, -1] if square[0, -1] != 0 else square[-1, 0]
    if low == 0 or not (low == 1 or low <= -1e4):
        return False
    flags = (square == low).int()
    whole = bool(((square == low) | (square == 0)).all())
    return whole and any(
        torch.equal(flags, turn(torch.ones_like(flags), d)) for turn in (torch.tril, torch.triu) for d in (-1, 0, 1)
    )


def _is_table_of_sines(rows: torch.Tensor) -> bool:
    """Whether the columns of (places, width) are sines and cosines of the place, in pairs side by side or in two halves.

    Each pair lies on the unit circle; the first column's steps turn by a fixed angle (Vaswani et al., 2017).
    """
    n, d = rows.shape
    if n < 3 or d < 4 or d % 2 or float(rows.abs().max()) > 1.0001:
        return False
    for a, b in ((rows[:, 0::2], rows[:, 1::2]), (rows[:, : d // 2], rows[:, d // 2 :])):
        if bool(((a.square() + b.square() - 1).abs() < 1e-3).all()):
            turned = a[1:] * b[:-1] - b[1:] * a[:-1]
            return bool((turned.std(dim=0) < 1e-2).all())
    return False
