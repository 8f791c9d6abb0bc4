"""Canonical forms that a model reads networks in, what they leak, and embeddings averaged over copies in place of them."""

import json

import numpy as np
import pytest
import torch

from metarep.cloze.embed import embed, embed_as_written, embed_params, load_embeddings
from metarep.cloze.imputers import fit_linear_gaussian, fit_unit_norm
from metarep.cloze.masks import leave_one_out_masks
from metarep.cloze.model import ClozeModel
from metarep.cloze.pretrain import build_model, draw_batch, load_model, pretrain
from metarep.cloze.settings import EmbedConfig, PretrainConfig
from metarep.cloze.tokens import TokenLayout
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders, canonical_order, canonical_scale, random_scales, symmetric_copies
from metarep.tables import read_csv
from metarep.training.build import build_zoo
from metarep.training.settings import FamilyConfig, ZooConfig

SPEC = NetworkSpec.parse("2-2-1")
LAYOUT = TokenLayout(SPEC)
SIZE = {"d_model": 16, "n_layers": 1, "n_heads": 2, "n_components": 2, "behaviour_weight": 1.0, "whole_share": 0.5}
STEPS = {"n_steps": 6, "batch_size": 16, "warmup_steps": 2, "eval_every": 3}


def networks(n=60, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 9)).astype(np.float32)


def swapped(params):
    return params[:, all_unit_orders(SPEC)[1]]


def rescaled(params, std=1.0):
    return (params * random_scales(SPEC, std, len(params), rng=np.random.default_rng(5))).astype(np.float32)


def model_of(**settings):
    """A model that was never trained, its relations, places and beliefs far from zero."""
    torch.manual_seed(0)
    model = build_model(PretrainConfig(**SIZE, **settings), str(SPEC))
    for weight in (*(block.relation_bias for block in model.blocks), model.first.weight, model.second.weight):
        torch.nn.init.normal_(weight)
    torch.nn.init.normal_(model.decoder.head.gate.weight, std=5.0)
    model.fit_normalisation(torch.from_numpy(networks(200, seed=1)))
    return model.eval()


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    config = ZooConfig(families=(FamilyConfig(n_networks=80, n_steps=5, lr=2e-2),), engine="torch")
    return build_zoo(config, tmp_path_factory.mktemp("zoo") / "zoo")


@pytest.fixture(scope="module")
def canonical(zoo, tmp_path_factory):
    config = PretrainConfig(**SIZE, **STEPS, positions="indexed", units="canonical", scale="canonical", jitter=1.0)
    return pretrain(config, zoo, tmp_path_factory.mktemp("model") / "model")


@pytest.mark.parametrize("kind", ["states", "activity", "profile"])
def test_a_model_of_canonical_scale_does_not_see_scales_and_one_of_written_scale_does(kind):
    params, model, control = networks(), model_of(scale="canonical"), model_of()
    assert np.abs(embed_params(model, rescaled(params), kind) - embed_params(model, params, kind)).max() < 1e-4
    assert np.abs(embed_params(control, rescaled(params), kind) - embed_params(control, params, kind)).max() > 0.01


def test_numbered_units_in_canonical_order_know_no_order_and_as_they_stand_they_do():
    params = networks()
    model, control = (model_of(positions="indexed", units=units) for units in ("canonical", "as_written"))
    torch.testing.assert_close(model.read(swapped(params)), model.read(params), atol=0, rtol=0)
    assert (control.read(swapped(params)) - control.read(params)).abs().max() > 0.1


def test_normalisation_and_jitter_are_of_the_networks_that_are_read():
    params, model = networks(400), model_of(scale="canonical")
    model.fit_normalisation(torch.from_numpy(params))
    read = canonical_scale(SPEC, params)
    assert model.class_std[0].item() == pytest.approx(read[:, [0, 2]].std(), rel=1e-4)
    assert abs(model.class_std[0].item() - params[:, [0, 2]].std()) > 0.1
    config = PretrainConfig(**SIZE, scale="canonical", jitter=1e-4, batch_size=200)
    batch = draw_batch(config, model, torch.from_numpy(params), 0)
    whole = ~batch.mask.any(dim=1)
    norm = batch.params[whole][:, LAYOUT.incoming[0]].norm(dim=1)
    torch.testing.assert_close(norm, torch.ones(len(norm)), atol=1e-3, rtol=0)


