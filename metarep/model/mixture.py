"""Mixtures of Gaussians of low rank over the values of a unit: what a cloze model can start from.

Units that do one of several things lie near one of several subspaces. One Gaussian over all of them knows nothing of that: to
predict a masked value is to find out first which subspace a unit is of. Each Gaussian of a mixture says how likely what is seen
of a unit is, and what it takes the rest to be.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from metarep.model.layout import Layout

MAX_VALUES = 512
"""Units of more values have no mixture: its covariances could not be fitted."""
MAX_ROWS, MIN_ROWS = 10_000, 20
"""The most units that a mixture is fitted on, and the fewest for each Gaussian."""
MAX_ITERATIONS, RIDGE = 100, 1e-2
"""Of expectation maximisation; what is added to every variance, where the mean square of a unit's values is 1."""
AT_ONCE = 16_000_000
"""Numbers in the inner matrices of those units that are read at a time, at most."""


class Unitwise(NamedTuple):
    """A window as units that are alike: the name of what they are, and where in a token-by-value array of T · C their values
    stand, (U, L).
    """

    name: str
    index: torch.Tensor


def unitwise(layout: Layout) -> Unitwise | None:
    """The window as units that are alike; None where it shows units of several groups, units that differ, or values whose slots
    are not told apart.
    """
    n_units, n_tokens = layout.units.shape
    n_own = n_tokens // max(1, n_units)
    own = torch.eye(n_units, dtype=torch.bool).repeat_interleave(n_own, dim=1)
    if n_units * n_own != n_tokens or not torch.equal(layout.units, own) or bool(layout.own_stride.any()):
        return None
    blocks, slot, present = (part.unflatten(0, (n_units, n_own)) for part in (layout.slot_block, layout.slot, layout.present))
    if any(not torch.equal(part, part[:1].expand_as(part)) for part in (blocks, slot, present)):
        return None
    if not all(slots.axes for slots in layout.slots):
        return None
    side = layout.side.unflatten(0, (n_units, n_own))[0]
    own = zip(blocks[0].tolist(), side.tolist(), slot[0].tolist(), present[0].tolist(), strict=True)
    shown = [(layout.slots[block].key, side, slots, there) for block, side, slots, there in own]
    name = f"{shown[0][0]} {hashlib.sha256(repr(shown).encode()).hexdigest()[:12]}"
    index = torch.nonzero(present[0].flatten()).squeeze(1)
    return Unitwise(name, index + n_own * layout.chunk * torch.arange(n_units).unsqueeze(1))


