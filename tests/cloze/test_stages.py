"""Pretraining and embedding as stages: they carry on, they repeat, they do not see the order of units."""

import shutil

import numpy as np
import pytest
import torch

from metarep.artefact import open_artefact, partial_path
from metarep.cloze import pretrain as pretraining
from metarep.cloze.embed import embed, embed_params, leave_one_out, load_embeddings, untrained_like
from metarep.cloze.pretrain import learning_rate, load_model, pretrain
from metarep.cloze.settings import EmbedConfig, PretrainConfig
from metarep.errors import MetarepError
from metarep.networks.symmetry import all_unit_orders
from metarep.tables import read_csv
from metarep.training.build import build_zoo
from metarep.training.settings import FamilyConfig, ZooConfig
from metarep.zoos.zoo import open_zoo

CONFIG = PretrainConfig(
    d_model=16, n_layers=1, n_heads=2, n_components=2, n_steps=30, batch_size=16, warmup_steps=5, eval_every=10
)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    config = ZooConfig(families=(FamilyConfig(n_networks=80, n_steps=600, lr=5e-3),))
    return build_zoo(config, tmp_path_factory.mktemp("zoo") / "zoo")


@pytest.fixture(scope="module")
def model(zoo, tmp_path_factory):
    return pretrain(CONFIG, zoo, tmp_path_factory.mktemp("model") / "model")


def test_a_model_holds_what_the_contract_says_and_nothing_else(model):
    assert {p.name for p in model.iterdir()} == {
        "manifest.json", "config.json", "model.safetensors", "log.csv", "masked_r2.csv",
    }  # fmt: skip
    log = read_csv(model / "log.csv")
    assert [row["step"] for row in log] == [10, 20, 30]
    rows = read_csv(model / "masked_r2.csv")
    assert {row["predictor"] for row in rows} == {"cloze", "mean", "linear_gaussian"}
    assert {row["group"] for row in rows} == {"all", "kind", "parameter", "mode"}


def test_normalisation_comes_from_the_training_split_alone(zoo, model):
    networks = open_zoo(zoo).final()
    train = networks.where(split="train").params[:, [0, 2]]
    assert load_model(model).class_mean[0].item() == pytest.approx(train.mean(), abs=1e-6)
    assert abs(networks.params[:, [0, 2]].mean() - train.mean()) > 1e-6


def test_the_same_seed_gives_the_same_weights_and_another_does_not(zoo, model, tmp_path):
    again = pretrain(CONFIG, zoo, tmp_path / "again")
    other = pretrain(CONFIG.model_copy(update={"seed": 1}), zoo, tmp_path / "other")
    weights = [(path / "model.safetensors").read_bytes() for path in (model, again, other)]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize("killed_at", [7, 10, 25])
def test_a_pretraining_that_was_killed_ends_with_the_same_bytes(zoo, model, tmp_path, monkeypatch, killed_at):
    real, steps = pretraining.train_step, []

    def dying(*arguments):
        if len(steps) == killed_at:
            raise KeyboardInterrupt
        steps.append(1)
        return real(*arguments)

    monkeypatch.setattr(pretraining, "train_step", dying)
    with pytest.raises(KeyboardInterrupt):
        pretrain(CONFIG, zoo, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert partial_path(tmp_path / "model").is_dir()
    done = []
    monkeypatch.setattr(pretraining, "train_step", lambda *a: (done.append(1), real(*a))[1])
    pretrain(CONFIG, zoo, tmp_path / "model")
    assert len(done) == 30 - killed_at // 10 * 10
    for name in ("model.safetensors", "log.csv", "masked_r2.csv"):
        assert (tmp_path / "model" / name).read_bytes() == (model / name).read_bytes(), name


def test_the_learning_rate_warms_up_and_decays():
    rates = [learning_rate(CONFIG, step) for step in range(CONFIG.n_steps)]
    assert rates[0] < rates[4] == max(rates) == CONFIG.lr
    assert rates[-1] < 0.1 * CONFIG.lr


@pytest.mark.parametrize("kind", ["pooled", "profile", "certainty", "coupling"])
def test_embeddings_are_exactly_invariant_to_the_order_of_units(zoo, model, kind):
    params, network = open_zoo(zoo).params, load_model(model)
    swapped = params[:, all_unit_orders(network.spec)[1]]
    np.testing.assert_array_equal(embed_params(network, swapped, kind), embed_params(network, params, kind))


def test_the_control_profiles_in_the_order_of_parameters_do_change(zoo, model):
    params, network = open_zoo(zoo).params, load_model(model)
    swapped = params[:, all_unit_orders(network.spec)[1]]
    with torch.no_grad():
        straight, turned = (leave_one_out(network, network.normalise(torch.from_numpy(p)))[1] for p in (params, swapped))
    assert (straight - turned).abs().max() > 1e-4  # a barely trained model; the invariance above is exact


@pytest.mark.parametrize("kind", ["pooled", "profile", "certainty", "coupling"])
def test_embeddings_do_not_depend_on_the_batch_and_belong_to_their_networks(zoo, model, tmp_path, kind):
    small, large = (
        load_embeddings(embed(EmbedConfig(kind=kind, batch_size=b), model, zoo, tmp_path / str(b))) for b in (27, 512)
    )
    np.testing.assert_allclose(small.vectors, large.vectors, atol=1e-5)
    assert small.network_id.tolist() == open_zoo(zoo)["network_id"].tolist()
    assert np.isfinite(small.vectors).all()


def test_the_untrained_control_is_another_model_with_the_same_normalisation(model):
    network = load_model(model)
    fresh = untrained_like(network, seed=0)
    torch.testing.assert_close(fresh.class_mean, network.class_mean)
    assert not torch.equal(fresh.blocks[0].qkv.weight, network.blocks[0].qkv.weight)


def test_a_zoo_of_another_architecture_and_a_damaged_model_are_refused(model, tmp_path):
    wide = build_zoo(ZooConfig(families=(FamilyConfig(n_networks=3, spec="2-3-1", n_steps=2),)), tmp_path / "wide")
    with pytest.raises(MetarepError, match="another architecture"):
        embed(EmbedConfig(), model, wide, tmp_path / "out")
    damaged = shutil.copytree(model, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(MetarepError, match="truncated or altered"):
        load_model(damaged)
    assert {p.name for p in tmp_path.iterdir()} == {"wide", "damaged"}


def test_a_zoo_too_small_is_refused(tmp_path):
    tiny = build_zoo(ZooConfig(families=(FamilyConfig(n_networks=3, n_steps=2),)), tmp_path / "tiny")
    with pytest.raises(MetarepError, match="too small"):
        pretrain(CONFIG, tiny, tmp_path / "model")
    assert open_artefact(tiny).kind == "zoo"
    assert {p.name for p in tmp_path.iterdir()} == {"tiny"}