def test_a_saved_model_keeps_its_form_and_an_older_one_reads_networks_as_they_are(canonical, tmp_path):
    model = load_model(canonical)
    assert (model.scale, model.unit_order) == ("canonical", "canonical")
    params = networks()
    moved = rescaled(swapped(params))
    torch.testing.assert_close(model.read(moved), model.read(params), atol=1e-4, rtol=0)
    model_of().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    del settings["scale"], settings["units"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    old = ClozeModel.from_pretrained(tmp_path, local_files_only=True)
    torch.testing.assert_close(old.written(torch.from_numpy(moved)), torch.from_numpy(moved), atol=0, rtol=0)


def test_the_leak_is_measured_where_there_is_one(zoo, canonical, tmp_path):
    predictors = {row["predictor"] for row in read_csv(canonical / "masked_r2.csv")}
    assert predictors == {"cloze", "mean", "linear_gaussian", "unit_norm"}
    plain = pretrain(PretrainConfig(**SIZE, **STEPS), zoo, tmp_path / "plain")
    assert "unit_norm" not in {row["predictor"] for row in read_csv(plain / "masked_r2.csv")}


def imputed_in_turn(params, impute, mean, std):
    """Each parameter of networks (N, P) hidden in turn: (N, P)."""
    n, t = params.shape
    masks = leave_one_out_masks(LAYOUT).repeat(n, 1).numpy()
    values = np.repeat((params - mean) / std, t, axis=0)
    values[masks] = np.nan  # what is hidden must not be looked at
    return impute(values, masks)[masks].reshape(n, t) * std + mean


def one_signed(n=4000):
    """Networks whose incoming parameters are all positive: to know their size is to know them."""
    params = networks(n, seed=2).astype(np.float64)
    incoming = np.concatenate(LAYOUT.incoming)
    params[:, incoming] = 0.5 + np.abs(params[:, incoming])
    return params, incoming


def test_the_imputer_that_exploits_the_norm_is_exact_where_the_sign_is_sure():
    params, incoming = one_signed()
    read = canonical_scale(SPEC, params)
    mean, std = read.mean(axis=0), read.std(axis=0)
    impute = fit_unit_norm((read[:3000] - mean) / std, LAYOUT, mean, std)
    found, test = imputed_in_turn(read[3000:], impute, mean, std), read[3000:]
    error = np.abs(found - test)[:, incoming]
    assert (error < 1e-6).mean() > 0.7  # elsewhere the Gaussian is not sure of the sign, and the two are averaged
    assert (np.abs(found) <= np.abs(test) + 1e-9)[:, incoming].all()
    linear = fit_linear_gaussian((read[:3000] - mean) / std, LAYOUT)
    by_linear = np.abs(imputed_in_turn(test, linear, mean, std) - test)
    assert error.mean() < 0.2 * by_linear[:, incoming].mean()
    others = np.setdiff1d(np.arange(9), incoming)
    np.testing.assert_allclose(np.abs(found - test)[:, others], by_linear[:, others])


def test_the_control_networks_of_written_scale_leak_nothing():
    params, incoming = one_signed()
    mean, std = params.mean(axis=0), params.std(axis=0)
    found = imputed_in_turn(params[3000:], fit_unit_norm((params[:3000] - mean) / std, LAYOUT, mean, std), mean, std)
    assert (np.abs(found - params[3000:])[:, incoming] < 0.01).mean() < 0.05


def test_two_hidden_parameters_of_a_unit_leave_the_norm_open():
    read = canonical_scale(SPEC, networks(500).astype(np.float64))
    mask = np.zeros(read.shape, dtype=bool)
    mask[:, LAYOUT.incoming[0][:2]] = True
    found = fit_unit_norm(read, LAYOUT, np.zeros(9), np.ones(9))(read, mask)
    np.testing.assert_allclose(found, fit_linear_gaussian(read, LAYOUT)(read, mask))


@pytest.mark.parametrize("kind", ["pooled", "states", "activity", "patterns", "certainty"])
def test_averaging_over_orders_changes_nothing_where_positions_are_relational_and_something_where_units_have_numbers(kind):
    params = networks()
    for positions, moved in (("relational", False), ("indexed", True)):
        model = model_of(positions=positions)
        alone, averaged = embed_params(model, params, kind), embed_params(model, params, kind, n_copies=8, copy_scale=0.0)
        change = np.abs(averaged - alone).max()
        assert (change > 1e-3) == moved
        assert moved or change < 1e-4
        np.testing.assert_array_equal(
            embed_params(model, swapped(params), kind, n_copies=8, copy_scale=0.0), averaged
        )  # canonical order comes first


def test_averaging_over_scales_changes_nothing_where_the_model_reads_canonical_scale_and_something_elsewhere():
    params = networks()
    for scale, moved in (("canonical", False), ("as_written", True)):
        model = model_of(scale=scale)
        averaged = embed_params(model, params, "states", n_copies=4, copy_scale=1.0)
        change = np.abs(averaged - embed_params(model, params, "states")).max()
        assert (change > 0.01) == moved
        assert moved or change < 1e-4


def test_an_average_is_the_mean_over_the_copies_of_its_seed_whatever_the_batch(zoo, canonical, tmp_path):
    config = EmbedConfig(kind="states", n_copies=3, copy_scale=0.7, seed=4)
    small, large = (
        load_embeddings(embed(config.model_copy(update={"batch_size": b}), canonical, zoo, tmp_path / str(b)))
        for b in (27, 512)
    )
    np.testing.assert_allclose(small.vectors, large.vectors, atol=1e-5)
    model, params = model_of(positions="indexed"), canonical_order(SPEC, networks())
    found = {seed: embed_params(model, params, "states", n_copies=3, copy_scale=0.7, seed=seed) for seed in (4, 5)}
    copies = symmetric_copies(SPEC, params, 3, 0.7, rng=np.random.default_rng(4))
    np.testing.assert_allclose(found[4], sum(embed_as_written(model, copy, "states") for copy in copies) / 3, atol=1e-5)
    assert np.abs(found[4] - found[5]).max() > 0.01


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"units": "canonical"}, "positions=indexed"),
        ({"scale": "canonical", "scale_units": 0.5}, "takes back"),
        ({"scale": "canonical", "tokens": "behaviour"}, "tokens=parameters"),
    ],
)
def test_settings_that_undo_each_other_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        PretrainConfig(**settings)
