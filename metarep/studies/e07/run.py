"""Experiment 7: the hand-crafted network trained further. What moved, and whether it moves the same way from elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.figures.choices import moved_figure
from metarep.domains.multiplier.figures.minima import gallery_figure
from metarep.domains.multiplier.figures.square import draw_network
from metarep.domains.multiplier.minimise import minimise
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.recipes import DEFAULT_JITTER, HANDCRAFTED
from metarep.report.wording import listed
from metarep.studies.e06.run import GROUPS
from metarep.studies.published import PARAMETERS, PUBLISHED, SEED
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.words import back, signed
from metarep.zoos.zoo import Zoo

OTHER_DATA, JITTERED = "other seeds of the data", "jittered copies"


class Moved(NamedTuple):
    """One network: params before and after training (9,), its errors on the recipe's samples and expected ones."""

    before: np.ndarray
    after: np.ndarray
    valid_mse: float
    expected_before: float
    expected_after: float

    @classmethod
    def of(cls, zoo: Zoo) -> Moved:
        """The first network of a zoo."""
        both = np.stack([zoo.init_params[0], zoo.params[0]]).astype(np.float64)
        return cls(*both, float(zoo["valid_mse"][0]), *map(float, expected_error(MULTIPLIER, both)))

    @property
    def change(self) -> np.ndarray:
        """(9,): how far each parameter moved."""
        return self.after - self.before

    @property
    def share(self) -> np.ndarray:
        """(9,): each parameter's part in the squared distance moved; sums to 1 (0 where nothing moved)."""
        squared = np.square(self.change)
        return squared / max(squared.sum(), 1e-300)

    def put_back(self, places: np.ndarray) -> np.ndarray:
        """(N,): the expected error after training with parameters at places (N, 9) put back to where they were by hand."""
        return expected_error(MULTIPLIER, np.where(places, self.before, self.after))


def changes_of(zoo: Zoo) -> np.ndarray:
    """(N, 9): how far each parameter of a zoo's networks moved."""
    return (zoo.params - zoo.init_params).astype(np.float64)


def run(context: Context) -> Result:
    """The published run again, and families that differ from it by their data or by a jitter of the start."""
    config, published = context.config, PUBLISHED["7"]["valid_mse"]
    moved = Moved.of(context.family("e07", variant="e07", seeds=[SEED]))
    copies = {"variant": "e07", "n_networks": config.n_initialisations}
    families = {
        OTHER_DATA: context.family("e07_data", jitter=0.0, **copies).final(),
        JITTERED: context.family("e07_jittered", jitter=DEFAULT_JITTER, **copies).final(),
    }
    minimum = minimise(MULTIPLIER, HANDCRAFTED[None])
    best = float(minimum.error[0])
    claims = (
        Claim("valid_mse", moved.valid_mse, published, best=best),
        Claim("expected_error", moved.expected_after, best=best),
        Claim.over_all("valid_mse over other seeds", families[OTHER_DATA]["valid_mse"], "of the data's seeds"),
    )
    return Result(
        claims,
        (
            error_sentence(moved, published, claims[0].met, best),
            moved_sentence(moved),
            *(family_sentence(name, found, moved) for name, found in families.items()),
            mode_sentence(moved, families[JITTERED]),
        ),
        tables={"parameters": parameter_rows(moved), "groups": group_rows(moved), "families": family_rows(families)},
        figures=figures(moved, families),
        numbers={"nearest_minimum": minimum.params[0].tolist(), "distance_moved": float(np.linalg.norm(moved.change))},
    )


def parameter_rows(moved: Moved) -> list[dict]:
    """One row a parameter: before, after, change, its share in the squared distance, the error with it put back."""
    found = {"before": moved.before, "after": moved.after, "change": moved.change, "share": moved.share}
    found["error_if_put_back"] = moved.put_back(np.eye(9, dtype=bool))
    return [{"parameter": p} | {name: float(v[i]) for name, v in found.items()} for i, p in enumerate(PARAMETERS)]


def group_rows(moved: Moved) -> list[dict]:
    """One row a choice of experiment 6: the distance it moved, its share, and the error when all of it is put back."""
    rows = []
    for name, places in GROUPS.items():
        own = np.isin(np.arange(9), places)
        row = {"choice": name, "distance": float(np.linalg.norm(moved.change[own])), "share": float(moved.share[own].sum())}
        rows.append(row | {"error_if_put_back": float(moved.put_back(own[None])[0])})
    return rows


