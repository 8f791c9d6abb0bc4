"""Question 4: estimates on networks with a known answer, sentences that turn, and a tiny run end to end."""

import json

import numpy as np
import pytest

from metarep.evaluation.neighbours import units_of
from metarep.networks.spec import NetworkSpec
from metarep.studies.ceiling.run import ask_bank, bank_sizes, ceiling_draws, mode_rows, null_of
from metarep.studies.ceiling.text import ALL, CEILING, IMPUTER, LOCAL, MEAN_OF, MODEL, beside, convergence, how_hard
from metarep.studies.masked import Held, kinds_of
from metarep.studies.running import run_series
from metarep.studies.series import QUESTIONS
from metarep.studies.settings import QuestionConfig
from metarep.tables import read_csv
from metarep.zoos.zoo import Zoo

SPEC = NetworkSpec((2, 2, 1))
KINDS = kinds_of(SPEC)
TINY = QuestionConfig(
    n_networks=300,
    n_bootstraps=20,
    pretrain={"d_model": 16, "n_layers": 1, "n_components": 2, "batch_size": 32, "warmup_steps": 2},
    ceiling={"bank_sizes": (50, 150), "n_train_networks": 150, "n_steps": 20, "max_test_networks": 40},
)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    out = tmp_path_factory.mktemp("ceiling")
    run_series(TINY, "4", out, series=QUESTIONS)
    return out / "ceiling"


def test_every_kind_has_a_row_and_every_figure_an_interval(answered):
    found = json.loads((answered / "result.json").read_text())
    rows = read_csv(answered / "predictability.csv")
    assert [row["parameter"] for row in rows] == [ALL, *KINDS.names]
    assert rows[0]["n_values"] == 9 * 40
    for row in rows:
        for name in (MODEL, LOCAL, CEILING):
            assert row[f"{name}_low"] <= row[f"{name}_high"] <= 1
        for name in (LOCAL, MEAN_OF, IMPUTER):
            assert row[f"{name}_null"] < -0.1 < 0.1 < row[name]  # for another network it is worse than the mean
    assert {row["bank"] for row in read_csv(answered / "convergence.csv")} == {50, 150}
    assert {path.stem for path in (answered / "figures").iterdir()} == {"predictability", "convergence", "by_mode"}
    assert found["claims"][0]["best"] == 1.0
    assert "150" in found["sentences"][0]


def test_the_shares_of_what_is_unexplained_add_up(answered):
    rows = read_csv(answered / "by_mode.csv")
    for name in (ALL, *KINDS.names):
        assert sum(row["share_of_unexplained"] for row in rows if row["parameter"] == name) == pytest.approx(1, abs=0.02)


def determined(n, seed, share):
    """Networks whose output bias is by this share of its variance the sum of both hidden biases, else noise; the rest is nearly
    fixed."""
    rng = np.random.default_rng(seed)
    params = 0.01 * rng.standard_normal((n, 9))
    biases = [i for i, slot in enumerate(SPEC.slots) if slot.layer == 0 and slot.kind == "bias"]
    params[:, biases] = rng.uniform(-1, 1, (n, 2))
    total = params[:, biases].sum(axis=1)
    params[:, -1] = share**0.5 * total / total.std() + (1 - share) ** 0.5 * rng.standard_normal(n)
    return params


@pytest.mark.parametrize("share", [0.95, 0.5, 0.0])
def test_what_is_planted_is_found_and_null_data_cover_chance(share):
    train, test = determined(4000, 0, share), determined(600, 1, share)
    # what is next to constant is left at its own size, so that it does not part neighbours
    units = units_of(np.where(train.std(axis=0) > 0.1, train, train * 100), KINDS.number)
    zoo = Zoo({"network_id": np.arange(4000), "spec": np.full(4000, "2-2-1", object), "params": train})
    held = Held.of(units.of(test), KINDS, n_bootstraps=100, seed=0)
    answer = ask_bank(zoo, units, held, 10, 40)
    of_bias = KINDS.names.index("2.bias[·]")
    reach, local = ceiling_draws(answer, held)[:, of_bias], held.r2(answer.local)[:, of_bias]
    assert reach[0] == pytest.approx(share, abs=0.08)
    low, high = np.quantile(reach[1:], [0.025, 0.975])
    assert low - 0.03 < share < high + 0.03
    null = null_of(held, answer.local)[of_bias]
    if share:
        assert local[0] > share - 0.1
        assert np.quantile(local[1:], 0.025) > null + 0.3
    else:
        assert local[0] < 0.05  # a fit to noise predicts no better than the mean
    rows = mode_rows({MODEL: answer.local, LOCAL: answer.local}, held, np.full(600, "3"))
    (own,) = (row for row in rows if row["parameter"] == "2.bias[·]")
    assert own[f"left_{MODEL}"] == pytest.approx(1 - local[0], abs=1e-6)


def test_right_predictions_for_other_networks_are_twice_as_wrong_as_the_mean():
    values = np.random.default_rng(0).standard_normal((2000, 9))
    held = Held.of(values, KINDS, n_bootstraps=20, seed=0)
    np.testing.assert_allclose(null_of(held, values), -1, atol=0.1)
    np.testing.assert_allclose(null_of(held, np.zeros_like(values)), held.r2(np.zeros_like(values))[0], atol=1e-6)


def test_banks_larger_than_the_zoo_are_left_out():
    assert bank_sizes((100, 1000, 5000), 2000) == [100, 1000]
    assert bank_sizes((1000, 5000), 300) == [100, 300]


def step(first, last):
    return [
        {"bank": n, "parameter": name, CEILING: value, LOCAL: 0.5}
        for n, value in ((10, first), (20, last))
        for name in (ALL, "2.bias[·]")
    ]


def test_convergence_is_said_only_where_it_is_there():
    assert "has converged to" in convergence(step(0.8, 0.805), [10, 20])
    assert "it has not converged" in convergence(step(0.6, 0.8), [10, 20])
    assert "lower bound" in convergence(step(0.6, 0.8), [10, 20])
    assert "lower bound" not in convergence(step(0.8, 0.6), [10, 20])


def reach(value):
    return {CEILING: value, f"{CEILING}_low": value - 0.02, f"{CEILING}_high": value + 0.02}


def test_what_is_determined_is_named():
    assert how_hard({"a": reach(0.97)}).startswith("The others determine every kind")
    assert "a is clearly determined" in how_hard({"a": reach(0.97), "b": reach(0.5)})
    assert "b 50% [48%, 52%]" in how_hard({"a": reach(0.97), "b": reach(0.5)})
    assert how_hard({"b": reach(0.91)}).startswith("No kind of parameter is")


def compared(model, local):
    row = {}
    for name, value in ((MODEL, model), (LOCAL, local), (MEAN_OF, 0.3), (IMPUTER, 0.2)):
        row |= {name: value, f"{name}_low": value - 0.02, f"{name}_high": value + 0.02, f"{name}_null": value - 1}
    return row


def test_who_is_ahead_is_said_by_intervals():
    assert "the model is ahead on a" in beside({"a": compared(0.9, 0.8)}, compared(0.9, 0.8))
    assert "the local fit is ahead on a" in beside({"a": compared(0.7, 0.8)}, compared(0.7, 0.8))
    assert "on no kind" in beside({"a": compared(0.79, 0.8)}, compared(0.79, 0.8))
    assert "(permuted among networks, predictions reach at most −0.10, the 95th percentile)" in beside({}, compared(0.9, 0.8))
