"""Experiment 7: the hand-crafted network trained further. What moved, and whether it moves the same way on other data."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.square import gallery
from metarep.domains.multiplier.minimise import minimise
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.report.dots import Panel, Series, dots_figure
from metarep.report.style import MUTED, PALETTE
from metarep.report.wording import listed
from metarep.studies.published import PARAMETERS, PUBLISHED, SEED
from metarep.studies.rows import Rows, back, signed
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import Zoo


def run(context: Context) -> Result:
    """The published run again, and a family of runs that differ from it by their data."""
    published = PUBLISHED["7"]["valid_mse"]
    own = context.family("e07", variant="e07", seeds=[SEED])
    others = context.family("e07_data", variant="e07", jitter=0.0, n_networks=context.config.n_initialisations).final()
    both = np.stack([own.init_params[0], own.params[0]]).astype(np.float64)
    errors, best = expected_error(MULTIPLIER, both), float(minimise(MULTIPLIER, HANDCRAFTED[None]).error[0])
    rows = parameter_rows(both, others)
    claims = (
        Claim("valid_mse", float(own["valid_mse"][0]), published, best=best),
        Claim("expected_error", float(errors[1]), best=best),
        Claim.over_all("valid_mse over other seeds", others["valid_mse"], "of the data's seeds"),
    )
    sentences = (
        error_sentence(claims[0], errors, best),
        moved_sentence(rows),
        family_sentence(rows, claims[2], len(others)),
        mode_sentence(both),
    )
    titles = [f"{who}\nerror {error:.4f}" for who, error in zip(("by hand", "trained further"), errors, strict=True)]
    figures = {
        "parameters": Figure(
            moved_figure(rows),
            "Each parameter before and after training; at the right its change, for the published seed and, with the range "
            "that holds 95 % of them, for runs on other data.",
        ),
        "outputs": Figure(
            gallery(MULTIPLIER, both, titles),
            "The output over the square before and after; lines are where the units turn on.",
        ),
    }
    return Result(claims, sentences, tables={"parameters": rows}, figures=figures)


def parameter_rows(both: np.ndarray, others: Zoo) -> list[dict]:
    """One row a parameter: before and after (2, 9), its change, and the change's median and 95 % range over other runs."""
    change = both[1] - both[0]
    share = np.square(change) / np.square(change).sum()
    low, median, high = np.quantile((others.params - others.init_params).astype(np.float64), [0.025, 0.5, 0.975], axis=0)
    found = {"before": both[0], "after": both[1], "change": change, "share_of_squared_distance": share}
    found |= {"others": median, "others_low": low, "others_high": high}
    return [{"parameter": p} | {name: float(v[i]) for name, v in found.items()} for i, p in enumerate(PARAMETERS)]


def moved_figure(rows: Rows):
    """Values before and after, and changes."""
    series = lambda label, metric, *look: Series.of(label, rows, "parameter", *look, metric=metric)  # noqa: E731
    values = [series("by hand", "before", MUTED), series("trained further", "after", PALETTE[1])]
    changes = [series("trained further", "change", PALETTE[1]), series("other data", "others", PALETTE[0], "s")]
    return dots_figure([Panel("value", values), Panel("change", changes)], {name: name for name in PARAMETERS})


def error_sentence(claim: Claim, errors: np.ndarray, best: float) -> str:
    """Whether the published error comes back, and how far from the minimum training stopped."""
    before, after = errors
    arrival = "has stopped on the way there" if after > 1.05 * best else "has arrived"
    return (
        f"From the hand-crafted network and seed {SEED} training ends at the error {claim.value:.4f}; the published "
        f"{claim.published:.4f} {back(claim.met)}. The expected error falls from {before:.4f} to {after:.4f}, while the "
        f"minimum that Newton's method reaches from the same start has {best:.4f}: training {arrival}."
    )


def moved_sentence(rows: Rows) -> str:
    """Which parameters moved most."""
    order = sorted(rows, key=lambda row: -row["share_of_squared_distance"])
    largest = [f"{row['parameter']} by {signed(row['change'], 3)}" for row in order[:3]]
    share = sum(row["share_of_squared_distance"] for row in order[:3])
    return f"Furthest move {listed(largest)}, which is {share:.0%} of the squared distance that all nine move."


def family_sentence(rows: Rows, claim: Claim, n: int) -> str:
    """How the changes of other runs compare with those of the published one."""
    alike = sum(row["others_low"] > 0 or row["others_high"] < 0 for row in rows)
    inside = sum(row["others_low"] <= row["change"] <= row["others_high"] for row in rows)
    return (
        f"Over {n:,} other seeds of the data the error ends at {claim.value:.4f} (median; 95 % in {claim.low:.4f} to "
        f"{claim.high:.4f}); {alike} of 9 parameters change in the same direction in at least 95 %, and {inside} of 9 changes "
        "of the published run lie within that range."
    )


def mode_sentence(both: np.ndarray) -> str:
    """Whether the algorithm changes."""
    labels = label_modes(MULTIPLIER, both)
    (before, after), (was, now) = labels.mode, labels.active_area.min(axis=1)
    own = f"stays in mode {after}" if before == after else f"goes from mode {before} to mode {after}"
    return f"It {own}, and the unit that is on less goes from {was:.0%} of the square to {now:.0%}."
