"""What the name and shape of a tensor say about it: its operation, its role there, and its position in depth.

Names are split into components ("layers.3.self_attn.q_proj.weight"); the last is the leaf, the others the module. A
tensor is judged beside its siblings, the other leaves of the same module: a scale is a batch norm's where there are
running statistics, an RMS norm's where a norm has no shift. What no rule knows is `other`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]

OTHER = "other"
WEIGHT_LEAVES = frozenset({"weight", "kernel", "w", "gamma", "scale", "embedding", "weight_orig", "g"})
BIAS_LEAVES = frozenset({"bias", "b", "beta", "offset"})
LISTED = {
    **dict.fromkeys(("weights", "weight_list", "ws", "kernels"), "weight"),
    **dict.fromkeys(("biases", "bias_list", "bs"), "bias"),
}
"""Lists of parameters (weights.0, biases.0), and leaves of TensorFlow's slim (fc1/weights), by what their entries are."""

PARAMETRIZED = {"original": "", "original0": "_g", "original1": "_v"}
"""Leaves of PyTorch's parametrizations (conv.parametrizations.weight.original1), by what it called them before: weight_v."""

INTERPRETABILITY = {
    **{"w_e": ("embed", "embedding"), "w_pos": ("pos_embed", "embedding"), "w_u": ("unembed", "w"), "b_u": ("unembed", "b")},
    **{
        f"{side}_{part}": (part, side)
        for side in "wb"
        for part in ("q", "k", "v", "o", "in", "out", "gate", "enc", "dec", "ln")
    },
}
"""Leaves of TransformerLens and SAELens (W_Q, b_in, W_enc), by the module and the leaf that they stand for."""

RUNNING = {
    "running_mean": "running_mean",
    "moving_mean": "running_mean",
    "running_var": "running_var",
    "moving_variance": "running_var",
    "num_batches_tracked": "counter",
}
KERAS_RECURRENT = {"kernel": "input", "recurrent_kernel": "hidden", "bias": "bias"}
RECURRENT = {
    "weight_ih": "input",
    "weight_hh": "hidden",
    "bias_ih": "input_bias",
    "bias_hh": "hidden_bias",
    "weight_hr": "projection",
}
KINDS_BY_AXES = {2: "linear", 3: "conv1d", 4: "conv2d"}
GATES = {4: "lstm", 3: "gru"}
"""Rows of a recurrent weight for each hidden unit."""

FUSED_LEAVES = {
    "in_proj_weight": "qkv",
    "in_proj_bias": "qkv_bias",
    "q_proj_weight": "query",
    "k_proj_weight": "key",
    "v_proj_weight": "value",
    "bias_k": "key_bias",
    "bias_v": "value_bias",
}
"""Leaves of PyTorch's MultiheadAttention."""

GRAPH_ATTENTION = ("att", "att_src", "att_dst", "att_edge", "att_l", "att_r", "attn_l", "attn_r")
"""Leaves (1, heads, units) of attention over graphs, as PyTorch Geometric and DGL have it."""

PROJECTIONS = {
    "query": ("q_proj", "query", "q", "wq", "to_q", "q_lin", "query_proj", "linear_q"),
    "key": ("k_proj", "key", "k", "wk", "to_k", "k_lin", "key_proj", "linear_k"),
    "value": ("v_proj", "value", "v", "wv", "to_v", "v_lin", "value_proj", "linear_v"),
    "qkv": ("qkv", "qkv_proj", "c_attn", "query_key_value", "in_proj", "wqkv", "to_qkv", "w_pack", "attn_qkv"),
    "key_value": ("kv", "kv_proj", "to_kv", "wkv"),
    "output": ("o_proj", "out_proj", "dense", "c_proj", "proj", "wo", "to_out", "out", "o", "out_lin", "output", "linear_out"),
}
ROLE_OF_PROJECTION = {name: role for role, names in PROJECTIONS.items() for name in names}
UNMISTAKABLE = frozenset(
    {"q_proj", "k_proj", "v_proj", "qkv_proj", "to_q", "to_k", "to_v", "to_qkv", "query_key_value", "wqkv"}
)
"""Projections that are attention's wherever they stand."""

