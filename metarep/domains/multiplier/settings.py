"""Settings of the scans and of the dynamics of multipliers."""

from __future__ import annotations

from pydantic import Field

from metarep.settings import Settings


class ScanConfig(Settings):
    """The scans on a zoo: hand-built, by loss, fitted on parameters, by examples in an embedding."""

    seed: int = Field(0, ge=0, description="of every draw")
    n_random: int = Field(2000, ge=10, description="random initialisations to tell each mode from")
    n_bootstraps: int = Field(500, ge=10, description="resamples behind each interval")
    n_examples: int = Field(5, ge=1, description="training networks of a mode that the scan in an embedding is shown")
    n_example_draws: int = Field(10, ge=1, description="how often these examples are drawn anew")


class DynamicsConfig(Settings):
    """How networks pass through the modes while they learn."""

    seed: int = Field(0, ge=0, description="of every draw")
    window: int = Field(1, ge=0, description="snapshots on either side of a change that the drop reaches over")
    n_controls: int = Field(10, ge=3, description="networks that each change is compared with")
    n_bootstraps: int = Field(500, ge=20, description="resamples behind each interval")
    n_embedded_runs: int = Field(300, ge=10, description="test runs that are embedded along their way, where a model is given")
    embedding: str = Field("certainty", description="kind of embedding; `metarep embed --kinds` lists them")
