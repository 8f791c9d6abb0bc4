"""A family: many networks of one recipe. Who they are and where each of them starts."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.training.recipe import InputDistribution, Recipe, TrainingPlan, log_spaced_steps, recipe_named
from metarep.training.settings import FamilyConfig
from metarep.training.tasks import Task
from metarep.zoos.zoo import Zoo


@dataclass(frozen=True)
class Family:
    """N networks to train alike: `start` (N, P) float32, or None where each seed draws its own."""

    variant: str
    plan: TrainingPlan
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


def plan_families(
    config: FamilyConfig, *, index: int, zoo_seed: int, n_snapshots: int, parents: Zoo | None
) -> Iterator[Family]:
    """The families of a config, one for each task. Raises MetarepError if parents are missing or do not fit.

    Tasks take turns among the networks.
    """
    recipe = recipe_named(config.variant)
    seeds = _seeds(config, recipe, index, zoo_seed)
    tasks = recipe.tasks(config, zoo_seed) if recipe.tasks else [Task(config.task)]
    for number, task in enumerate(tasks):
        family = _plan_family(config, recipe, seeds[number :: len(tasks)], task, n_snapshots)
        yield _with_start(config, recipe, family, parents, np.random.default_rng([zoo_seed, index, 1]))


def _plan_family(config: FamilyConfig, recipe: Recipe, seeds: np.ndarray, task: Task, n_snapshots: int) -> Family:
    """Networks of one task, each with a start of its own."""
    spec = NetworkSpec.parse(config.spec) if config.spec else recipe.spec
    n_steps = recipe.n_steps if config.n_steps is None else config.n_steps
    inputs = config.input_distribution or recipe.input_distribution
    plan = TrainingPlan(spec, inputs, config.lr or recipe.lr, n_steps, log_spaced_steps(n_steps, n_snapshots), task)
    suffix = ("" if spec == recipe.spec else f"-{spec}") + _suffix(recipe, task, config.input_distribution)
    names, runs = ([f"{start}{suffix}-{seed}" for seed in seeds] for start in (recipe.name, recipe.run_prefix))
    return Family(recipe.name, plan, seeds, names, runs, [""] * len(seeds), None)


def _with_start(config: FamilyConfig, recipe: Recipe, family: Family, parents: Zoo | None, rng: np.random.Generator) -> Family:
    """The family where it starts. Raises MetarepError if parents are missing, not wanted or do not fit."""
    if recipe.fresh:
        if parents is not None:
            raise MetarepError(f"{recipe.name} starts from scratch", met="parents", fix="leave parents out")
        return family
    if family.plan.spec != recipe.spec:
        met = f"spec {family.plan.spec}"
        raise MetarepError(f"{recipe.name} starts from {recipe.spec} networks", met=met, fix="leave spec out")
    if parents is not None:
        return _descend(family, _fit_parents(recipe, parents))
    if recipe.start is None:
        raise MetarepError(
            f"{recipe.name} starts from trained networks",
            met="no parents",
            expected=f"a zoo with {_wanted(recipe)}",
            fix="pass --parents ZOO, or name an earlier family in the config",
        )
    return replace(family, start=recipe.start(config, len(family), rng))


def _suffix(recipe: Recipe, task: Task, inputs: InputDistribution | None) -> str:
    """What sets the names of networks off from those of the product and of the recipe's own inputs."""
    own = "" if task.name == "product" else "-" + task.name.removeprefix(f"{recipe.name}-")
    return own if inputs in (None, recipe.input_distribution) else f"{own}-inputs-{inputs}"


def _seeds(config: FamilyConfig, recipe: Recipe, index: int, zoo_seed: int) -> np.ndarray:
    if config.seeds is not None:
        return np.array(config.seeds, np.uint32)
    own = recipe.name + _suffix(recipe, Task(config.task), config.input_distribution)
    rng = np.random.default_rng([zoo_seed, index, zlib.crc32(own.encode())])  # no two tasks or inputs share initialisations
    seeds = np.zeros(0, np.uint64)
    while len(seeds) < config.n_networks:
        drawn = np.concatenate([seeds, rng.integers(0, 2**32, config.n_networks, dtype=np.uint64)])
        _, first = np.unique(drawn, return_index=True)
        seeds = drawn[np.sort(first)]
    return seeds[: config.n_networks].astype(np.uint32)


def _wanted(recipe: Recipe) -> str:
    return f"{recipe.spec} networks" + "".join(f" of {name} {value}" for name, value in recipe.parents.items())


def _fit_parents(recipe: Recipe, parents: Zoo) -> Zoo:
    fit = parents.final().where(spec=str(recipe.spec), **recipe.parents)
    if not len(fit):
        raise MetarepError(
            f"{recipe.name}: none of the {len(parents)} parents fits",
            expected=_wanted(recipe),
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
