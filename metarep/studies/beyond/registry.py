"""Which members there are, by the name that the command line takes."""

from __future__ import annotations

from typing import Any

from metarep.studies.beyond.context import BeyondContext
from metarep.studies.registry import Experiment, Series
from metarep.studies.settings import BeyondConfig

SHARED_SETTINGS = ("seed", "model", "zoo", "n_networks", "pretrain", "n_bootstraps")


NEEDED = {"large": ("digits", "large"), "digits": ("digits",), "architectures": ("architectures",)}
"""The settings of members that read window models of their own; the others read the model of 2-2-1 networks."""


def own_settings(config: BeyondConfig, one: Experiment) -> dict[str, Any]:
    """What all members share and what is the member's own."""
    wanted = ("seed", "n_bootstraps", *NEEDED[one.module]) if one.module in NEEDED else (*SHARED_SETTINGS, one.module)
    return {name: value for name, value in config.resolved().items() if name in wanted}


_MEMBERS = tuple(
    Experiment(*entry, room="studies.beyond")
    for entry in (
        ("planted", "planted", "Blocks planted in a wide layer", "which of them a model of 2-2-1 networks finds and names"),
        ("trained", "trained", "The parts of trained networks", "what becomes of the error where a part falls silent"),
        ("architectures", "architectures", "Architectures that were left out", "what a window model carries over to them"),
        ("digits", "digits", "Convolutional networks", "accuracy, epoch and gap from frozen embeddings"),
        ("large", "large", "Large networks", "time and memory by size"),
    )
)

BEYOND = Series("beyond", "beyond", "studies.beyond", "beyond.html", _MEMBERS, BeyondContext, own_settings)