_ATTENTION = re.compile(
    r"((self|cross|enc_?dec|encoder|multi_?head(_?dot_?product)?|causal)?_?(attn|attention|mha|mhsa)_?\d*|sa(_heads?)?)$", re.I
)
_NORM = re.compile(r"(.*_)?(.*norm|ln|bn|gn)(_?[\da-z]{1,2})?$", re.I)
_BATCH_NORM = re.compile(r"(.*_)?(batch_?norm|bn)_?\d*[a-z]?(_\d+)?$", re.I)
_FOREIGN_NORM = re.compile(r"(.*_)?(group_?norm|gn|instance_?norm|in_norm)_?\d*$", re.I)
_EMBEDDING = re.compile(
    r"(.*_)?(embed|embedding|embeddings|emb|wte|wpe|embed_?tokens|embed_?positions|lookup|shared|relative_attention_bias)"
    r"_?(tokens?|positions?|table)?_?\d*$",
    re.I,
)
_EMBEDDING_LEAF = re.compile(r"(pos_embed(ding)?|position(al)?_embeddings?|pos_embedding|embeddings?|emb|wte|wpe)$", re.I)
_RECURRENT = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)(_l\d+)?(_reverse)?$")
_JOINED = re.compile(r"(.+)_(weight|bias|kernel|gamma|beta|[wW]|b)$")
_OUTPUT = re.compile(r"^([^:]+):\d+$")
_ARRAY = re.compile(r"((?:arr|array|param|params|parameter|layer|weights?|tensor|var|variable)?[._]?)(\d+)", re.I)
_MATRIX = re.compile(r"(W|b)_([A-Za-z]\w*)")
_BARE = re.compile(r"(w|weight|kernel|b|bias)_?(\d+)$", re.I)


BUFFER_NAMES = (
    # positions and masks
    r"position_ids|token_type_ids|(.*_)?index(es)?|indices|.*coords_table|(.*_)?masks?|masked_bias|ignore|tril|triu|causal",
    r"(.*_)?inv_freqs?|freqs(_cis)?|freq_bands|((rotary|rope|freqs|emb)_)?(cos|sin)(_cached?)?|rope_cache|(.*_)?alibi(_.*)?",
    # signals, pictures, physics
    r"anchors?(_grid|_points)?|strides?|(mel_)?filters?|mel_(fb|basis|scale)|fb|(.*_)?window|w(sin|cos)|(forward|inverse)_basis",
    r"dct_mat|normal_vectors?|grid",
    # what losses weigh, what normalises inputs
    r"(class|cls|pos|ce|loss|sample|lvlb|task)_?weights?|prior(_counts)?",
    r"(input|in|x|obs|state|data|pixel|image(net)?|img|mel|target|y|feature|act|action|output|out|ret)s?"
    r"_(mean|std|var|mu|sigma|rms|min|max|low|high)s?",
    r"(input|obs|data|pixel|image|state)_(scale|shift|bias|offset)|means?|var(iance)?s?|std(ev|s)?|mean_?std|norm_(mean|std)|scaler_(mean|scale)",
    # schedules of diffusion
    r"(.*_)?alphas(_.*)?|betas|(.*_)?sigmas|(log_|sqrt_)?one_minus_.*|(sqrt_)?(recip|recipm1)_.*|posterior_.*|timesteps",
    # counters and flags
    r"(.*_)?(steps?|iterations?|iters?|epochs?|num_updates|calls)|counts?|counter|(.*_)(count|counter)",
    r"n_(seen|calls|steps|averaged)",
    r"initted|initiali[sz]ed|is_init(iali[sz]ed)?|version|decay|cluster_size|embed_avg|zero_point|scaling_factor|eps(ilon)?",
    r"(.*_)?dummy(_.*)?|_?device_(indicator|param|tensor)|_extra_state",
    # what is kept from step to step
    r"_?((hidden|cell|rnn|lstm|gru)_)?states?|_context",
)
"""Leaves of names, in lower case, that say so. Those in `BESIDE_WEIGHTS` do so only where no weight stands beside them."""

