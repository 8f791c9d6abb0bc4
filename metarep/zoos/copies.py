"""Copies among networks, found by their values: in another format, at another precision, with units permuted or scaled.

Every tensor has a digest of its values that neither their order nor their signs change, and every network one of its tensors
that neither their order nor their names change. A copy at half precision is found by the digest of what the original becomes
when it is rounded so. Networks with scaled units are compared by sums over their tensors, each unit's scale undone. Networks
of equal names and shapes are compared by some of their values as well: copies that were quantised, and states of one run, are
correlated there as no two networks of different seeds are. A few numbers of each network are kept.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from metarep.networks.architecture import Architecture, readable
from metarep.networks.symmetry_groups import Symmetries
from metarep.networks.tensor_symmetry import scaled, unit_rows

PRECISIONS = ("float16", "bfloat16", "float32", "float64")
"""Precisions that copies are kept at. Those that hold all values of a network exactly, and no wider ones, are its own."""

SCALE_TOLERANCE = 1e-5
"""Sums of scaled copies differ relatively by less, since scaling rounds every value to float32."""

MAX_SCALED = 1_000_000
"""Scaled copies are looked for among networks of at most so many parameters."""

MIN_SHARED, N_SHARED = 64, 8
"""Of each network the digests of so many of its largest tensors are kept, where they have so many values."""

N_SAMPLED, MIN_SAMPLED = 128, 64
"""Of each network so many values are kept, if it has as many as the second number at least."""

NEAR, ALIKE = 0.98, 0.5
"""Correlations of sampled values: of what is nearly a copy, and of what one run or one network before training made."""

MAX_COMPARED, BLOCK = 10_000, 1024
"""Of more networks of equal names and shapes, pairs are not compared; networks whose pairs are compared at once."""

PIECE = 1 << 16
"""Values that are digested at once, so that they stay in the cache."""


@dataclass(frozen=True)
class Fingerprint:
    """What a network and its copies have in common.

    own: the network's own precisions. digests: of all its values at each precision. tensors: digests of single tensors.
    sums: (T, 2) float64, of absolute values and of squares, once the scale of units is undone, the smallest tensor first;
    None where no units are interchangeable, and where a value is not finite. shapes: a hash of the names and shapes. sample:
    (N_SAMPLED,) float32, values from all over the network, each in units of its tensor's root mean square; None for a small
    network.
    """

    own: tuple[str, ...]
    digests: Mapping[str, int]
    tensors: tuple[int, ...]
    sums: np.ndarray | None
    shapes: int
    sample: np.ndarray | None


@dataclass(frozen=True)
class Copies:
    """Networks, by their numbers, that hold the same values, and how they do so in words."""

    networks: tuple[int, ...]
    how: str


def fingerprint(architecture: Architecture, tensors: Mapping[str, torch.Tensor], symmetries: Symmetries) -> Fingerprint:
    """The fingerprint of one network; tensors that hold no weights do not count."""
    weights = {tensor.name: tensors[tensor.name].detach() for tensor in architecture.tensors if readable(tensor)}
    sizes = np.array([value.numel() for value in weights.values()])
    digests, exact, varies = _digested(list(weights.values()))
    own = tuple(name for name in PRECISIONS[:2] if name in exact) or ("float32" if "float32" in exact else "float64",)
    large = sorted(np.flatnonzero(varies & (sizes >= MIN_SHARED)), key=lambda at: -sizes[at])[:N_SHARED]
    return Fingerprint(
        own,
        {name: hash(frozenset(zip(sizes.tolist(), found.tolist(), strict=True))) for name, found in digests.items()},
        tuple(int(digests["float32"][at]) for at in large),
        _sums(weights, symmetries) if symmetries.groups and sizes.sum() <= MAX_SCALED else None,
        shapes_of(architecture),
        _sampled(weights) if sizes.sum() >= MIN_SAMPLED else None,
    )


def shapes_of(architecture: Architecture) -> int:
    """A hash of the names and shapes of its weights, the same in every process."""
    named = sorted((tensor.name, tuple(tensor.shape)) for tensor in architecture.tensors if readable(tensor))
    return int.from_bytes(hashlib.blake2b(repr(named).encode(), digest_size=8).digest())


def find_copies(prints: Sequence[Fingerprint]) -> list[Copies]:
    """Groups of copies among networks; every network is in one group at most of each kind."""
    own: dict[tuple[str, int], int] = {}
    for number, one in enumerate(prints):
        for name in one.own:
            own.setdefault((name, one.digests[name]), number)
    first = [own[one.own[0], one.digests[one.own[0]]] for one in prints]
    equal: dict[int, list[int]] = defaultdict(list)
    rounded: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(prints):
        equal[first[number]].append(number)
        for name in PRECISIONS:
            coarser = own.get((name, one.digests[name]))
            if name not in one.own and coarser is not None and first[number] != coarser:
                rounded[coarser].append(number)
    found = [Copies(tuple(group), "the same values, in whatever order") for group in equal.values() if len(group) > 1]
    found += [Copies((number, *group), "the same values, rounded") for number, group in rounded.items()]
    scaled_copies = _scaled(prints, first)
    found += [Copies(group, "nearly the same values, but for the scale of units") for group in scaled_copies]
    known = [set(copies.networks) for copies in found]
    near = (group for group in correlated(prints, NEAR) if not any(set(group) <= one for one in known))
    return found + [Copies(group, "nearly the same values") for group in near]


def correlated(prints: Sequence[Fingerprint], least: float) -> Iterator[tuple[int, ...]]:
    """Groups of networks, by their numbers, that a chain of correlations of `least` and more holds together."""
    for numbers, samples in _standardised(prints):
        if len(numbers) > MAX_COMPARED:
            continue
        bound, pairs = max(least, 6 / samples.shape[1] ** 0.5), []
        for first in range(0, len(numbers), BLOCK):
            rows, columns = np.nonzero(samples[first : first + BLOCK] @ samples.T >= bound)
            pairs.append((rows + first, columns))
        rows, columns = (np.concatenate(side) for side in zip(*pairs, strict=True))
        edges = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(numbers),) * 2)
        _, group_of = connected_components(edges, directed=False)
        for group in range(group_of.max() + 1):
            if (group_of == group).sum() > 1:
                yield tuple(numbers[at] for at in np.flatnonzero(group_of == group))


def go_on(prints: Sequence[Fingerprint], orders: Sequence[Sequence[int]]) -> list[bool]:
    """Whether networks in some orders, by their numbers, are each correlated with the one before, as states of one run are."""
    samples = {number: row for numbers, rows in _standardised(prints) for number, row in zip(numbers, rows, strict=True)}
    found = []
    for order in orders:
        pairs = [(samples[a], samples[b]) for a, b in pairwise(order) if a in samples and b in samples]
        found.append(bool(pairs) and float(np.median([a @ b for a, b in pairs])) >= max(ALIKE, 6 / len(pairs[0][0]) ** 0.5))
    return found


def _standardised(prints: Sequence[Fingerprint]) -> Iterator[tuple[list[int], np.ndarray]]:
    """For networks of equal names and shapes: their numbers, and samples of length 1 without what all of them share.

    Of two networks nothing can be told apart from what both share; it is left in.
    """
    known: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(prints):
        if one.sample is not None:
            known[one.shapes].append(number)
    for numbers in known.values():
        samples = _unit(np.stack([prints[number].sample for number in numbers]))
        yield numbers, _unit(samples - samples.mean(axis=0)) if len(numbers) > 2 else samples


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _sampled(weights: Mapping[str, torch.Tensor]) -> np.ndarray:
    """(N_SAMPLED,) float32, or as many values as there are; see `Fingerprint`."""
    total, at, found = sum(value.numel() for value in weights.values()), 0, []
    places = np.unique(((np.arange(N_SAMPLED) + 0.5) * total / N_SAMPLED).astype(np.int64))
    for name in sorted(weights):
        flat = weights[name].reshape(-1)
        own = places[(places >= at) & (places < at + len(flat))] - at
        if len(own):
            norm = torch.linalg.vector_norm(flat if flat.itemsize >= 4 else flat.float())
            scale = (norm / len(flat) ** 0.5).clamp_min(1e-30)
            found.append((flat[torch.from_numpy(own)].float() / scale).numpy())
        at += len(flat)
    return np.nan_to_num(np.concatenate(found), nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)


def shared_tensors(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, ...]]:
    """Groups of networks, by their numbers, that share a large tensor bit for bit without being copies of each other."""
    holders: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(prints):
        for digest in dict.fromkeys(one.tensors):
            holders[digest].append(number)
    for group in dict.fromkeys(tuple(group) for group in holders.values() if len(group) > 1):
        if len({prints[number].digests["bfloat16"] for number in group}) > 1:
            yield group


def _scaled(prints: Sequence[Fingerprint], first: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Groups of networks whose sums agree though their values do not: neighbours in order of the sum of all."""
    known: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(prints):
        if one.sums is not None and first[number] == number:
            known[len(one.sums)].append(number)
    for numbers in known.values():
        groups: list[list[int]] = []
        for number in sorted(numbers, key=lambda number: float(prints[number].sums.sum())):
            first = prints[groups[-1][0]].sums if groups else np.inf
            if np.allclose(prints[number].sums, first, rtol=SCALE_TOLERANCE, atol=1e-9):
                groups[-1].append(number)
            else:
                groups.append([number])
        yield from (tuple(sorted(group)) for group in groups if len(group) > 1)


