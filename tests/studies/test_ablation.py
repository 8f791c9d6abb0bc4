"""Ablated groups: exact rises, selectivity, and networks of two products that learn."""

import numpy as np
import pytest

from metarep.domains.multiplier.sections.one_hidden import OneHidden
from metarep.networks.forward import forward
from metarep.progress import Progress
from metarep.studies.trained.parts import Ablated, membership, selectivity, shuffled
from metarep.studies.trained.two_products import SPEC, initial_params, train_two_products, two_products


def network_of_two(rng):
    """Units 0 and 1 for output 0, units 2 and 3 for output 1."""
    readout = np.array([[1.0, -2.0, 0, 0], [0, 0, 1.5, 1.0]])
    return OneHidden(rng.standard_normal((4, 3)), rng.standard_normal(4), readout, np.zeros(2))


def test_rises_are_those_of_the_ablated_network():
    rng = np.random.default_rng(0)
    network, x, y = network_of_two(rng), rng.standard_normal((50, 3)), rng.standard_normal((50, 2))
    hidden = np.maximum(x @ network.weight.T + network.bias, 0)
    ablated = hidden.copy()
    ablated[:, [0, 2]] = hidden[:, [0, 2]].mean(axis=0)
    errors = [np.square(h @ network.readout.T + network.offset - y).mean(axis=0) for h in (ablated, hidden)]
    group = np.array([[True, False, True, False]])
    found = Ablated.on(network, x, y)
    np.testing.assert_allclose(found.rises(group)[0], errors[0] - errors[1])
    np.testing.assert_allclose(found.off, (hidden == 0).mean(axis=0))


def test_groups_of_one_output_are_selective_and_mixed_ones_are_not():
    rng = np.random.default_rng(0)
    network, x = network_of_two(rng), rng.standard_normal((500, 3))
    found = Ablated.on(network, x, Ablated.on(network, x, np.zeros((500, 2))).errors)
    own, mixed = (selectivity(found.rises(membership(np.array(labels)))) for labels in ([0, 0, 1, 1], [0, 1, 0, 1]))
    assert own == pytest.approx(1)
    assert mixed < own - 0.1
    assert np.isnan(selectivity(np.zeros((2, 2))))


def test_random_groups_keep_their_sizes():
    groups = membership(np.array([0, 0, 0, 1, 2, 2]), least=2)
    random = shuffled(groups, 20, np.random.default_rng(0))
    assert groups.sum(axis=1).tolist() == [3, 2]
    assert (random.sum(axis=2) == [3, 2]).all()
    assert (random.sum(axis=1) <= 1).all()


def test_two_products_are_those_of_the_inputs_and_are_learnt():
    (x, y), (other, _) = two_products(3, 100)
    np.testing.assert_allclose(y, np.stack([x[:, 0] * x[:, 1], x[:, 2] * x[:, 3]], axis=1), atol=1e-6)
    assert not np.isin(other, x).any()
    assert np.abs(initial_params(np.arange(3))).max() <= 0.5
    assert len(np.unique(initial_params(np.arange(3)), axis=0)) == 3
    errors = []
    for n_steps in (0, 200):
        trained = train_two_products(np.arange(2), n_samples=100, n_steps=n_steps, progress=Progress())
        found = np.stack([forward(SPEC, p, v) for p, v in zip(trained.params, trained.inputs, strict=True)])
        errors.append(np.square(found - trained.targets).mean())
    assert errors[1] < 0.3 * errors[0]
