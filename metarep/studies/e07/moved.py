"""How far each parameter moves in training, and what that is worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metarep.domains.multiplier.expected_error import expected_error
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.studies.e06.ablation import GROUPS
from metarep.studies.published import PARAMETERS
from metarep.studies.study import Context
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo

OTHER_DATA, JITTERED = "other seeds of the data", "jittered copies"


class Moved(NamedTuple):
    """One network: params before and after training (9,), its errors on the recipe's samples and expected ones."""

    before: np.ndarray
    after: np.ndarray
    valid_mse: float
    expected_before: float
    expected_after: float

    @property
    def share(self) -> np.ndarray:
        """(9,): each parameter's part in the squared distance moved; sums to 1 (0 where nothing moved)."""
        squared = np.square(self.after - self.before)
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


def _change(moved: Moved) -> np.ndarray:
    return moved.after - moved.before


def parameter_rows(moved: Moved) -> list[dict]:
    """One row a parameter: before, after, change, its share in the squared distance, the error with it put back."""
    columns = (PARAMETERS, moved.before, moved.after, _change(moved), moved.share, moved.put_back)
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
                "distance": float(np.linalg.norm(_change(moved)[list(places)])),
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
