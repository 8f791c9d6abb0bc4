"""The stages of a run: zoo, models, embeddings, clusters, predictions, audit, parts, transfer, what a domain adds, report.

`run` works for any zoo: what the stages after it are follows from its architectures, labels, properties and domain.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from metarep.artefact import MANIFEST, open_artefact, write_whole
from metarep.embeddings.registry import kind_named, kind_names
from metarep.embeddings.stage import embed
from metarep.errors import MetarepError
from metarep.evaluation.audit import audit
from metarep.evaluation.compare import baselines_unchanged, cluster
from metarep.evaluation.masked_r2 import masked_r2
from metarep.evaluation.predict import predict
from metarep.evaluation.settings import ClusterConfig
from metarep.evaluation.transfer import transfer
from metarep.evaluation.unit_effects import unit_effects
from metarep.lock import locked
from metarep.map.page import map_stage
from metarep.model.pretraining import pretrain
from metarep.parts.stage import parts
from metarep.progress import Progress
from metarep.report.page import report
from metarep.run_settings import (
    MAIN,
    FinishedZoo,
    ImportedZoo,
    ModelChanges,
    RunConfig,
    TrainedZoo,
    model_settings,
    seeded,
)
from metarep.runner import CONFIG, TIMINGS, Stage, publish, refuse_changed, run_stages
from metarep.settings import load_config
from metarep.training.build import build_zoo
from metarep.training.engines import ON_GPU
from metarep.training.recipe import recipes
from metarep.training.settings import ZooConfig
from metarep.zoos.domain import Domain, DomainStage, builders, domain_of
from metarep.zoos.importing import import_networks, import_settings, sources_unchanged
from metarep.zoos.zoo import open_zoo


def run(
    config: RunConfig,
    out: Path | str,
    *,
    reuse: tuple[Path, ...] = (),
    publish_to: Path | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Runs all stages into the folder `out` and returns it; stages that stand in the runs `reuse` are copied.

    `publish_to` is where files go that the config publishes. Raises MetarepError before anything changes where `out` is not the
    folder of a run, and where a finished stage has other settings or inputs and `overwrite` is False.
    """
    out, how = Path(out), {"reuse": reuse, "overwrite": overwrite, "device": device, "progress": progress}
    _refuse_foreign(out)
    _check(config, out)
    first = zoo_stages(config, out, device)
    folder = zoo_folder(config, out)
    if not overwrite and (folder / MANIFEST).is_file():
        refuse_changed([*first, *later_stages(config, facts_of(folder), out, device)], out)
    with locked(out), _removed_if_empty(out):
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / CONFIG, yaml.safe_dump(config.resolved(), sort_keys=False, allow_unicode=True))
        run_stages(first, out, **how)
        run_stages(later_stages(config, facts_of(folder), out, device), out, **how)
    if publish_to is not None:
        publish(out, publish_to, config.publish)
    return out


def config_of(source: Path | str, config: Path | None = None, overrides: list[str] | None = None) -> RunConfig:
    """The settings of a run: those of a YAML file, or of a run on a folder, which holds a zoo or checkpoints. Raises
    MetarepError where there is neither.
    """
    source = Path(source)
    if not source.exists():
        raise MetarepError(
            f"there is no {source}", expected="a folder of checkpoints, a zoo or a YAML file", fix="check the path"
        )
    if not source.is_dir():
        return load_config(RunConfig, source, overrides)
    zoo = {"folder": str(source)} if (source / MANIFEST).is_file() else {"import": [str(source)]}
    given = {"name": source.resolve().name, "zoo": zoo}
    return load_config(RunConfig, config, [*(f"{key}={json.dumps(value)}" for key, value in given.items()), *(overrides or [])])


