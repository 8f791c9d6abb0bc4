"""Question 2: labels of units, what is measured of a pair of zoos, and a tiny matrix from end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import r2_score

from metarep.domains.multiplier.geometry import active_area
from metarep.domains.multiplier.modes import compositions, unit_states
from metarep.evaluation.probes import fit_probe
from metarep.evaluation.resampling import resamples
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.studies.masked import Held, kinds_of
from metarep.studies.settings import QuestionConfig
from metarep.studies.sources import run as sources
from metarep.studies.sources import text as source_words
from metarep.studies.sources.cells import METRICS, Measuring, measured, probe_row, unit_vectors
from metarep.studies.sources.zoos import SOURCES, zoo_config
from metarep.studies.study import Context

MEASURING = Measuring(k=3, n_bootstraps=50, seed=0)
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
    held = Held.of(truth, kinds, n_bootstraps=50, seed=0)
    row = measured(held.r2(predicted)[:, -1], held.permuted_r2(predicted)[:, -1], 30)
    weights = resamples(50, 30, seed=0)
    for number, found in enumerate((row["value"], *row["draws"][:3])):
        rows = np.repeat(np.arange(30), weights[number].astype(int))
        of_kind = [kinds.number == kind for kind in range(len(kinds.names))]
        parts = [(truth[rows][:, own].ravel(), predicted[rows][:, own].ravel()) for own in of_kind]
        total = np.array([np.square(a - a.mean()).sum() for a, _ in parts])
        assert found == pytest.approx(np.average([r2_score(a, b) for a, b in parts], weights=total))
    assert row["low"] < row["value"] < row["high"]
    assert row["null"] < 0 < row["low"]


def test_a_probe_is_scored_by_states_that_occur_and_against_chance():
    truth = np.array([["on", "bent"]] * 20 + [["bent", "bent"]] * 10 + [["off", "on"]] * 2)
    right = probe_row(truth, truth.copy(), MEASURING)
    assert right["value"] == right["low"] == right["high"] == 1
    assert right["chance"] == 0.5  # two units that are off are too few to count
    assert right["null"] < 0.8
    alike = probe_row(truth[:20], truth[:20].copy(), MEASURING)
    assert alike["null"] == 1  # whole networks are permuted: where all are alike, another one's answers are as right
    one = fit_probe(None, np.zeros((3, 1)), np.array(["on"] * 3))(np.zeros((64, 1))).reshape(32, 2)
    assert probe_row(truth, one, MEASURING)["value"] == 0.5
    assert probe_row(np.full((9, 2), "on"), np.full((9, 2), "on"), MEASURING)["value"] is None


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    config = QuestionConfig.model_validate(TINY)
    return sources.run(Context(config, tmp_path_factory.mktemp("shared"), Progress()))


def test_a_tiny_matrix_is_whole_and_plain_data(result):
    json.dumps([result.numbers, result.tables], allow_nan=False)
    cells = result.tables["cells"]
    assert list(cells[0]) == list(sources.COLUMNS)
    kinds = {(row["representation"], row["metric"]) for row in cells}
    assert len(cells) == 16 * len(kinds) == 16 * 10
    assert {metric for _, metric in kinds} == set(METRICS)
    for row in cells:
        if row["source"] == row["target"] and row["retained"] is not None:
            assert row["retained"] == row["retained_low"] == row["retained_high"] == 1 or row["metric"] == "clusters_ari"
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
    assert set(result.figures) == {"matrix", "targets"}
    assert any("Random initialisations" in sentence for sentence in result.sentences)
    assert result.tables["networks"][1]["zoo"] == "e05"


def test_every_source_has_a_zoo_of_its_own(tmp_path):
    context = Context(QuestionConfig(), tmp_path, Progress())
    configs = {name: zoo_config(context, name) for name in SOURCES if name != "e05"}
    assert configs["depth2"].families[0].n_networks == context.config.sources.n_deep_networks
    seeds = {name: config.seed for name, config in configs.items()}
    assert seeds["random"] == seeds["product"]
    assert len(set(seeds.values())) == len(seeds) - 1
    assert not list(Path(tmp_path).iterdir())


def cell(source, target, value, *, representation="cloze", metric="unit_probe", width=0.01, own=0.8):
    interval = {"low": value - width, "high": value + width, "null": 0.34, "n": 100, "unseen": 0.0}
    share = value / own
    kept = {"own": own, "retained": share, "retained_low": share - width, "retained_high": share + width}
    row = {"source": source, "target": target, "representation": representation, "metric": metric, "value": value}
    return row | interval | kept | {"retained_beyond_chance": share}


@pytest.mark.parametrize(("value", "words"), [(0.8, "it is kept on e05"), (0.72, "holds it and less"), (0.5, "missed on e05")])
def test_the_verdict_on_nine_tenths_follows_the_interval(value, words):
    rows = [cell("product", "product", 0.8), cell("product", "e05", value)]
    assert any(words in sentence for sentence in source_words.sentences(rows))


@pytest.mark.parametrize(("value", "words"), [(0.4, "does not fail as it must"), (-0.2, "fails as it must")])
def test_the_control_is_judged_by_the_masked_values(value, words):
    rows = [cell("product", "random", value, metric="masked_r2"), cell("random", "random", -0.01, metric="masked_r2")]
    assert words in next(source_words.control_sentences(rows, "product"))


def test_where_the_model_is_ahead_of_a_baseline_is_named():
    rows = [cell("product", "e05", 0.9), cell("product", "max", 0.6)]
    rows += [cell("product", b, 0.6, representation="untrained") for b in ("e05", "max")]
    (probe,) = (words for words in source_words.baseline_sentences(rows, "product") if "untrained model" in words)
    assert "the model is clearly above on e05." in probe


def test_pairs_at_chance_are_named():
    rows = [cell("product", "e05", 0.9), cell("e05", "product", 0.33)]
    assert "1 of 2 pairs" in (sentence := source_words.chance_sentence(rows, "unit_probe"))
    assert "e05 to product (0.33)" in sentence
    assert "every one" in source_words.chance_sentence(rows[:1], "unit_probe")
