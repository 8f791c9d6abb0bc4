"""Other things to learn from: they carry on, they know no unit order, they learn, and their views are the same function."""

import math

import numpy as np
import pytest
import torch

from metarep.cloze import pretrain as pretraining
from metarep.cloze.embed import embed, embed_params, untrained_like
from metarep.cloze.model import masked_loss
from metarep.cloze.objectives import build_objective, nt_xent, unit_orders
from metarep.cloze.pretrain import build_model, build_optimiser, draw_masks, load_model, pretrain
from metarep.cloze.settings import EmbedConfig, PretrainConfig
from metarep.cloze.tokens import layout_of
from metarep.cloze.views import HeldOutputs, activations, input_grid, redraw_dead_units, rms, views
from metarep.errors import MetarepError
from metarep.networks.forward import forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders, canonical_order, canonical_scale
from metarep.tables import read_csv
from metarep.training.build import build_zoo
from metarep.training.settings import FamilyConfig, ZooConfig
from metarep.zoos.zoo import open_zoo

OTHERS = ["autoencoder", "contrastive", "latent"]
SPEC = NetworkSpec.parse("2-2-1")
INPUTS = input_grid(2, 0.0, 1.0)
SMALL = {
    "d_model": 16,
    "n_layers": 1,
    "n_heads": 2,
    "n_steps": 12,
    "batch_size": 16,
    "warmup_steps": 2,
    "eval_every": 5,
    "lr": 5e-3,
}


def config_for(objective, **more):
    return PretrainConfig(objective=objective, **SMALL, **more)


def random_networks(n=64, seed=0, spec=SPEC):
    return torch.randn(n, spec.n_params, generator=torch.Generator().manual_seed(seed))


def fresh(objective, params, **more):
    torch.manual_seed(0)
    config = config_for(objective, **more)
    model = build_model(config, str(SPEC))
    model.fit_normalisation(params)
    return config, build_objective(config, model)


def loss_of(config, objective, params, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = draw_masks(config, objective.model, len(params), generator)
    return objective.loss(params, mask, generator=generator)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    config = ZooConfig(families=(FamilyConfig(n_networks=80, n_steps=5, lr=2e-2),), engine="torch")
    return build_zoo(config, tmp_path_factory.mktemp("zoo") / "zoo")


@pytest.fixture(scope="module")
def models(zoo, tmp_path_factory):
    return {name: pretrain(config_for(name), zoo, tmp_path_factory.mktemp("model") / name) for name in OTHERS}


@pytest.mark.parametrize("name", OTHERS)
def test_a_pretraining_that_was_killed_ends_with_the_same_bytes(zoo, models, tmp_path, monkeypatch, name):
    real, steps = pretraining.train_step, []

    def dying(*arguments):
        if len(steps) == 8:
            raise KeyboardInterrupt
        steps.append(1)
        return real(*arguments)

    monkeypatch.setattr(pretraining, "train_step", dying)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config_for(name), zoo, tmp_path / "model")
    monkeypatch.setattr(pretraining, "train_step", real)
    pretrain(config_for(name), zoo, tmp_path / "model")
    for file in ("model.safetensors", "log.csv"):
        assert (tmp_path / "model" / file).read_bytes() == (models[name] / file).read_bytes(), file


@pytest.mark.parametrize("name", OTHERS)
def test_a_saved_model_embeds_as_the_kinds_without_predictions_do_and_refuses_the_others(zoo, models, tmp_path, name):
    params, model = open_zoo(zoo).params, load_model(models[name])
    swapped = params[:, all_unit_orders(SPEC)[1]]
    for kind in ("pooled", "states"):
        found = embed_params(model, params, kind)
        np.testing.assert_array_equal(embed_params(model, swapped, kind), found)
        assert np.isfinite(found).all()
        assert found.std(axis=0).max() > 0
    width = 8 if name == "autoencoder" else 16
    assert embed_params(model, params, "pooled").shape == (80, width)
    assert embed_params(untrained_like(model, seed=0), params, "pooled").shape == (80, width)
    with pytest.raises(MetarepError, match=f"objective {name}.*pretrain with objective=cloze"):
        embed(EmbedConfig(kind="profile"), models[name], zoo, tmp_path / "out")
    assert not list(tmp_path.iterdir())
    columns = {"autoencoder": ["valid_reconstruction_r2"], "contrastive": [], "latent": ["teacher_spread"]}[name]
    assert list(read_csv(models[name] / "log.csv")[0]) == ["step", "train_loss", "valid_loss", *columns, "lr"]
    assert not (models[name] / "masked_r2.csv").exists()


@pytest.mark.parametrize("tokens", ["parameters", "behaviour", "outputs", "gradients"])
@pytest.mark.parametrize("name", ["cloze", *OTHERS])
def test_every_objective_learns_one_batch(name, tokens):
    params = random_networks(32)
    config, objective = fresh(name, params, tokens=tokens, n_probes=3)
    optimiser, first = build_optimiser(config, objective), loss_of(config, objective, params).item()
    for _ in range(25):
        loss = loss_of(config, objective, params)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        objective.after_step()
    assert loss_of(config, objective, params).item() < 0.9 * first


def test_the_cloze_objective_is_the_masked_loss():
    params = random_networks()
    config, objective = fresh("cloze", params)
    mask = draw_masks(config, objective.model, len(params), torch.Generator().manual_seed(0))
    expected = masked_loss(objective.model, objective.model.read(params), mask)
    torch.testing.assert_close(loss_of(config, objective, params), expected)
    assert objective.encoder is objective.model


