"""Objectives: what each of them is a loss of, and networks that compute the same function."""

import math

import numpy as np
import pytest
import torch
from small_networks import TINY, model_for, parts_of, prepared_for, random_tensors, whole_networks

from metarep.errors import MetarepError
from metarep.model.augment import permute_units, scale_units
from metarep.model.heads import HEADS, Prediction, Rectified
from metarep.model.objectives import build_objective, nt_xent
from metarep.model.pretraining import draw_batch
from metarep.model.reconstruction import unit_orders
from metarep.model.settings import PretrainConfig
from metarep.model.views import HeldOutputs, input_grid, redraw_dead_units, rms, same_function, spec_of
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import canonical_order, canonical_scale
from metarep.networks.tensor_symmetry import permuted

SPEC = NetworkSpec.parse("2-2-1")
INPUTS = input_grid(2, 0.0, 1.0)


def random_params(n: int, spec: NetworkSpec = SPEC, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, spec.n_params, generator=torch.Generator().manual_seed(seed))


def batch_of(objective: str, n: int = 32, **more):
    config = PretrainConfig(**TINY, objective=objective, **more)
    prepared = prepared_for(config, whole_networks("2-2-1", n))
    return prepared, *draw_batch(config, prepared.model, prepared.train, 0)


def test_the_loss_of_the_cloze_counts_masked_values_alone():
    prepared, (segment,), (mask,), generator = batch_of("cloze", head="squared")
    prediction = prepared.model(segment, mask).expectation()
    expected = (prediction - prepared.model.normalise(segment))[mask].square().mean()
    torch.testing.assert_close(prepared.objective.loss([segment], [mask], generator=generator), expected)
    assert prepared.objective.encoder is prepared.model


def test_the_autoencoder_does_not_know_the_order_of_units_and_a_fixed_order_would():
    prepared, (segment,), (mask,), generator = batch_of("autoencoder")
    subject = prepared.train.sources[0]
    order = torch.tensor([1, 0]).expand(len(segment), -1)
    swapped = subject.segment(permuted(segment.tensors, subject.symmetries, [None, order, None]))
    loss = lambda one: prepared.objective.loss([one], [mask], generator=generator)  # noqa: E731
    torch.testing.assert_close(loss(segment), loss(swapped))
    found, target = prepared.objective.reconstruction._decoded_and_target(segment)
    values = [prepared.model.normalise(one).flatten(1) for one in (segment, swapped)]
    both = [(found - one).square().mean(dim=1) for one in values]
    torch.testing.assert_close((found - target).square().mean(dim=1), torch.minimum(*both))
    assert (both[0] - both[1]).abs().max() > 0.05


def test_a_cloze_with_a_decoder_is_the_sum_of_both_losses_and_no_order_of_units_is_asked_for():
    prepared, (segment,), (mask,), generator = batch_of("cloze", head="squared", decoder=True, bottleneck=3)
    prediction = prepared.model(segment, mask).expectation()
    masked = (prediction - prepared.model.normalise(segment))[mask].square().mean()
    rebuilt = prepared.objective.reconstruction.error([segment])
    torch.testing.assert_close(prepared.objective.loss([segment], [mask], generator=generator), masked + rebuilt)
    assert {"valid_r2", "valid_reconstruction_r2"} == set(prepared.objective.metrics([segment], [mask]))
    with pytest.raises(MetarepError, match="decoder=true is for a single architecture"):
        build_objective(prepared.config, prepared.model, None)


@pytest.mark.parametrize("widths", ["2-2-1", "1-5-1", "2-3-2-1"])
def test_values_give_back_the_networks_that_they_are_of(widths):
    config = PretrainConfig(**TINY, decoder=True)
    prepared = prepared_for(config, whole_networks(widths, 12))
    source, codec = prepared.train.sources[0], prepared.objective.reconstruction
    found = codec.networks(codec.values(source.tensors))
    assert found.keys() == source.tensors.keys()
    for name, value in source.tensors.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    assert codec.vectors(source.tensors).shape == (12, config.bottleneck)
    decoded = codec.decoded(torch.zeros(2, config.bottleneck))
    assert all(torch.equal(value[0], value[1]) for value in decoded.values())