@dataclass(frozen=True)
class ZooFacts:
    """What the later stages of a run depend on: how many architectures, the parameters of the one that most networks have,
    which properties, which domain, how many networks.
    """

    n_architectures: int = 1
    n_params: int = 0
    properties: tuple[str, ...] = ()
    domain: Domain | None = None
    n_networks: int = 0


def facts_of(folder: Path) -> ZooFacts:
    """The facts of a finished zoo."""
    zoo = open_zoo(folder)
    (most, _), *others = Counter(zoo.architecture.tolist()).most_common()
    return ZooFacts(1 + len(others), zoo.architectures[most].n_params, zoo.properties, domain_of(zoo), len(zoo))


MANY = 10_000
"""Of so many networks models are measured and embeddings made side by side; of fewer before further processes have started."""

MIN_APART = 300
"""A network of fewer parameters has too few parts to be taken apart."""


def zoo_folder(config: RunConfig, out: Path) -> Path:
    """Where the run's zoo lies."""
    return config.zoo.folder if isinstance(config.zoo, FinishedZoo) else out / "zoo"


def target_folders(config: RunConfig, out: Path) -> dict[str, Path]:
    """Where the zoos lie that transfer is tested on, by name."""
    return {
        name: zoo.folder if isinstance(zoo, FinishedZoo) else out / "targets" / name for name, zoo in config.targets.items()
    }


@dataclass(frozen=True)
class RunEmbedding:
    """One embedding of a run."""

    model: str
    kind: str
    untrained: bool

    @property
    def name(self) -> str:
        """What tables call it."""
        own = self.kind if self.model == MAIN else f"{self.model}/{self.kind}"
        return f"{own} (untrained)" if self.untrained else own

    @property
    def folder(self) -> str:
        """Where it lies in the run."""
        return f"embeddings/{self.model}/untrained/{self.kind}" if self.untrained else f"embeddings/{self.model}/{self.kind}"


def representations_of(config: RunConfig, zoo: ZooFacts) -> list[RunEmbedding]:
    """Every embedding of a run, the own model's first."""
    suitable = suitable_kinds(zoo.n_architectures, behaviour=config.pretrain.behaviour_weight > 0)
    own = ModelChanges(embeddings=config.embeddings or suitable, untrained=config.untrained)
    models = {MAIN: own} | dict(config.models)
    asked = [(name, model.embeddings, False) for name, model in models.items()]
    asked += [(name, model.untrained, True) for name, model in models.items()]
    return [RunEmbedding(name, kind, untrained) for name, kinds, untrained in asked for kind in kinds]


def suitable_kinds(n_architectures: int, *, behaviour: bool) -> tuple[str, ...]:
    """Kinds of embeddings for a zoo of which none are named."""
    if n_architectures > 1:
        return ("layers", "pooled")
    return ("activity", "states", "layers") if behaviour else ("states", "layers")


def zoo_stages(config: RunConfig, out: Path, device: str) -> list[Stage]:
    """The stages that make the zoos of a run."""
    named = {"zoo": seeded(config.zoo, config.seed)} | {f"targets/{name}": zoo for name, zoo in config.targets.items()}
    return [_zoo_stage(name, zoo, device) for name, zoo in named.items() if not isinstance(zoo, FinishedZoo)]


def _zoo_stage(name: str, zoo: ZooConfig | TrainedZoo | ImportedZoo, device: str) -> Stage:
    if isinstance(zoo, TrainedZoo):
        builder, own = builders()[zoo.variant], zoo.own
        return Stage(name, "zoo", own.resolved(), partial(builder.build, own, **({"device": device} if builder.device else {})))
    if isinstance(zoo, ZooConfig):
        build = partial(build_zoo, zoo, device=device if zoo.engine in ON_GPU else "cpu")
        return Stage(name, "zoo", zoo.resolved(), build, finds_inputs=True)
    beside = {"labels": zoo.labels, "architecture": zoo.architecture}
    make = partial(import_networks, zoo, zoo.paths, **beside)
    holds = partial(sources_unchanged, config=zoo, paths=zoo.paths, architecture=zoo.architecture)
    return Stage(name, "zoo", import_settings(zoo, **beside), make, holds=holds)


