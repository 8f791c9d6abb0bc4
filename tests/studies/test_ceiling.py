"""Question 4: estimates on networks with a known answer, sentences that turn, and a tiny run end to end."""

import json

import numpy as np
import pytest

from metarep.networks.spec import NetworkSpec
from metarep.studies.ceiling.run import (
    ALL,
    CEILING,
    IMPUTER,
    MODEL,
    ceiling_draws,
    how_hard,
    mode_rows,
    predictability_rows,
    where_it_lies,
)
from metarep.studies.ceiling.run import share as said
from metarep.studies.reading import HeldOut, kinds_of
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
    ceiling={"n_train_networks": 150, "n_steps": 20, "max_test_networks": 40},
)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    out = tmp_path_factory.mktemp("ceiling")
    run_series(TINY, "4", out, series=QUESTIONS)
    return out / "ceiling"


def test_every_kind_has_a_row_and_every_metric_an_interval(answered):
    found = json.loads((answered / "result.json").read_text())
    rows = read_csv(answered / "predictability.csv")
    assert [row["parameter"] for row in rows] == [ALL, *KINDS.names]
    for row in rows:
        for name in (MODEL, CEILING, IMPUTER):
            assert row[f"{name}_low"] <= row[f"{name}_high"] <= 1
        assert row[f"{IMPUTER}_null"] < -0.1 < 0.1 < row[IMPUTER]  # for another network it is worse than the mean
    assert found["claims"][0]["best"] == 1.0
    assert "150" in found["sentences"][0]
    modes = read_csv(answered / "by_mode.csv")
    assert sum(row["share_of_unexplained"] for row in modes) == pytest.approx(1, abs=1e-4)


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
    units = KINDS.scale(np.where(train.std(axis=0) > 0.1, train, train * 100))
    zoo = Zoo({"network_id": np.arange(4000), "spec": np.full(4000, "2-2-1", object), "params": train})
    held = HeldOut.of(units.of(test), KINDS, n_bootstraps=100, seed=0)
    of_bias = KINDS.names.index("2.bias[·]")
    reach = ceiling_draws(zoo, units, held, 10)[:, of_bias]
    assert reach[0] == pytest.approx(share, abs=0.08)
    low, high = np.quantile(reach[1:], [0.025, 0.975])
    assert low - 0.03 < share < high + 0.03


def test_right_predictions_for_other_networks_are_twice_as_wrong_as_the_mean():
    values = np.random.default_rng(0).standard_normal((2000, 9))
    held = HeldOut.of(values, KINDS, n_bootstraps=20, seed=0)
    row = predictability_rows(np.ones((21, 6)), {MODEL: values, IMPUTER: np.zeros_like(values)}, held)[0]
    assert row[MODEL] == row["share"] == 1
    assert row[f"{MODEL}_null"] == pytest.approx(-1, abs=0.1)
    assert row[f"{IMPUTER}_null"] == pytest.approx(0, abs=1e-2)


def test_what_is_left_is_counted_where_it_lies():
    values = np.zeros((4, 9))
    values[0] = 1.0
    held = HeldOut.of(values, KINDS, n_bootstraps=5, seed=0)
    rows = mode_rows(np.zeros_like(values), held, np.array(["2", "3", "3", "3"]))
    assert [(row["mode"], row["share_of_networks"], row["share_of_unexplained"]) for row in rows] == [
        ("2", 0.25, 1),
        ("3", 0.75, 0),
    ]
    assert "lies in mode 2 100%" in where_it_lies(rows)


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.8, 0.9, "leaves some"), (0.9, 1.1, "not clearly below"), (1.1, 1.2, "too low")]
)
def test_the_share_is_said_by_its_interval(low, high, words):
    assert words in said({"share": (low + high) / 2, "share_low": low, "share_high": high})


def test_kinds_are_named_by_what_determines_them_least():
    reach = {n: {CEILING: v, f"{CEILING}_low": v - 0.02, f"{CEILING}_high": v + 0.02} for n, v in (("a", 0.97), ("b", 0.5))}
    assert "b 0.50 [0.48, 0.52] and a 0.97" in how_hard(reach)
