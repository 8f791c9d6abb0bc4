"""Question 3: links that are cut, facts that are read, symmetries that are noticed or not; and the whole of it, small."""

import json

import numpy as np
import pytest
import torch

from metarep.analysis.inside import LINKS, change_under, link_of_pairs, pooled_stream, predicted_without, read_linearly
from metarep.cloze.model import ClozeModel
from metarep.cloze.tokens import TokenLayout
from metarep.config import QuestionConfig
from metarep.networks.spec import NetworkSpec
from metarep.questions.input import as_written_states, rewritten
from metarep.questions.stage import question

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
    there = read_linearly(x[:300], y[:300], x[300:], y[300:], seed=0, n_bootstraps=20)
    assert there["metric"] == "r2"
    assert there["low"] > 0.99
    noise = RNG.standard_normal((400, 2))
    assert read_linearly(x[:300], noise[:300], x[300:], noise[300:], seed=0, n_bootstraps=20)["high"] < 0.2
    text = np.where(y[:, 0] > 0, "a", "b").astype(object)
    found = read_linearly(x[:300, 0], text[:300], x[300:, 0], text[300:], seed=0, n_bootstraps=20)
    assert found["metric"] == "balanced_accuracy"
    assert found["value"] > 0.9


@pytest.mark.parametrize(("changes", "notices"), [({}, False), ({"positions": "indexed"}, True)])
def test_relational_positions_do_not_notice_unit_order_and_numbered_ones_do(changes, notices):
    model, params = model_of(**changes), RNG.standard_normal((40, 9)).astype(np.float32)
    other = rewritten(SPEC, params, 0)["moved_by_order"]
    assert (change_under(lambda p: as_written_states(model, p), params, other) > 0.01) == notices


def test_contributions_do_not_notice_unit_scale_and_parameters_do():
    params = RNG.standard_normal((40, 9)).astype(np.float32)
    other = rewritten(SPEC, params, 0)["moved_by_scale"]
    behaviour = model_of(tokens="behaviour", head="rectified")
    assert change_under(lambda p: as_written_states(behaviour, p), params, other) < 1e-3
    parameters = model_of()
    assert change_under(lambda p: as_written_states(parameters, p), params, other) > 0.05


def test_the_question_is_answered_from_nothing(tmp_path):
    question(TINY, "3", tmp_path)
    found = json.loads((tmp_path / "input" / "result.json").read_text())
    assert len(found["sentences"]) == 6
    assert (tmp_path / "input" / "depth.csv").read_text().count("untrained") == 7 * 3
    page = (tmp_path / "report" / "report.html").read_text()
    assert "What should the input look like?" in page
    assert found["sentences"][-1].split("²")[0] in page
