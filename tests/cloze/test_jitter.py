"""Jitter: networks that are shown whole become others, those with something hidden stay as they are."""

import numpy as np
import pytest
import torch

from metarep.cloze.augment import jitter
from metarep.cloze.pretrain import build_model, draw_batch
from metarep.cloze.settings import PretrainConfig

SETTINGS = {
    "behaviour_weight": 1.0,
    "whole_share": 0.5,
    "d_model": 16,
    "n_heads": 2,
    "n_layers": 1,
    "units": "as_written",
    "batch_size": 400,
}


def networks(n=300):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(n, 9)) * np.arange(1, 10)).float()


def batches(**more):
    """The same draw without and with jitter."""
    params = networks()
    config = PretrainConfig(**SETTINGS)
    model = build_model(config, "2-2-1")
    model.fit_normalisation(params)
    return (draw_batch(config.model_copy(update=one), model, params, 3) for one in ({}, more))


def test_only_networks_shown_whole_are_changed():
    still, moved = batches(jitter=1.0)
    torch.testing.assert_close(moved.mask, still.mask)
    whole = ~still.mask.any(dim=1)
    assert 0.3 < whole.float().mean() < 0.7
    assert torch.equal(moved.params[~whole], still.params[~whole])
    assert (moved.params[whole] != still.params[whole]).any(dim=1).all()


def test_noise_is_in_units_of_the_spread_and_its_strength_is_uniform():
    spread = torch.arange(1.0, 10.0)
    zero = torch.zeros(20_000, 9)
    noise = jitter(zero, spread, 2.0, generator=torch.Generator().manual_seed(0)) / spread
    expected = 2.0 / 3**0.5  # the root mean square of a uniform strength on [0, 2]
    np.testing.assert_allclose(noise.std(dim=0).numpy(), expected, rtol=0.03)
    strength = noise.square().mean(dim=1).sqrt()  # one for each network: the weakest and the strongest differ
    assert strength.quantile(0.05) < 0.2
    assert strength.quantile(0.95) > 1.6


def test_the_target_is_the_behaviour_of_the_network_that_is_shown():
    """The loss of a batch is that of its own parameters; told of others, it differs."""
    still, moved = batches(jitter=1.0)
    model = build_model(PretrainConfig(**SETTINGS), "2-2-1")
    model.fit_normalisation(networks())
    whole = ~still.mask.any(dim=1)
    read = model.read(moved.params[whole])
    torch.testing.assert_close(model.denormalise(read), moved.params[whole], atol=1e-4, rtol=1e-4)
    truth, other = (model.behaviour.read(batch.params[whole]) for batch in (moved, still))
    torch.testing.assert_close(model.behaviour.read(model.denormalise(read)), truth, atol=1e-3, rtol=1e-3)
    assert ((truth == 0) != (other == 0)).float().mean() > 0.02


def test_jitter_goes_with_behaviour_alone():
    with pytest.raises(ValueError, match="behaviour"):
        PretrainConfig(jitter=0.5)
