"""Experiment 5: mode-3 networks trained further on inputs uniform on the square. How the skew at the pre-activations changes,
and where on the square the error goes.

What skew is, and why a rotation has none, is explained in `domains/multiplier/skew.py`.
"""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.error_by_product import share_below, split_error
from metarep.domains.multiplier.minimise import minimise
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.studies.e05.figures import figures
from metarep.studies.e05.pairs import (
    DISTRIBUTIONS,
    MEASURES,
    PARTS,
    Bootstrap,
    change_row,
    distribution_row,
    mode_3_pairs,
    published_pair,
    published_rows,
    skew_row,
)
from metarep.studies.e05.text import (
    distribution_sentence,
    mode_sentence,
    own_split_sentence,
    parents_sentence,
    published_sentence,
    skew_sentence,
    where_sentence,
)
from metarep.studies.published import PUBLISHED
from metarep.studies.study import Claim, Context, Result


def run(context: Context) -> Result:
    """The published child, then at least as many parents as the settings ask for, each with one child."""
    config, published = context.config, PUBLISHED["5"]["valid_mse"]
    own, family = published_pair(context), mode_3_pairs(context)
    n = len(family.parent)
    draws = Bootstrap(np.random.default_rng([config.seed, 5]).integers(0, n, (config.n_bootstraps, n)))
    measured = {name: (measure(family.parent), measure(family.child)) for name, measure in MEASURES.items()}
    skews = [skew_row(name, *pair, draws) for name, pair in measured.items()]
    parts = split_error(family.parent), split_error(family.child)
    splits = [change_row("part", name, parts[0][:, i], parts[1][:, i], draws) for i, name in enumerate(PARTS)]
    splits.append(change_row("part", "whole square", parts[0].sum(axis=1), parts[1].sum(axis=1), draws))
    distributions = [distribution_row(name, inputs, family, draws) for inputs, name in DISTRIBUTIONS.items()]
    minimum = minimise(MULTIPLIER, own.child, input_distribution="square")
    over = f"{n:,} parents, paired bootstrap"
    claims = (
        Claim("valid_mse", float(own.valid_mse[0]), published, best=float(minimum.error[0])),
        Claim("median change of the skew", skews[0]["change"], low=skews[0]["low"], high=skews[0]["high"], over=over),
        *(
            Claim(f"change of the error, {row['part']}", row["change"], low=row["low"], high=row["high"], over=over)
            for row in splits[:2]
        ),
    )
    return Result(
        claims,
        (
            published_sentence(own, published, claims[0].met, float(minimum.error[0])),
            parents_sentence(family, config.n_parents),
            mode_sentence(family),
            *(skew_sentence(row) for row in skews[:2]),
            *(distribution_sentence(row) for row in distributions),
            where_sentence(splits),
            own_split_sentence(own),
        ),
        tables={
            "skew": skews,
            "error_by_input_distribution": distributions,
            "error_by_product": splits,
            "published": published_rows(own),
        },
        figures=figures(family, own, measured, splits),
        numbers={"n_parents": n, "share_of_square_below": share_below(), "skew_is": "artanh of |cos| of the angle of the rows"},
        shown=("skew", "error_by_product", "error_by_input_distribution", "published"),
    )
