"""Question 2: labels of units, what is measured of a pair of zoos, and a tiny matrix from end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import r2_score

from metarep.domains.multiplier.geometry import active_area
from metarep.domains.multiplier.modes import compositions, unit_states
from metarep.evaluation.probes import fit_probe
from metarep.evaluation.resampling import resamples, summary
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.studies.reading import HeldOut, kinds_of
from metarep.studies.settings import QuestionConfig
from metarep.studies.sources import run as sources
from metarep.studies.sources.cells import probe_row, unit_vectors
from metarep.studies.sources.run import SOURCES, zoo_config
from metarep.studies.study import Context

DRAWS = {"n_bootstraps": 50, "seed": 0}
TINY = {
    "n_bootstraps": 20,
    "pretrain": {"d_model": 8, "n_layers": 1, "n_heads": 2, "n_components": 2, "behaviour_weight": 1.0, "unmasked_share": 0.5},
    "sources": {"sources": ["product", "e05", "width3", "random"], "n_networks": 60, "n_steps": 4, "k": 3},
}


def test_units_are_off_bent_or_on_whatever_the_width():
    spec = NetworkSpec.parse("2-3-1")
    weight, bias = np.array([[[1, 1], [-1, -1], [1, 1]]]), np.array([[0.5, -0.5, -1.0]])
    params = spec.pack([(weight, bias), (np.ones((1, 1, 3)), np.zeros((1, 1)))])
    area = active_area(spec, params)
    states = unit_states(area)
    assert states.tolist() == [["on", "off", "bent"]]
    assert compositions(area).tolist() == ["bent+off+on"]
    assert unit_states(active_area(NetworkSpec.parse("2-2-2-1"), np.zeros((4, 15)))).tolist() == [["off", "off"]] * 4


def test_raw_units_do_not_know_scale_or_order_of_inputs():
    spec = NetworkSpec.parse("2-2-1")
    params = np.random.default_rng(0).standard_normal((5, 9))
    scaled = params * np.array([3, 3, 1, 1, 3, 1, 1 / 3, 1, 1])
    turned = params[:, [1, 0, 3, 2, 4, 5, 6, 7, 8]]
    assert unit_vectors(None, spec, params).shape == (5, 2, 5)
    np.testing.assert_allclose(unit_vectors(None, spec, scaled), unit_vectors(None, spec, params))
    np.testing.assert_allclose(unit_vectors(None, spec, turned), unit_vectors(None, spec, params))


def test_predictions_are_scored_by_r_squared_in_each_resample():
    rng = np.random.default_rng(1)
    kinds = kinds_of(NetworkSpec.parse("2-2-1"))
    truth = rng.standard_normal((30, 9))
    predicted = truth + 0.5 * rng.standard_normal(truth.shape)
    held = HeldOut.of(truth, kinds, n_bootstraps=50, seed=0)
    draws = held.r2(predicted)[:, -1]
    row = summary(draws, held.permuted_r2(predicted)[:, -1])
    weights = resamples(50, 30, seed=0)
    for number, found in enumerate((row["value"], *draws[1:4])):
        rows = np.repeat(np.arange(30), weights[number].astype(int))
        of_kind = [kinds.number == kind for kind in range(len(kinds.names))]
        parts = [(truth[rows][:, own].ravel(), predicted[rows][:, own].ravel()) for own in of_kind]
        total = np.array([np.square(a - a.mean()).sum() for a, _ in parts])
        assert found == pytest.approx(np.average([r2_score(a, b) for a, b in parts], weights=total))
    assert row["low"] < row["value"] < row["high"]
    assert row["null"] < 0 < row["low"]


def test_a_probe_is_scored_by_states_that_occur_and_against_chance():
    truth = np.array([["on", "bent"]] * 20 + [["bent", "bent"]] * 10 + [["off", "on"]] * 2)
    right = probe_row(truth, truth.copy(), **DRAWS)
    assert right["value"] == right["low"] == right["high"] == 1
    assert right["null"] < 0.8
    alike = probe_row(truth[:20], truth[:20].copy(), **DRAWS)
    assert alike["null"] == 1  # whole networks are permuted: where all are alike, another one's answers are as right
    one = fit_probe(None, np.zeros((3, 1)), np.array(["on"] * 3))(np.zeros((64, 1))).reshape(32, 2)
    assert probe_row(truth, one, **DRAWS)["value"] == 0.5
    assert probe_row(np.full((9, 2), "on"), np.full((9, 2), "on"), **DRAWS)["value"] is None


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    config = QuestionConfig.model_validate(TINY)
    return sources.run(Context(config, tmp_path_factory.mktemp("shared"), Progress()))


def test_a_tiny_matrix_is_whole_and_plain_data(result):
    json.dumps([result.numbers, result.tables], allow_nan=False)
    cells = result.tables["cells"]
    kinds = {(row["representation"], row["metric"]) for row in cells}
    assert len(cells) == 16 * len(kinds) == 16 * 9
    assert {metric for _, metric in kinds} == set(sources.TITLES)
    for row in cells:
        if row["source"] == row["target"] and row["retained"] is not None:
            assert row["retained"] == 1
        if row["representation"] == "linear_gaussian":
            assert (row["value"] is None) == ((row["source"] == "width3") != (row["target"] == "width3"))
    for metric in ("unit_probe", "clusters_ari"):
        untrained = [row for row in cells if (row["representation"], row["metric"]) == ("untrained", metric)]
        assert len(untrained) == 16
        told = [row for row in untrained if row["value"] is not None]
        assert all(row["low"] <= row["high"] and -1 < row["null"] < 1 for row in told)
    means = {(r["source"], r["target"]): r["value"] for r in cells if r["representation"] == "source_mean"}
    assert len(means) == 16
    assert all(value <= 1e-9 for value in means.values())  # about the target's own means nothing is left to explain
    assert max(-means[name, name] for name in ("product", "random")) < 0.2 < -means["random", "e05"]
    assert {"unit_probe_untrained", "unit_probe_raw", "masked_r2_source_mean"} <= set(result.tables["matrix"][0])
    assert set(result.figures) == {"matrix"}
    assert any("Random initialisations" in sentence for sentence in result.sentences)


def test_every_source_has_a_zoo_of_its_own(tmp_path):
    context = Context(QuestionConfig(), tmp_path, Progress())
    configs = {name: zoo_config(context, name) for name in SOURCES if name != "e05"}
    assert configs["depth2"].families[0].n_networks == context.config.sources.n_deep_networks
    seeds = {name: config.seed for name, config in configs.items()}
    assert seeds["random"] == seeds["product"]
    assert len(set(seeds.values())) == len(seeds) - 1
    assert not list(Path(tmp_path).iterdir())


def cell(source, target, value, *, representation="cloze", metric="unit_probe", width=0.01, own=0.8):
    row = {"source": source, "target": target, "representation": representation, "metric": metric, "value": value}
    return row | {"low": value - width, "high": value + width, "null": 0.34, "n": 100, "own": own, "retained": value / own}


def test_the_share_that_is_kept_is_that_of_the_targets_own_model():
    rows = [cell("product", "product", 0.8), cell("product", "e05", 0.6), cell("product", "max", 0.4)]
    (claim,) = sources.claims(rows)
    assert (claim.value, claim.low, claim.high) == pytest.approx((0.625, 0.5, 0.75))
    assert "least on max (50%), most on e05 (75%)" in next(sources.sentences(rows))
    assert sources.with_own([*rows[:1], cell("max", "max", 0.01)])[1]["retained"] is None


@pytest.mark.parametrize(("value", "words"), [(0.4, "does not fail as it must"), (-0.2, "fails as it must")])
def test_the_control_is_judged_by_the_masked_values(value, words):
    rows = [cell("product", "random", value, metric="masked_r2"), cell("random", "random", -0.01, metric="masked_r2")]
    assert words in sources.control_sentence(sources.on_random(rows))


def test_where_the_model_is_ahead_of_a_baseline_is_named():
    rows = [cell("product", "e05", 0.9), cell("product", "max", 0.6)]
    rows += [cell("product", b, 0.6, representation="untrained") for b in ("e05", "max")]
    (probe,) = sources.baseline_sentences(rows, "unit_probe")
    assert "the model is clearly above on e05." in probe
