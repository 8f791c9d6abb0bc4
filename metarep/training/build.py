"""The stage that trains a zoo: shard by shard, each written whole, so that a broken-off build carries on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from metarep.artefact import Artefact, open_artefact, writing
from metarep.domains.multiplier.modes import label_modes
from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.training.engines import check_trainable, engine_by_name, is_compiled
from metarep.training.families import Family, plan_families
from metarep.training.recipe import VARIANTS
from metarep.training.settings import FamilyConfig, ZooConfig
from metarep.training.trained import Engine, Trained
from metarep.zoos.splits import split_of
from metarep.zoos.store import Zoo, load_zoo, read_shards, shard_name, write_shard

BATCH = {"fast": 64, "torch": 64, "loop": 1}
"""Networks trained between two looks at the clock and at Ctrl-C; no result depends on it."""


def build_zoo(
    config: ZooConfig, out: Path | str, *, device: str = "cpu", overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Trains the zoo of `config` into the folder `out` and returns it.

    Broken off at any moment, the same call carries on with the shards that are there and ends
    with the same bytes. Raises MetarepError for parents that lack, and names that occur twice.
    """
    out, progress = Path(out), progress or Progress()
    engine = engine_by_name(config.engine, device=device)
    if config.engine == "fast" and not is_compiled():
        progress.say("compiling the kernels, once for this installation: about half a minute")
    inputs = _parent_zoos(config)
    _check_families(config, inputs)
    n_total = sum(f.n_networks or len(f.seeds) for f in config.families)
    with writing(
        out, "zoo", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite, resume=True
    ) as folder:
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        shards: dict[str, list[Path]] = {}
        seen: set[str] = set()
        with progress.task("train networks", n_total, "networks") as task:
            for family, path in _planned_shards(config, inputs, folder, shards):
                _refuse_repeats(family, seen)
                if not path.is_file():
                    write_shard(path, train_rows(engine, family, BATCH[config.engine], task))
                else:
                    task.advance(len(family))
                shards.setdefault(family.variant, []).append(path)
    return out


def _parent_zoos(config: ZooConfig) -> dict[str, Artefact]:
    """The parents zoos that are folders; names of earlier families of the same zoo are none."""
    inputs = {}
    for index, family in enumerate(config.families):
        if family.parents and family.parents not in VARIANTS:
            inputs[f"parents_{index}"] = open_artefact(family.parents, "zoo", check_hashes=True)
    return inputs


def _check_families(config: ZooConfig, inputs: dict[str, Artefact]) -> None:
    """Raises MetarepError for whatever can be known to be wrong before anything is trained or written."""
    earlier: set[str] = set()
    seen: set[str] = set()
    for index, family_config in enumerate(config.families):
        inside = family_config.parents in VARIANTS
        if inside and family_config.parents not in earlier:
            raise MetarepError(
                f"families.{index}.parents",
                met=family_config.parents,
                expected="a zoo folder or the variant of an earlier family",
            )
        if not inside:
            parents = _load_parents(family_config, inputs.get(f"parents_{index}"), {})
            for family in plan_families(family_config, index=index, zoo_seed=config.seed, n_snapshots=0, parents=parents):
                check_trainable(family.plan)
                _refuse_repeats(family, seen)
        earlier.add(family_config.variant)


def _planned_shards(
    config: ZooConfig, inputs: dict[str, Artefact], folder: Path, shards: dict
) -> Iterator[tuple[Family, Path]]:
    """Every shard in order: the networks in it and its path. A family may descend from shards that stand already."""
    number = 0
    for index, family_config in enumerate(config.families):
        parents = _load_parents(family_config, inputs.get(f"parents_{index}"), shards)
        plan = {"index": index, "zoo_seed": config.seed, "n_snapshots": config.n_snapshots, "parents": parents}
        for family in plan_families(family_config, **plan):
            for first in range(0, len(family), config.networks_per_shard):
                yield family.part(first, first + config.networks_per_shard), folder / shard_name(number)
                number += 1


def _load_parents(config: FamilyConfig, artefact: Artefact | None, shards: dict[str, list[Path]]) -> Zoo | None:
    if artefact is not None:
        return load_zoo(artefact.path, check_hashes=False)
    return Zoo(read_shards(shards[config.parents])) if config.parents else None


def _refuse_repeats(family: Family, seen: set[str]) -> None:
    repeated = sorted(seen.intersection(family.network_ids))
    if repeated:
        raise MetarepError("two families make the same network", met=repeated[0], fix="give one of them other seeds")
    seen.update(family.network_ids)


def train_rows(engine: Engine, family: Family, batch: int, task) -> dict[str, np.ndarray | list]:
    """Trains a part of a family and returns the columns of its shard: the end of each run, then its snapshots."""
    parts = []
    for first in range(0, len(family), batch):
        some = family.part(first, first + batch)
        parts.append(_rows(some, engine(some.plan, some.seeds, some.start)))
        task.advance(len(some))
    return {name: _join([part[name] for part in parts]) for name in parts[0]}


def _join(columns: list) -> np.ndarray | list:
    return np.concatenate(columns) if isinstance(columns[0], np.ndarray) else list(chain.from_iterable(columns))


def _rows(family: Family, trained: Trained) -> dict[str, np.ndarray | list]:
    steps = family.plan.snapshot_steps
    n, k = len(family), len(steps)
    per_run = k + 1
    params = np.concatenate([trained.snapshots, trained.params[:, None]], axis=1).reshape(n * per_run, -1)
    final_mse = np.stack([trained.train_mse, trained.valid_mse], axis=1)
    mse = np.concatenate([trained.snapshot_mse, final_mse[:, None]], axis=1).reshape(n * per_run, 2)
    finite = np.isfinite(params).all(1) & np.isfinite(mse).all(1)
    labels = label_modes(family.plan.spec, params)
    names = [[*(f"{name}@{step}" for step in steps), name] for name in family.network_ids]

    def repeat(values: list) -> list:
        return [value for value in values for _ in range(per_run)]

    return {
        "network_id": [name for run in names for name in run],
        "run_id": repeat(family.run_ids),
        "seed": np.repeat(family.seeds.astype(np.int64), per_run),
        "variant": [family.variant] * (n * per_run),
        "spec": [str(family.plan.spec)] * (n * per_run),
        "task": [family.plan.task.name] * (n * per_run),
        "law": [family.plan.law] * (n * per_run),
        "step": np.tile(np.array([*steps, family.plan.n_steps], np.int32), n),
        "parent_id": repeat(family.parent_ids),
        "params": params,
        "init_params": np.repeat(trained.init_params, per_run, axis=0),
        "train_mse": mse[:, 0],
        "valid_mse": mse[:, 1],
        "diverged": ~finite,
        "split": repeat([split_of(run) for run in family.run_ids]),
        "active_area": labels.active_area,
        "quadrant_area": labels.quadrant_area,
        "quadrant_code": list(labels.quadrant_code),
        "mode": list(labels.mode),
        "mode_margin": labels.mode_margin,
    }
