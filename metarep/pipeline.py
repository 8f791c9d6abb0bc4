"""Every stage in one folder: zoo, targets, model, embeddings, clusters, scan, transfer, report.

A stage is kept while its artefact has the same config and the same inputs, by hash; so a
run that was broken off carries on, and a changed setting costs only what depends on it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from metarep.artefact import MANIFEST, Artefact, is_done, open_artefact, write_whole
from metarep.cloze.settings import EmbedConfig, Embedding, PretrainConfig
from metarep.domains.multiplier.settings import ScanConfig
from metarep.errors import MetarepError
from metarep.evaluation.settings import ClusterConfig, TransferConfig
from metarep.progress import Progress
from metarep.report.settings import ReportConfig
from metarep.settings import Settings
from metarep.training.recipe import recipes
from metarep.training.settings import ZooConfig

CONFIG = "config.yaml"
TIMINGS = "timings.json"
CONTROLS = ("pooled", "states", "profile", "description", "activity", "coupling")
"""Embeddings that are also taken from an untrained encoder."""

SCANNED = ("certainty", "pooled", "profile")
"""The scan by examples looks into one embedding: the first of these that a run has."""


class ModelConfig(Settings):
    """One more model of a run, and what is made of it: "<name>-<kind>" in every table."""

    pretrain: PretrainConfig = Field(
        PretrainConfig(), description="what differs from the run's own `pretrain`; the rest is its"
    )
    embed: EmbedConfig = Field(EmbedConfig(), description="what differs from the run's own `embed`; the rest is its")
    embeddings: tuple[Embedding, ...] = ("pooled",)
    untrained: tuple[Embedding, ...] = Field((), description="kinds that are also taken from an untrained encoder")


class RunConfig(Settings):
    """Everything from nothing to a report."""

    name: str = "run"
    zoo: ZooConfig = ZooConfig()
    targets: dict[str, ZooConfig] = Field(default_factory=dict, description="further zoos that transfer is tested on")
    pretrain: PretrainConfig = PretrainConfig()
    embed: EmbedConfig = EmbedConfig()
    embeddings: tuple[Embedding, ...] = ("pooled", "profile", "certainty")
    models: dict[str, ModelConfig] = Field(default_factory=dict, description="further models, compared with the first by name")
    cluster: ClusterConfig = ClusterConfig()
    scan: ScanConfig = ScanConfig()
    transfer: TransferConfig = TransferConfig()
    report: ReportConfig = ReportConfig()

    @model_validator(mode="before")
    @classmethod
    def _models_differ_from_the_first(cls, data: Any) -> Any:
        """Fills each further model's settings up with those of the run."""
        models = data.get("models") if isinstance(data, dict) else None
        if not isinstance(models, dict):
            return data
        return data | {"models": {name: _filled(model, data) for name, model in models.items()}}


def _filled(model: Any, run: Mapping[str, Any]) -> Any:
    """What was said about a further model, with the run's own settings where it says nothing; other than tables stay."""
    if not isinstance(model, dict):
        return model
    sections = {name: (run.get(name) or {}, model.get(name) or {}) for name in ("pretrain", "embed")}
    tables = {name: pair for name, pair in sections.items() if all(isinstance(part, dict) for part in pair)}
    return model | {name: own | said for name, (own, said) in tables.items()}


@dataclass(frozen=True)
class Stage:
    """One artefact of a run: `name` is its folder in the run, `inputs` says which stages it is made from.

    `make(path, overwrite=…)` calls the stage function of the library. `as_of_today` reads the settings of an artefact
    that an earlier version may have made.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    make: Callable[..., Path]
    inputs: Mapping[str, str] = field(default_factory=dict)
    as_of_today: Callable[[dict[str, Any]], dict[str, Any]] = dict


def run(
    config: RunConfig, out: Path | str, *, device: str = "cpu", overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Runs all stages into the folder `out` and returns it.

    Raises MetarepError before anything changes where `out` holds something else than a run,
    and where a finished stage has other settings or inputs and `overwrite` is False.
    """
    out, progress = Path(out), progress or Progress()
    _refuse_foreign(out)
    _check_names_and_parents(config, out)
    stages = stages_of(config, out, device=device, progress=progress)
    if not overwrite:
        _refuse_changed(stages, out)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / CONFIG, _as_yaml(config))
    for number, stage in enumerate(stages, 1):
        title = f"[{number}/{len(stages)}] {stage.name}"
        if _is_done(stage, out):
            progress.say(f"{title}: kept")
            continue
        progress.say(title)
        if stage.kind == "model" and config.models and device == "cpu":
            _pretrain_side_by_side(config, out, overwrite, progress)
            continue
        with _timed(out, stage.name, device):
            stage.make(out / stage.name, overwrite=overwrite)
    return out


