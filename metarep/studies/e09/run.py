"""Experiment 9: thousands of networks from scratch. Which algorithms they found, how often, and how good each is."""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.modes import MODES
from metarep.studies.e09.figures import figures
from metarep.studies.e09.groups import NAMED, crossed, group_rows
from metarep.studies.e09.text import sentences
from metarep.studies.multipliers import multipliers
from metarep.studies.published import NETWORKS
from metarep.studies.study import Claim, Context, Result
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import Zoo


def run(context: Context) -> Result:
    """Shares, errors and typical networks by mode and by quadrant code; those that no published mode describes, apart."""
    zoo = multipliers(context)
    all_networks = context.config.n_networks
    modes, codes = group_rows(zoo, "mode"), group_rows(zoo, "quadrant_code")
    modes.sort(key=lambda row: MODES.index(row["group"]))
    unnamed = zoo.select(~np.isin(zoo["mode"], NAMED))
    tables = {"modes": modes, "quadrant_codes": codes, "modes_by_code": crossed(zoo)}
    if len(unnamed):
        tables["unnamed"] = group_rows(unnamed, "quadrant_code", of=len(zoo))
    return Result(
        (found_modes(zoo), *published_seeds(context)),
        sentences(zoo, all_networks, modes, codes, unnamed),
        tables=tables,
        figures=figures(zoo, modes, codes, unnamed),
        numbers={"n": len(zoo), "n_diverged": all_networks - len(zoo), "share_unnamed": len(unnamed) / len(zoo)},
        shown=tuple(tables),
    )


def found_modes(zoo: Zoo) -> Claim:
    """The modes that occur, beside those that the notes name."""
    found = [mode for mode in MODES if (zoo["mode"] == mode).any()]
    return Claim("published modes that occur", ", ".join(m for m in found if m in NAMED), ", ".join(NAMED))


def published_seeds(context: Context) -> tuple[Claim, ...]:
    """The modes of the networks whose seeds the notes give for this experiment."""
    seeds = [seed for seed, entry in NETWORKS.items() if entry["experiment"] == 9]
    zoo = context.zoo("e09_published", ZooConfig(families=[{"variant": "e09", "seeds": seeds}], seed=context.config.seed))
    mode_of = dict(zip(zoo["seed"], zoo["mode"], strict=True))
    return tuple(Claim(f"mode of seed {seed}", str(mode_of[seed]), NETWORKS[seed]["mode"]) for seed in seeds)
