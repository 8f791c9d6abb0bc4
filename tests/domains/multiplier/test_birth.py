"""The mode at birth: quantities know no order of units or inputs, trees find what is planted and nothing else."""

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.scan import random_initialisations
from metarep.networks.symmetry import permute_units
from metarep.studies.dynamics.run import foretold, initial_features, twin_modes
from metarep.training.build import build_zoo
from metarep.training.recipe import TrainingPlan
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo, open_zoo

STARTS = random_initialisations(1500, seed=0)


def test_quantities_know_no_order_of_units_and_inputs():
    at_home, swapped = initial_features(STARTS), initial_features(permute_units(MULTIPLIER, STARTS, 0, np.array([1, 0])))
    # Where both units have one area, on everywhere or off everywhere, nothing says which comes first.
    apart = at_home[:, 0] != at_home[:, 5]
    np.testing.assert_allclose(swapped[apart], at_home[apart], atol=1e-12)
    np.testing.assert_allclose(initial_features(STARTS[:, [1, 0, 3, 2, 4, 5, 6, 7, 8]]), at_home, atol=1e-9)
    assert not np.allclose(initial_features(-STARTS), at_home)


def planted_zoo(mode):
    split = np.resize(np.array(["train"] * 7 + ["valid"] + ["test"] * 2, dtype=object), len(mode))
    return Zoo({"params": STARTS, "init_params": STARTS, "mode": mode, "split": split})


def test_a_planted_rule_is_learned_and_random_labels_are_not():
    rule = np.where(STARTS[:, 8] > 0, "3", "2").astype(object)
    assert foretold(planted_zoo(rule), n_bootstraps=50, seed=0)["low"] > 0.98
    chance = foretold(planted_zoo(np.random.default_rng(1).permutation(rule)), n_bootstraps=50, seed=0)
    assert chance["low"] < 0.5 < chance["high"] + 0.05


def test_twins_have_the_start_of_one_network_and_the_data_of_another(tmp_path):
    family = {"variant": "e09", "n_networks": 30, "n_steps": 0}
    zoo = open_zoo(build_zoo(ZooConfig(families=[family]), tmp_path / "zoo"))
    still, trained = (twin_modes(zoo, TrainingPlan(MULTIPLIER, "product", 1e-2, n), n=20, seed=0) for n in (0, 400))
    np.testing.assert_array_equal(*still)  # no step was taken
    assert (trained[0] != trained[1]).any()
