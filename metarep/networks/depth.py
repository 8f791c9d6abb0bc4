"""The order of tensors in depth, where a file has lost it and names are all there is.

A safetensors file keeps its tensors sorted by name. Numbers in names are compared as numbers, and words that usually
stand early or late in a network (embeddings, heads) go there; the rest is alphabetical. This is a guess, and
it decides nothing but the order: names, values and kinds do not hang on it.
"""

from __future__ import annotations

import re
from typing import Any

from metarep.networks.naming import Parts

_WORDS = (
    r"emb|embed.*|.*_embed(ding)?s?|tok.*|wte|wpe|stem|patch.*|shared|cls_token|class_emb.*|pos_.*|position.*",
    r"input|in|inp|input_(?!.*norm).*|first|first_.*|start|initial|initial_.*|init_.*"
    r"|(fc|conv|lin|linear|proj|layer|dense)_?(in|first|init|start)",
    r"enc|encoder",
    r"input_?layer_?norm|ln_?1|norm_?1|layer_?norm_?1|attention_norm|layernorm_before|.*attn_layer_norm",
    r".*attn|.*attention|self",
    r"q|q_.*|wq|query|.*_q",
    r"k|k_.*|wk|key|.*_k",
    r"v|v_.*|wv|value|.*_v",
    r"post_attention_.*|ln_?2|norm_?2|layer_?norm_?2|ffn_norm|layernorm_after",
    r"conv.*|bn|batch_?norm|features|cnn",
    "",  # whatever is not named here
    r"fc|lin|linear|dense|mlp|feed_forward|ffn",
    r"down_proj|c_proj",
    r"dec|decoder",
    r".*norm|ln|ln_f|norm_f",
    r"head|.*_head|classifier|output|out|.*logits|score|cls|pooler|fc_out|out_proj|o_proj|to_out|wo|o|embed_out|unembed"
    r"|(fc|conv|lin|linear|layer|dense)_?out|output_.*|out_.*",
    r"final|final_(?!.*norm).*|last|last_(?!.*norm).*|end|.*(?<!norm)_(final|last|end)",
)
_RANKS = tuple((rank, re.compile(f"({words})$", re.I)) for rank, words in enumerate(_WORDS) if words)
_MIDDLE = _WORDS.index("")
EARLY = frozenset(range(_WORDS.index(r"enc|encoder") + 1))
LATE = frozenset(range(_WORDS.index(r"dec|decoder"), len(_WORDS)))
"""Ranks of words for the beginning and the end of a network."""
_LEAVES = (
    *("weight", "kernel", "recurrent_kernel", "w", "gamma", "scale", "in_proj_weight", "weight_ih", "weight_hh"),
    *("in_proj_bias", "bias", "bias_ih", "bias_hh", "b", "beta"),
)
_LAST_LEAVES = ("running_mean", "running_var", "num_batches_tracked")
_NUMBERED = re.compile(r"(.*?)_?(\d+)$")
_RECURRENT_LEAF = re.compile(r"(.+)_l(\d+)(_reverse)?$")


def depth_key(parts: Parts) -> tuple[Any, ...]:
    """Sorts names as the tensors probably stand in the network."""
    return (module_key(parts.module), _leaf_key(parts.leaf))


def module_key(module: tuple[str, ...]) -> tuple[tuple[int, int, int, str], ...]:
    """Sorts modules so; for each component its rank by word, its number, whether it is a norm, and the component itself."""
    return tuple(_component_key(part) for part in module)


def numbered(part: str) -> tuple[str, int]:
    """The word and the number of a component: ("fc", 2) of "fc2", ("", 3) of "3"; -1 where it has none."""
    match = _NUMBERED.match(part)
    return (match[1], int(match[2][:18])) if match else (part, -1)


def _component_key(part: str) -> tuple[int, int, int, str]:
    word, number = numbered(part)
    whole = next((rank for rank, words in _RANKS if words.match(part)), None)
    rank = next((rank for rank, words in _RANKS if words.match(word)), _MIDDLE) if whole is None else whole
    return (rank, number, int("norm" in word.lower() or word.lower() == "bn"), part)


def _leaf_key(leaf: str) -> tuple[int, int, int, str]:
    number = 0
    if match := _RECURRENT_LEAF.match(leaf):
        leaf, number = match[1], 2 * int(match[2][:18]) + bool(match[3])
    if leaf in _LAST_LEAVES:
        return (1, number, _LAST_LEAVES.index(leaf), leaf)
    return (0, number, _LEAVES.index(leaf) if leaf in _LEAVES else len(_LEAVES), leaf)
