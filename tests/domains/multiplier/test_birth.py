"""The mode at birth: quantities know no order of units or inputs, predictors find what is planted and nothing else."""

import numpy as np
import pytest

from metarep.domains.multiplier import birth
from metarep.domains.multiplier.birth import birth_rows, boosted_trees, fit, initial_features, scores, twin_modes, twin_rows
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.scan import random_initialisations
from metarep.networks.symmetry import permute_units
from metarep.training.build import build_zoo
from metarep.training.recipe import Plan
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo, open_zoo


def starts(n, seed=0):
    return random_initialisations(n, seed=seed)


def other_inputs(params):
    """The same networks with x1 and x2 in the other order."""
    return params[:, [1, 0, 3, 2, 4, 5, 6, 7, 8]]


@pytest.mark.parametrize("name", ["mode", "areas", "parameters", "all"])
def test_quantities_know_no_order_of_units_and_inputs(name):
    params = starts(300)

    def quantities(params, name=name):
        return np.stack(list(initial_features(params)[name].values()), axis=1)

    at_home, swapped = quantities(params), quantities(permute_units(MULTIPLIER, params, 0, np.array([1, 0])))
    # Where both units have one area, on everywhere or off everywhere, nothing says which comes first.
    smaller, larger, *_ = quantities(params, "areas").T
    np.testing.assert_allclose(swapped[smaller != larger], at_home[smaller != larger], atol=1e-12)
    np.testing.assert_allclose(quantities(other_inputs(params)), at_home, atol=1e-9)
    assert not np.allclose(quantities(-params), at_home)


def planted_zoo(mode, params):
    n = len(params)
    split = np.array((["train"] * 7 + ["valid"] + ["test"] * 2) * n, dtype=object)[:n]
    names = np.array([f"n{i}" for i in range(n)], dtype=object)
    return Zoo({"network_id": names, "params": params, "init_params": params, "mode": mode, "split": split})


def test_a_planted_rule_is_learned_and_its_quantity_matters_most():
    params = starts(1500)
    mode = np.where(params[:, 8] > 0, "3", "2").astype(object)
    rows, importance = birth_rows(planted_zoo(mode, params), n_bootstraps=50, n_nulls=1, seed=0, sets=("mode", "parameters"))
    best = {row["quantities"]: row for row in rows if row["predictor"] == "boosted trees"}
    assert best["parameters"]["balanced_accuracy_low"] > 0.98
    assert best["parameters"]["bits"] > 0.9
    assert best["mode"]["balanced_accuracy"] < 0.6
    assert importance[0]["quantity"] == "output bias"
    assert importance[0]["bits"] > 10 * abs(importance[1]["bits"])


def test_random_labels_score_chance_and_no_bits(monkeypatch):
    monkeypatch.setattr(birth, "N_ROUNDS", 20)
    params = starts(1500)
    mode = np.random.default_rng(1).choice(np.array(["2", "3", "4"], dtype=object), 1500)
    rows, _ = birth_rows(planted_zoo(mode, params), n_bootstraps=50, n_nulls=1, seed=0, sets=("all",))
    for row in rows:
        assert row["balanced_accuracy_low"] < 1 / 3 < row["balanced_accuracy_high"] + 0.05
        assert row["bits"] < 0.02


def test_a_class_that_was_never_seen_costs_bits_and_no_error():
    params = starts(200)
    x = np.stack(list(initial_features(params)["parameters"].values()), axis=1)
    fitted = fit(boosted_trees, x[:100], np.array(["2", "3"] * 50, dtype=object))
    row = scores(fitted, x[100:], np.array(["4"] * 100, dtype=object), n_bootstraps=10, rng=np.random.default_rng(0))
    assert row["accuracy"] == 0
    assert row["entropy_bits"] > 10


def test_twins_have_the_start_of_one_network_and_the_data_of_another(tmp_path):
    family = {"variant": "e09", "n_networks": 30, "n_steps": 50}
    zoo = open_zoo(build_zoo(ZooConfig(families=[family]), tmp_path / "zoo"))
    initial, final, twin = twin_modes(zoo, Plan(MULTIPLIER, "product", 1e-3, 0), n=20, seed=0)
    np.testing.assert_array_equal(twin, initial)  # no step was taken
    assert len(final) == 20
    assert twin_rows(initial, final, final)[0]["share"] == 1
    assert twin_rows(initial, final, np.roll(final, 1))[0]["share"] < 1