BESIDE_WEIGHTS = re.compile(r"means?|var(iance)?s?|stds?|filters?|grid|scaling_factor|betas|sigmas")
_BUFFERS = re.compile("|".join(BUFFER_NAMES))
_LOSS = re.compile(
    r"(?:^|\.)(?:loss\w*|\w*_loss|criterion|loss_f(?:n|unction|unc)|lpips|perceptual\w*|metrics?|\w*_metrics?)\."
)
_INPUTS = re.compile(
    r"(?:^|\.)(?:\w*normali[sz]er\w*|\w*scaler|\w*rms|obs_norm|ret_rms|(?:input|output)_?(?:norm(?:ali[sz]ation)?|transform))\."
)
_TABLE = re.compile(
    r"(?:^|\.)(?:pos\w*enc\w*|pe|sin\w*|positional_?encod\w*)\.pe$|(?:^|\.)(?:rope|rotary\w*|i?stft(?:_?conv)?)\.\w+$"
)
_FIXED_FILTER = re.compile(
    r"(?:^|[._])(?:blur\w*|up_?sample|down_?sample|resample\w*|upfirdn|low_?pass)\.kernel$|resample_kernel$"
)
_SQUARE_BIAS = re.compile(r"(?:^|\.)(?:\w*attn|\w*attention)\.bias$")


@dataclass(frozen=True)
class Parts:
    """A name in pieces: the module's components and the leaf, the leaf in lower case."""

    module: tuple[str, ...]
    leaf: str

    @property
    def last(self) -> str:
        """The module's last component that is no number, in lower case; "" where there is none."""
        return next((part.lower() for part in reversed(self.module) if not part.isdigit()), "")

    @property
    def own(self) -> str:
        """The module's very last component, in lower case; "" where the tensor stands alone."""
        return self.module[-1].lower() if self.module else ""


@dataclass(frozen=True)
class Reading:
    """What a tensor is: kind, role, and the key of the operation that it belongs to."""

    kind: str
    role: str
    operation: str


def split_name(name: str) -> Parts:
    """The pieces of "block.0.fc1.weight", "dense/kernel:0", "fc1_weight" or "W1".

    The ":0" of TensorFlow says nothing; the number of "onnx::MatMul_12" or "onnx::1" is all that tells two tensors apart.
    Lists of parameters are turned around: "weights.0" is the weight of layer 0.
    """
    parts = [part for part in re.split(r"[./]", _OUTPUT.sub(r"\1", name)) if part] or [name]
    *module, leaf = parts
    if leaf in PARAMETRIZED and module[-2:-1] == ["parametrizations"]:
        return Parts(tuple(module[:-2]), module[-1] + PARAMETRIZED[leaf])
    if leaf.isdigit() and module and module[-1].lower() in LISTED:
        return Parts((*module[:-1], leaf), LISTED[module[-1].lower()])
    if leaf.lower() in LISTED and module:
        listed = LISTED[leaf.lower()]
        return Parts(tuple(module), "kernel" if "/" in name and listed == "weight" else listed)
    if matrix := _MATRIX.fullmatch(leaf) if leaf.lower() not in INTERPRETABILITY else None:
        return Parts((*module, matrix[2]), matrix[1].lower())
    if leaf.lower() in INTERPRETABILITY:
        own, kept = INTERPRETABILITY[leaf.lower()]
        return Parts(tuple(module) if module and module[-1] == own else (*module, own), kept)
    whole = {*FUSED_LEAVES, *RUNNING, *KERAS_RECURRENT}
    if leaf.lower() not in whole and not _RECURRENT.match(leaf):
        if bare := _BARE.match(leaf):
            return Parts((*module, bare[2]), bare[1].lower())
        if joined := _JOINED.match(leaf):  # Keras 1 names the layer twice
            return Parts(tuple(module) if module[-1:] == [joined[1]] else (*module, joined[1]), joined[2].lower())
    return Parts(tuple(module), leaf.lower())


