"""Settings of what makes zoos: families of networks, and how they are trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from metarep.networks.spec import NetworkSpec
from metarep.settings import Settings
from metarep.training.recipe import recipe_named, recipes
from metarep.zoos.domain import Domain


class FamilyConfig(Settings):
    """Many networks made by one recipe."""

    variant: str = Field(
        "e09", description="the recipe by name: e01 … e09 multiply two numbers, fourier learns functions of one"
    )
    task: Literal["product", "sum", "quotient", "square", "max"] = Field(
        "product", description="of two inputs: x1 x2, x1 + x2, x1 / (x2 + 1/2), x1 squared, the larger"
    )
    input_distribution: Literal["product", "square", "wide", "diagonal"] | None = Field(
        None,
        description="how inputs are drawn: with an even product; evenly on the unit square; evenly on one twice as wide; on "
        "the unit square near its diagonal; the variant's own if left out",
    )
    n_functions: int = Field(50, ge=1, description="fourier: random functions, each of which has as many networks")
    n_networks: int | None = Field(None, ge=1, description="how many networks; seeds are drawn from the zoo's seed")
    seeds: tuple[int, ...] | None = Field(None, min_length=1, description="the networks' own seeds, in place of n_networks")
    spec: str | None = Field(None, description="the architecture; the variant's own if left out")
    parents: str | None = Field(None, description="a zoo folder, or a variant of an earlier family of this zoo")
    n_steps: int | None = Field(None, ge=0, description="training steps; the variant's own if left out")
    lr: float | None = Field(None, gt=0, description="Adam's learning rate; the variant's own if left out")
    jitter: float | None = Field(None, ge=0, description="standard deviation of the noise on hand-crafted parameters")
    hidden_bias_start: tuple[float, float] | None = Field(None, description="e08: one start instead of the grid")

    @field_validator("variant")
    @classmethod
    def _known(cls, variant: str) -> str:
        if variant not in recipes():
            raise ValueError("one of " + ", ".join(recipes()))
        return variant

    @model_validator(mode="after")
    def _coherent(self) -> FamilyConfig:
        if (self.n_networks is None) == (self.seeds is None):
            raise ValueError("give n_networks or seeds, one of the two")
        if self.seeds is not None and (min(self.seeds) < 0 or max(self.seeds) >= 2**32):
            raise ValueError("seeds lie in 0 … 2^32 − 1")
        if self.seeds is not None and len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds repeat")
        if self.spec is not None:
            NetworkSpec.parse(self.spec)
        if recipe_named(self.variant).tasks is not None:
            self._require_own_tasks()
        return self

    def _require_own_tasks(self) -> None:
        """Raises ValueError for settings that do not go with a variant that brings its own tasks."""
        if self.task != "product":
            raise ValueError(f"{self.variant} networks learn random functions; leave task out")
        if self.input_distribution is not None:
            raise ValueError(f"{self.variant} networks read one number, drawn from an interval; leave input_distribution out")
        if (self.n_networks or len(self.seeds)) < self.n_functions:
            raise ValueError(f"{self.n_functions} functions ask for at least as many networks")


class ZooConfig(Settings):
    """Which networks to train."""

    families: tuple[FamilyConfig, ...] = Field(
        default_factory=lambda: (FamilyConfig(n_networks=1000),), min_length=1, description="of recipes of one domain"
    )
    seed: int = Field(0, ge=0, description="of the networks' own seeds")
    n_snapshots: int = Field(0, ge=0, le=200, description="log-spaced steps of each run that are kept beside the end")
    networks_per_shard: int = Field(2000, ge=1, description="a shard is trained and written whole; memory grows with it")
    engine: Literal["fast", "triton", "torch", "loop"] = Field(
        "fast", description="numba kernels; a fused kernel on a GPU; batched PyTorch; one network at a time"
    )

    @model_validator(mode="after")
    def _one_domain(self) -> ZooConfig:
        known = recipes()
        names = {known[family.variant][0].name for family in self.families}
        if len(names) > 1:
            raise ValueError(f"a zoo has recipes of one domain; these are of {' and '.join(sorted(names))}")
        return self

    @property
    def domain(self) -> Domain:
        """The domain of all its recipes."""
        return recipes()[self.families[0].variant][0]
