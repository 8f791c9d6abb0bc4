"""Question 4, small: what is predicted lies below the bound where it must, and the sentences follow the figures."""

import json

import pytest

from metarep.config import QuestionConfig
from metarep.questions.ceiling import ALL, CEILING, LOCAL, MEAN, MODEL, convergence_sentence, sentences, table_of
from metarep.questions.stage import question
from metarep.tables import read_csv

TINY = QuestionConfig(
    n_networks=400,
    n_bootstraps=20,
    pretrain={"d_model": 16, "n_layers": 1, "n_heads": 2, "n_components": 2, "behaviour_weight": 1.0, "eval_every": 5},
    ceiling={"bank_sizes": (60, 200), "n_steps": 10, "n_neighbours": 4, "max_test_networks": 50},
)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    out = tmp_path_factory.mktemp("ceiling")
    return question(TINY, "4", out) / "ceiling"


def test_every_kind_of_parameter_has_every_predictor(answered):
    rows = read_csv(answered / "predicted.csv")
    assert {row["bank"] for row in rows} == {"", 60, 200}
    assert len({(row["bank"], row["parameter"], row["predictor"]) for row in rows}) == len(rows) == 2 * 6 + 2 * 3 * 6
    assert all(row["low"] <= row["r2"] <= row["high"] + 1e-6 for row in rows if row["predictor"] != CEILING)
    assert all(row["r2"] <= 1 for row in rows)


def test_the_answer_stands_in_result_and_page(answered):
    found = json.loads((answered / "result.json").read_text())
    assert found["claims"][0]["name"].endswith(ALL)
    assert found["claims"][0]["best"] >= found["claims"][0]["value"]
    assert found["numbers"] == {"n_test": 50, "n_bank": 200, "n_neighbours": 4}
    assert "Is the task too hard?" in (answered.parent / "report" / "report.html").read_text()


def row(parameter: str, predictor: str, r2: float, bank: int | None = None) -> dict:
    return {"bank": bank, "parameter": parameter, "predictor": predictor, "r2": r2, "low": r2 - 0.005, "high": r2 + 0.005}


def test_sentences_change_with_what_they_say():
    def said(model: float) -> str:
        rows = [row(p, MODEL, model) for p in (ALL, "b")] + [row(p, "linear-Gaussian imputer", 0.5) for p in (ALL, "b")]
        rows += [
            row(p, name, r2, bank)
            for p in (ALL, "b")
            for name, r2 in ((CEILING, 0.9), (LOCAL, 0.8), (MEAN, 0.7))
            for bank in (9, 99)
        ]
        modes = [{"mode": mode, "parameter": ALL, LOCAL: left, MODEL: 1 - model} for mode, left in (("1", 0.3), ("3", 0.1))]
        assert table_of(rows)[ALL, CEILING]["bank"] == 99
        return " ".join(sentences(rows, modes, [9, 99]))

    assert "within 0.02 of the bound for b" in said(0.89)
    assert "clearly predict b better" in said(0.6)
    assert "For no kind of parameter do the nearest networks clearly predict better" in said(0.89)
    assert "lies in mode 1" in said(0.6)


@pytest.mark.parametrize(("second", "word"), [(0.905, "has converged"), (0.95, "has not converged")])
def test_convergence_is_said_where_it_is(second, word):
    rows = [row(ALL, CEILING, 0.9, 10), row(ALL, CEILING, second, 100)]
    assert word in convergence_sentence(rows, [10, 100])
