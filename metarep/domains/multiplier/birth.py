"""What decides the mode at birth: the final mode predicted from the initialisation alone, and twins.

How far any predictor could get is measured by twins: the same initialisation trained on the data of another seed. Where twins
differ, the data decided.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.evaluation.resampling import class_metric
from metarep.training.engines import train_fast
from metarep.training.recipe import Plan
from metarep.zoos.zoo import Zoo

N_ROUNDS = 80
"""Of boosting."""


def initial_features(params: np.ndarray) -> np.ndarray:
    """(N, 16): quantities of 2-2-1 initialisations (N, 9), each invariant to the order of units and of inputs.

    Exact active areas and, unit by unit with the smaller area first, the sum and the difference of the incoming weights, bias
    and output weight; quadrant areas; whether the units tilt to the same side; the output bias.
    """
    params = np.asarray(params, np.float64)
    labels = label_modes(MULTIPLIER, params)
    (weight, bias), (out, out_bias) = MULTIPLIER.unpack(params)
    tilt = weight[..., 0] - weight[..., 1]
    units = np.stack([labels.active_area, weight.sum(axis=-1), np.abs(tilt), bias, out[:, 0]], axis=-1)
    order = np.argsort(labels.active_area, axis=1, kind="stable")
    units = np.take_along_axis(units, order[:, :, None], axis=1).reshape(len(params), -1)
    return np.concatenate([units, labels.quadrant_area, np.sign(tilt.prod(axis=1))[:, None], out_bias], axis=1)


def foretold(zoo: Zoo, *, n_bootstraps: int, seed: int) -> dict[str, float]:
    """The balanced accuracy, with interval and null, of boosted trees that name the final modes of test networks from their
    initialisations, fitted on the training networks of a zoo of finished 2-2-1 networks.
    """
    x, mode = initial_features(zoo.init_params), zoo["mode"].astype(str)
    train, test = (zoo["split"] == part for part in ("train", "test"))
    trees = HistGradientBoostingClassifier(
        max_iter=N_ROUNDS, max_leaf_nodes=15, l2_regularization=1.0, class_weight="balanced", random_state=0
    )
    predicted = trees.fit(x[train], mode[train]).predict(x[test])
    return class_metric(mode[test], predicted, seed=seed, n_draws=n_bootstraps)


def twin_modes(zoo: Zoo, plan: Plan, *, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Final modes (n,) of networks and of their twins: the same start, the data of another network.

    The n networks are drawn without replacement; data go round among them, so that none keeps its own.
    """
    networks = zoo.select(np.random.default_rng([seed, 4]).permutation(len(zoo))[:n])
    other = np.roll(networks["seed"], 1).astype(np.uint32)
    trained = train_fast(plan, other, networks.init_params)
    sound = ~trained.diverged
    return networks["mode"][sound], label_modes(MULTIPLIER, trained.params).mode[sound]
