"""Question 3: links that are cut, facts that are read, symmetries that are noticed or not; and the whole of it, small."""

import json

import numpy as np
import pytest
import torch

from metarep.cloze.model import ClozeModel
from metarep.cloze.tokens import TokenLayout
from metarep.networks.spec import NetworkSpec
from metarep.studies.questions.input import BASE, as_written_states, design_sentence, rewritten
from metarep.studies.questions.inside import (
    LINKS,
    change_under,
    knockout_rows,
    link_of_pairs,
    pooled_stream,
    predicted_without,
    read_linearly,
)
from metarep.studies.questions.stage import question
from metarep.studies.settings import QuestionConfig
from metarep.tables import read_csv
from metarep.zoos.zoo import Zoo

RNG = np.random.default_rng(0)
SPEC = NetworkSpec.parse("2-2-1")
TINY = QuestionConfig(
    n_networks=260,
    n_bootstraps=20,
    pretrain={"d_model": 16, "n_layers": 2, "n_heads": 2, "n_components": 2, "behaviour_weight": 1.0, "eval_every": 5},
    input={"n_steps": 10, "max_fit_networks": 150, "max_test_networks": 60},
)


def model_of(**changes) -> ClozeModel:
    torch.manual_seed(1)
    model = ClozeModel("2-2-1", d_model=16, n_layers=2, n_heads=2, n_components=2, **changes).eval()
    with torch.no_grad():
        for block in model.blocks:
            block.relation_bias.normal_()
    return model


def moved(model, params, other) -> float:
    return change_under(lambda p: as_written_states(model, p), params, other, seed=0, n_bootstraps=20)["value"]


def test_every_pair_of_tokens_has_one_link():
    link = link_of_pairs(TokenLayout(SPEC))
    names = [slot.name for slot in SPEC.slots]
    np.testing.assert_array_equal(link, link.T)
    assert (np.diag(link) == -1).all()
    assert set(np.unique(link)) == {-1, 0, 1, 2, 3}
    at = {name: i for i, name in enumerate(names)}
    hidden = TokenLayout(SPEC).hidden_units
    for unit in hidden:
        assert (link[np.ix_(unit, unit)][~np.eye(len(unit), dtype=bool)] == LINKS.index("same unit")).all()
    first, second = (sorted(unit, key=lambda i: i) for unit in hidden)
    assert link[first[0], second[0]] == LINKS.index("same input")
    assert link[first[-1], second[-1]] == LINKS.index("same output")
    assert len(at) == SPEC.n_params


def test_a_token_does_not_hear_of_what_it_is_cut_off_from():
    model, values = model_of(), torch.from_numpy(RNG.standard_normal((5, 9)).astype(np.float32))
    everything = ~torch.eye(9, dtype=torch.bool)
    changed = values.clone()
    changed[:, 1:] += 1
    alone = predicted_without(model, values, everything)
    np.testing.assert_allclose(alone[:, 0], predicted_without(model, changed, everything)[:, 0], atol=1e-6)
    assert np.abs(predicted_without(model, values, None)[:, 0] - predicted_without(model, changed, None)[:, 0]).max() > 1e-4
    nothing = torch.zeros(9, 9, dtype=torch.bool)
    np.testing.assert_allclose(predicted_without(model, values, nothing), predicted_without(model, values, None), atol=1e-6)


def test_the_last_entry_of_the_stream_is_what_the_encoder_norms():
    model, values = model_of(), torch.from_numpy(RNG.standard_normal((5, 9)).astype(np.float32))
    mask = torch.zeros(5, 9, dtype=torch.bool)
    stream = model.residual_stream(values, mask)
    assert len(stream) == 3
    torch.testing.assert_close(model.norm(stream[-1]), model.encode(values, mask))
    pooled = pooled_stream(model, values)
    assert pooled["unit"].shape == (3, 5, 2, 16)
    assert pooled["layer"].shape == (3, 5, 32)
    np.testing.assert_allclose(pooled["network"][0], stream[0].mean(dim=1).detach().numpy(), atol=1e-6)


