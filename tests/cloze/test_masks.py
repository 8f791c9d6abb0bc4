"""Masks hide what they say; True is hidden."""

import numpy as np
import pytest
import torch

from metarep.cloze.augment import permute_units, scale_units
from metarep.cloze.masks import leave_one_out_masks, random_masks
from metarep.cloze.tokens import TokenLayout
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec

SPEC = NetworkSpec.parse("2-2-1")
LAYOUT = TokenLayout(SPEC)


def masks(n=500, *, ratio=(0.1, 0.6), unit_share=0.0, seed=0, layout=LAYOUT):
    return random_masks(layout, n, ratio=ratio, unit_share=unit_share, generator=torch.Generator().manual_seed(seed))


def test_every_network_hides_one_and_shows_one():
    n_hidden = masks(ratio=(0.01, 1.0)).sum(1)
    assert n_hidden.min() == 1
    assert n_hidden.max() == 8


def test_the_ratio_is_met_on_average():
    assert masks(5000, ratio=(0.3, 0.3)).float().mean().item() == pytest.approx(3 / 9, abs=0.01)


def test_whole_units_are_hidden_with_all_they_read_and_feed():
    hidden = masks(unit_share=1.0)
    units = {tuple(np.flatnonzero(row)) for row in hidden.numpy()}
    assert units == {(0, 1, 4, 6), (2, 3, 5, 7)}


def test_a_network_without_hidden_units_has_masks_too():
    assert masks(unit_share=1.0, layout=TokenLayout(NetworkSpec.parse("2-1"))).any(1).all()


def test_leave_one_out_hides_each_once():
    torch.testing.assert_close(leave_one_out_masks(LAYOUT).sum(0), torch.ones(9, dtype=torch.long))


@pytest.mark.parametrize("spec", ["2-2-1", "2-5-1", "2-3-4-1"])
def test_augmentation_leaves_the_function_as_it_is(spec):
    spec = NetworkSpec.parse(spec)
    generator = torch.Generator().manual_seed(1)
    params = torch.randn(20, spec.n_params, dtype=torch.float64, generator=generator)
    x = np.random.default_rng(0).uniform(size=(50, 2))
    before = forward(spec, params.numpy(), x)
    for changed in (permute_units(params, spec, generator=generator), scale_units(params, spec, 0.7, generator=generator)):
        assert not torch.equal(changed, params)
        np.testing.assert_allclose(forward(spec, changed.numpy(), x), before, atol=1e-9)


def test_the_control_a_wrong_permutation_changes_the_function():
    params = torch.randn(5, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wrong = params[:, [2, 3, 0, 1, 5, 4, 6, 7, 8]]  # incoming swapped, outgoing not
    x = np.random.default_rng(0).uniform(size=(50, 2))
    assert np.abs(forward(SPEC, wrong.numpy(), x) - forward(SPEC, params.numpy(), x)).max() > 0.1
