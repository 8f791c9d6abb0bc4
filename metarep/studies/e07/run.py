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
from metarep.studies.words import signed
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo


def run(context: Context) -> Result:
    """The published run again, and families that differ from it by their data or by a jitter of the start."""
    config, published = context.config, PUBLISHED["7"]["valid_mse"]
    zoo = context.zoo("e07", ZooConfig(families=[{"variant": "e07", "seeds": [SEED]}], seed=config.seed))
    moved = what_moved(zoo)
    families = {
        OTHER_DATA: family(context, "e07_data", jitter=0.0),
        JITTERED: family(context, "e07_jittered", jitter=DEFAULT_JITTER),
    }
    minimum = minimise(MULTIPLIER, HANDCRAFTED[None])
    best = float(minimum.error[0])
    errors = families[OTHER_DATA]["valid_mse"]
    claims = (
        Claim("valid_mse", moved.valid_mse, published, best=best),
        Claim("expected_error", moved.expected_after, best=best),
        Claim("valid_mse over other seeds", float(np.median(errors)), **_range(errors, "the data's seeds")),
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
        shown=("parameters", "groups", "families"),
    )


def _range(values: np.ndarray, over: str) -> dict:
    low, high = np.quantile(values, [0.025, 0.975])
    return {"low": float(low), "high": float(high), "over": f"95 % of {len(values):,} of {over}"}


OTHER_DATA, JITTERED = "other seeds of the data", "jittered copies"


class Moved(NamedTuple):
    """One network: params before and after training (9,), its errors on the recipe's samples and expected ones."""

    before: np.ndarray
    after: np.ndarray
    valid_mse: float
    expected_before: float
    expected_after: float

    @property
    def change(self) -> np.ndarray:
        """(9,): how far each parameter moved."""
        return self.after - self.before

    @property
    def share(self) -> np.ndarray:
        """(9,): each parameter's part in the squared distance moved; sums to 1 (0 where nothing moved)."""
        squared = np.square(self.change)
        return squared / max(squared.sum(), 1e-300)

    @property
    def put_back(self) -> np.ndarray:
        """(9,): the expected error after training with one parameter put back to where it was by hand."""
        return expected_error(MULTIPLIER, np.where(np.eye(9, dtype=bool), self.before, self.after))


def what_moved(zoo: Zoo) -> Moved:
    """The first network of a zoo, before and after."""
    before, after = zoo.init_params[0].astype(np.float64), zoo.params[0].astype(np.float64)
    errors = expected_error(MULTIPLIER, np.stack([before, after]))
    return Moved(before, after, float(zoo["valid_mse"][0]), float(errors[0]), float(errors[1]))


def family(context: Context, name: str, *, jitter: float) -> Zoo:
    """Copies of the hand-crafted network trained further, each on data of its own."""
    entry = {"variant": "e07", "n_networks": context.config.n_initialisations, "jitter": jitter}
    return context.zoo(name, ZooConfig(families=[entry], seed=context.config.seed)).final()


def parameter_rows(moved: Moved) -> list[dict]:
    """One row a parameter: before, after, change, its share in the squared distance, the error with it put back."""
    columns = (PARAMETERS, moved.before, moved.after, moved.change, moved.share, moved.put_back)
    keys = ("parameter", "before", "after", "change", "share", "error_if_put_back")
    rows = [dict(zip(keys, values, strict=True)) for values in zip(*columns, strict=True)]
    return [{key: value if key == "parameter" else float(value) for key, value in row.items()} for row in rows]


def group_rows(moved: Moved) -> list[dict]:
    """One row a choice of experiment 6: the distance it moved, its share, and the error when all of it is put back."""
    rows = []
    for name, places in GROUPS.items():
        back = moved.after.copy()
        back[list(places)] = moved.before[list(places)]
        rows.append(
            {
                "choice": name,
                "distance": float(np.linalg.norm(moved.change[list(places)])),
                "share": float(moved.share[list(places)].sum()),
                "error_if_put_back": float(expected_error(MULTIPLIER, back[None])[0]),
            }
        )
    return rows


def family_rows(families: dict[str, Zoo]) -> list[dict]:
    """One row a family and parameter: the change's median and the range that holds 95 % of the networks."""
    rows = []
    for name, zoo in families.items():
        change = (zoo.params - zoo.init_params).astype(np.float64)
        low, middle, high = np.quantile(change, [0.025, 0.5, 0.975], axis=0)
        for i, parameter in enumerate(PARAMETERS):
            row = {"family": name, "n": len(zoo), "parameter": parameter, "change_median": float(middle[i])}
            spread = {"change_low": float(low[i]), "change_high": float(high[i]), "change_std": float(change[:, i].std())}
            rows.append({**row, **spread})
    return rows


def figures(moved: Moved, families: dict[str, Zoo]) -> dict[str, Figure]:
    """Before and after, step by step and side by side; every parameter's way."""
    changes = {name: (zoo.params - zoo.init_params).astype(np.float64) for name, zoo in families.items()}
    titles = [f"by hand\nerror {moved.expected_before:.4f}", f"trained further\nerror {moved.expected_after:.4f}"]
    return {
        "parameters": Figure(
            moved_figure(PARAMETERS, moved.before, moved.after, changes),
            "Each parameter before and after training; at the right its change, for the published seed and for families that "
            "differ by their data, or by their data and a jitter of the start.",
            "Nine parameters before and after training",
        ),
        "outputs": Figure(
            gallery_figure(MULTIPLIER, [moved.before, moved.after], titles),
            "The output over the square before and after; lines are where the units turn on.",
            "Outputs before and after training",
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
        f"{published:.4f} {'comes back' if met else 'does not come back'}. The expected error falls from "
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
    change = (zoo.params - zoo.init_params).astype(np.float64)
    low, high = np.quantile(change, [0.025, 0.975], axis=0)
    alike = int(((low > 0) | (high < 0)).sum())
    own = moved.change
    inside = int(((own >= low) & (own <= high)).sum())
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
