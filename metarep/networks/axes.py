"""Which axis of a weight is its output and which its input, by its name, its shape and the bias beside it.

PyTorch keeps (out, in, *kernel), for transposed convolutions (in, out, *kernel); Keras and Flax keep (*kernel, in, out) in
leaves called `kernel`, Keras for transposed and depthwise convolutions (*kernel, out, in); Haiku (*kernel, in, out) as `w`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from metarep.networks.naming import BIAS_LEAVES, KERAS_RECURRENT, Parts, Reading, Shape

Axes = tuple[int, int]
Siblings = Mapping[str, Shape]
"""The leaves of one module with their shapes."""

FIRST, SECOND, LAST, LAST_BUT_ONE = (0, 1), (1, 0), (-1, -2), (-2, -1)
"""Output axis and input axis."""

LENS_LAYERS = frozenset({"in", "out", "gate", "enc", "dec", "unembed"})
"""Layers of TransformerLens and SAELens, which keep (in, out) where no bias says otherwise."""

AFFINE = ("linear", "conv1d", "conv2d")
_TRANSPOSED = re.compile(r"(.*_)?conv\dd_transpose(_\d+)?$", re.I)


def axes_by_name(
    parts: Mapping[str, Parts], shapes: Mapping[str, Shape], readings: Mapping[str, Reading], siblings: Mapping[str, Siblings]
) -> dict[str, Axes | None]:
    """The output and the input axis of each weight, counted from the front; None where they are PyTorch's or not known.

    Bare matrices (`W1`, `W`) that nothing decides on lie as those do that something does.
    Where nothing decides on any, they keep (in, out) if more of them fit the one before so than as (out, in). Matrices beside
    weights with an axis of heads do not count. Layers called c_… are GPT-2's, (in, out), where its fused attention lies so.
    """
    axes = {name: _axes(parts[name], shape, readings[name], siblings[name]) for name, shape in shapes.items()}
    axes |= dict.fromkeys(_transposed_by_norms(parts, shapes, readings, siblings), SECOND)
    fused = [shapes[name] for name in shapes if parts[name].last == "c_attn" and len(shapes[name]) == 2]
    if fused and all(shape[1] == 3 * shape[0] for shape in fused):
        named_so = [name for name in shapes if parts[name].last.startswith("c_") and len(shapes[name]) == 2]
        axes = {**axes, **dict.fromkeys(named_so, SECOND)}
    heads = {parts[name].module[:-1] for name in shapes if parts[name].own in ("q", "k", "v") and len(shapes[name]) == 3}
    bare = [n for n in shapes if parts[n].leaf == "w" and len(shapes[n]) == 2 and parts[n].module[:-1] not in heads]
    lengths = {name: {shape[0] for leaf, shape in siblings[name].items() if leaf in BIAS_LEAVES and shape} for name in bare}
    turned = [name for name in bare if axes[name] == SECOND]
    kept = [name for name in bare if axes[name] is None and lengths[name] == {shapes[name][0]} != {shapes[name][1]}]
    open_ = [name for name in bare if axes[name] is None and name not in kept]
    if kept or not open_:
        return dict(axes)
    fits = [sum(shapes[a][way[0]] == shapes[b][way[1]] for a, b in pairwise(bare)) for way in (FIRST, SECOND)]
    return {**axes, **dict.fromkeys(open_ if turned or fits[1] > fits[0] else (), SECOND)}


def _transposed_by_norms(
    parts: Mapping[str, Parts], shapes: Mapping[str, Shape], readings: Mapping[str, Reading], siblings: Mapping[str, Siblings]
) -> list[str]:
    """The convolutions without biases of lists in which all norms are as long as the second axis of what they stand behind."""
    lists: dict[tuple[str, ...], list[str]] = {}
    for name, shape in shapes.items():
        numbered = parts[name].own.isdigit() and readings[name].kind in AFFINE[1:] and len(shape) > 2
        if numbered and parts[name].leaf == "weight":
            lists.setdefault(parts[name].module[:-1], []).append(name)
    found = []
    for module, weights in lists.items():
        names = [name for name in shapes if parts[name].module[:-1] == module and (name in weights or len(shapes[name]) == 1)]
        norms = [(a, b) for a, b in pairwise(names) if a in weights and readings[b].kind.endswith("norm")]
        differ = any(shapes[a][0] != shapes[a][1] for a, _ in norms)
        plain = all(not siblings[name].keys() & BIAS_LEAVES for name, _ in norms)
        if norms and differ and plain and all(shapes[b][0] == shapes[a][1] for a, b in norms):
            found += weights
    return found


def _axes(parts: Parts, shape: Shape, reading: Reading, siblings: Siblings) -> Axes | None:
    """Of the ways that a name allows, the first whose output is as long as the bias; without a bias the first."""
    if len(shape) < 2 or reading.role.endswith("bias"):
        return None
    if reading.role in ("input", "hidden"):
        return SECOND if parts.leaf in KERAS_RECURRENT and len(shape) == 2 else None
    if not (reading.kind == "attention" or (reading.kind in AFFINE and reading.role == "weight")):
        return None
    lengths = {siblings[leaf][0] for leaf in siblings if leaf in BIAS_LEAVES and len(siblings[leaf]) == 1}
    ways = _ways(parts, shape)
    fitting = [way for way in ways if shape[way[0]] in lengths]
    if not fitting and reading.kind == "attention" and len(shape) > 2:
        return None
    output, source = (fitting or ways)[0]
    axes = output % len(shape), source % len(shape)
    return None if axes == FIRST and parts.leaf != "kernel" else axes


def _ways(parts: Parts, shape: Shape) -> tuple[Axes, ...]:
    if parts.leaf == "kernel":
        depthwise = "depthwise" in parts.own and shape[-1] < shape[-2]
        swapped = len(shape) > 2 and (depthwise or bool(_TRANSPOSED.match(parts.own)))
        return (LAST_BUT_ONE, LAST, FIRST, SECOND) if swapped else (LAST, LAST_BUT_ONE, FIRST, SECOND)
    if parts.leaf == "log_std":
        return (SECOND,)
    if parts.leaf == "w" and parts.own in LENS_LAYERS:
        return LAST, FIRST
    return (FIRST, SECOND, LAST) if "weight" in parts.leaf else (FIRST, LAST, SECOND)