def test_unit_orders_are_all_of_them_until_there_are_too_many():
    assert len(unit_orders(parts_of("2-3-2-1")[1])) == 12
    assert unit_orders(parts_of("2-16-1")[1]) == [[None] * 3]


def test_nt_xent_is_the_sum_it_stands_for_and_chance_is_the_logarithm_of_the_choices():
    one, other = random_params(5), random_params(5, seed=1)
    rows = [row / row.norm() for row in (*one, *other)]
    terms = []
    for i in range(10):
        weights = [math.exp(float(rows[i] @ rows[j]) / 0.5) for j in range(10)]
        terms.append(-math.log(weights[(i + 5) % 10] / (sum(weights) - weights[i])))
    assert float(nt_xent(one, other, 0.5)) == pytest.approx(np.mean(terms), rel=1e-5)
    assert float(nt_xent(one, other, 1e6)) == pytest.approx(math.log(9), abs=1e-4)
    assert float(nt_xent(torch.eye(5), torch.eye(5), 0.01)) == pytest.approx(0, abs=1e-6)


def test_the_teacher_follows_slowly_takes_no_gradient_and_shows_its_collapse():
    prepared, batch, masks, generator = batch_of("latent")
    objective, before = prepared.objective, prepared.objective.teacher.norm.weight.clone()
    with torch.no_grad():
        objective.model.norm.weight += 1.0
    objective.after_step()
    torch.testing.assert_close(objective.teacher.norm.weight, before + (1 - prepared.config.teacher_momentum))
    objective.loss(batch, masks, generator=generator).backward()
    assert all(p.grad is None for p in objective.teacher.parameters())
    assert objective.encoder is objective.teacher
    assert objective.metrics(batch, masks)["teacher_spread"] > 0.05


@pytest.mark.parametrize("name", ["2-2-1", "2-5-1", "2-3-4-1"])
def test_augmentation_leaves_the_function_as_it_is_and_a_wrong_permutation_does_not(name):
    networks, generator = whole_networks(name, 20), torch.Generator().manual_seed(1)
    tensors = {key: value.double() for key, value in networks.tensors.items()}
    x = torch.rand(50, 2, generator=generator, dtype=torch.float64)
    before = networks.forward.outputs(tensors, x)
    for changed in (
        permute_units(tensors, networks.symmetries, generator=generator),
        scale_units(tensors, networks.symmetries, 0.7, generator=generator),
    ):
        assert not torch.equal(changed["0.weight"], tensors["0.weight"])
        torch.testing.assert_close(networks.forward.outputs(changed, x), before, atol=1e-9, rtol=1e-9)
    wrong = tensors | {"0.weight": tensors["0.weight"].flip(1)}
    assert (networks.forward.outputs(wrong, x) - before).abs().max() > 0.1


def test_noise_that_keeps_the_function_keeps_it_between_the_inputs_too_and_plain_noise_does_not():
    params = random_params(200)
    moved = HeldOutputs(params, SPEC, INPUTS).moved(0.3, generator=torch.Generator().manual_seed(0))
    plain = params + rms(moved - params)[:, None] * random_params(200, seed=1)
    fine = torch.from_numpy(input_grid(2, 0.0, 1.0, n_points=2500)).float()
    outputs, same, other = (forward(SPEC, p, fine).flatten(1) for p in (params, moved, plain))
    moved_by, plain_by = (rms(changed - outputs) / rms(outputs) for changed in (same, other))
    assert moved_by.quantile(0.9) < 0.02
    assert moved_by.median() < 0.02 * plain_by.median()
    assert (rms(moved - params) > 0.01).float().mean() > 0.7
    form = [canonical_order(SPEC, canonical_scale(SPEC, p.numpy())) for p in (params, moved)]
    assert np.median(np.abs(form[0] - form[1]).max(axis=1)) > 0.01  # more than what scaling and order can do


