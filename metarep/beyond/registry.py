"""Which members there are, by the name that the command line takes."""

from __future__ import annotations

from typing import Any

from metarep.beyond.context import BeyondContext
from metarep.config import BeyondConfig
from metarep.experiments.registry import Experiment, Series

SHARED_SETTINGS = ("seed", "model", "zoo", "n_networks", "pretrain", "n_bootstraps")


def own_settings(config: BeyondConfig, one: Experiment) -> dict[str, Any]:
    """What all members share and what is the member's own."""
    return {name: value for name, value in config.resolved().items() if name in (*SHARED_SETTINGS, one.module)}


_MEMBERS = tuple(
    Experiment(*entry, room="beyond")
    for entry in (
        ("planted", "planted", "Blocks planted in a wide layer", "which of them a model of 2-2-1 networks finds and names"),
        ("trained", "trained", "The parts of trained networks", "what becomes of the error where a part falls silent"),
    )
)

BEYOND = Series("beyond", "beyond", "beyond", "beyond.html", _MEMBERS, BeyondContext, own_settings)