def split_names(shapes: Mapping[str, Shape]) -> dict[str, Parts]:
    """The pieces of all names of a network.

    Where names are nothing but numbers (arr_0, arr_1 …) that take turns, a weight and then a vector as long as one of its
    axes, each two of them are weight and bias of one layer.
    """
    matches = {name: _ARRAY.fullmatch(name) for name in shapes}
    if len(shapes) < 2 or len({match and match[1] for match in matches.values()}) != 1 or None in matches.values():
        return {name: split_name(name) for name in shapes}
    names = sorted(shapes, key=lambda name: int(matches[name][2][:18]))
    found, layer = {}, ""
    for before, name in zip([None, *names], names, strict=False):
        is_bias = (
            before is not None and len(shapes[name]) == 1 and len(shapes[before]) > 1 and shapes[name][0] in shapes[before]
        )
        layer = layer if is_bias else name
        found[name] = Parts((layer,), "bias" if is_bias else "w")
    return found


def read_tensor(parts: Parts, shape: Shape, siblings: Mapping[str, Shape]) -> Reading:
    """Kind, role and operation of one tensor; `siblings` are the leaves of its module with their shapes, its own among them."""
    module = ".".join(parts.module)
    name = ".".join((*parts.module, parts.leaf))
    joined = f"{parts.own}_{parts.leaf}"  # class_weight, masked_bias
    alone = len(shape) < 2 and len(siblings) == 1 and parts.leaf == "weight"
    joined = joined if alone or joined == "masked_bias" else parts.leaf
    if 0 in shape or (
        parts.leaf not in RUNNING and any(is_buffer(name, leaf, shape, siblings) for leaf in {parts.leaf, joined})
    ):
        return Reading(OTHER, "buffer", f"{module}.{parts.leaf}")
    if parts.leaf in GRAPH_ATTENTION and len(shape) == 3 and shape[0] == 1:
        return Reading(OTHER, "query", module)
    for rule in (_recurrent, _statistics, _attention, _norm, _embedding, _affine):
        found = rule(parts, shape, siblings, module)
        if found is not None:
            return found
    if parts.leaf == "log_std" and len(shape) == 2:  # (hidden, actions), of policies whose noise depends on the state
        return Reading("linear", "weight", f"{module}.{parts.leaf}")
    return Reading(OTHER, OTHER, module or parts.leaf)


def _recurrent(parts: Parts, shape: Shape, siblings: Mapping[str, Shape], module: str) -> Reading | None:
    if match := _RECURRENT.match(parts.leaf):
        ending = (match[2] or "") + (match[3] or "")
        hidden = siblings.get("weight_hh" + ending, ())
        projection = siblings.get("weight_hr" + ending)
        units = projection[1] if projection and len(projection) == 2 else hidden[1] if len(hidden) == 2 else 0
        gates = hidden[0] // units if units and hidden[0] % units == 0 else 0
        return Reading(GATES.get(gates, OTHER), RECURRENT[match[1]], f"{module}.{ending}")
    recurrent = siblings.get("recurrent_kernel", ())  # Keras: (hidden, gates x hidden)
    gates = recurrent[1] // recurrent[0] if len(recurrent) == 2 and recurrent[0] else 0
    if gates in (1, *GATES) and parts.leaf in KERAS_RECURRENT:
        return Reading(GATES.get(gates, OTHER), KERAS_RECURRENT[parts.leaf], module)
    return None


def _statistics(parts: Parts, shape: Shape, siblings: Mapping[str, Shape], module: str) -> Reading | None:
    if not (siblings.keys() & RUNNING.keys()):
        return None
    if parts.leaf in RUNNING:
        return Reading("batch_norm", RUNNING[parts.leaf], module)
    if len(shape) == 1 and parts.leaf in WEIGHT_LEAVES | BIAS_LEAVES:
        return Reading("batch_norm", "shift" if parts.leaf in BIAS_LEAVES else "scale", module)
    return None


def _attention(parts: Parts, shape: Shape, siblings: Mapping[str, Shape], module: str) -> Reading | None:
    if parts.leaf in FUSED_LEAVES:
        return Reading("attention", FUSED_LEAVES[parts.leaf], module)
    at = max((i for i, part in enumerate(parts.module) if _ATTENTION.match(part)), default=None)
    role = ROLE_OF_PROJECTION.get(parts.last)
    inside = at is not None and at < len(parts.module) - 1
    if role is None or not (inside or parts.last in UNMISTAKABLE):
        return None
    operation = ".".join(parts.module[: at + 1] if inside else parts.module[:-1])
    if parts.leaf in WEIGHT_LEAVES and len(shape) >= 2:
        return Reading("attention", role, operation)
    if parts.leaf in BIAS_LEAVES and len(shape) in (1, 2):
        return Reading("attention", role + "_bias", operation)
    return None