def test_a_probe_reads_what_is_linear_and_nothing_from_noise():
    x = RNG.standard_normal((400, 2, 6))
    y = x[..., 0] - 2 * x[..., 3]
    there = read_linearly(x[:300], y[:300], x[300:], y[300:], seed=0, n_bootstraps=200)
    assert there["metric"] == "r2"
    assert there["low"] > 0.99
    assert there["low"] <= there["value"] <= there["high"]
    assert there["null_p95"] == pytest.approx(-0.8, abs=0.2)
    noise = RNG.standard_normal((400, 2))
    assert read_linearly(x[:300], noise[:300], x[300:], noise[300:], seed=0, n_bootstraps=20)["high"] < 0.2
    text = np.where(y[:, 0] > 0, "a", "b").astype(object)
    found = read_linearly(x[:300, 0], text[:300], x[300:, 0], text[300:], seed=0, n_bootstraps=20)
    assert found["metric"] == "balanced_accuracy"
    assert found["value"] > 0.9
    assert found["low"] <= found["value"] <= found["high"]
    assert 0.5 < found["null_p95"] < 0.65


@pytest.mark.parametrize(("changes", "notices"), [({}, False), ({"positions": "indexed"}, True)])
def test_relational_positions_do_not_notice_unit_order_and_numbered_ones_do(changes, notices):
    model, params = model_of(**changes), RNG.standard_normal((40, 9)).astype(np.float32)
    other = rewritten(SPEC, params, 0)["moved_by_order"]
    assert (moved(model, params, other) > 0.01) == notices


def test_contributions_do_not_notice_unit_scale_and_parameters_do():
    params = RNG.standard_normal((40, 9)).astype(np.float32)
    other = rewritten(SPEC, params, 0)["moved_by_scale"]
    behaviour = model_of(tokens="behaviour", head="rectified")
    assert moved(behaviour, params, other) < 1e-3
    assert moved(model_of(), params, other) > 0.05


def test_how_far_states_move_has_an_interval():
    before, step = RNG.standard_normal((300, 6)), np.abs(RNG.standard_normal((300, 1)))
    found = change_under(lambda p: p, before, before + 0.1 * step, seed=0, n_bootstraps=200)
    apart = np.linalg.norm(before - np.roll(before, 1, axis=0), axis=1).mean()
    assert found["value"] == pytest.approx(0.1 * 6**0.5 * step.mean() / apart)
    assert found["low"] < found["value"] < found["high"] < 2 * found["low"]
    assert change_under(lambda p: p, before, before, seed=0, n_bootstraps=20) == {"value": 0, "low": 0, "high": 0}


def test_what_is_cut_has_an_interval_and_a_null():
    params = RNG.standard_normal((60, 9)).astype(np.float32)
    rows = list(knockout_rows(model_of(), Zoo({"params": params}), seed=0, n_bootstraps=100))
    assert len(rows) == 5 * (1 + TokenLayout(SPEC).n_classes)
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    whole = rows[0]  # the model knows nothing, so its predictions are as good for other networks
    assert whole["null_p95"] == pytest.approx(whole["value"], abs=0.2)


def design(name, reading, value, width=0.01):
    figures = {"value": value, "low": value - width, "high": value + width, "null_p95": 0.22}
    return {"design": name, "reading": reading, **figures}


def test_designs_that_are_clearly_apart_are_named_for_every_reading():
    rows = [design(BASE, reading, 0.9) for reading in ("mode", "error", "unit_area", "masked_r2")]
    rows += [design("rescaled", "mode", 0.969), design("indexed", "mode", 0.9), design("behaviour", "mode", 0.8)]
    rows += [design("rescaled", "unit_area", 0.95), design("rescaled", "error", 0.905)]
    rows += [design("indexed", "masked_r2", 0.7), {**design("behaviour", "masked_r2", 0.1), "low": None, "high": None}]
    text = design_sentence(rows)
    assert "clearly better: rescaled (0.969); level: indexed (0.900); clearly worse: behaviour (0.800)." in text
    assert "(answers for other networks: at most 0.22)" in text
    assert "R² of the log error 0.900 [0.890, 0.910] (no design is clearly apart)" in text
    assert "active area 0.900 [0.890, 0.910] (clearly better: rescaled (0.950))" in text
    assert "own tokens 0.900 [0.890, 0.910] (clearly worse: indexed (0.700))." in text


def test_the_question_is_answered_from_nothing(tmp_path):
    question(TINY, "3", tmp_path)
    found = json.loads((tmp_path / "input" / "result.json").read_text())
    assert len(found["sentences"]) == 6
    designs = read_csv(tmp_path / "input" / "designs.csv")
    assert all(row["low"] <= float(row["value"]) <= row["high"] for row in designs if row["reading"].startswith("moved"))
    assert all(isinstance(row["null_p95"], float) for row in designs if not row["reading"].startswith("moved"))
    assert (tmp_path / "input" / "depth.csv").read_text().count("untrained") == 7 * 3
    page = (tmp_path / "report" / "report.html").read_text()
    assert "What should the input look like?" in page
    assert found["sentences"][-1].split("²")[0] in page
