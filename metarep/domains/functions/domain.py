"""The domain of networks that learned random functions of one number: which function is an exact label."""

from __future__ import annotations

from metarep.domains.functions.recipes import FOURIER
from metarep.domains.functions.stages import FUNCTIONS
from metarep.zoos.domain import Domain, register

DOMAIN = register(
    Domain(
        name="functions",
        title="networks that learned random functions of one number",
        labels={"task": "the function that was learned"},
        properties={"log_error": "the decimal logarithm of the validation error"},
        recipes={FOURIER.name: FOURIER},
        stages=(FUNCTIONS,),
    )
)
