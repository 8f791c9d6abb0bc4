"""What a group of hidden units is for: how far the error rises where it gives its mean alone."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.sections.one_hidden import OneHidden


def contributions(network: OneHidden, x: np.ndarray) -> np.ndarray:
    """(H, S, O): what each hidden unit adds to each output on inputs x (S, I), less its mean over them."""
    hidden = np.maximum(x @ network.weight.T + network.bias, 0)
    hidden = hidden - hidden.mean(axis=0)
    return hidden.T[:, :, None] * network.readout.T[:, None, :]


def residuals(network: OneHidden, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(S, O): output less target y (S, O)."""
    return np.maximum(x @ network.weight.T + network.bias, 0) @ network.readout.T + network.offset - y


def rises(parts: np.ndarray, errors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(G, O): the rise of the mean squared error of each output where groups (G, H), True in the group, give their means.

    parts (H, S, O) as of `contributions`, errors (S, O) as of `residuals`.
    """
    taken = np.tensordot(groups.astype(np.float64), parts, axes=1)
    return np.square(errors - taken).mean(axis=1) - np.square(errors).mean(axis=0)


def selectivity(rise: np.ndarray) -> float:
    """Of all rises (G, 2), those of the output that a group matters most for less the others, as a share: 1 is one output each.

    Groups count by how much they matter at all; falls count as 0. NaN where nothing rises.
    """
    rise = np.maximum(rise, 0)
    total = rise.sum()
    return float(np.abs(rise[:, 0] - rise[:, 1]).sum() / total) if total > 0 else float("nan")


def membership(labels: np.ndarray, least: int = 1) -> np.ndarray:
    """(G, H) bool: the groups of labels (H,) that have at least so many members."""
    numbers, counts = np.unique(labels, return_counts=True)
    return labels[None, :] == numbers[counts >= least][:, None]


def shuffled(groups: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, G, H): groups (G, H) with the units in a random order, the same for all of them: the sizes stay."""
    orders = rng.random((n, groups.shape[1])).argsort(axis=1)
    return groups[:, orders].transpose(1, 0, 2)
