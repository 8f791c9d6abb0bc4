"""Experiment 4: the clean mode-3 network, from its published seed."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.minimise import minimise
from metarep.domains.multiplier.modes import label_modes
from metarep.domains.multiplier.scores import scan_score
from metarep.studies.e03.run import transformation, turned
from metarep.studies.published import NETWORKS, PARAMETERS, PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Result


def run(context: Context) -> Result:
    """Trains the published seed by the recipe and holds every published number against it."""
    zoo = context.family("e04", variant="e04", seeds=[SEED])
    params, published = zoo.params[0].astype(float), NETWORKS[SEED]
    minimum = minimise(zoo.spec, params[None])
    claims = (
        Claim("valid_mse", float(zoo["valid_mse"][0]), PUBLISHED["4"]["valid_mse"], best=float(minimum.error[0])),
        Claim("params", params.tolist(), published["params"]),
        Claim("mode", str(zoo["mode"][0]), published["mode"]),
        Claim("scan_score", float(scan_score(zoo.spec, params[None])[0]), published["scan_score"]),
    )
    error, mode = claims[0].value, claims[2].value
    figures, numbers = transformation(zoo.spec, params, f"seed {SEED}, mode {mode}, error {error:.4f}")
    off = np.abs(params - published["params"])
    low, high = np.sort(zoo["active_area"][0])
    reached = label_modes(zoo.spec, minimum.params).mode[0]
    now = expected_error(zoo.spec, params[None])[0]
    sentences = (
        f"The nine parameters come back {'to the four digits printed' if claims[1].met else 'only roughly'}: the largest "
        f"difference is {off.max():.1e}.",
        f"It is of mode {mode}: one unit is on over {high:.1%} of the square, the other over {low:.1%}.",
        f"Its exact expected error is {now:.6f}; Newton's method leads on to the minimum {minimum.error[0]:.6f}, in mode "
        f"{reached}.",
        turned(numbers),
    )
    rows = zip(PARAMETERS, params, published["params"], off, strict=True)
    table = [{"parameter": n, "reproduced": float(v), "published": p, "difference": float(d)} for n, v, p, d in rows]
    return Result(claims, sentences, tables={"parameters": table}, figures=figures, numbers=numbers)
