"""A family: many networks of one variant. Who they are and where each of them starts."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.training.recipe import (
    BIAS_GRID,
    DEFAULT_JITTER,
    HANDCRAFTED,
    HIDDEN_BIAS,
    PUBLISHED_BIAS_START,
    VARIANTS,
    Law,
    Plan,
    Variant,
    log_spaced_steps,
)
from metarep.training.settings import FamilyConfig
from metarep.training.tasks import Task, random_series
from metarep.zoos.store import Zoo

PARENT_MODES = {"e05": "3"}
"""Variants that descend from parents of one mode only."""


@dataclass(frozen=True)
class Family:
    """N networks to train alike: `start` (N, P) float32, or None where each seed draws its own."""

    variant: str
    plan: Plan
    seeds: np.ndarray
    network_ids: list[str]
    run_ids: list[str]
    parent_ids: list[str]
    start: np.ndarray | None

    def __len__(self) -> int:
        return len(self.seeds)

    def part(self, first: int, last: int) -> Family:
        """The networks first … last − 1."""
        cut = slice(first, last)
        return replace(
            self,
            seeds=self.seeds[cut],
            network_ids=self.network_ids[cut],
            run_ids=self.run_ids[cut],
            parent_ids=self.parent_ids[cut],
            start=None if self.start is None else self.start[cut],
        )


def needs_parents(config: FamilyConfig) -> bool:
    """Whether the variant cannot start without a parents zoo."""
    return VARIANTS[config.variant].start == "parent"


def plan_families(
    config: FamilyConfig, *, index: int, zoo_seed: int, n_snapshots: int, parents: Zoo | None
) -> Iterator[Family]:
    """The families of a config: one, or one for each random function. Raises MetarepError where parents lack or do not fit.

    Functions hang on the zoo's seed and their number alone; the networks are dealt out to them in turn.
    """
    seeds = _seeds(config, index, zoo_seed)
    if config.variant != "fourier":
        yield _plan_family(config, seeds, Task(config.task), index, zoo_seed, n_snapshots, parents)
        return
    for number in range(config.n_functions):
        own, task = seeds[number :: config.n_functions], random_series(number, seed=zoo_seed)
        yield _plan_family(config, own, task, index, zoo_seed, n_snapshots, parents)


def _plan_family(
    config: FamilyConfig, seeds: np.ndarray, task: Task, index: int, zoo_seed: int, n_snapshots: int, parents: Zoo | None
) -> Family:
    """Networks of one task. Raises MetarepError where parents lack or do not fit.

    With explicit `seeds` a hand-crafted variant starts exactly as published; with `n_networks`
    it starts from a jittered copy (e06, e07) or a grid of hidden biases (e08).
    """
    variant = VARIANTS[config.variant]
    spec = NetworkSpec.parse(config.spec) if config.spec else variant.spec
    if variant.start != "fresh" and spec != variant.spec:
        raise MetarepError(f"{variant.name} starts from {variant.spec} networks", met=f"spec {spec}", fix="leave spec out")
    if parents is not None and variant.start == "fresh":
        raise MetarepError(f"{variant.name} starts from scratch", met="parents", fix="leave parents out")
    n_steps = variant.n_steps if config.n_steps is None else config.n_steps
    law = config.law or variant.law
    plan = Plan(spec, law, config.lr or variant.lr, n_steps, log_spaced_steps(n_steps, n_snapshots), task)
    prefix = ("" if spec == variant.spec else f"-{spec}") + _task_suffix(variant.name, task) + _law_suffix(variant, law)
    names = [f"{variant.name}{prefix}-{seed}" for seed in seeds]
    family = Family(
        variant.name, plan, seeds, names, [f"{variant.run_prefix}{prefix}-{seed}" for seed in seeds], [""] * len(seeds), None
    )
    if variant.start == "fresh":
        return family
    if parents is None and variant.start == "parent":
        raise MetarepError(
            f"{variant.name} starts from trained networks",
            met="no parents",
            expected="a zoo with mode-3 networks",
            fix="pass --parents ZOO, or name an earlier family in the config",
        )
    rng = np.random.default_rng([zoo_seed, index, 1])
    if parents is None:
        return replace(family, start=_handcrafted(config, len(seeds), rng))
    return _descend(family, _fit_parents(config, parents, spec))


def _task_suffix(variant: str, task: Task) -> str:
    """What sets the names of networks of one task off from another's; nothing for the product."""
    return "" if task.name == "product" else "-" + task.name.removeprefix(f"{variant}-")


def _law_suffix(variant: Variant, law: Law) -> str:
    """The same for the law of the inputs; nothing for the variant's own."""
    return "" if law == variant.law else f"-law-{law}"


def _seeds(config: FamilyConfig, index: int, zoo_seed: int) -> np.ndarray:
    if config.seeds is not None:
        return np.array(config.seeds, np.uint32)
    variant = VARIANTS[config.variant]
    suffix = _task_suffix(config.variant, Task(config.task)) + _law_suffix(variant, config.law or variant.law)
    own = config.variant + suffix  # no two tasks or laws share initialisations
    rng = np.random.default_rng([zoo_seed, index, zlib.crc32(own.encode())])
    seeds = np.zeros(0, np.uint64)
    while len(seeds) < config.n_networks:
        drawn = np.concatenate([seeds, rng.integers(0, 2**32, config.n_networks, dtype=np.uint64)])
        _, first = np.unique(drawn, return_index=True)
        seeds = drawn[np.sort(first)]
    return seeds[: config.n_networks].astype(np.uint32)


def _handcrafted(config: FamilyConfig, n: int, rng: np.random.Generator) -> np.ndarray:
    exact = config.seeds is not None
    default = 0.0 if exact or config.variant == "e08" else DEFAULT_JITTER
    jitter = default if config.jitter is None else config.jitter
    start = HANDCRAFTED + jitter * rng.standard_normal((n, HANDCRAFTED.size))
    if config.variant == "e08":
        if config.hidden_bias_start is not None or exact:
            start[:, HIDDEN_BIAS] = config.hidden_bias_start or PUBLISHED_BIAS_START
        else:
            side = math.ceil(math.sqrt(n))
            grid = np.linspace(*BIAS_GRID, side)
            start[:, HIDDEN_BIAS] = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)[:n]
    return start.astype(np.float32)


def _fit_parents(config: FamilyConfig, parents: Zoo, spec: NetworkSpec) -> Zoo:
    fit = parents.final().where(spec=str(spec))
    mode = PARENT_MODES.get(config.variant)
    if mode is not None:
        fit = fit.where(mode=mode)
    if not len(fit):
        raise MetarepError(
            f"{config.variant}: none of the {len(parents)} parents fits",
            expected=f"{spec} networks" + (f" of mode {mode}" if mode else ""),
            fix="name another parents zoo",
        )
    return fit


def _descend(family: Family, parents: Zoo) -> Family:
    """Each network starts from the next parent, round and round, and shares its run."""
    chosen = np.arange(len(family)) % len(parents)
    return replace(
        family,
        start=parents.params[chosen].astype(np.float32),
        run_ids=list(parents["run_id"][chosen]),
        parent_ids=list(parents["network_id"][chosen]),
    )