def test_the_autoencoder_knows_no_unit_order_and_a_fixed_order_would():
    params = random_networks()
    swapped = params[:, all_unit_orders(SPEC)[1]]
    config, objective = fresh("autoencoder", params)
    torch.testing.assert_close(loss_of(config, objective, swapped), loss_of(config, objective, params))
    told, target = objective._told_and_target(params)
    both = [(told - values).square().mean(dim=1) for values in (objective.model.read(p) for p in (params, swapped))]
    torch.testing.assert_close((told - target).square().mean(dim=1), torch.minimum(*both))
    assert (both[0] - both[1]).abs().max() > 0.05


def test_behaviour_beside_parameters_is_for_the_cloze_alone():
    with pytest.raises(ValueError, match="objective=cloze alone"):
        config_for("latent", behaviour_weight=1.0)


def test_unit_orders_are_all_of_them_until_there_are_too_many():
    assert unit_orders(layout_of(NetworkSpec.parse("2-3-2-1"))).shape == (12, 20)
    np.testing.assert_array_equal(unit_orders(layout_of(NetworkSpec.parse("2-16-1"))), np.arange(65)[None])


def test_nt_xent_is_the_sum_it_stands_for_and_chance_is_the_logarithm_of_the_choices():
    one, other = random_networks(5), random_networks(5, seed=1)
    rows = [row / row.norm() for row in (*one, *other)]
    terms = []
    for i in range(10):
        weights = [math.exp(float(rows[i] @ rows[j]) / 0.5) for j in range(10)]
        terms.append(-math.log(weights[(i + 5) % 10] / (sum(weights) - weights[i])))
    assert float(nt_xent(one, other, 0.5)) == pytest.approx(np.mean(terms), rel=1e-5)
    assert float(nt_xent(one, other, 1e6)) == pytest.approx(math.log(9), abs=1e-4)
    assert float(nt_xent(torch.eye(5), torch.eye(5), 0.01)) == pytest.approx(0, abs=1e-6)


def test_the_teacher_follows_slowly_takes_no_gradient_and_shows_its_collapse():
    params = random_networks()
    config, objective = fresh("latent", params)
    before, mask = objective.teacher.norm.weight.clone(), torch.zeros(len(params), 9, dtype=torch.bool)
    with torch.no_grad():
        objective.model.norm.weight += 1.0
    objective.after_step()
    torch.testing.assert_close(objective.teacher.norm.weight, before + (1 - config.teacher_momentum))
    loss_of(config, objective, params).backward()
    assert all(p.grad is None for p in objective.teacher.parameters())
    assert objective.figures(params, mask)["teacher_spread"] > 0.05
    assert objective.figures(params[:1].expand(64, -1), mask)["teacher_spread"] == pytest.approx(0, abs=1e-6)


def test_noise_that_keeps_the_function_keeps_it_between_the_inputs_too_and_plain_noise_does_not(zoo):
    params = torch.from_numpy(open_zoo(zoo).params)
    moved = HeldOutputs(params, SPEC, INPUTS).moved(0.3, generator=torch.Generator().manual_seed(0))
    plain = params + rms(moved - params)[:, None] * torch.randn(params.shape, generator=torch.Generator().manual_seed(1))
    fine = torch.from_numpy(input_grid(2, 0.0, 1.0, n_points=2500)).float()
    outputs, same, other = (forward(SPEC, p, fine).flatten(1) for p in (params, moved, plain))
    moved_by, plain_by = (rms(changed - outputs) / rms(outputs) for changed in (same, other))
    assert moved_by.quantile(0.9) < 0.01
    assert moved_by.median() < 0.01 * plain_by.median()
    assert plain_by.median() > 0.1
    assert (rms(moved - params) > 0.01).float().mean() > 0.7
    form = [canonical_order(SPEC, canonical_scale(SPEC, p.numpy())) for p in (params, moved)]
    assert np.median(np.abs(form[0] - form[1]).max(axis=1)) > 0.01  # more than what scaling and order can do


def test_units_that_are_off_exchange_their_parameters_and_stay_off():
    params, x = random_networks(200), torch.from_numpy(INPUTS).float()
    drawn = redraw_dead_units(params, SPEC, x, generator=torch.Generator().manual_seed(0))
    off, still_off = (activations(SPEC, p, x, 0).amax(dim=1) <= 0 for p in (params, drawn))
    assert off.any(dim=1).sum() > 20
    torch.testing.assert_close(off, still_off)
    torch.testing.assert_close(forward(SPEC, drawn, x), forward(SPEC, params, x))
    changed = (drawn != params).any(dim=1)
    assert not changed[~off.any(dim=1)].any()
    assert changed[off.any(dim=1)].float().mean() > 0.9
    torch.testing.assert_close(drawn[:, -1], params[:, -1])


@pytest.mark.parametrize("text", ["2-3-1", "2-3-4-2"])
def test_two_views_compute_the_same_with_other_parameters(text):
    spec = NetworkSpec.parse(text)
    params, inputs = random_networks(40, spec=spec), input_grid(2, 0.0, 1.0)
    found = views(params, spec, inputs, noise=0.1, scale=0.5, generator=torch.Generator().manual_seed(0))
    outputs = [forward(spec, p, torch.from_numpy(inputs).float()).flatten(1) for p in (params, *found)]
    for view, same in zip(found, outputs[1:], strict=True):
        assert (rms(same - outputs[0]) <= 0.011 * rms(outputs[0])).all()
        assert (view - params).abs().amax(dim=1).min() > 0.05
    assert (found[0] - found[1]).abs().amax(dim=1).min() > 0.05
