"""Experiment 4: the clean mode-3 network, from its published seed."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.minimise import minimise
from metarep.domains.multiplier.scores import scan_score
from metarep.studies.e03.run import stages_figure, turned
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
    off = np.abs(params - published["params"])
    low, high = np.sort(zoo["active_area"][0])
    sentences = (
        f"The nine parameters come back {'to the four digits printed' if claims[1].met else 'only roughly'}: the largest "
        f"difference is {off.max():.1e}.",
        f"It is of mode {mode}: one unit is on over {high:.1%} of the square, the other over {low:.1%}. Newton's method leads "
        f"on to the minimum {minimum.error[0]:.6f}.",
        turned(zoo.spec, params),
    )
    rows = zip(PARAMETERS, params, published["params"], off, strict=True)
    table = [{"parameter": n, "reproduced": float(v), "published": p, "difference": float(d)} for n, v, p, d in rows]
    figure = stages_figure(zoo.spec, params, f"seed {SEED}, mode {mode}, error {error:.4f}")
    return Result(claims, sentences, tables={"parameters": table}, figures={"stages": figure})