def _sums(weights: Mapping[str, torch.Tensor], symmetries: Symmetries) -> np.ndarray | None:
    """(T, 2): sums over each tensor, with what feeds a unit scaled to length 1, group by group from the input on."""
    sides = [{member.side for member in units.members if member.tensor in weights} for units in symmetries.groups]
    free = [u for u, has in zip(symmetries.groups, sides, strict=True) if u.interchangeable and {"in", "out"} <= has]
    if not free:
        return None
    found = {name: value.double() for name, value in weights.items()}
    for units in free:
        energy = sum(
            unit_rows(found[member.tensor], member, units.n).square().sum(dim=-1)
            for member in units.members
            if member.side == "in" and member.tensor in found
        )
        factor = torch.where((energy > 0) & energy.isfinite(), energy, 1.0).rsqrt()
        found = scaled(found, Symmetries((replace(units, positive_scale=True),)), [factor])
    sizes = [value.numel() for value in found.values()]
    sums = np.array([[float(value.abs().sum()), float(value.square().sum())] for value in found.values()])
    return sums[np.lexsort((sums[:, 0], sizes))] if np.isfinite(sums).all() else None


def _digested(values: Sequence[torch.Tensor]) -> tuple[dict[str, np.ndarray], set[str], np.ndarray]:
    """Of T tensors: (T,) uint64 digests by precision, which precisions hold all values exactly, (T,) whether values differ."""
    totals = {name: np.zeros(len(values), np.uint64) for name in PRECISIONS}
    exact, varies = set(PRECISIONS), np.zeros(len(values), bool)
    widest = torch.float64 if any(value.dtype == torch.float64 for value in values) else torch.float32
    for number, value in enumerate(values):
        flat = value.reshape(-1)
        for piece in (piece.to(widest).abs() for piece in flat.split(PIECE)):
            single = piece.float()
            rounded = {"float16": single.half(), "bfloat16": single.bfloat16(), "float32": single, "float64": piece}
            exact = {name for name in exact if bool((rounded[name].to(widest) == piece).all())}
            for name, some in rounded.items():
                totals[name][number : number + 1] += _hashes(some).sum(keepdims=True)
            varies[number] |= bool((piece != flat[0].to(widest).abs()).any())
    return totals, exact, varies


def _hashes(values: torch.Tensor) -> np.ndarray:
    """(N,) uint64: a hash of the bits of each value that is not negative."""
    if values.itemsize == 2:
        return _HASHES[values.view(torch.int16).numpy()]
    bits = values.numpy().view(np.uint64 if values.itemsize == 8 else np.uint32)
    return _mixed(bits.astype(np.uint64))


def _mixed(bits: np.ndarray) -> np.ndarray:
    """(N,) uint64: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


_HASHES = _mixed(np.arange(1 << 15, dtype=np.uint64))
"""Of every value of 16 bits that is not negative."""
