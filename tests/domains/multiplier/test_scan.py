"""The scan stage: on a zoo where one mode can be told and another cannot, nothing fitted on test networks."""

import json

import numpy as np
import pytest

from metarep.artefact import open_artefact
from metarep.domains.multiplier.modes import MODES
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.domains.multiplier.scan import (
    ALL,
    RANDOM,
    TEST,
    align,
    example_scores,
    fitted_scans,
    labelled,
    linear_scores,
    measure,
    portray,
    random_initialisations,
    scan,
)
from metarep.domains.multiplier.settings import ScanConfig
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed
from metarep.embeddings.store import load_embeddings
from metarep.errors import MetarepError
from metarep.model.pretraining import pretrain
from metarep.model.settings import PretrainConfig
from metarep.tables import read_csv
from metarep.training.build import build_zoo
from metarep.training.settings import FamilyConfig, ZooConfig
from metarep.zoos.zoo import open_zoo

CONFIG = ScanConfig(n_random=60, n_bootstraps=40, n_examples=2, n_example_draws=3)
MODEL = PretrainConfig(
    d_model=16, n_layers=1, n_heads=2, n_components=2, n_steps=20, batch_size=16, warmup_steps=5, eval_every=10
)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    config = ZooConfig(families=(FamilyConfig(n_networks=160, n_steps=600, lr=5e-3),))
    return build_zoo(config, tmp_path_factory.mktemp("zoo") / "zoo")


@pytest.fixture(scope="module")
def embeddings(zoo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    model = pretrain(MODEL, zoo, folder / "model")
    return embed(EmbedConfig(kind="pooled"), model, zoo, folder / "pooled")


@pytest.fixture(scope="module")
def scanned(zoo, embeddings, tmp_path_factory):
    return scan(CONFIG, zoo, tmp_path_factory.mktemp("scan") / "scan", embeddings=embeddings)


def test_random_initialisations_are_pytorchs():
    params = random_initialisations(5000, seed=0)
    assert np.abs(params).max() <= 2**-0.5
    np.testing.assert_allclose(params.std(axis=0), 2**-0.5 / 3**0.5, rtol=0.05)


def test_every_scan_is_measured_for_every_mode_against_every_class(zoo, scanned):
    rows = read_csv(scanned / "scan.csv")
    final = labelled(open_zoo(zoo))
    test = final.where(split="test")
    here = [mode for mode in MODES if (test["mode"] == mode).any()]
    assert {row["scan"] for row in rows if row["networks"] == TEST} == {"published", "loss", "linear", "embedding"}
    assert {row["scan"] for row in rows if row["networks"] == ALL} == {"published", "loss"}
    for name in ("published", "linear"):
        own = [(r["positive"], r["negative"]) for r in rows if r["scan"] == name and r["networks"] == TEST]
        wanted = {(p, n) for p in here for n in [RANDOM, "other modes", *(m for m in here if m != p)]}
        assert set(own) == wanted
        assert len(own) == len(wanted)
    for row in rows:
        counted = final if row["networks"] == ALL else test
        assert row["n_positive"] == (counted["mode"] == row["positive"]).sum()
        assert 0 <= row["auc_low"] <= row["auc"] + 1e-9 <= row["auc_high"] + 2e-9 <= 1 + 3e-9


def test_tables_and_metrics_say_what_was_done(zoo, embeddings, scanned):
    metrics = json.loads((scanned / "metrics.json").read_text())
    assert metrics["left_out"] == ""
    assert metrics["embedding"] == "pooled"
    assert open_artefact(scanned).manifest["inputs"].keys() == {"zoo", "pooled"}


def test_without_embeddings_the_scan_by_examples_is_left_out_and_this_is_said(zoo, tmp_path):
    path = scan(CONFIG, zoo, tmp_path / "scan")
    metrics = json.loads((path / "metrics.json").read_text())
    assert "embedding" not in metrics["scans"]
    assert "no embeddings were given" in metrics["left_out"]


def test_foreign_embeddings_are_refused(embeddings, tmp_path):
    other = build_zoo(ZooConfig(families=(FamilyConfig(n_networks=40, n_steps=300, lr=5e-3),), seed=5), tmp_path / "zoo")
    with pytest.raises(MetarepError, match="was not made from"):
        scan(CONFIG, other, tmp_path / "scan", embeddings=embeddings)
    assert not (tmp_path / "scan").exists()


def test_labels_of_test_networks_do_not_reach_the_fitted_scans(zoo, embeddings):
    networks = labelled(open_zoo(zoo))
    shuffled = np.where(networks["split"] == "test", np.random.default_rng(0).permutation(networks["mode"]), networks["mode"])
    blind = type(networks)({**networks.columns, "mode": shuffled}, networks.artefact)
    random = random_initialisations(CONFIG.n_random, seed=0)
    embedded = align(load_embeddings(embeddings), networks, random)
    for one, other in zip(*(fitted_scans(CONFIG, some, random, embedded) for some in (networks, blind)), strict=True):
        for mode, (scores, _) in one.scores.items():
            np.testing.assert_array_equal(scores, other.scores[mode][0])
    before, after = (measure(CONFIG, some, embeddings=embeddings)[0]["scan"] for some in (networks, blind))
    assert before != after


def test_shuffled_labels_leave_the_fitted_scans_at_chance():
    rng = np.random.default_rng(0)
    params, mode = rng.standard_normal((4000, 9)), rng.choice(["2", "3"], 4000)
    (score,) = linear_scores(params[:2000], mode[:2000], rng.standard_normal((100, 9)), "3", [params[2000:]])
    means = [score[mode[2000:] == m].mean() for m in ("2", "3")]
    assert abs(means[1] - means[0]) < 0.2 * score.std()


def test_examples_find_their_cluster_and_nothing_else_is_used():
    rng = np.random.default_rng(0)
    train = np.r_[rng.normal(0, 1, (50, 3)), rng.normal(8, 1, (50, 3))]
    train = np.c_[train, np.ones(100)]  # a constant dimension counts for nothing
    is_positive = np.arange(100) >= 50
    (score,) = example_scores(train, is_positive, [train], 3, 4, seed=0)
    assert score.shape == (4, 100)
    assert (score[:, is_positive].min(axis=1) > score[:, ~is_positive].max(axis=1)).all()
    assert ((score == 0).sum(axis=1) == 3).all()  # the examples themselves


def test_a_zoo_of_one_mode_is_refused(tmp_path):
    lonely = build_zoo(ZooConfig(families=(FamilyConfig(seeds=(2813536937,)),)), tmp_path / "zoo")
    with pytest.raises(MetarepError, match="two modes"):
        scan(CONFIG, lonely, tmp_path / "scan")


def test_a_portrait_says_the_percentile():
    assert portray(HANDCRAFTED, CONFIG)["published"].percentile == 100.0
    dead = portray(np.array([1, 1, 1, 1, -5, -5, 1, 1, 0.0]), CONFIG)
    assert dead["published"].percentile < 100.0
