"""Question 3: facts that are read, symmetries that are noticed or not; and the whole of it, small."""

import json

import numpy as np
import pytest
import torch

from metarep.evaluation.probes import read_linearly
from metarep.model.pretraining import prepare
from metarep.model.settings import PretrainConfig
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.studies.input.run import BASE, change_of, design_sentence, over_units, rewritten
from metarep.studies.reading import unit_states
from metarep.studies.running import run_series
from metarep.studies.series import QUESTIONS
from metarep.studies.settings import QuestionConfig
from metarep.tables import read_csv
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import open_zoo

RNG = np.random.default_rng(0)
SPEC = NetworkSpec.parse("2-2-1")
TINY = QuestionConfig(
    n_networks=260,
    n_bootstraps=20,
    pretrain={"d_model": 16, "n_layers": 2, "n_heads": 2, "n_components": 2, "behaviour_weight": 1.0, "eval_every": 5},
    input={"n_steps": 10, "max_fit_networks": 150, "max_test_networks": 60},
)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Thirty 2-2-1 networks, hardly trained."""
    family = {"variant": "e09", "n_networks": 60, "n_steps": 5}
    return open_zoo(build_zoo(ZooConfig(families=[family]), tmp_path_factory.mktemp("input") / "zoo"))


def model_of(zoo, **changes):
    shared = {"d_model": 16, "n_layers": 2, "n_heads": 2, "n_components": 2, "chunk": 1}
    prepared = prepare(PretrainConfig(**shared, **changes), [zoo.finite()], progress=Progress())
    model = prepared.model.eval()
    with torch.no_grad():
        model.relation_bias.normal_(generator=torch.Generator().manual_seed(1))
    return model


def moved(model, params, other) -> float:
    return change_of(*(over_units(unit_states(model, SPEC, p)) for p in (params, other)), seed=0, n_bootstraps=20)["value"]


def test_a_probe_reads_what_is_linear_and_nothing_from_noise():
    x = RNG.standard_normal((400, 2, 6))
    y = x[..., 0] - 2 * x[..., 3]
    there = read_linearly(x[:300], y[:300], x[300:], y[300:], seed=0, n_bootstraps=200)
    assert 0.99 < there["low"] <= there["value"] <= there["high"]
    assert there["null"] == pytest.approx(-0.8, abs=0.2)
    noise = RNG.standard_normal((400, 2))
    assert read_linearly(x[:300], noise[:300], x[300:], noise[300:], seed=0, n_bootstraps=20)["high"] < 0.2
    text = np.where(y[:, 0] > 0, "a", "b").astype(object)
    found = read_linearly(x[:300, 0], text[:300], x[300:, 0], text[300:], seed=0, n_bootstraps=20)
    assert found["value"] > 0.9
    assert 0.5 < found["null"] < 0.65


@pytest.mark.parametrize(("changes", "notices"), [({}, False), ({"positions": "indexed"}, True)])
def test_relational_positions_do_not_notice_unit_order_and_numbered_ones_do(zoo, changes, notices):
    model, params = model_of(zoo, **changes), RNG.standard_normal((40, 9)).astype(np.float32)
    other = rewritten(SPEC, params, 0)["moved_by_order"]
    assert (moved(model, params, other) > 0.01) == notices


def test_how_far_states_move_has_an_interval():
    before, step = RNG.standard_normal((300, 6)), np.abs(RNG.standard_normal((300, 1)))
    found = change_of(before, before + 0.1 * step, seed=0, n_bootstraps=200)
    apart = np.linalg.norm(before - np.roll(before, 1, axis=0), axis=1).mean()
    assert found["value"] == pytest.approx(0.1 * 6**0.5 * step.mean() / apart)
    assert found["low"] < found["value"] < found["high"] < 2 * found["low"]
    assert change_of(before, before, seed=0, n_bootstraps=20) == {"value": 0, "low": 0, "high": 0}


def design(name, metric, value, width=0.01):
    found = {"value": value, "low": value - width, "high": value + width, "null": 0.22}
    return {"design": name, "metric": metric, **found}


def test_designs_that_are_clearly_apart_are_named_for_every_metric():
    rows = [design(BASE, metric, 0.9) for metric in ("mode", "error", "unit_area", "masked_r2")]
    rows += [design("rescaled", "mode", 0.969), design("indexed", "mode", 0.9), design("raw", "mode", 0.8)]
    rows += [design("rescaled", "unit_area", 0.95), design("rescaled", "error", 0.905)]
    rows += [design("indexed", "masked_r2", 0.7)]
    text = design_sentence(rows)
    assert "clearly better: rescaled (0.969); level: indexed (0.900); clearly worse: raw (0.800))" in text
    assert "R² of the log error 0.900 [0.890, 0.910] (level: rescaled (0.905))" in text
    assert "active area 0.900 [0.890, 0.910] (clearly better: rescaled (0.950))" in text
    assert "masked R² 0.900 [0.890, 0.910] (clearly worse: indexed (0.700))" in text


def test_the_question_is_answered_from_nothing(tmp_path):
    run_series(TINY, "3", tmp_path, series=QUESTIONS)
    found = json.loads((tmp_path / "input" / "result.json").read_text())
    assert len(found["sentences"]) == 3
    designs = read_csv(tmp_path / "input" / "designs.csv")
    assert all(row["low"] <= float(row["value"]) <= row["high"] for row in designs if row["metric"].startswith("moved"))
    assert all(isinstance(row["null"], float) for row in designs if not row["metric"].startswith("moved"))
    page = (tmp_path / "report" / "report.html").read_text()
    assert "What should the input look like?" in page
    assert found["sentences"][-1] in page
