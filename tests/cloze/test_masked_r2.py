"""Masked R² with intervals and nulls: against slow loops, on predictions that know all, nothing, or the mode alone."""

import numpy as np
import pytest

from metarep.cloze.masked_r2 import _grouped, r_squared
from metarep.cloze.r2_draws import dealt_squares, interval, resamples, spread
from metarep.cloze.tokens import layout_of
from metarep.networks.spec import NetworkSpec

LAYOUT = layout_of(NetworkSpec((2, 2, 1)))
CLASSES = LAYOUT.slot_class
N = 600
MODES = np.array(["1", "3"], dtype=object)[np.arange(N) % 2]


def networks(seed=0):
    """Values (N, 9) whose mean is −2 in mode 1 and 2 in mode 3, and which of them are hidden."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, 9)) + np.where(MODES == "1", -2, 2)[:, None], rng.random((N, 9)) < 0.4


def rows_of(truth, predicted, hidden, seed=0):
    found = _grouped(truth, predicted, hidden, MODES, resamples(200, N, seed=seed), LAYOUT, seed)
    return {(row["group"], row["value"]): row for row in found}


def test_every_row_is_the_r2_of_its_values_within_its_interval():
    truth, hidden = networks()
    predicted = truth + 0.5 * np.random.default_rng(1).standard_normal(truth.shape)
    rows = rows_of(truth, np.where(hidden, predicted, np.nan), hidden)
    chosen = {
        ("all", "all"): hidden,
        ("mode", "1"): hidden & (MODES == "1")[:, None],
        ("mode", "3"): hidden & (MODES == "3")[:, None],
    }
    chosen |= {("kind", name): hidden & (LAYOUT.kind == i) for i, name in enumerate(LAYOUT.kind_names)}
    chosen |= {("parameter", name): hidden & (i == CLASSES) for i, name in enumerate(LAYOUT.class_names)}
    assert list(rows) == [("all", "all"), *list(chosen)[3:], ("mode", "1"), ("mode", "3")]
    classes = np.broadcast_to(CLASSES, truth.shape)
    for name, mask in chosen.items():
        row = rows[name]
        assert row["r2"] == pytest.approx(r_squared(truth[mask], predicted[mask], classes[mask]))
        assert row["n_values"] == mask.sum()
        assert row["low"] < row["r2"] < row["high"]
        assert row["null_p95"] < row["low"]


def test_the_interval_is_that_of_resampled_networks():
    truth, hidden = networks()
    predicted = truth + np.random.default_rng(1).standard_normal(truth.shape)
    row, rng, draws = rows_of(truth, predicted, hidden)["all", "all"], np.random.default_rng(2), []
    for _ in range(400):
        drawn = rng.integers(0, N, N)
        mask, classes = hidden[drawn], np.broadcast_to(CLASSES, (N, 9))
        draws.append(r_squared(truth[drawn][mask], predicted[drawn][mask], classes[mask]))
    assert interval(np.array(draws)) == pytest.approx((row["low"], row["high"]), abs=0.01)


def test_dealt_residuals_are_those_of_predictions_for_other_networks():
    truth, hidden = networks()
    predicted, rng = truth[::-1] / 2, np.random.default_rng(5)
    fast = dealt_squares(truth, predicted, CLASSES, hidden, seed=5, n_deals=3)
    for row in fast:
        order, slow = rng.permutation(N), np.zeros(LAYOUT.n_classes)
        for slot, number in enumerate(CLASSES):
            own, others = np.flatnonzero(hidden[:, slot]), [i for i in order if hidden[i, slot]]
            slow[number] += np.square(truth[own, slot] - predicted[others, slot]).sum()
        np.testing.assert_allclose(row, slow)
    order = np.random.default_rng(5).permutation(N)
    whole = np.square(truth - predicted[order]).sum(axis=0)
    everywhere = dealt_squares(truth, predicted, CLASSES, seed=5, n_deals=1)[0]
    np.testing.assert_allclose(everywhere, np.bincount(CLASSES, whole))


def test_the_null_tells_knowing_a_mode_from_knowing_a_network():
    truth, hidden = networks()
    right = rows_of(truth, truth, hidden)
    assert right["all", "all"]["r2"] == 1
    assert right["all", "all"]["null_p95"] == pytest.approx(-1, abs=0.1)
    assert right["mode", "1"]["null_p95"] == pytest.approx(-1, abs=0.1)
    family = rows_of(truth, np.where(MODES == "1", -2, 2)[:, None] * np.ones(9), hidden)
    assert family["all", "all"]["r2"] > 0.75 > 0 > family["all", "all"]["null_p95"]
    for mode in ("1", "3"):  # all that is said of one network of a mode holds for another
        assert family["mode", mode]["null_p95"] == pytest.approx(family["mode", mode]["r2"])
    mean = rows_of(truth, np.zeros_like(truth), hidden)["all", "all"]
    assert mean["null_p95"] == pytest.approx(mean["r2"])


def test_the_same_seed_deals_the_same_and_another_does_not():
    truth, hidden = networks()
    first, again, other = (rows_of(truth, truth / 2, hidden, seed=seed)["all", "all"] for seed in (0, 0, 1))
    assert first == again
    assert first["null_p95"] != other["null_p95"]


def test_what_does_not_vary_has_no_figure():
    for value in (1.0, -2.9, 17.1):  # of which the last two have no exact square in single precision
        truth = np.full((N, 9), value, dtype=np.float32)
        row = rows_of(truth, np.zeros((N, 9)), np.ones((N, 9), dtype=bool))["all", "all"]
        assert all(np.isnan(row[name]) for name in ("r2", "low", "high", "null_p95"))
    assert spread(np.array([1.0, 0.0, 2.0, np.nan]), np.array([0.0]))["high"] == pytest.approx(1.95)