class UnitMixture(nn.Module):
    """K Gaussians of rank R over the L values of a unit, whose mean square is brought to 1.

    Log weights (K,), means (K, L), loadings (K, L, R) and the variance (K,) that these leave. Before it is fitted it knows
    nothing: it takes all values to be 0.
    """

    def __init__(self, n_values: int, n_components: int, rank: int):
        super().__init__()
        rank = min(rank, n_values)
        self.register_buffer("log_weight", torch.full((n_components,), -math.log(n_components)))
        self.register_buffer("mean", torch.zeros(n_components, n_values))
        self.register_buffer("loadings", torch.zeros(n_components, n_values, rank))
        self.register_buffer("noise", torch.ones(n_components))

    def fit(self, units: np.ndarray, *, seed: int) -> UnitMixture:
        """To units (N, L), by expectation maximisation with full covariances, of which the largest R directions are kept."""
        from sklearn.mixture import GaussianMixture  # slow to import, and seldom fitted

        rows = np.random.default_rng(seed).permutation(len(units))[:MAX_ROWS]
        rows = at_scale_1(torch.from_numpy(units[rows]).double(), torch.ones(1, units.shape[1], dtype=torch.float64))[0].numpy()
        k = max(1, min(len(self.log_weight), len(rows) // MIN_ROWS))
        how = {"reg_covar": RIDGE, "init_params": "k-means++", "max_iter": MAX_ITERATIONS, "random_state": seed}
        fitted = GaussianMixture(k, **how).fit(rows)
        variances, directions = np.linalg.eigh(fitted.covariances_)
        rank = self.loadings.shape[-1]
        left, kept = variances[:, : variances.shape[1] - rank], variances[:, variances.shape[1] - rank :]
        noise = np.maximum(left.sum(axis=1) / max(1, left.shape[1]), RIDGE)
        loadings = directions[..., -rank:] * np.sqrt(np.maximum(kept - noise[:, None], 0))[:, None]
        with torch.no_grad():
            self.log_weight.fill_(-torch.inf)
            found = (np.log(fitted.weights_), fitted.means_, loadings, noise)
            for own, values in zip((self.log_weight, self.mean, self.loadings, self.noise), found, strict=True):
                own[:k] = torch.from_numpy(values).to(own)
        return self

    @torch.no_grad()
    def log_densities(self, units: torch.Tensor) -> torch.Tensor:
        """(N, K): of whole units (N, L) at mean square 1, under each Gaussian, in nats."""
        seen = torch.ones_like(units, dtype=torch.bool)
        return torch.cat([self._read(*some)[0] for some in self._pieces(units, seen)])

    @torch.no_grad()
    def complete(self, units: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """(N, L): the mean of every value of units (N, L) given those that are seen, (N, L) bool.

        The mean square of a whole unit is taken to be that of what is seen of it.
        """
        found = []
        for some in self._pieces(units, seen):
            log_density, factors, scale = self._read(*some)
            weight = (self.log_weight + log_density).softmax(dim=-1)
            means = weight @ self.mean + (weight.unsqueeze(-1) * factors).flatten(1) @ self.flat.T
            found.append(means * scale)
        return torch.cat(found)

    @property
    def flat(self) -> torch.Tensor:
        """The loadings of all Gaussians side by side, (L, K · R)."""
        return self.loadings.transpose(0, 1).flatten(1)

    def _pieces(self, *arrays: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
        """Some rows of arrays (N, L) at a time."""
        k, _, rank = self.loadings.shape
        return zip(*(array.split(max(1, AT_ONCE // (k * rank * rank))) for array in arrays), strict=True)

    def _read(self, units: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The log density (N, K) of what is seen of units (N, L), the expected factors (N, K, R), and each unit's scale (N, 1).

        x = μ + W f + ε: E[f | seen] = A⁻¹ Wᵀ(x − μ) with A = WᵀW + σ² over what is seen (Tipping and Bishop, "Probabilistic
        principal component analysis", 1999); the determinant and the inverse of the covariance by those of A (Woodbury).
        """
        if units.is_cuda:  # a GPU may round products to TF32; there every unit has its own factorisation
            units, shown, which = units.double(), seen, torch.arange(len(seen), device=seen.device)
        else:
            shown, which = torch.unique(seen, dim=0, return_inverse=True)
        root, log_det = self._inner(shown.to(units))
        there = seen.to(units)
        scaled, scale = at_scale_1(units, there)
        scaled = scaled * there
        mean, flat = self.mean.to(units), self.flat.to(units)
        at_mean = (mean.unsqueeze(-1) * self.loadings).transpose(0, 1).flatten(1)
        along = (scaled @ flat - there @ at_mean).unflatten(1, self.loadings.shape[::2])
        root = root[which]
        half = torch.linalg.solve_triangular(root, along.unsqueeze(-1), upper=False)
        factors = torch.linalg.solve_triangular(root.mT, half, upper=True).squeeze(-1)
        off = scaled.square().sum(dim=-1, keepdim=True) - 2 * scaled @ mean.T + there @ mean.square().T
        squares = (off - half.square().sum(dim=(-1, -2))) / self.noise
        constant = there.sum(dim=-1, keepdim=True) * math.log(2 * math.pi)
        read = (-0.5 * (squares + log_det[which] + constant), factors, scale)
        return tuple(part.to(self.mean) for part in read)

    def _inner(self, shown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each pattern (P, L) of 0 and 1 the Cholesky factor of A (P, K, R, R), and the log determinant (P, K) of the
        covariance of what is seen.
        """
        rank = self.loadings.shape[-1]
        outer = (self.loadings.unsqueeze(-1) * self.loadings.unsqueeze(-2)).transpose(0, 1).flatten(1)
        inner = (shown @ outer.to(shown)).unflatten(1, (-1, rank, rank))
        inner = inner + self.noise[:, None, None] * torch.eye(rank, device=shown.device, dtype=shown.dtype)
        root, _ = torch.linalg.cholesky_ex(inner)
        log_det = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
        return root, log_det + (shown.sum(dim=-1, keepdim=True) - rank) * self.noise.log()


def at_scale_1(units: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Units (N, L) whose values seen, (N or 1, L) of 0 and 1, have mean square 1; and what they were divided by, (N, 1)."""
    mean_square = (units.square() * seen).sum(dim=-1, keepdim=True) / seen.sum(dim=-1, keepdim=True).clamp_min(1)
    scale = torch.where(mean_square > 0, mean_square, 1.0).sqrt()
    return units / scale, scale