def _pretrain_side_by_side(config: RunConfig, out: Path, overwrite: bool, progress: Progress) -> None:
    """All models of a run that are not there yet."""
    from metarep.cloze.side_by_side import Job, pretrain_side_by_side

    stages = [stage for stage in stages_of(config, out, device="cpu", progress=progress) if stage.kind == "model"]
    settings = {"model": config.pretrain} | {f"models/{name}": model.pretrain for name, model in config.models.items()}
    waiting = [stage.name for stage in stages if not _is_done(stage, out)]
    jobs = [Job(name, settings[name], out / "zoo", out / name) for name in waiting]
    with progress.task("pretrain", len(jobs), "models") as task:
        for name, seconds in pretrain_side_by_side(jobs, overwrite=overwrite):
            _record(out / TIMINGS, name, seconds, finished=True, device="cpu")
            task.advance(1, name)


def stages_of(config: RunConfig, out: Path, *, device: str, progress: Progress) -> list[Stage]:
    """The stages in order; nothing is run or read."""
    return [
        *_zoo_stages(config, device, progress),
        *_model_stages(config, out, device, progress),
        *_analysis_stages(config, out, device, progress),
    ]


def artefacts_of(run_folder: Path) -> list[Path]:
    """The finished artefacts in a run's folder, by name; empty for any other folder."""
    if not (run_folder / CONFIG).is_file():
        return []
    return sorted(manifest.parent for manifest in run_folder.rglob(MANIFEST) if ".partial" not in str(manifest.parent))


def _zoo_stages(config: RunConfig, device: str, progress: Progress) -> list[Stage]:
    def stage(name: str, zoo: ZooConfig) -> Stage:
        def make(path: Path, *, overwrite: bool) -> Path:
            from metarep.training.build import build_zoo

            on = device if zoo.engine == "torch" else "cpu"
            return build_zoo(zoo, path, device=on, overwrite=overwrite, progress=progress)

        return Stage(name, "zoo", zoo.resolved(), make, as_of_today=zoo.as_of_today)

    return [stage("zoo", config.zoo), *(stage(f"targets/{name}", zoo) for name, zoo in config.targets.items())]


def _model_stages(config: RunConfig, out: Path, device: str, progress: Progress) -> list[Stage]:
    def pretraining(name: str, settings: PretrainConfig) -> Stage:
        def make(path: Path, *, overwrite: bool) -> Path:
            from metarep.cloze.pretrain import pretrain

            return pretrain(settings, out / "zoo", path, device=device, overwrite=overwrite, progress=progress)

        return Stage(name, "model", settings.resolved(), make, {"zoo": "zoo"}, settings.as_of_today)

    def embedding(name: str, model: str, kind: str, untrained: bool) -> Stage:
        own_name = None if model == "model" else name
        settings = embeds[model].model_copy(update={"kind": kind, "untrained": untrained, "name": own_name})

        def make(path: Path, *, overwrite: bool) -> Path:
            from metarep.cloze.embed import embed

            return embed(settings, out / model, out / "zoo", path, device=device, overwrite=overwrite, progress=progress)

        inputs = {"model": model, "zoo": "zoo"}
        return Stage(f"embeddings/{name}", "embeddings", settings.resolved(), make, inputs, settings.as_of_today)

    embeds = {"model": config.embed} | {f"models/{name}": model.embed for name, model in config.models.items()}
    models = [pretraining(f"models/{name}", model.pretrain) for name, model in config.models.items()]
    embeddings = [embedding(*entry) for entry in representations_of(config)]
    return [pretraining("model", config.pretrain), *models, *embeddings]


def representations_of(config: RunConfig) -> list[tuple[str, str, str, bool]]:
    """(name, model's folder, kind, untrained) of every embedding of a run."""
    own = [(kind, "model", kind, False) for kind in config.embeddings]
    own += [(f"untrained_{kind}", "model", kind, True) for kind in config.embeddings if kind in CONTROLS]
    for name, model in config.models.items():
        own += [(f"{name}-{kind}", f"models/{name}", kind, False) for kind in model.embeddings]
        own += [(f"untrained_{name}-{kind}", f"models/{name}", kind, True) for kind in model.untrained]
    return own


