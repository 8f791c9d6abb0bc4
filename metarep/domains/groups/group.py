"""Finite groups by name, as multiplication tables, with their characters and what they project onto.

Characters come from the classes alone, by Burnside's method as Dixon made it practical ("High speed computation of group
character tables", 1967), here in floating point: the columns of characters are the joint eigenvectors of the matrices that say
how classes multiply.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import permutations

import numpy as np

from metarep.errors import MetarepError

MAX_ORDER = 1000
KNOWN = "C<n>, D<n>, S<n>, A<n> or Q8, such as C29, D12, S4, A5"


@dataclass(frozen=True)
class Irrep:
    """A real irreducible representation, up to multiples: an irreducible character, or two conjugate ones joined.

    name: the frequency for a cyclic group ("frequency 3"), else the dimension and a letter ("3a"). dimension: that of the
    character, or of both together. characters (1 or 2, n) complex: their values on the elements.
    """

    name: str
    dimension: int
    characters: np.ndarray


@dataclass(frozen=True, eq=False)
class FiniteGroup:
    """A group of n elements, numbered from 0, the neutral one: table (n, n) int64 holds the number of gh in row g, column h."""

    name: str
    table: np.ndarray

    @property
    def n(self) -> int:
        return len(self.table)

    @cached_property
    def inverse(self) -> np.ndarray:
        """(n,): the number of g⁻¹."""
        return self.table.argmin(axis=1)

    @cached_property
    def class_of(self) -> np.ndarray:
        """(n,): the conjugacy class of each element, numbered in order of their first elements."""
        conjugates = np.sort(self.table[self.table, self.inverse[:, None]], axis=0)  # (h, g) -> h g h⁻¹
        _, first, member = np.unique(conjugates[0], return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[member]

    @cached_property
    def characters(self) -> np.ndarray:
        """(K, n) complex: every irreducible character on every element, by dimension and then as they stand in a dictionary.

        Class sums multiply as C_i C_j = Σ_k a_ijk C_k, and |C_i| χ(C_i) / χ(1) is a joint eigenvalue of the matrices a_i. A
        random sum of these has eigenvalues that differ, so that its eigenvectors are the joint ones.
        """
        sizes = np.bincount(self.class_of)
        first = np.array([np.flatnonzero(self.class_of == number)[0] for number in range(len(sizes))])
        products = np.zeros((len(sizes),) * 3)
        for k, element in enumerate(first):  # the pairs (x, y) with xy = element: y = x⁻¹ element
            partner = self.class_of[self.table[self.inverse, element]]
            np.add.at(products, (self.class_of, partner, k), 1.0)
        mixed = np.tensordot(np.random.default_rng(0).standard_normal(len(sizes)), products, 1)
        vectors = np.linalg.eig(mixed)[1]  # columns: |C_j| χ(C_j) / χ(1) conjugated or not, up to a factor
        ratios = (vectors / vectors[0]).T
        dimension = np.sqrt(self.n / (np.abs(ratios) ** 2 / sizes).sum(axis=1))
        found = (dimension.round()[:, None] * ratios / sizes).round(9) + 0.0
        order = np.lexsort([key for column in found.T[::-1] for key in (-column.imag, -column.real)] + [found[:, 0].real])
        return found[order][:, self.class_of]

    @cached_property
    def irreps(self) -> tuple[Irrep, ...]:
        """The real irreducible representations; the trivial one first, then by dimension, or by frequency in a cyclic group."""
        if self.name.startswith("C"):
            turns = np.exp(2j * np.pi * np.outer(np.arange(self.n), np.arange(self.n)) / self.n)
            pairs = [[k] if 2 * k in (0, self.n) else [k, self.n - k] for k in range(self.n // 2 + 1)]
            return tuple(Irrep(f"frequency {pair[0]}", len(pair), turns[pair]) for pair in pairs)
        found, counts = [], {}
        for character in self.characters:
            if any(np.allclose(character, known.conj()) for one in found for known in one[1]):
                continue
            joined = [character] if np.allclose(character.imag, 0) else [character, character.conj()]
            found.append((round(sum(one[0].real for one in joined)), joined))
        for dimension, joined in sorted(found, key=lambda one: one[0]):
            counts.setdefault(dimension, []).append(np.array(joined))
        return tuple(
            Irrep(f"{dimension}{chr(ord('a') + at)}", dimension, one)
            for dimension, of_dimension in counts.items()
            for at, one in enumerate(of_dimension)
        )

    @cached_property
    def projections(self) -> np.ndarray:
        """(R, n, n) float64: of each real irreducible the projection of functions on the group onto its part of them.

        P f(x) = d/|G| Σ_g χ(g) f(g⁻¹x), summed over joined characters: row x, column y holds d/|G| χ(x y⁻¹).
        """
        quotient = self.table[:, self.inverse]
        return np.stack([sum(one[0].real / self.n * one[quotient] for one in irrep.characters).real for irrep in self.irreps])

    def energies(self, functions: np.ndarray) -> np.ndarray:
        """(…, R): how much of the squared length of functions (…, n) lies in the part of each real irreducible."""
        return np.square(np.einsum("rxy,...y->...rx", self.projections, functions)).sum(axis=-1)


@lru_cache
def group_named(name: str) -> FiniteGroup:
    """The group of a name: C<n> cyclic, D<n> the 2n symmetries of a polygon, S<n> and A<n> all and the even permutations of
    n things, Q8 the quaternions ±1, ±i, ±j, ±k. Raises MetarepError for any other.

    Elements of C<n> are numbered by their rotation, others in the order of their permutations.
    """
    kind, n = name[:1], int(name[1:]) if re.fullmatch(r"[CDSAQ][1-9]\d{0,2}", name) else 0
    if n < (2 if kind in "CS" else 3) or (kind == "Q" and n != 8):
        raise MetarepError("no such group", met=repr(name), expected=KNOWN)
    order = {"C": n, "D": 2 * n, "Q": n}.get(kind) or int(np.prod(np.arange(1.0, n + 1))) // (1 if kind == "S" else 2)
    if order > MAX_ORDER:
        raise MetarepError(f"{name} is too large", met=f"{order:,} elements", expected=f"at most {MAX_ORDER:,}")
    return FiniteGroup(name, _table(ELEMENTS[kind](n)))


def _cyclic(n: int) -> list[tuple[int, ...]]:
    return [tuple((np.arange(n) + k) % n) for k in range(n)]


def _dihedral(n: int) -> list[tuple[int, ...]]:
    return [tuple((sign * np.arange(n) + k) % n) for sign in (1, -1) for k in range(n)]


def _even(n: int) -> list[tuple[int, ...]]:
    return [one for one in permutations(range(n)) if np.linalg.det(np.eye(n)[list(one)]) > 0]


def _quaternions(n: int) -> list[tuple[int, ...]]:
    """As permutations of the eight units that multiplication from the left makes of them."""
    product = {(0, 0): 0, (1, 1): 4, (2, 2): 4, (3, 3): 4, (1, 2): 3, (2, 3): 1, (3, 1): 2, (2, 1): 7, (3, 2): 5, (1, 3): 6}
    product |= {(0, k): k for k in range(4)} | {(k, 0): k for k in range(4)}
    return [tuple((product[a % 4, b % 4] + a // 4 * 4 + b // 4 * 4) % n for b in range(n)) for a in range(n)]


ELEMENTS = {
    "C": _cyclic,
    "D": _dihedral,
    "S": lambda n: list(permutations(range(n))),
    "A": _even,
    "Q": _quaternions,
}
"""The elements of each kind of group as permutations, the neutral one first."""


def _table(elements: list[tuple[int, ...]]) -> np.ndarray:
    """The multiplication table of permutations: (gh)(i) = g(h(i))."""
    number = {one: at for at, one in enumerate(elements)}
    array = np.array(elements)
    return np.array([[number[tuple(row)] for row in g[array].tolist()] for g in array])
