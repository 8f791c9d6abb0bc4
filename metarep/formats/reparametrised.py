"""Weights that a layer computes from others: weight norm (Salimans, Kingma 2016), spectral norm (Miyato et al. 2018), pruning.

Both ways in which PyTorch keeps them are read: suffixes (`weight_g`, `weight_orig`) and `parametrizations.weight.original`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

import torch

from metarep.account import Entry, listed

Tensors = Mapping[str, torch.Tensor]
REMOVE = "torch.nn.utils.parametrize.remove_parametrizations makes plain weights of them before they are saved"
_SUFFIX = re.compile(r"(.*(?:weight|bias))_(g|v|u|orig|bar|mask)")
_NESTED = re.compile(r"(.*?)parametrizations\.(\w+)\.(?:\d+\.)?_?(\w+)")


def with_computed(tensors: Tensors) -> tuple[dict[str, torch.Tensor], tuple[Entry, ...]]:
    """The tensors with the weights that layers compute in place of those that they compute them from; and what was done."""
    parts: dict[str, dict[str, str]] = defaultdict(dict)
    nested = set()
    for name in tensors:
        if match := _NESTED.fullmatch(name):
            parts[match[1] + match[2]][match[3]] = name
            nested.add(match[1] + match[2])
        elif match := _SUFFIX.fullmatch(name):
            parts[match[1]][match[2]] = name
    found: dict[str, tuple[str, torch.Tensor]] = {}
    kinds: Counter[str] = Counter()
    used: set[str] = set()
    for name, own in parts.items():
        kind, value = _computed({part: tensors[full] for part, full in own.items()})
        if value is not None and name not in tensors:
            found[min(own.values(), key=list(tensors).index)] = name, value
            used |= {*own.values()}
            kinds[kind] += 1
            nested -= {name}
    if not found and not nested:
        return dict(tensors), ()
    kept: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        if name in found:
            kept[found[name][0]] = found[name][1]
        elif name not in used:
            kept[name] = value
    why = "read as the weights that the layers compute"
    entries = [Entry("tensor", "", f"{kind}: {n} weights", why) for kind, n in kinds.items()]
    if nested:
        what = f"weights that only their own code computes: {listed(sorted(nested))}"
        entries.append(Entry("tensor", "", what, f"their parts are read as they are; {REMOVE}", doubt=True))
    return kept, tuple(entries)


def _computed(own: Tensors) -> tuple[str, torch.Tensor | None]:
    """How a weight is computed from its parts, and the weight in their dtype; None for parts that say nothing."""
    g, v = (own.get(old, own.get(new)) for old, new in (("g", "original0"), ("v", "original1")))
    base = next((own[part] for part in ("original", "orig", "bar") if part in own), None)
    u, mask = own.get("u"), own.get("mask")
    if base is None and g is not None and v is not None and len(own) == 2:
        axes = [axis for axis in range(v.ndim) if g.ndim != v.ndim or g.shape[axis] == 1]
        whole = g.numel() == 1 or (g.ndim == v.ndim and all(g.shape[at] in (1, v.shape[at]) for at in range(v.ndim)))
        norm = v.double().square().sum(dim=axes, keepdim=True).sqrt() if axes and whole else None
        return "weight norm", None if norm is None else (v.double() * (g.double() / norm.clamp_min(1e-30))).to(v.dtype)
    if base is not None and mask is not None and mask.shape == base.shape and len(own) == 2:
        return "pruning", base * mask.to(base.dtype)
    if base is not None and u is not None and base.ndim > 1 and len(own) <= 3:
        axis = 0 if u.numel() == base.shape[0] else 1
        matrix = base.double().movedim(axis, 0).flatten(1)
        fits = u.numel() == len(matrix) and (v is None or v.numel() == matrix.shape[1])
        if fits:
            read = u.double().flatten() @ matrix
            sigma = read.norm() if v is None else read @ v.double().flatten()
            return "spectral norm", (base.double() / sigma).to(base.dtype)
    return "", None
