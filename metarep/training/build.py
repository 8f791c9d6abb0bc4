"""The stage that trains a zoo: shard by shard, each written whole, so that a broken-off build carries on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from metarep.artefact import Artefact, open_artefact, writing
from metarep.devices import is_gpu
from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.training.engines import check_trainable, engine_by_name, is_compiled
from metarep.training.families import Family, plan_families
from metarep.training.recipe import Engine, Trained, recipes
from metarep.training.settings import FamilyConfig, ZooConfig
from metarep.work import is_on_cluster, spread, worker_device
from metarep.zoos.columns import Contents, read_columns, split_of, write_columns
from metarep.zoos.domain import Columns, Domain
from metarep.zoos.zoo import KIND, Zoo, open_zoo

BATCH = {"fast": 64, "torch": 64, "triton": 4224, "loop": 1}
"""Networks trained between two looks at the clock and at Ctrl-C; no result depends on it."""

LEAST_ERROR = 1e-12
"""Errors below it count as it: a logarithm needs a floor."""


def build_zoo(
    config: ZooConfig, out: Path | str, *, device: str = "cpu", overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Trains the zoo of `config` into the folder `out` and returns it.

    Broken off at any moment, the same call carries on with the shards that are there and ends
    with the same bytes. Raises MetarepError if parents are missing, and for names that occur twice.
    """
    out, progress = Path(out), progress or Progress()
    engine_by_name(config.engine, device=device)
    if config.engine == "fast" and not is_compiled():
        progress.say("compiling the kernels, once for this installation: about half a minute")
    inputs = _parent_zoos(config)
    _check_families(config, inputs)
    n_total = sum(f.n_networks or len(f.seeds) for f in config.families)
    with writing(
        out, KIND, config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite, resume=True
    ) as folder:
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        shards: dict[str, list[Path]] = {}
        seen: set[str] = set()
        with progress.task("train networks", n_total, "networks") as task:
            for planned in _planned_shards(config, inputs, folder, shards):
                for family, path in planned:
                    _refuse_repeats(family, seen)
                    shards.setdefault(family.variant, []).append(path)
                missing = [(family, path) for family, path in planned if not path.is_file()]
                task.advance(sum(len(family) for family, path in planned if path.is_file()))
                shared = (config, worker_device(device))
                for n in spread(_write_shard, missing, *shared, n_gpus=int(is_gpu(device))) if is_on_cluster() else ():
                    task.advance(n)
                for shard in () if is_on_cluster() else missing:
                    _write_shard(shard, config, device, task.advance)
    return out


def _write_shard(
    shard: tuple[Family, Path], config: ZooConfig, device: str, advance: Callable[[int], None] = lambda n: None
) -> int:
    """Trains the networks of one shard on all threads that there are and writes it, whole; returns how many they are."""
    family, path = shard
    engine = engine_by_name(config.engine, device=device)
    columns = train_rows(engine, config.domain, family, BATCH[config.engine], advance)
    write_columns(path, columns, contents_of(config.domain, columns))
    return len(family)


def _parent_zoos(config: ZooConfig) -> dict[str, Artefact]:
    """The parents zoos that are folders; names of earlier families of the same zoo are none."""
    inputs = {}
    for index, family in enumerate(config.families):
        if family.parents and family.parents not in recipes():
            inputs[f"parents_{index}"] = open_artefact(family.parents, KIND, check_hashes=True)
    return inputs


def _check_families(config: ZooConfig, inputs: dict[str, Artefact]) -> None:
    """Raises MetarepError for whatever can be known to be wrong before anything is trained or written."""
    earlier: set[str] = set()
    seen: set[str] = set()
    for index, family_config in enumerate(config.families):
        inside = family_config.parents in recipes()
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
) -> Iterator[list[tuple[Family, Path]]]:
    """The shards of each family, in order: the networks in one and its path. A family may descend from shards that stand."""
    number = 0
    for index, family_config in enumerate(config.families):
        parents = _load_parents(family_config, inputs.get(f"parents_{index}"), shards)
        plan = {"index": index, "zoo_seed": config.seed, "n_snapshots": config.n_snapshots, "parents": parents}
        size, parts = config.networks_per_shard, list[Family]()
        for family in plan_families(family_config, **plan):
            parts += [family.part(first, first + size) for first in range(0, len(family), size)]
        yield [(part, folder / f"shard-{at:05d}.parquet") for at, part in enumerate(parts, number)]
        number += len(parts)


def _load_parents(config: FamilyConfig, artefact: Artefact | None, shards: dict[str, list[Path]]) -> Zoo | None:
    if artefact is not None:
        return open_zoo(artefact.path, check_hashes=False)
    return Zoo(read_columns(shards[config.parents])[0]) if config.parents else None


def _refuse_repeats(family: Family, seen: set[str]) -> None:
    repeated = sorted(seen.intersection(family.network_ids))
    if repeated:
        raise MetarepError("two families make the same network", met=repeated[0], fix="give one of them other seeds")
    seen.update(family.network_ids)


def train_rows(engine: Engine, domain: Domain, family: Family, batch: int, advance: Callable[[int], None]) -> Columns:
    """Trains a part of a family and returns the columns of its shard: the end of each run, then its snapshots."""
    parts = []
    for first in range(0, len(family), batch):
        some = family.part(first, first + batch)
        parts.append(_rows(domain, some, engine(some.plan, some.seeds, some.start)))
        advance(len(some))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def contents_of(domain: Domain, columns: Columns) -> Contents:
    """Which of the columns are labels and properties, as the domain says."""
    labels, properties = (tuple(name for name in names if name in columns) for names in (domain.labels, domain.properties))
    return Contents(domain.name, labels, properties)


def _rows(domain: Domain, family: Family, trained: Trained) -> Columns:
    plan, steps = family.plan, family.plan.snapshot_steps
    n, per_run = len(family), len(steps) + 1
    params = np.concatenate([trained.snapshots, trained.params[:, None]], axis=1).reshape(n * per_run, -1)
    final_mse = np.stack([trained.train_mse, trained.valid_mse], axis=1)
    mse = np.concatenate([trained.snapshot_mse, final_mse[:, None]], axis=1).reshape(n * per_run, 2)

    def repeat(values: Sequence[str]) -> np.ndarray:
        return np.repeat(np.array(values, dtype=object), per_run)

    columns = {
        "network_id": repeat(family.network_ids) + np.array([*(f"@{step}" for step in steps), ""] * n, dtype=object),
        "run_id": repeat(family.run_ids),
        "snapshot_of": np.where(np.tile(np.arange(per_run) < len(steps), n), repeat(family.network_ids), ""),
        "parent_id": repeat(family.parent_ids),
        "seed": np.repeat(family.seeds.astype(np.int64), per_run),
        "step": np.tile(np.array([*steps, plan.n_steps], np.int32), n),
        "split": repeat([split_of(run) for run in family.run_ids]),
        "finite": np.isfinite(params).all(1) & np.isfinite(mse).all(1),
        "spec": repeat([str(plan.spec)] * n),
        "params": params,
        "init_params": np.repeat(trained.init_params, per_run, axis=0),
        "variant": repeat([family.variant] * n),
        "task": repeat([plan.task.name] * n),
        "input_distribution": repeat([plan.input_distribution] * n),
        "train_mse": mse[:, 0],
        "valid_mse": mse[:, 1],
        "log_error": np.log10(np.maximum(mse[:, 1], LEAST_ERROR)),
    }
    return columns if domain.columns_of is None else columns | domain.columns_of(plan.spec, params)