def later_stages(config: RunConfig, zoo: ZooFacts, out: Path, device: str) -> list[Stage]:
    """The stages that are made from a zoo; nothing is run."""
    names = (MAIN, *config.models)
    representations = representations_of(config, zoo)
    how = {"device": device, "side_by_side": device == "cpu" and zoo.n_networks >= MANY}
    stages = [
        *(_pretraining(config, name, out, device) for name in names if name != MAIN or config.pretrained is None),
        *(_masked_r2(config, name, out, **how) for name in names if model_settings(config, name)[0].objective == "cloze"),
        *(_embedding(config, one, out, **how) for one in representations),
        *_evaluation(config, zoo, representations, out, device),
        *_domain_stages(config, zoo, representations, out),
        *_mapping(config, representations, out),
    ]
    kept = [stage for stage in stages if stage.name.partition("/")[0] not in config.without]
    return kept if "report" in config.without else [*kept, _reporting(config, kept, out)]


def _pretraining(config: RunConfig, name: str, out: Path, device: str) -> Stage:
    settings, _ = model_settings(config, name)
    zoos = [zoo_folder(config, out), *config.beside]
    inputs = {"zoo": zoos[0]} if len(zoos) == 1 else {f"zoo_{i}": zoo for i, zoo in enumerate(zoos)}
    make = partial(pretrain, settings, zoos, device=device)
    return Stage(model_name(name), "model", settings.resolved(), make, inputs, side_by_side=device == "cpu")


def model_name(name: str) -> str:
    """The stage of a model."""
    return MAIN if name == MAIN else f"models/{name}"


def model_folder(config: RunConfig, name: str, out: Path) -> Path:
    """Where a model lies: in the run, or where the one is that is used as it is."""
    return config.pretrained if name == MAIN and config.pretrained is not None else out / model_name(name)


def _masked_r2(config: RunConfig, name: str, out: Path, *, device: str, side_by_side: bool) -> Stage:
    alone = {} if name == MAIN else {"n_gaussians": 0}  # the mixture is the same beside every model, and takes a minute
    settings = seeded(config.masked_r2, config.seed).model_copy(update=alone)
    inputs = _model_and_zoo(config, name, out)
    folder = "masked_r2" if name == MAIN else f"masked_r2_by_model/{name}"
    make = partial(masked_r2, settings, *inputs.values(), device=device)
    return Stage(folder, "masked_r2", settings.resolved(), make, inputs, side_by_side=side_by_side)


def _embedding(config: RunConfig, one: RunEmbedding, out: Path, *, device: str, side_by_side: bool) -> Stage:
    _, embed_settings = model_settings(config, one.model)
    has_units = kind_named(one.kind).unit is not None
    parts = tuple(part for part in embed_settings.parts if part != "unit" or has_units)
    changes = {"kind": one.kind, "untrained": one.untrained, "name": one.name, "parts": parts}
    settings = embed_settings.model_copy(update=changes)
    inputs = _model_and_zoo(config, one.model, out)
    make = partial(embed, settings, *inputs.values(), device=device)
    return Stage(one.folder, "embeddings", settings.resolved(), make, inputs, side_by_side=side_by_side)


def _model_and_zoo(config: RunConfig, name: str, out: Path) -> dict[str, Path]:
    return {"model": model_folder(config, name, out), "zoo": zoo_folder(config, out)}


