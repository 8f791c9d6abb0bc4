"""Coupling: a model that knows the truth of a Gaussian must give back its partial correlations."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from metarep.cloze.embed import MAX_COUPLED, coupling, leave_one_out
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec


class GaussianTruth:
    """Stands in for a cloze model: its entropies are those of a Gaussian of the given covariance."""

    def __init__(self, covariance: np.ndarray):
        self.covariance = torch.from_numpy(covariance)
        self.layout = SimpleNamespace(n_tokens=len(covariance), spec=NetworkSpec((2, 1)))

    def encode(self, values, masks):
        """(N, T, 1): the variance of each hidden value given those that are seen."""
        rows = []
        for mask in masks:
            seen = ~mask
            s, cross = self.covariance[seen][:, seen], self.covariance[mask][:, seen]
            variance = torch.ones(len(mask), dtype=torch.float64)
            explained = cross @ torch.linalg.solve(s, cross.T) if seen.any() else 0.0
            variance[mask] = (self.covariance[mask][:, mask] - explained).diagonal()
            rows.append(variance)
        return torch.stack(rows).unsqueeze(-1)

    def head(self, states):
        return SimpleNamespace(
            entropy=lambda: 0.5 * torch.log(2 * math.pi * math.e * states[..., 0]),
            expectation=lambda: states[..., 0],
            log_density=lambda value: -value,
        )


def coupling_of(covariance: np.ndarray, n: int) -> np.ndarray:
    model, values = GaussianTruth(covariance), torch.zeros(n, len(covariance), dtype=torch.float64)
    return coupling(model, values, leave_one_out(model, values).entropy).numpy()


def partial_correlations(covariance: np.ndarray) -> np.ndarray:
    precision = np.linalg.inv(covariance)
    scale = np.sqrt(np.diag(precision))
    return -precision / np.outer(scale, scale)


@pytest.mark.parametrize("seed", range(3))
def test_coupling_is_the_squared_partial_correlation_of_a_gaussian(seed):
    root = np.random.default_rng(seed).standard_normal((5, 5))
    covariance = root @ root.T + 0.3 * np.eye(5)
    found = coupling_of(covariance, n=2)
    expected = np.square(partial_correlations(covariance)) * ~np.eye(5, dtype=bool)
    np.testing.assert_allclose(found[0], expected, atol=1e-9)
    np.testing.assert_array_equal(found[0], found[1])


def test_what_is_independent_is_coupled_to_nothing_and_what_is_nearly_equal_fully():
    covariance = np.diag([1.0, 2.0, 3.0])
    covariance[0, 1] = covariance[1, 0] = math.sqrt(2.0) * 0.9999
    found = coupling_of(covariance, n=1)[0]
    assert found[0, 1] > 0.999
    assert found[:, 2].max() < 1e-12


def test_networks_with_too_many_pairs_are_refused():
    with pytest.raises(MetarepError, match="too many parameters"):
        coupling(GaussianTruth(np.eye(2)), *torch.zeros(2, 1, MAX_COUPLED + 1))
