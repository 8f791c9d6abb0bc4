"""Tensors that no network of a zoo learned: equal in all networks that have them, or made by a formula, as values show."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from metarep.networks.architecture import OTHER, Architecture, Tensor, readable

MIN_NETWORKS, MIN_KNOWN, MIN_RUNS = 2, 3, 2
"""Of so many networks and runs a tensor has to be equal bit for bit: of the second number where its kind is known, or it holds
one number alone."""

SHUT_OUT = -1e4
"""What masks add to keep something out is at most this."""

_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod|_\w*wrapped_module)\.")
"""What DistributedDataParallel, compilation and sharding put before the names of a module's tensors."""

Key = tuple[str, tuple[int, ...], str]


class Unlearned(NamedTuple):
    """Names of tensors of one architecture: those of no known kind, and position tables and weights of known kinds, that no
    network learned; and weights of one number alone, which may be as they were when training began.
    """

    buffers: tuple[str, ...]
    frozen: tuple[str, ...]
    untouched: tuple[str, ...]


class SeenValues(NamedTuple):
    """What the values of one tensor are: their digest, whether they are one number, and whether they are a mask or a table of
    sines, None for a tensor whose kind makes it neither.
    """

    digest: bytes
    is_single: bool
    is_formula: bool | None


@dataclass
class Constants:
    """Watches the networks of a zoo, whatever their architectures: tensors of one name, shape and dtype belong together.

    `hashes` are of those that have been equal so far, None of others; `holders` the networks that have them, by number;
    `single` those that hold one number; `formulas` those that have been a mask or a table of sines so far.
    """

    hashes: dict[Key, bytes | None] = field(default_factory=dict)
    holders: dict[Key, list[int]] = field(default_factory=dict)
    single: set[Key] = field(default_factory=set)
    formulas: dict[Key, bool] = field(default_factory=dict)

    def observe(self, number: int, architecture: Architecture, seen: Sequence[SeenValues]) -> None:
        """One more network."""
        weights = (tensor for tensor in architecture.tensors if readable(tensor))
        for tensor, one in zip(weights, seen, strict=True):
            key = _key(tensor)
            if one.is_formula is not None and self.formulas.get(key, True):
                self.formulas[key] = one.is_formula
            if self.hashes.get(key, b"") is None:
                continue
            if key not in self.hashes and one.is_single:
                self.single.add(key)
            same = self.hashes.setdefault(key, one.digest) == one.digest
            self.hashes[key] = one.digest if same else None
            if same:
                self.holders.setdefault(key, []).append(number)
            else:
                del self.holders[key]

    def unlearned(self, architecture: Architecture, runs: Sequence[str]) -> Unlearned:
        """What no network learned of the tensors of an architecture; `runs` (N,) are those of all networks.

        Equal tensors count only where others differ.
        """
        weights = [tensor for tensor in architecture.tensors if readable(tensor)]
        equal = {tensor.name for tensor in weights if self._is_equal(tensor, runs)}
        names = set() if len(equal) == len(weights) else equal
        names |= {tensor.name for tensor in weights if self.formulas.get(_key(tensor))}
        found = [tensor for tensor in weights if tensor.name in names] if len(names) < len(weights) else []
        unknown = tuple(tensor.name for tensor in found if tensor.kind == OTHER)
        known = [tensor for tensor in found if tensor.kind != OTHER]
        untouched = tuple(tensor.name for tensor in known if _key(tensor) in self.single)
        return Unlearned(unknown, tuple(tensor.name for tensor in known if tensor.name not in untouched), untouched)

    def _is_equal(self, tensor: Tensor, runs: Sequence[str]) -> bool:
        key = _key(tensor)
        own, least = self.holders.get(key, []), MIN_NETWORKS if tensor.kind == OTHER and key not in self.single else MIN_KNOWN
        return len(own) >= least and len({runs[number] for number in own}) >= MIN_RUNS


def seen_of(architecture: Architecture, tensors: Mapping[str, torch.Tensor]) -> tuple[SeenValues, ...]:
    """What the values of each tensor with weights are."""
    return tuple(_seen(tensor, tensors[tensor.name]) for tensor in architecture.tensors if readable(tensor))


def _seen(tensor: Tensor, value: torch.Tensor) -> SeenValues:
    digest = hashlib.blake2b(value.contiguous().reshape(-1).view(torch.uint8).numpy(), digest_size=16).digest()
    is_single = bool((value.reshape(-1)[0].float() == value.float()).all())
    may_be = tensor.kind in (OTHER, "embedding")
    return SeenValues(digest, is_single, is_sines(value) or (tensor.kind == OTHER and is_mask(value)) if may_be else None)


def _key(tensor: Tensor) -> Key:
    return _WRAPPERS.sub("", tensor.name), tensor.shape, tensor.dtype


def is_mask(value: torch.Tensor) -> bool:
    """Whether values are 0, 1 and what shuts out (minus infinity, or far below 0), and nothing else; a matrix of 0 and 1 is."""
    found = value.float()
    is_one, is_out = found == 1, found <= SHUT_OUT
    if value.numel() < 2 or not bool((is_one | is_out | (found == 0)).all()):
        return False
    return bool(is_out.any()) or (sum(n > 1 for n in value.shape) > 1 and bool(is_one.any()) and not bool(is_one.all()))


def is_sines(value: torch.Tensor) -> bool:
    """Whether a table holds sines beside cosines: the squares of each row sum to half its width, but for rows of zeros (of
    class tokens, of padding).
    """
    for axis in (-1, -2) if value.ndim > 1 else ():
        d = value.shape[axis]
        if d < 4 or d % 2 or value.numel() < 2 * d:
            continue
        rows = value.float().movedim(axis, -1).reshape(-1, d)
        sums = rows.square().sum(dim=1)
        sums = sums[sums > 0] * (2 / d)
        if len(sums) > 1 and bool((rows.abs() <= 1.01).all()) and bool((sums - 1).abs().max() < 1e-2):
            return True
    return False