def _evaluation(
    config: RunConfig, zoo: ZooFacts, representations: list[RunEmbedding], out: Path, device: str
) -> Iterator[Stage]:
    """The stages that measure what the models know: they follow from what the zoo has."""
    folder, embedded = zoo_folder(config, out), [out / one.folder for one in representations]
    measured = seeded(config.cluster, config.seed)
    compared = {"zoo": folder} | {f"embeddings_{i}": path for i, path in enumerate(embedded)}
    yield _comparison("clusters", measured, embedded, folder, compared)
    if zoo.domain is not None and zoo.domain.unit_labels and "unit" in config.embed.parts:
        units = seeded(config.units, config.seed)
        yield _comparison("units", units, embedded, folder, compared)
        if "units" not in config.without:
            removed, inputs = seeded(config.unit_effects, config.seed), {"units": out / "units", "zoo": folder}
            make = partial(unit_effects, removed, *inputs.values())
            yield Stage("unit_effects", "unit-effects", removed.resolved(), make, inputs)
    if zoo.properties:
        asked = seeded(config.predict, config.seed)
        yield Stage("predictions", "predictions", asked.resolved(), partial(predict, asked, embedded, zoo=folder), compared)
    yield _audit(config, representations, out, device)
    if zoo.n_params >= MIN_APART:
        apart, first = seeded(config.parts, config.seed), embedded[0]
        inputs = _model_and_zoo(config, MAIN, out) | {"embeddings": first}
        make = partial(parts, apart, inputs["model"], folder, typical_of=first, device=device)
        yield Stage("parts", "parts", apart.resolved(), make, inputs)
    if targets := target_folders(config, out):
        settings, model = seeded(config.transfer, config.seed), model_folder(config, MAIN, out)
        inputs = {"model": model, "source": folder, **{f"target_{name}": path for name, path in targets.items()}}
        make = partial(transfer, settings, model, list(targets.values()), device=device)
        yield Stage("transfer", "transfer", settings.resolved(), make, inputs)


def _comparison(name: str, config: ClusterConfig, embedded: list[Path], zoo: Path, inputs: dict[str, Path]) -> Stage:
    holds = partial(baselines_unchanged, config=config)
    return Stage(name, "clusters", config.resolved(), partial(cluster, config, embedded, zoo=zoo), inputs, holds=holds)


def _audit(config: RunConfig, representations: list[RunEmbedding], out: Path, device: str) -> Stage:
    """How the first embedding of the run's own model moves when networks are rewritten."""
    own = [one.kind for one in representations if one.model == MAIN and not one.untrained]
    settings, inputs = seeded(config.audit, config.seed), _model_and_zoo(config, MAIN, out)
    settings = settings.model_copy(update={"kind": settings.kind or next(iter(own), None)})
    return Stage("audit", "audit", settings.resolved(), partial(audit, settings, *inputs.values(), device=device), inputs)


def _domain_stages(config: RunConfig, zoo: ZooFacts, representations: list[RunEmbedding], out: Path) -> Iterator[Stage]:
    """What the zoo's domain adds. Raises MetarepError for settings of a stage that it does not have."""
    added = {} if zoo.domain is None else {one.name: one for one in zoo.domain.stages}
    if unknown := config.stages.keys() - added.keys():
        whose = "this zoo has no domain" if zoo.domain is None else f"the domain {zoo.domain.name} has {', '.join(added)}"
        raise MetarepError("stages: no such stage", met=", ".join(sorted(unknown)), expected=whose)
    folder = zoo_folder(config, out)
    for one in added.values():
        if not one.suits(folder):
            continue
        settings = seeded(one.settings(), config.seed).changed(config.stages.get(one.name, {}), where=f"stages.{one.name}")
        embedded = {shown.name: out / shown.folder for shown in _read_by(one, representations)}
        make = partial(one.make, settings, folder, list(embedded.values()))
        yield Stage(one.name, one.name, settings.resolved(), make, {"zoo": folder, **embedded})


def _read_by(one: DomainStage, representations: list[RunEmbedding]) -> list[RunEmbedding]:
    """The embeddings that a domain's stage reads."""
    if not one.first_of:
        return representations
    own = {shown.kind: shown for shown in representations if shown.model == MAIN and not shown.untrained}
    return [own[kind] for kind in one.first_of if kind in own][:1]