def family_rows(families: dict[str, Zoo]) -> list[dict]:
    """One row a family and parameter: the change's median and the range that holds 95 % of the networks."""
    rows = []
    for name, zoo in families.items():
        for parameter, change in zip(PARAMETERS, changes_of(zoo).T, strict=True):
            low, middle, high = (float(v) for v in np.quantile(change, [0.025, 0.5, 0.975]))
            row = {"family": name, "n": len(zoo), "parameter": parameter, "change_median": middle}
            rows.append(row | {"change_low": low, "change_high": high, "change_std": float(change.std())})
    return rows


def figures(moved: Moved, families: dict[str, Zoo]) -> dict[str, Figure]:
    """Before and after, step by step and side by side; every parameter's way."""
    changes = {name: changes_of(zoo) for name, zoo in families.items()}
    titles = [f"by hand\nerror {moved.expected_before:.4f}", f"trained further\nerror {moved.expected_after:.4f}"]
    return {
        "parameters": Figure(
            moved_figure(PARAMETERS, moved.before, moved.after, changes),
            "Each parameter before and after training; at the right its change, for the published seed and for families that "
            "differ by their data, or by their data and a jitter of the start.",
        ),
        "outputs": Figure(
            gallery_figure(MULTIPLIER, [moved.before, moved.after], titles),
            "The output over the square before and after; lines are where the units turn on.",
        ),
        "stages_before": Figure(
            draw_network(MULTIPLIER, moved.before, title=f"before: by hand, expected error {moved.expected_before:.4f}"),
            "Before: the hand-crafted network, step by step.",
        ),
        "stages_after": Figure(
            draw_network(MULTIPLIER, moved.after, title=f"after: trained further, expected error {moved.expected_after:.4f}"),
            "After training: the same steps.",
        ),
    }


def error_sentence(moved: Moved, published: float, met: bool, best: float) -> str:
    """Whether the published error comes back, and how far from the minimum training stopped."""
    ratio = moved.expected_after / best
    arrival = "has stopped on the way there." if ratio > 1.05 else "has arrived." if ratio > 0.95 else "found a lower place."
    return (
        f"From the hand-crafted network and seed {SEED} training ends at the error {moved.valid_mse:.4f}; the published "
        f"{published:.4f} {back(met)}. The expected error falls from "
        f"{moved.expected_before:.4f} to {moved.expected_after:.4f}, while the minimum that Newton's method reaches from the "
        f"same start has {best:.4f}: training " + arrival
    )


def moved_sentence(moved: Moved) -> str:
    """Which parameters moved most."""
    change, order = moved.change, np.argsort(-moved.share)
    largest = [f"{PARAMETERS[i]} by {signed(change[i], 3)}" for i in order[:3]]
    least = order[-1]
    return (
        f"All nine parameters together move by {np.linalg.norm(change):.2f}; furthest {listed(largest)}, "
        f"which is {moved.share[order[:3]].sum():.0%} of the squared distance; least {PARAMETERS[least]} by "
        f"{signed(change[least], 3)}."
    )


def family_sentence(name: str, zoo: Zoo, moved: Moved) -> str:
    """How the changes of a family compare with those of the published run."""
    low, high = np.quantile(changes_of(zoo), [0.025, 0.975], axis=0)
    alike, inside = ((low > 0) | (high < 0)).sum(), ((moved.change >= low) & (moved.change <= high)).sum()
    wide = int(np.argmax(high - low))
    q1, q2, q3 = np.quantile(zoo["valid_mse"], [0.025, 0.5, 0.975])
    return (
        f"Over {len(zoo):,} {name} the error ends at {q2:.4f} (median; 95 % in {q1:.4f} to {q3:.4f}); {alike} of 9 parameters "
        f"change in the same direction in at least 95 %, {inside} of 9 changes of the published run lie within that range, and "
        f"{PARAMETERS[wide]} spreads most, {signed(low[wide], 3)} to {signed(high[wide], 3)}."
    )


def mode_sentence(moved: Moved, zoo: Zoo) -> str:
    """Whether the algorithm changes."""
    labels = label_modes(MULTIPLIER, np.stack([moved.before, moved.after]))
    (before, after), (was, now) = labels.mode, labels.active_area.min(axis=1)
    own = f"stays in mode {after}" if before == after else f"goes from mode {before} to mode {after}"
    kept = label_modes(MULTIPLIER, zoo.init_params).mode == zoo["mode"]
    return (
        f"The published run {own}, and the unit that is on less goes from {was:.0%} of the square to {now:.0%}; of the "
        f"jittered copies {kept.mean():.1%} keep the mode that they start in."
    )