def test_units_that_are_off_exchange_their_parameters_and_stay_off():
    params, x = random_params(200), torch.from_numpy(INPUTS).float()
    drawn = redraw_dead_units(params, SPEC, x, generator=torch.Generator().manual_seed(0))
    (weight, bias), _ = SPEC.unpack(params)
    (after, shift), _ = SPEC.unpack(drawn)
    off, still = ((x @ w.transpose(1, 2) + b.unsqueeze(1)).amax(dim=1) <= 0 for w, b in ((weight, bias), (after, shift)))
    assert off.any(dim=1).sum() > 20
    assert torch.equal(off, still)
    torch.testing.assert_close(forward(SPEC, drawn, x), forward(SPEC, params, x))
    changed = (drawn != params).any(dim=1)
    assert not changed[~off.any(dim=1)].any()
    assert changed[off.any(dim=1)].float().mean() > 0.9


@pytest.mark.parametrize("name", ["2-3-1", "2-3-4-2"])
def test_views_of_a_network_compute_the_same_with_other_parameters(name):
    networks, config = whole_networks(name, 40), PretrainConfig(**TINY, objective="contrastive", view_noise=0.1)
    assert str(spec_of(networks)) == name
    found = [same_function(networks.tensors, networks, config, generator=torch.Generator().manual_seed(i)) for i in (0, 1)]
    x = torch.from_numpy(INPUTS).float()
    outputs = [networks.forward.outputs(tensors, x).flatten(1) for tensors in (networks.tensors, *found)]
    for view, same in zip(found, outputs[1:], strict=True):
        assert (rms(same - outputs[0]) <= 0.011 * rms(outputs[0])).all()
        assert (view["0.weight"] - networks.tensors["0.weight"]).abs().flatten(1).amax(dim=1).min() > 0.01
    assert (found[0]["0.weight"] - found[1]["0.weight"]).abs().flatten(1).amax(dim=1).min() > 0.01


def test_networks_without_a_known_function_have_views_by_symmetry_alone():
    networks, config = whole_networks("2-3-1", 4, activation=None), PretrainConfig(**TINY, objective="contrastive")
    assert spec_of(networks) is None
    view = same_function(networks.tensors, networks, config, generator=torch.Generator().manual_seed(0))
    chain = whole_networks("2-3-1", 4).forward
    x = torch.rand(9, 2)
    torch.testing.assert_close(chain.outputs(view, x), chain.outputs(networks.tensors, x), atol=1e-4, rtol=1e-4)


def mixture() -> Prediction:
    return Prediction(torch.tensor([[0.3, 0.7]]).log(), torch.tensor([[-1.0, 2.0]]), torch.tensor([[0.2, -0.4]]))


def test_a_mixture_integrates_to_one_and_its_entropy_is_that_of_a_sum():
    x = torch.linspace(-12, 12, 20001).unsqueeze(-1)
    p = Prediction(*(part.expand(len(x), -1) for part in mixture())).log_density(x.squeeze(-1)).double().exp()
    step = 24 / 20000
    assert float(p.sum() * step) == pytest.approx(1.0, abs=1e-4)
    assert float(mixture().expectation()) == pytest.approx(float((p * x.squeeze(-1)).sum() * step), abs=1e-3)
    assert float(mixture().entropy()) == pytest.approx(float(-(p * p.log()).sum() * step), abs=2e-2)


def test_a_rectified_value_has_a_point_mass_at_zero():
    found = Rectified(torch.tensor([0.25]).log(), torch.tensor([0.75]).log(), mixture())
    assert float(found.log_density(torch.zeros(1)).exp()) == pytest.approx(0.25)
    assert float(found.expectation()) == pytest.approx(0.75 * float(mixture().expectation()), rel=1e-5)
    apart = -0.25 * math.log(0.25) - 0.75 * math.log(0.75) + 0.75 * float(mixture().entropy())
    assert float(found.entropy()) == pytest.approx(apart, rel=1e-4)


@pytest.mark.parametrize("head", list(HEADS))
def test_every_head_predicts_every_value_of_a_token(head):
    config = PretrainConfig(**TINY, head=head)
    networks = whole_networks("2-5-1", chunk=2)
    model, segment = model_for(config, networks), networks.segment(random_tensors("2-5-1", 3))
    with torch.no_grad():
        said = model(segment, segment.no_mask)
    assert said.expectation().shape == segment.values.shape
    assert said.log_density(model.normalise(segment)).shape == segment.values.shape
