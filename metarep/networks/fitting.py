"""The order of layers by their widths: each reads as many values as the one before it puts out.

Names break ties: numbers of one list keep their order, words such as input and output stand where they belong
(`metarep.networks.depth`), and the order of the file comes before both where the file has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from metarep.networks.depth import EARLY, LATE, numbered

MAX_STEPS = 20_000
"""Layers tried before the search ends without an order."""


class Step(NamedTuple):
    """One layer: the components of its module, its sorting key, how many values it reads (None: ids) and puts out, its kind."""

    module: tuple[str, ...]
    key: tuple[Any, ...]
    n_in: int | None
    n_out: int
    kind: str


class Order(NamedTuple):
    """Layers from first to last, and those that could change places with another without their widths or names telling."""

    layers: tuple[str, ...]
    doubtful: frozenset[str]


def fits(path: Sequence[Step], step: Step) -> bool:
    """Whether a layer can read what the last one of a path puts out, flattened pixels and the places of embeddings included."""
    if not path:
        return not step.kind.endswith("norm")
    last, n_in = path[-1], step.n_in
    if n_in is None or n_in == last.n_out:
        return n_in is not None
    source = next((one.kind for one in reversed(path) if not one.kind.endswith("norm")), "")
    return step.kind == "linear" and (source.startswith("conv") or source == "embedding") and n_in % last.n_out == 0


def is_chain(steps: Sequence[Step]) -> bool:
    """Whether each layer reads what those before it put out, in the order given."""
    return all(fits(steps[:at], step) for at, step in enumerate(steps))


def fitted(steps: Mapping[str, Step], *, ordered: bool) -> Order | None:
    """The first order in which all layers fit; with `ordered` nothing is in doubt. None where there is none."""
    by_words = sorted(steps, key=lambda name: (steps[name].key, steps[name].module))
    names = list(steps) if ordered else by_words
    fits_as_it_is = is_chain([steps[name] for name in names])
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
    """Layers of an order that fit as well with two of them exchanged, where only the alphabet is against it."""
    found: set[str] = set()
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
    """Whether names say which of two layers stands first: by words, by numbers, or as parts of two modules that do."""
    a, b = next(((a, b) for a, b in zip(one.key, other.key, strict=False) if a != b), ((), ()))
    return a[:-1] != b[:-1] or (bool(a) and len(a[-1]) == len(b[-1]) == 1)
