"""Weights that are kept as whole numbers with a scale beside them, turned back into the numbers that they stand for.

The layouts are those that the libraries write: bitsandbytes (int8 with `SCB`, 4 bits with `absmax` and `quant_map`), GPTQ and
AWQ (4 or 8 bits packed into int32), compressed-tensors and DeepSeek's float8 (`weight_scale`, `weight_scale_inv`), quanto
(`_data` and `_scale`), and PyTorch's own quantised tensors.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

from metarep.account import Entry, listed

Tensors = Mapping[str, torch.Tensor]
AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
"""Where the values of a column lie among the eight of an int32, in AWQ's layout."""

WHOLE = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)
FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)
UNREAD = "they are not read; the network is read without them"
WEIGHTS = ("weight", "kernel", "qweight", "weight_packed", "_data")


class Read(NamedTuple):
    """A weight `name` in float32 out of the tensors `used`, the first of which it replaces; `doubt` is what was assumed."""

    name: str
    value: torch.Tensor
    used: tuple[str, ...]
    doubt: str = ""


def dequantised(tensors: Tensors) -> tuple[dict[str, torch.Tensor], tuple[Entry, ...]]:
    """The tensors with quantised weights as float32, and entries for what was turned back and what could not be."""
    read: dict[str, Read] = {}
    kinds: Counter[str] = Counter()
    doubts: dict[str, str] = {}
    for name, value in tensors.items():
        for ending, (kind, rule) in RULES.items():
            one = rule(name.removesuffix(ending), tensors) if name.endswith(ending) else None
            if one is not None and one.used[0] not in read:
                read[one.used[0]] = one
                kinds[kind] += 1
                doubts |= {kind: one.doubt} if one.doubt else {}
        if value.is_quantized:
            read[name] = Read(name, value.dequantize(), (name,))
            kinds["PyTorch"] += 1
    if not read and not any(value.dtype in WHOLE for value in tensors.values()):
        return dict(tensors), ()
    gone = {name for one in read.values() for name in one.used} | (_of_activations(tensors) if kinds["PyTorch"] else set())
    kept: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        if name in read:
            kept[read[name].name] = read[name].value
        elif name not in gone:
            kept[name] = value
    entries = [
        Entry("tensor", "", f"quantised weights: {n} ({kind})", "read as the numbers they stand for, in float32")
        for kind, n in kinds.items()
        if n
    ]
    entries += [Entry("tensor", "", f"quantised weights ({kind})", why, doubt=True) for kind, why in doubts.items()]
    return kept, (*entries, *_unread(kept))


def _of_activations(tensors: Tensors) -> set[str]:
    """The scales and zero points by which PyTorch's quantised layers round what they read and put out."""
    stems = {name.removesuffix("scale") for name in tensors if name.endswith("scale") and tensors[name].numel() == 1}
    return {stem + other for stem in stems if stem + "zero_point" in tensors for other in ("scale", "zero_point")}


def _unread(tensors: Tensors) -> list[Entry]:
    """An entry for weights of whole numbers that nothing scales."""
    found = [n for n, v in tensors.items() if v.dtype in WHOLE and v.ndim > 1 and n.rpartition(".")[2] in WEIGHTS]
    if not found:
        return []
    dtype = str(tensors[found[0]].dtype).removeprefix("torch.")
    packed = "packed " if found[0].endswith(("qweight", "packed")) else ""
    return [Entry("tensor", "", f"{packed}{dtype} weights: {listed(found)}", UNREAD, doubt=True)]


def _bitsandbytes8(stem: str, tensors: Tensors) -> Read | None:
    weight, scale = tensors.get(stem + ".weight"), tensors[stem + ".SCB"]
    if weight is None or weight.dtype != torch.int8 or weight.ndim != 2 or scale.shape != weight.shape[:1]:
        return None
    value = weight.float() * (scale.float() / 127)[:, None]
    return Read(stem + ".weight", value, (stem + ".weight", stem + ".SCB", stem + ".weight_format"))


def _bitsandbytes4(stem: str, tensors: Tensors) -> Read | None:
    """Two values a byte, the first in the upper half; the quantisation of the scales is undone first."""
    state = next((name for name in tensors if name.startswith(stem + ".quant_state.bitsandbytes__")), None)
    weight, absmax, levels = (tensors.get(stem + end) for end in ("", ".absmax", ".quant_map"))
    if state is None or weight is None or levels is None or weight.dtype != torch.uint8:
        return None
    try:
        told = json.loads(bytes(tensors[state].tolist()))
        shape, block = tuple(map(int, told["shape"])), int(told["blocksize"])
        if absmax.dtype == torch.uint8:
            inner, map_ = tensors[stem + ".nested_absmax"], tensors[stem + ".nested_quant_map"]
            spread = inner.repeat_interleave(int(told["nested_blocksize"]))[: absmax.numel()]
            absmax = map_[absmax.long()] * spread + float(told["nested_offset"])
        bytes_ = weight.flatten()
        codes = torch.stack([bytes_ >> 4, bytes_ & 15], dim=1).flatten()[: math.prod(shape)]
        value = levels.float()[codes.long()] * absmax.float().repeat_interleave(block)[: len(codes)]
        value = value.reshape(shape)
    except (ValueError, KeyError, TypeError, RuntimeError, IndexError):
        return None
    used = tuple(name for name in tensors if name.startswith(stem + "."))
    return Read(stem, value, (stem, *used))