def _mapping(config: RunConfig, representations: list[RunEmbedding], out: Path) -> Iterator[Stage]:
    """The map of the networks, coloured by their clusters among other things."""
    named = {one.name: one for one in representations}
    own = [one.name for one in representations if one.model == MAIN and not one.untrained] or list(named)
    settings = seeded(config.map, config.seed)
    chosen = [name for name in settings.embeddings or own[: settings.n_embeddings] if name in named]
    settings = settings.model_copy(update={"embeddings": tuple(chosen)})
    inputs = {"zoo": zoo_folder(config, out)} | {f"embeddings_{i}": out / named[name].folder for i, name in enumerate(chosen)}
    inputs |= {} if "clusters" in config.without else {"clusters": out / "clusters"}
    if chosen:
        make = partial(map_stage, settings, list(inputs.values()), name=config.name)
        yield Stage("map", "map", settings.resolved(), make, inputs)


def _reporting(config: RunConfig, others: list[Stage], out: Path) -> Stage:
    """The page, made from every stage that it shows itself."""
    own = {stage.name: out / stage.name for stage in [*zoo_stages(config, out, "cpu"), *others] if _is_shown(stage)}
    make, inputs = partial(report, out, config=config.report), {"zoo": zoo_folder(config, out)} | own
    return Stage("report", "report", config.report.resolved(), make, inputs, finds_inputs=True)


def _is_shown(stage: Stage) -> bool:
    """Whether the page is made from a stage itself; embeddings and further models it shows through others."""
    return stage.name.partition("/")[0] not in ("embeddings", "models", "masked_r2_by_model")


def _refuse_foreign(out: Path) -> None:
    """Raises MetarepError where `out` is neither free nor the folder of a run."""
    if not out.exists() or (out.is_dir() and (not any(out.iterdir()) or (out / CONFIG).is_file())):
        return
    raise MetarepError(f"{out} exists and is not the folder of a run", expected=f"{CONFIG} in it", fix="choose another --out")


@contextmanager
def _removed_if_empty(out: Path) -> Iterator[None]:
    """Leaves no new folder behind where the block fails before anything is made."""
    is_new = not out.exists()
    try:
        yield
    except MetarepError:
        if is_new and {file.name for file in out.glob("*")} <= {CONFIG, TIMINGS}:
            shutil.rmtree(out, ignore_errors=True)
        raise


def _check(config: RunConfig, out: Path) -> None:
    """Raises MetarepError for names that are no folder names, impossible models, unknown kinds, and zoos that are not there."""
    for name in (*config.targets, *config.models):
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name) or name == MAIN:
            expected = f"letters, digits, '-', '_' and '.', and not {MAIN}"
            raise MetarepError("targets and models: not a name", met=repr(name), expected=expected)
    for name in config.models:
        model_settings(config, name)
    asked = [kinds for one in (config, *config.models.values()) for kinds in (one.embeddings, one.untrained)]
    if unknown := {kind for kinds in asked for kind in kinds} - set(kind_names()):
        raise MetarepError(
            "embeddings: unknown kind", met=", ".join(sorted(unknown)), expected=f"one of {', '.join(kind_names())}"
        )
    own = {(out / "zoo").resolve(), *((out / "targets" / name).resolve() for name in config.targets)}
    for zoo in (config.zoo, *config.targets.values()):
        if isinstance(zoo, FinishedZoo):
            open_artefact(zoo.folder, "zoo")
        for family in zoo.families if isinstance(zoo, ZooConfig) else ():
            if family.parents and family.parents not in recipes() and Path(family.parents).resolve() not in own:
                open_artefact(family.parents, "zoo")
    for folder in config.beside:
        open_artefact(folder, "zoo")
    if config.pretrained is not None:
        open_artefact(config.pretrained, "model")
