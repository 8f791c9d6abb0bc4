"""The domain of sine networks that hold signals: what each holds is known exactly."""

from __future__ import annotations

from metarep.domains.inr.settings import InrConfig
from metarep.zoos.domain import Builder, Domain, later, register

DOMAIN = register(
    Domain(
        name="inr",
        title="sine networks that hold one signal each",
        activation="sin",
        labels={"class": "what the picture shows"},
        properties={
            "amplitude": "the amplitude of the sine",
            "frequency": "its angular frequency",
            "log_error": "the decimal logarithm of the mean squared error at the signal's points",
        },
        builders={
            "inr": Builder(
                "curves or pictures, one a network", InrConfig, later("metarep.domains.inr.build:build_inr"), device=True
            )
        },
    )
)
