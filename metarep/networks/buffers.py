"""Tensors that are kept with the weights and that nothing trains, by their names and shapes.

Masks, position tables by formula, rotary frequencies, anchors, mel filters, schedules of diffusion, statistics of inputs,
weights of classes in a loss, counters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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
