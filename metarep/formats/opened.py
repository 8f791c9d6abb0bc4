"""What lists and pairs of tensors stand for: layers, names with tensors, quantised weights with their biases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from metarep.formats.refusals import SAVE_STATE_DICT, refuse_name

WEIGHT = re.compile(r"weights?|bias(es)?|kernel|embeddings?|[wb]\d*|(?-i:[Wb]_[A-Z]\w*)", re.IGNORECASE)
LAYER = re.compile(
    rf"{WEIGHT.pattern}|scale|gamma|beta|mean|var|(weight|bias|kernel|running)_\w+|\w+_(weight|bias|kernel|embedding)",
    re.IGNORECASE,
)


def is_layer(node: Mapping[Any, Any]) -> bool:
    """Whether a node holds a few tensors under names of one layer's weights."""
    names = [str(name) for name in node]
    return bool(names) and all(isinstance(value, torch.Tensor) for value in node.values()) and all(map(LAYER.fullmatch, names))


def _layers(node: Any) -> dict[str, Mapping[Any, Any]]:
    """The layers by number in a list of them, dictionaries or a matrix and a vector each, as JAX has networks; {} for others.

    Each has to read what the one before it puts out; layers of one shape may be states of one layer.
    """
    named = [_as_layer(one) for one in node] if isinstance(node, list | tuple) else []
    ends = [_ends(one) for one in named]
    reads = all(any(out == n_in for _, out in one for n_in, _ in other) for one, other in pairwise(ends))
    return {str(number): one for number, one in enumerate(named)} if len(set(map(frozenset, ends))) > 1 and reads else {}


def _pairs(node: Mapping[Any, Any]) -> dict[Any, Mapping[Any, torch.Tensor]]:
    """The layers in a dictionary that keeps each as its matrix and its vector, one behind the other; {} for others."""
    found = {key: _as_layer(tuple(value)) for key, value in node.items() if isinstance(value, list | tuple)}
    return found if _layers(list(found.values())) and not _holds_others(node, found) else {}


def _holds_others(node: Mapping[Any, Any], layers: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, torch.Tensor | Mapping) for key, value in node.items() if key not in layers)


def _ends(layer: Mapping[Any, torch.Tensor]) -> set[tuple[int, int]]:
    """How many values a layer of one matrix may read and put out, which its vectors are as long as."""
    matrices = [value.shape for value in layer.values() if value.ndim == 2]
    lengths = {len(value) for value in layer.values() if value.ndim == 1}
    ways = (matrices[0], matrices[0][::-1]) if len(matrices) == 1 else ()
    return {(n_in, out) for n_in, out in ways if lengths <= {out}}


def _as_layer(node: Any) -> Mapping[Any, torch.Tensor]:
    """A node that is a layer as a dictionary; {} for others."""
    is_pair = isinstance(node, tuple) and len(node) == 2 and all(isinstance(part, torch.Tensor) for part in node)
    if is_pair and not node[0].is_quantized:
        node = dict(zip(("weight", "bias"), node, strict=True))
    return node if isinstance(node, Mapping) and is_layer(node) else {}


def _is_named(node: Any) -> bool:
    """Whether a node is a name and a tensor, as `named_parameters` gives them."""
    return isinstance(node, list | tuple) and len(node) == 2 and isinstance(node[0], str) and isinstance(node[1], torch.Tensor)


def opened(path: Path, node: Any) -> Any:
    """A content whose pairs, in which PyTorch's quantised layers keep weight and bias, are opened, whose list `weights` of
    tensors is `weights.0`, `weights.1`, …, and whose lists of names with tensors, and of layers, are dictionaries."""
    if isinstance(node, list | tuple) and node and all(map(_is_named, node)):
        if len({name for name, _ in node}) < len(node):
            refuse_name(path, node[0][0], (node[0][0],), SAVE_STATE_DICT)
        return dict(node)
    if layers := _layers(node):
        return layers
    if isinstance(node, list | tuple):
        return [opened(path, one) for one in node]
    if not isinstance(node, Mapping):
        return node
    if pairs := _pairs(node):
        return pairs
    found: dict[Any, Any] = {}
    for key, value in node.items():
        parts = list(value) if isinstance(value, list | tuple) else []
        tensors = [one for one in parts if isinstance(one, torch.Tensor)]
        is_pair = isinstance(value, tuple) and len(parts) <= 2 and bool(tensors) and parts[0] is tensors[0]
        if is_pair and tensors[0].is_quantized:
            stem = re.sub(r"(_packed_params\.?)+$", "", str(key))
            own = {stem + role: one for role, one in zip(("weight", "bias"), tensors, strict=False)}
        elif tensors and len(tensors) == len(parts) and WEIGHT.fullmatch(str(key)):
            own = {f"{key}.{number}": one for number, one in enumerate(tensors)}
        else:
            own = {key: opened(path, value)}
        if double := own.keys() & found.keys():
            refuse_name(path, next(iter(double)), found, SAVE_STATE_DICT)
        found |= own
    return found
