"""The transformer, its heads, and the imputers beside it."""

import math

import numpy as np
import pytest
import torch

from metarep.cloze.heads import DensityHead, Mixture, SquaredHead
from metarep.cloze.imputers import fit_gaussian, fit_linear_gaussian, fit_mean
from metarep.cloze.masked_r2 import r_squared
from metarep.cloze.masks import random_masks
from metarep.cloze.model import ClozeModel, masked_loss
from metarep.cloze.tokens import TokenLayout
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders

SPEC = NetworkSpec.parse("2-2-1")
LAYOUT = TokenLayout(SPEC)
SWAP = torch.from_numpy(np.asarray(all_unit_orders(SPEC)[1]))


def small_model(positions="relational", head="mixture", seed=0):
    torch.manual_seed(seed)
    model = ClozeModel("2-2-1", d_model=16, n_layers=2, n_heads=2, head=head, n_components=3, positions=positions)
    for block in model.blocks:  # fresh relation biases are zero and would hide a mistake
        torch.nn.init.normal_(block.relation_bias)
    return model.eval()


def batch(n=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, 9, generator=generator)
    return values, random_masks(LAYOUT, n, ratio=(0.1, 0.6), unit_share=0.2, generator=generator)


def test_relational_positions_are_equivariant_under_unit_order():
    model, (values, mask) = small_model(), batch()
    straight = model(values, mask).expectation()
    swapped = model(values[:, SWAP], mask[:, SWAP]).expectation()
    torch.testing.assert_close(swapped, straight[:, SWAP], atol=1e-5, rtol=0)


def test_indexed_positions_are_not():
    model, (values, mask) = small_model("indexed"), batch()
    gap = model(values[:, SWAP], mask[:, SWAP]).expectation() - model(values, mask).expectation()[:, SWAP]
    assert gap.abs().max() > 1e-2


def test_relational_positions_do_tell_the_two_inputs_apart():
    model, (values, mask) = small_model(), batch()
    inputs = torch.tensor([1, 0, 3, 2, 4, 5, 6, 7, 8])
    gap = model(values[:, inputs], mask[:, inputs]).expectation() - model(values, mask).expectation()[:, inputs]
    assert gap.abs().max() > 1e-2


def test_a_hidden_value_cannot_be_seen():
    model, (values, mask) = small_model(), batch()
    other = torch.where(mask, values + 5, values)
    torch.testing.assert_close(model(other, mask).mean, model(values, mask).mean)
    visible = torch.where(mask, values, values + 5)
    assert (model(visible, mask).mean - model(values, mask).mean).abs().max() > 1e-3


def test_the_loss_counts_hidden_values_alone():
    model, (values, mask) = small_model(), batch()
    by_hand = -model(values, mask).log_density(values)[mask].mean()
    torch.testing.assert_close(masked_loss(model, values, mask), by_hand)


def test_a_mixture_integrates_to_one_and_its_entropy_is_that_of_a_sum():
    head = DensityHead(4, 3)
    mixture = head(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    grid = torch.linspace(-30, 30, 40001)
    density = torch.stack([mixture.log_density(value.expand(5)) for value in grid[::8]], dim=1)
    step = (grid[8] - grid[0]).item()
    torch.testing.assert_close(density.exp().sum(1) * step, torch.ones(5), atol=1e-3, rtol=0)
    by_sum = -(density.exp() * density).sum(1) * step
    torch.testing.assert_close(mixture.entropy(), by_sum, atol=2e-2, rtol=0)


def test_the_entropy_of_one_gaussian_is_exact():
    log_std = torch.tensor([[-2.0], [0.5]])
    mixture = Mixture(torch.zeros(2, 1), torch.ones(2, 1), log_std)
    torch.testing.assert_close(mixture.entropy(), log_std[:, 0] + 0.5 * math.log(2 * math.pi * math.e), atol=1e-4, rtol=0)


def test_the_squared_head_predicts_without_certainty():
    mixture = SquaredHead(4)(torch.randn(6, 4))
    assert mixture.entropy().std() < 1e-6


@pytest.mark.parametrize("head", ["mixture", "gaussian", "squared"])
def test_one_batch_can_be_overfitted(head):
    model = small_model(head=head).train()
    values, mask = batch(8)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    # A normal distribution about the mean, which knows nothing, costs 1.42 nats.
    bar = 0.1 * values[mask].var() if head == "squared" else -1.0
    first = loss = masked_loss(model, values, mask)
    for _ in range(500):
        if loss < bar:
            break
        optimiser.zero_grad()
        loss = masked_loss(model, values, mask)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # as in pretraining: a sharp density has steep walls
        optimiser.step()
    assert first > bar
    assert loss < bar


def test_a_model_saves_and_loads_in_the_hubs_way(tmp_path):
    model, (values, mask) = small_model(), batch()
    model.class_mean.fill_(0.3)
    model.save_pretrained(tmp_path)
    assert {"config.json", "model.safetensors"} <= {p.name for p in tmp_path.iterdir()}
    again = ClozeModel.from_pretrained(tmp_path, local_files_only=True).eval()
    torch.testing.assert_close(again(values, mask).mean, model(values, mask).mean, atol=0, rtol=0)
    torch.testing.assert_close(again.class_mean, model.class_mean)


def test_normalisation_goes_there_and_back_and_does_not_tell_units_apart():
    model = small_model()
    params = torch.randn(200, 9) * torch.arange(1, 10)
    model.fit_normalisation(params)
    torch.testing.assert_close(model.denormalise(model.normalise(params)), params, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.normalise(params[:, SWAP]), model.normalise(params)[:, SWAP])


def test_the_linear_gaussian_imputer_finds_a_linear_law_and_the_mean_does_not():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 9))
    x[:, 8] = 0.5 * (x[:, 4] + x[:, 5]) + 0.01 * rng.standard_normal(3000)
    mask = np.zeros_like(x, dtype=bool)
    mask[:, 8] = True
    classes = np.full(len(x), 4)
    found = fit_linear_gaussian(x[:2000], LAYOUT)(x, mask)[:, 8]
    assert r_squared(x[2000:, 8], found[2000:], classes[2000:]) > 0.99
    assert r_squared(x[2000:, 8], fit_mean(x[:2000], LAYOUT)(x, mask)[2000:, 8], classes[2000:]) < 0.01