def _analysis_stages(config: RunConfig, out: Path, device: str, progress: Progress) -> list[Stage]:
    representations = [name for name, *_ in representations_of(config)]
    targets = [f"targets/{name}" for name in config.targets]

    def make_clusters(path: Path, *, overwrite: bool) -> Path:
        from metarep.evaluation.compare import cluster

        folders = [out / "embeddings" / name for name in representations]
        return cluster(config.cluster, folders, path, zoo=out / "zoo", overwrite=overwrite, progress=progress)

    def make_scan(path: Path, *, overwrite: bool) -> Path:
        from metarep.domains.multiplier.scan import scan

        examples = out / scanned["embeddings"] if "embeddings" in scanned else None
        return scan(config.scan, out / "zoo", path, embeddings=examples, device=device, overwrite=overwrite, progress=progress)

    def make_transfer(path: Path, *, overwrite: bool) -> Path:
        from metarep.evaluation.transfer import transfer

        zoos = [out / name for name in targets]
        return transfer(config.transfer, out / "model", zoos, path, device=device, overwrite=overwrite, progress=progress)

    def make_report(path: Path, *, overwrite: bool) -> Path:
        from metarep.report.page import report

        return report(out, path, config=config.report, overwrite=overwrite, progress=progress)

    looked_into = next((f"embeddings/{kind}" for kind in SCANNED if kind in config.embeddings), None)
    scanned = {"zoo": "zoo"} | ({"embeddings": looked_into} if looked_into else {})
    from_embeddings = {"zoo": "zoo", **{name: f"embeddings/{name}" for name in representations}}
    from_zoos = {"model": "model", "source": "zoo", **{f"target_{name}": f"targets/{name}" for name in config.targets}}
    from_all = {name: name for name in ("zoo", *targets, "model", "clusters", "scan", "transfer")}
    return [
        Stage("clusters", "clusters", config.cluster.resolved(), make_clusters, from_embeddings, config.cluster.as_of_today),
        Stage("scan", "scan", config.scan.resolved(), make_scan, scanned, config.scan.as_of_today),
        Stage("transfer", "transfer", config.transfer.resolved(), make_transfer, from_zoos, config.transfer.as_of_today),
        Stage("report", "report", config.report.resolved(), make_report, from_all, config.report.as_of_today),
    ]


def _is_done(stage: Stage, out: Path) -> bool:
    """Whether the stage's artefact stands as this config and the present inputs would make it."""
    try:
        inputs = {name: open_artefact(out / folder) for name, folder in stage.inputs.items()}
    except MetarepError:
        return False
    path = out / stage.name
    inputs |= _inputs_elsewhere(path, stage, inputs)
    return is_done(path, stage.kind, stage.config, inputs)


def _inputs_elsewhere(path: Path, stage: Stage, inputs: Mapping[str, Artefact]) -> dict[str, Artefact]:
    """Inputs from outside the run, where they were recorded: the parents of a zoo."""
    if stage.kind != "zoo" or not (path / MANIFEST).is_file():
        return {}
    artefact = open_artefact(path)
    return {name: open_artefact(artefact.input_path(name)) for name in artefact.manifest["inputs"] if name not in inputs}


def _refuse_changed(stages: list[Stage], out: Path) -> None:
    """Raises MetarepError when finished stages would have to be made again."""
    by_name = {stage.name: stage for stage in stages}
    changed = []
    for stage in stages:
        exists = (out / stage.name / MANIFEST).is_file()
        complete = all((out / folder / MANIFEST).is_file() for folder in stage.inputs.values() if folder in by_name)
        if exists and complete and not _is_done(stage, out):
            changed.append(stage.name)
    if changed:
        raise MetarepError(
            f"{out} holds stages made with other settings or inputs",
            met=", ".join(changed),
            fix="pass --overwrite to make these and what depends on them again, or choose another --out",
        )


def _refuse_foreign(out: Path) -> None:
    """Raises MetarepError where `out` is neither free nor the folder of a run."""
    if not out.exists() or (out.is_dir() and (not any(out.iterdir()) or (out / CONFIG).is_file())):
        return
    raise MetarepError(f"{out} exists and is not the folder of a run", expected=f"{CONFIG} in it", fix="choose another --out")


def _check_names_and_parents(config: RunConfig, out: Path) -> None:
    """Raises MetarepError for a target's or model's name that is no folder name and for parents that are not there."""
    for name in (*config.targets, *config.models):
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
            raise MetarepError(
                "targets and models: not a folder name", met=repr(name), expected="letters, digits, '-', '_' and '.'"
            )
    own = {(out / "zoo").resolve(), *((out / "targets" / name).resolve() for name in config.targets)}
    for zoo in (config.zoo, *config.targets.values()):
        for family in zoo.families:
            if family.parents and family.parents not in recipes() and Path(family.parents).resolve() not in own:
                open_artefact(family.parents, "zoo")


def _as_yaml(config: RunConfig) -> str:
    import yaml

    return yaml.safe_dump(config.resolved(), sort_keys=False, allow_unicode=True)


@contextmanager
def _timed(out: Path, name: str, device: str):
    """Adds the seconds of the block to `name` in timings.json, also where the block is broken off."""
    start = time.monotonic()
    finished = False
    try:
        yield
        finished = True
    finally:
        _record(out / TIMINGS, name, time.monotonic() - start, finished, device)


def _record(path: Path, name: str, seconds: float, finished: bool, device: str) -> None:
    """Unfinished attempts count towards the stage's time; a stage that is made again starts from zero."""
    from metarep.training.bench import machine

    timings: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"seconds": {}, "unfinished": {}}
    earlier = timings["unfinished"].pop(name, 0.0)
    timings["seconds" if finished else "unfinished"][name] = round(earlier + seconds, 2)
    timings["machine"] = machine() | {"device": device}
    write_whole(path, json.dumps(timings, indent=1) + "\n")