def unpacked(packed: torch.Tensor, bits: int, axis: int) -> torch.Tensor:
    """The 32 / bits values of each int32 along an axis, the lowest bits first, as int32."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    values = (packed.unsqueeze(axis + 1) >> shifts.view(-1, *(1,) * (packed.ndim - axis - 1))) & ((1 << bits) - 1)
    return values.flatten(axis, axis + 1)


def _gptq_or_awq(stem: str, tensors: Tensors) -> Read | None:
    """Weights (in, out) = (values − zeros) · scales by groups of inputs; the weight becomes (out, in)."""
    names = tuple(f"{stem}.{end}" for end in ("qweight", "qzeros", "scales", "g_idx"))
    packed, zeros, scales, groups = map(tensors.get, names)
    if any(one is None or one.ndim != 2 for one in (packed, zeros, scales)) or {packed.dtype, zeros.dtype} != {torch.int32}:
        return None
    n_groups, n_out = scales.shape
    doubt = ""
    if packed.shape[1] * 8 == n_out and zeros.shape == (n_groups, n_out // 8):  # AWQ
        order = torch.tensor(AWQ_ORDER)
        values, offsets = (unpacked(one, 4, 1).unflatten(1, (-1, 8))[..., order].flatten(1) for one in (packed, zeros))
    elif packed.shape[1] == n_out and zeros.shape[1] and n_out % zeros.shape[1] == 0 and 32 % (n_out // zeros.shape[1]) == 0:
        bits = 32 * zeros.shape[1] // n_out
        if bits not in (2, 4, 8) or len(zeros) != n_groups:
            return None
        values, offsets = unpacked(packed, bits, 0), unpacked(zeros, bits, 1)
        if not bool((offsets == 1 << (bits - 1)).all()):  # the second format stores zeros as they are
            doubt = "" if bool((offsets == (1 << (bits - 1)) - 1).all()) else "zero points are taken to be stored less one"
            offsets = offsets + 1
    else:
        return None
    n_in = len(values)
    index = groups.long() if groups is not None else torch.arange(n_in) // max(math.ceil(n_in / n_groups), 1)
    if index.shape != (n_in,) or not n_in or int(index.min()) < 0 or int(index.max()) >= n_groups:
        return None
    value = ((values - offsets[index]) * scales.float()[index]).T.contiguous()
    return Read(stem + ".weight", value, names, doubt)


def _scaled(stem: str, tensors: Tensors) -> Read | None:
    """(weight − zero point) · scale, with a scale for all, for each output or for square blocks."""
    for ending, zero_ending in SCALES.items():
        weight, scale = tensors.get(stem + ".weight"), tensors.get(stem + ending)
        if weight is None or scale is None or weight.ndim < 2 or weight.dtype not in (torch.int8, *FLOAT8):
            continue
        zeros, rows = tensors.get(stem + zero_ending, torch.zeros(1)), (-1, *(1,) * (weight.ndim - 1))
        if zeros.numel() not in (1, len(weight)):
            return None
        value, scale = weight.float() - zeros.float().reshape(rows), scale.float()
        if weight.ndim == scale.ndim == 2 and min(scale.shape) and scale.shape[1] > 1:
            block = tuple(math.ceil(n / m) for n, m in zip(weight.shape, scale.shape, strict=True))
            scale = scale.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)[: len(weight), : weight.shape[1]]
        elif scale.numel() in (1, len(weight)):
            scale = scale.reshape(rows)
        if scale.shape == weight.shape or (scale.shape[1:] == rows[1:] and len(scale) in (1, len(weight))):
            used = tuple(stem + end for end in (".weight", ending, zero_ending, ".input_scale"))
            doubt = "scale and zero point are taken to be the weight's" if ending == ".scale" else ""
            return Read(stem + ".weight", value * scale, used, doubt)
    return None


SCALES = {
    ".weight_scale": ".weight_zero_point",
    ".weight_scale_inv": ".weight_zero_point",
    ".scale": ".zero_point",
}
"""Ends of names of scales beside a weight, and of zero points in its own numbers."""


def _quanto(stem: str, tensors: Tensors) -> Read | None:
    data, scale = tensors.get(stem + "._data"), tensors[stem + "._scale"]
    if data is None or data.dtype not in (torch.int8, *FLOAT8) or scale.numel() not in (1, len(data)):
        return None
    value = data.float() * scale.float().reshape(-1, *(1,) * (data.ndim - 1))
    return Read(stem, value, (stem + "._data", stem + "._scale"))


RULES: dict[str, tuple[str, Callable[[str, Tensors], Read | None]]] = {
    ".SCB": ("bitsandbytes, 8 bits", _bitsandbytes8),
    ".absmax": ("bitsandbytes, 4 bits", _bitsandbytes4),
    ".qweight": ("GPTQ or AWQ", _gptq_or_awq),
    ".weight_scale": ("scales beside weights", _scaled),
    ".weight_scale_inv": ("scales of blocks", _scaled),
    ".scale": ("scales beside weights", _scaled),
    "._scale": ("quanto", _quanto),
}
"""By the end of a tensor's name: the library, and how its weights are read."""