def test_the_linear_gaussian_imputer_finds_nothing_in_noise():
    x = np.random.default_rng(0).standard_normal((3000, 9))
    mask = np.random.default_rng(1).random(x.shape) < 0.3
    found = fit_linear_gaussian(x[:2000], LAYOUT)(x, mask)
    classes = np.broadcast_to(LAYOUT.slot_class, x.shape)
    assert abs(r_squared(x[mask], found[mask], classes[mask])) < 0.02


def reader(spec, source="2-2-1", **settings):
    """A small model with behaviour, fitted to random networks, as it reads `spec`."""
    torch.manual_seed(1)
    model = ClozeModel(source, d_model=16, n_layers=2, n_heads=2, n_components=3, behaviour=True, **settings)
    for block in model.blocks:
        torch.nn.init.normal_(block.relation_bias)
    model.fit_normalisation(torch.randn(100, model.spec.n_params) * torch.arange(1, model.spec.n_params + 1))
    return model.eval(), model.reading(NetworkSpec.parse(spec))


def test_a_model_reads_its_own_architecture_as_ever():
    model, same = reader("2-2-1")
    values, mask = batch()
    torch.testing.assert_close(same(values, mask).mean, model(values, mask).mean, atol=0, rtol=0)
    torch.testing.assert_close(same.read(values), model.read(values), atol=0, rtol=0)


@pytest.mark.parametrize("spec", ["2-3-1", "2-2-2-1", "2-3-4-2-1"])
def test_other_architectures_are_read_whatever_the_order_of_units(spec):
    _, model = reader(spec)
    params = torch.randn(20, model.spec.n_params)
    mask = torch.rand(20, model.spec.n_params) < 0.3
    order = torch.from_numpy(np.asarray(all_unit_orders(model.spec)[-1]))
    straight = model(model.read(params), mask).expectation()
    turned = model(model.read(params[:, order]), mask[:, order]).expectation()
    torch.testing.assert_close(turned, straight[:, order], atol=1e-4, rtol=0)


def test_classes_keep_their_statistics_and_unseen_ones_pool_those_of_their_place():
    model, wide = reader("2-3-1")
    torch.testing.assert_close(wide.class_mean, model.class_mean)
    torch.testing.assert_close(wide.class_std, model.class_std)
    deep = model.reading(NetworkSpec.parse("2-2-2-1"))
    assert deep.places_of_layers.tolist() == [0, 0, 1]
    names = {name: number for number, name in enumerate(deep.layout.class_names)}
    of_source = {name: number for number, name in enumerate(model.layout.class_names)}
    for own, source in (("w0[·,0]", "w0[·,0]"), ("b1[·]", "b0[·]"), ("w2[0,·]", "w1[0,·]"), ("b2[0]", "b1[0]")):
        assert deep.class_std[names[own]] == model.class_std[of_source[source]]
    weights = [of_source["w0[·,0]"], of_source["w0[·,1]"]]
    torch.testing.assert_close(deep.class_mean[names["w1[·,·]"]], model.class_mean[weights].mean())
    assert deep.class_std[names["w1[·,·]"]] >= model.class_std[weights].min()
    _, back = reader("2-2-1", source="2-2-2-1")
    assert back.places_of_layers.tolist() == [0, 2]


def test_a_unit_without_weights_is_read_like_any_other():
    _, model = reader("2-3-1")
    params = model.spec.pack([(np.zeros((4, 3, 2)), np.zeros((4, 3))), (np.zeros((4, 1, 3)), np.zeros((4, 1)))])
    params[:, :4] = 0.5
    values = model.read(params)
    units = model.units(model.encode(values, torch.zeros_like(values, dtype=torch.bool)))
    assert units.shape == (4, 3, 16)
    assert units.isfinite().all()


@pytest.mark.parametrize(("spec", "settings"), [("2-3-1", {"positions": "indexed"}), ("3-2-1", {}), ("2-2-2", {}), ("2-1", {})])
def test_what_cannot_be_read_is_refused(spec, settings):
    with pytest.raises(MetarepError):
        reader(spec, **settings)


def test_the_gaussian_says_how_far_off_it_will_be():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6000, 9)) @ rng.standard_normal((9, 9))
    mask = np.zeros_like(x, dtype=bool)
    mask[:, [0, 8]] = True
    # a law that knows no unit order: both orders of every network
    both = np.concatenate([x, x[:, SWAP.numpy()]])
    found, variance = fit_gaussian(both, LAYOUT)(both, np.concatenate([mask, mask]))
    error = np.square(found - both).mean(axis=0)
    np.testing.assert_allclose(variance[0, [0, 8]], error[[0, 8]], rtol=0.02)
