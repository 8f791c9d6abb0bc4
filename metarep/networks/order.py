"""The order of layers in depth: by their widths where these fit, each reading as many values as the one before puts out, and
by names else.

A safetensors file keeps its tensors sorted by name. Numbers in names are compared as numbers, and words that usually stand
early or late in a network (embeddings, heads) go there; the rest is alphabetical. Where widths fit, names break ties alone, and
the order of the file comes before both where the file has one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from metarep.networks.naming import Parts

_WORDS = (
    r"emb|embed.*|.*_embed(ding)?s?|tok.*|wte|wpe|stem|patch.*|shared|cls_token|class_emb.*|pos_.*|position.*",
    r"input|in|inp|input_(?!.*norm).*|first|first_.*|start|initial|initial_.*|init_.*"
    r"|(fc|conv|lin|linear|proj|layer|dense)_?(in|first|init|start)",
    r"enc|encode|encoder",
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
    r"dec|decode|decoder",
    r".*norm|ln|ln_f|norm_f",
    r"head|.*_head|classifier|output|out|.*logits|score|cls|pooler|fc_out|out_proj|o_proj|to_out|wo|o|embed_out|unembed"
    r"|(fc|conv|lin|linear|layer|dense)_?out|output_.*|out_.*",
    r"final|final_(?!.*norm).*|last|last_(?!.*norm).*|end|.*(?<!norm)_(final|last|end)",
)
_RANKS = tuple((rank, re.compile(f"({words})$", re.I)) for rank, words in enumerate(_WORDS) if words)
_MIDDLE = _WORDS.index("")
EARLY = frozenset(range(_WORDS.index(r"enc|encode|encoder") + 1))
LATE = frozenset(range(_WORDS.index(r"dec|decode|decoder"), len(_WORDS)))
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


MAX_STEPS = 20_000
"""Layers tried before the search ends without an order."""


class Step(NamedTuple):
    """One layer: the components of its module, its sorting key, how many values it reads (None: ids) and puts out, its kind,
    and whether it is a convolution that is known to be transposed."""

    module: tuple[str, ...]
    key: tuple[Any, ...]
    n_in: int | None
    n_out: int
    kind: str
    transposed: bool = False


class Order(NamedTuple):
    """Layers from first to last, and those that could be swapped with another one of their width, of which no name tells."""

    layers: tuple[str, ...]
    doubtful: frozenset[str]


def fits(path: Sequence[Step], step: Step, *, reshaped: bool = False) -> bool:
    """Whether a layer can read what the last one of a path puts out, flattened pixels and positions of embeddings included;
    with `reshaped` also channels and pixels that a linear layer puts out."""
    if not path:
        return not step.kind.endswith("norm")
    last, n_in = path[-1], step.n_in
    if n_in is None or n_in == last.n_out:
        return n_in is not None
    if step.kind.startswith("conv") and n_in == 1:  # a filter for each channel
        return last.kind.startswith("conv") and step.n_out % last.n_out == 0
    if reshaped and step.kind.startswith("conv") and last.kind == "linear" and n_in:
        return last.n_out % n_in == 0
    source = next((one.kind for one in reversed(path) if not one.kind.endswith("norm")), "")
    return step.kind == "linear" and (source.startswith("conv") or source == "embedding") and n_in % last.n_out == 0


def is_chain(steps: Sequence[Step], *, reshaped: bool = False) -> bool:
    """Whether each layer reads what those before it put out, in the order given."""
    return all(fits(steps[:at], step, reshaped=reshaped) for at, step in enumerate(steps))


def fitted(steps: Mapping[str, Step], *, ordered: bool) -> Order | None:
    """The first order in which all layers fit; with `ordered` nothing is in doubt. None where there is none."""
    by_words = sorted(steps, key=lambda name: (steps[name].key, steps[name].module))
    names = list(steps) if ordered else by_words
    fits_as_it_is = is_chain([steps[name] for name in names], reshaped=ordered)
    doubted = ordered and (not fits_as_it_is or _ends_first([steps[name] for name in names]))
    if doubted and is_chain([steps[name] for name in by_words]):
        path: list[str] | None = by_words
    elif fits_as_it_is:
        path = names
    else:
        path = None if ordered else _search(names, steps)
    if path is None:
        return None
    return Order(tuple(path), frozenset() if ordered else _doubtful(path, steps))


def _ends_first(steps: Sequence[Step]) -> bool:
    """Whether a file begins with what is named as the end of a network, such as a decoder before its encoder."""
    ranks = [step.key[0][0] for step in steps if step.key]
    return bool(ranks) and ranks[0] in LATE and any(rank in EARLY for rank in ranks)


def _search(names: Sequence[str], steps: Mapping[str, Step]) -> list[str] | None:
    before = {name: {other for other in names if _must_precede(steps[other], steps[name])} for name in names}
    path: list[str] = []
    budget = MAX_STEPS

    def extend() -> bool:
        nonlocal budget
        if len(path) == len(names):
            return True
        for name in names:
            budget -= 1
            if name in path or not before[name] <= set(path) or not fits([steps[one] for one in path], steps[name]):
                continue
            path.append(name)
            if budget > 0 and extend():
                return True
            path.pop()
        return False

    return list(path) if len(names) < 200 and extend() else None


def _must_precede(one: Step, other: Step) -> bool:
    """Whether both have a number in one list, the first the lower, or words say so (an encoder and a decoder)."""
    at = next((at for at, (a, b) in enumerate(zip(one.module, other.module, strict=False)) if a != b), None)
    if at is None:
        return False
    if one.key[at][0] in EARLY and other.key[at][0] in LATE:
        return True
    (word, number), (other_word, other_number) = numbered(one.module[at]), numbered(other.module[at])
    return word == other_word and 0 <= number < other_number


def _doubtful(path: Sequence[str], steps: Mapping[str, Step]) -> frozenset[str]:
    """Layers of an order that fit as well with two of them exchanged, or begun elsewhere, where the alphabet alone is against
    it."""
    found: set[str] = set()
    decodes = any(steps[name].transposed for name in path)
    for at in range(1, len(path)):
        before, behind = path[:at], path[at:]
        if not any(_told_apart(steps[one], steps[other]) for one in before for other in behind):
            begun_here = [steps[name] for name in (*behind, *before)]
            found |= set(path) if is_chain(begun_here, reshaped=decodes) else set()
    for i, first in enumerate(path):
        for j in range(i + 1, len(path)):
            second = path[j]
            if _told_apart(steps[first], steps[second]):
                continue
            swapped = list(path)
            swapped[i], swapped[j] = second, first
            if is_chain([steps[name] for name in swapped]):
                found |= {first, second}
    return frozenset(found)


def _told_apart(one: Step, other: Step) -> bool:
    """Whether names say which of two layers stands first: by words, by numbers, or as parts of two modules that do.

    A layer without a number stands first where the others are counted from it (dense, dense_1), but not beside fc1. A word
    that is not known tells nothing, unless the other is one for the beginning or the end.
    """
    a, b = next(((a, b) for a, b in zip(one.key, other.key, strict=False) if a != b), ((), ()))
    if a and b and a[0] != b[0] and _MIDDLE in (a[0], b[0]):
        return bool({a[0], b[0]} & (EARLY | LATE))
    if a[:-1] != b[:-1] and a[0] == b[0] and (a[1] < 0) != (b[1] < 0):
        bare, counted = sorted((a[-1], b[-1]), key=lambda part: numbered(part)[1])
        return counted.startswith(bare + "_")
    return a[:-1] != b[:-1] or (bool(a) and len(a[-1]) == len(b[-1]) == 1)