def _norm(parts: Parts, shape: Shape, siblings: Mapping[str, Shape], module: str) -> Reading | None:
    weight = next((siblings[leaf] for leaf in siblings if leaf in WEIGHT_LEAVES), None)
    bias = next((siblings[leaf] for leaf in siblings if leaf in BIAS_LEAVES), None)
    if parts.leaf not in WEIGHT_LEAVES | BIAS_LEAVES or weight is None or (bias is not None and bias != weight):
        return None
    named = bool(_NORM.match(parts.last if not parts.own.isdigit() else parts.own))
    if bias is None and not (named and len(weight) == 1):
        return None
    if len(weight) != 1 and not named:
        return None
    kind = "rms_norm" if bias is None else "layer_norm"
    if _FOREIGN_NORM.match(parts.own):
        kind = OTHER
    elif _BATCH_NORM.match(parts.own):
        kind = "batch_norm"
    return Reading(kind, "shift" if parts.leaf in BIAS_LEAVES else "scale", module)


def _embedding(parts: Parts, shape: Shape, siblings: Mapping[str, Shape], module: str) -> Reading | None:
    alone = not (siblings.keys() & BIAS_LEAVES)
    if _EMBEDDING_LEAF.match(parts.leaf) and len(shape) >= 2:
        return Reading("embedding", "weight", f"{module}.{parts.leaf}")
    named = bool(_EMBEDDING.match(parts.own)) or (parts.own.isdigit() and parts.last == "embeddings")
    if named and alone and parts.leaf in WEIGHT_LEAVES and len(shape) == 2:
        return Reading("embedding", "weight", module)
    return None


def _affine(parts: Parts, shape: Shape, siblings: Mapping[str, Shape], module: str) -> Reading | None:
    """Linear and convolutional weights by their number of axes, and their biases."""
    weights = [siblings[leaf] for leaf in siblings if leaf in WEIGHT_LEAVES or leaf == "weight_v"]
    kind = next((KINDS_BY_AXES[len(weight)] for weight in weights if len(weight) in KINDS_BY_AXES), OTHER)
    if parts.leaf in WEIGHT_LEAVES and len(shape) in KINDS_BY_AXES:
        return Reading(kind, "weight", module)
    if parts.leaf in ("weight_v", "weight_g") and len(siblings.get("weight_v", ())) in KINDS_BY_AXES:
        return Reading(kind, "weight" if parts.leaf == "weight_v" else "scale", module)
    if parts.leaf in BIAS_LEAVES and len(shape) == 1:
        return Reading(kind if weights else "bias", "bias", module)
    return None


def is_buffer(name: str, leaf: str, shape: Shape, siblings: Mapping[str, Shape]) -> bool:
    """Whether a tensor's name and shape say that nothing trains it.

    `name` is the whole name with dots between its components, `leaf` its last one, `siblings` the leaves beside it.
    """
    name, leaf = name.lower(), leaf.lower()
    if _SQUARE_BIAS.search(name) and len(shape) > 2 and shape[-1] == shape[-2]:
        return True  # GPT-2's causal mask
    if _FIXED_FILTER.search(name) and not siblings.keys() & BIAS_LEAVES and len(shape) >= 2 and shape[-1] == shape[-2] > 1:
        return len(shape) == 2 or set(shape[:-2]) == {1}  # one filter for all channels
    row = len(shape) < 2 or shape[0] == 1
    if _TABLE.search(name) or (_LOSS.search(name) and row and (len(shape) < 2 or leaf != "weight")):
        return True
    if _INPUTS.search(name) and row:
        return leaf not in ("weight", "bias", "gamma", "beta")
    if not _BUFFERS.fullmatch(leaf):
        return False
    weights = any(len(other) > 1 for key, other in siblings.items() if key != leaf)
    return not (BESIDE_WEIGHTS.fullmatch(leaf) and (weights or sum(n > 1 for n in shape) > 1))
