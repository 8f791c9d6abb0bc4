"""What a run of a folder will do, before it begins: settings that suit what is there, and about how long it will take.

The settings follow from what was found alone, so that the same folder gives the same run on every machine; how long a step, an
import and an embedding take is measured on a sample.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from metarep.account import counted
from metarep.artefact import MANIFEST
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed_networks
from metarep.errors import MetarepError
from metarep.model.pretraining import batches_ahead, prepare, start_or_resume, train_step
from metarep.model.settings import PretrainConfig
from metarep.model.team import Team
from metarep.pipeline import ZooFacts, config_of, facts_of, later_stages, representations_of, run, suitable_kinds, zoo_stages
from metarep.progress import Progress
from metarep.run_settings import FinishedZoo, ImportedZoo, RunConfig
from metarep.zoos.importing import import_networks
from metarep.zoos.survey import Survey, survey_paths, survey_zoo
from metarep.zoos.zoo import Zoo, open_zoo

FEW_NETWORKS, MANY_STEPS, FEW_STEPS, LEAST_STEPS = 2000, 4000, 1000, 300
STEPS_A_WINDOW = 10
"""Steps of pretraining: so many a training window, within these bounds; MANY_STEPS from FEW_NETWORKS networks on."""

TOKENS_A_STEP = 4096
LARGE, VERY_LARGE = 100_000, 20_000_000
"""Of networks that are mostly larger than LARGE a token holds 16 values. Networks larger than VERY_LARGE and a hundred times
as large as most are left out: reading one of them would take longer than all the others."""

MAX_UNITS = 500_000
"""Vectors of units that a run keeps; where there are more, units are embedded on request (`metarep embed`)."""

QUICK_FILES, QUICK_STEPS = 300, 150
"""What `--quick` takes: a first look in about two minutes."""

FEW_GAUSSIANS = 8
"""In the mixtures that predict masked values beside the model: one is fitted to every kind of window of every architecture."""

N_SAMPLE, N_STEPS, MAX_PARAMS = 24, 2, 50_000
"""Networks, steps and parameters of the sample that time is measured on."""


def survey_of(config: RunConfig, *, quick: bool = False, progress: Progress | None = None) -> Survey:
    """What the zoo of a run of a folder holds."""
    if isinstance(config.zoo, FinishedZoo):
        return survey_zoo(open_zoo(config.zoo.folder))
    zoo = config.zoo.filled(fitted_import(quick=quick))
    beside = {"labels": zoo.labels, "architecture": zoo.architecture}
    return survey_paths(zoo, zoo.paths, **beside, progress=progress)


def fitted_import(*, quick: bool) -> dict[str, Any]:
    """How a folder is read that nobody has looked at: what is damaged or has no labels is left out or unlabelled, and said."""
    return {"skip_damaged": True, "partial_labels": True, "max_files": QUICK_FILES if quick else None}


def fitted(survey: Survey, *, quick: bool, embeddings: tuple[str, ...] = ()) -> dict[str, Any]:
    """Settings of a run, as `RunConfig` names them, that suit what was found, and its `embeddings` where some are named."""
    most = max(VERY_LARGE, 100 * int(np.median(survey.sizes)))
    kept = survey.without_large(most)
    zoo = fitted_import(quick=quick) | {"max_params": most}
    units = not quick and kept.n_units <= MAX_UNITS
    embed = {"parts": ("network", "layer", *(("unit",) if units else ()))}
    how: dict[str, Any] = {"zoo": zoo, "pretrain": fitted_pretraining(kept, quick=quick), "embed": embed}
    behaviour = len(kept.groups) == 1 and survey.activation is not None
    if behaviour:
        how["pretrain"] |= {"behaviour_weight": 1.0, "unmasked_share": 0.5}
    kinds = suitable_kinds(len(kept.groups), behaviour=behaviour)
    how["embeddings"] = embeddings or (kinds[:2] if quick else kinds)
    how["untrained"] = how["embeddings"][:1]
    how["masked_r2"] = {"n_gaussians": 0 if quick else FEW_GAUSSIANS}
    if quick:
        how["cluster"] = {"clusterers": ("kmeans",), "umap": how["embeddings"][:1], "n_bootstraps": 2, "n_permutations": 20}
        how["cluster"] |= {"n_probe_seeds": 1, "max_fit_networks": 500, "max_test_networks": 500, "ks": (2, 3, 4, 6, 8)}
        how["masked_r2"] |= {"maskings": ("random",), "ratios": (0.5,), "n_patterns": 1, "max_test_windows": 100}
        how["masked_r2"] |= {"max_fit_windows": 500, "n_bootstraps": 50, "n_permutations": 20}
        how["predict"] = {"n_bootstraps": 50, "n_permutations": 2, "n_trees": 20}
        how["map"] = {"umap": False}
        how["without"] = ("audit", "parts")
    return how


def fitted_pretraining(survey: Survey, *, quick: bool = False) -> dict[str, Any]:
    """Settings of pretraining: how many values a token holds, how many windows a step and how many steps."""
    context = PretrainConfig().context
    sizes = survey.sizes
    chunk = 1 if sizes[-1] <= context else 4 if np.median(sizes) <= LARGE else 16
    windows = 0.7 * np.ceil(sizes / (0.75 * chunk * context)).sum()
    tokens = min(context, int(np.ceil(np.median(sizes) / chunk)))
    batch_size = int(np.clip(TOKENS_A_STEP // max(1, tokens), 16, 128))
    most = QUICK_STEPS if quick else FEW_STEPS if survey.n_networks < FEW_NETWORKS else MANY_STEPS
    n_steps = int(min(most, max(LEAST_STEPS, STEPS_A_WINDOW * windows)))
    fifth = max(1, n_steps // 5)
    width = {"d_model": 48, "n_layers": 2} if quick else {}
    how = {"chunk": chunk, "batch_size": batch_size, "n_steps": n_steps, "warmup_steps": min(200, fifth)}
    return how | width | {"eval_every": min(250, fifth)} | ({"max_windows": 4000} if quick else {})


@dataclass(frozen=True)
class Cost:
    """What takes time: `seconds`, and `how` that was computed."""

    what: str
    seconds: float
    how: str


def forecast(config: RunConfig, survey: Survey, kinds: Sequence[tuple[str, bool]], *, device: str = "cpu") -> list[Cost]:
    """About how long the long stages of a run take; `kinds` are its embeddings, each with whether it is of an untrained model.

    Empty where the sample says nothing, as of networks that all diverged.
    """
    with TemporaryDirectory() as folder:
        zoo, importing = _sample(config, Path(folder))
        if zoo is None:
            return []
        n = survey.n_networks
        found = [] if importing is None else [Cost("import", importing * n, f"{n:,} networks, {short(importing)} each")]
        model, step = _measured_step(config, zoo, device)
        n_steps = config.pretrain.n_steps or MANY_STEPS
        found.append(Cost("pretrain", step * n_steps, f"{n_steps:,} steps, {short(step)} each"))
        rows = np.argsort([zoo.architecture_of(row).n_params for row in range(len(zoo))], kind="stable")
        sizes = np.array([zoo.architecture_of(row).n_params for row in rows])
        rows = rows[: max(1, int((np.cumsum(sizes) <= MAX_PARAMS).sum()))]
        for kind, untrained in kinds:
            each = _seconds(lambda kind=kind: embed_networks(model, zoo, rows, EmbedConfig(kind=kind)))
            share = survey.n_params / max(1, sum(zoo.architecture_of(row).n_params for row in rows))
            name = f"{kind}, untrained" if untrained else kind
            found.append(Cost(f"embed ({name})", each * share, f"{counted(survey.n_params, 'parameter')}"))
        return found


def _sample(config: RunConfig, folder: Path) -> tuple[Zoo | None, float | None]:
    """Some finite networks, half of them to learn from, and the seconds that importing one took; None for a finished zoo."""
    seconds = None
    if isinstance(config.zoo, FinishedZoo):
        zoo = open_zoo(config.zoo.folder, check_hashes=False)
        zoo = zoo.select(np.linspace(0, len(zoo) - 1, min(N_SAMPLE, len(zoo))).astype(int))
    else:
        some = ImportedZoo.model_validate(config.zoo.resolved() | {"max_files": N_SAMPLE, "labels": None, "strict": False})
        start = time.perf_counter()
        import_networks(some, some.paths, folder / "zoo", architecture=some.architecture)
        zoo = open_zoo(folder / "zoo", check_hashes=False)
        seconds = (time.perf_counter() - start) / len(zoo)
    zoo = zoo.select(zoo["finite"])
    if len(zoo) < 4:
        return None, seconds
    half = np.where(np.arange(len(zoo)) % 2, "valid", "train").astype(object)
    alone = {"split": half, "snapshot_of": np.full(len(zoo), "", dtype=object)}
    return replace(zoo, columns={**zoo.columns, **alone}), seconds


def _measured_step(config: RunConfig, zoo: Zoo, device: str):
    """A model, untrained, and the seconds of one step of pretraining it."""
    settings = config.pretrain.model_copy(update={"n_steps": N_STEPS + 1, "max_windows": 200, "max_valid_windows": 8})
    prepared = prepare(settings, [zoo], progress=Progress())
    state = start_or_resume(prepared, Path("none"), Team(device))

    batches = batches_ahead(prepared, 0, device)

    def step() -> None:
        train_step(prepared.config, state, *next(batches))

    step()
    seconds = _seconds(lambda: [step() for _ in range(N_STEPS)]) / N_STEPS
    return state.objective.encoder.to("cpu").eval(), seconds


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def tell(config: RunConfig, survey: Survey, out: Path, device: str, progress: Progress) -> None:
    """Says on one screen what was found, what will be done, with which settings, and about how long it will take, or how much
    of it is finished in the folder `out`.
    """
    finished = isinstance(config.zoo, FinishedZoo)
    kept = survey if finished else survey.without_large(config.zoo.max_params)
    known = ZooFacts(len(kept.groups), kept.groups[0].n_params, kept.properties)
    facts = facts_of(config.zoo.folder) if finished else known
    stages = [*zoo_stages(config, out, device), *later_stages(config, facts, out, device)]
    for line in found_lines(config, survey):
        progress.say(line)
    for line in planned_lines(config, [stage.name for stage in stages]):
        progress.say(line)
    if progress.mode == "quiet":
        return
    if n_done := sum((out / stage.name / MANIFEST).is_file() for stage in stages):
        progress.say(f"carries on: {n_done} of {counted(len(stages), 'stage')} are finished in {out}")
        return
    kinds = [(one.kind, one.untrained) for one in representations_of(config, facts)]
    costs = forecast(config, kept, kinds, device=device)
    if not costs:
        progress.say("time: not measured, since hardly any network of the sample is finite")
        return
    total = short(sum(cost.seconds for cost in costs))
    progress.say(f"time: about {total} on this machine, by a sample, and the comparisons on top of it")
    for cost in costs:
        progress.say(f"  {cost.what}: {short(cost.seconds)} ({cost.how})")


def planned_lines(config: RunConfig, stages: Sequence[str]) -> Iterator[str]:
    """The stages, and the settings that matter most."""
    yield "to do: " + ", ".join(dict.fromkeys(name.partition("/")[0] for name in stages))
    pretrain, parts = config.pretrain, ", ".join(config.embed.parts)
    steps = "as many steps as suit" if pretrain.n_steps is None else counted(pretrain.n_steps, "step")
    tokens = f"{pretrain.context} tokens" + ("" if pretrain.chunk is None else f" of {counted(pretrain.chunk, 'value')}")
    yield f"settings: {steps} of {pretrain.batch_size} windows, each at most {tokens}"
    yield f"  width {pretrain.d_model}, {counted(pretrain.n_layers, 'block')}; embedded: {parts}; --set changes each of these"


def found_lines(config: RunConfig, survey: Survey) -> Iterator[str]:
    """What was found, what is left out, what is known of it."""
    most = config.zoo.max_params if isinstance(config.zoo, ImportedZoo) else None
    kept = survey.without_large(most)
    about = "" if survey.n_read == survey.n_files else f"about (heads of {survey.n_read:,} files were read) "
    several = counted(len(kept.groups), "architecture")
    units = counted(kept.n_units, "interchangeable unit")
    params = counted(kept.n_params, "parameter")
    yield f"found: {about}{counted(kept.n_networks, 'network')} of {several}, {params}, {units}"
    for group in kept.groups[:FEW]:
        size = f"{counted(group.n_params, 'parameter')}, {counted(group.n_units, 'unit')}"
        yield f"  {group.n_networks:,} x {size}: as {group.example}"
    if len(kept.groups) > FEW:
        yield f"  and {len(kept.groups) - FEW:,} further architectures"
    if 2 * len(kept.groups) > kept.n_networks:
        yield "  most architectures have one network each, so values are standardised by kind of layer, not one by one"
    for group in survey.groups:
        if most is not None and group.n_params > most:
            size = f"{counted(group.n_params, 'parameter')}, where most have about {int(np.median(survey.sizes)):,}"
            fix = f"--set zoo.max_params={group.n_params} keeps it; metarep parts MODEL FILE takes it apart alone"
            yield f"left out: {group.example}, {size}; {fix}"
    for entry in survey.left_out[:FEW]:
        yield f"left out: {': '.join(filter(None, (entry.where, entry.what, entry.why)))}"
    if len(survey.left_out) > FEW:
        yield f"  and {len(survey.left_out) - FEW:,} more, which the account of the zoo names"
    yield from _known_lines(survey)


def _known_lines(survey: Survey) -> Iterator[str]:
    if survey.n_known is not None and survey.n_known < len(survey.runs):
        without = len(survey.runs) - survey.n_known
        yield f"labels: known of {survey.n_known:,} networks; {without:,} have no row and are read without labels"
    names = {"labels": survey.labels, "properties": survey.properties}
    for what, columns in names.items():
        if columns:
            yield f"{what}: {', '.join(columns)}"
    if not survey.labels and not survey.properties:
        yield "labels and properties: none, so clusters are described by architecture and weights; --labels TABLE.csv adds some"


FEW = 5


def short(seconds: float) -> str:
    """A time with its unit: 40 ms, 12 s, 8 min, 3.5 h."""
    for unit, size, most in (("ms", 0.001, 1), ("s", 1, 100), ("min", 60, 7200)):
        if seconds < most:
            return f"{seconds / size:.1f} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.1f} h"


def run_folder(
    source: Path | str,
    out: Path | str | None = None,
    *,
    labels: Path | str | None = None,
    quick: bool = False,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    device: str = "cpu",
    progress: Progress | None = None,
    **how: Any,
) -> Path:
    """Everything from checkpoints, a zoo or a config to a report, in the folder `out`, by default results/NAME; returns it.

    What is not set by `config` and `overrides` is fitted to what the folder holds; `labels` is a table with a column `file`.
    `progress` is told first what was found, what will be done and for about how long. `how` is as in `run`. Raises
    MetarepError, before anything long starts, for a folder with too few networks and for labels that do not fit.
    """
    progress = progress or Progress()
    given = [] if labels is None else [f"zoo.labels={json.dumps(str(labels))}"]
    settings = config_of(source, config, [*given, *overrides])
    out = Path(out or Path("results") / settings.name)
    if Path(source).is_dir():
        survey = survey_of(settings, quick=quick, progress=progress)
        suitable = fitted(survey, quick=quick, embeddings=settings.embeddings)
        if isinstance(settings.zoo, FinishedZoo):
            del suitable["zoo"]
        settings = settings.filled(suitable)
        if not settings.beside:
            survey.without_large(getattr(settings.zoo, "max_params", None)).require_enough()
        tell(settings, survey, out, device, progress)
    elif quick:
        raise MetarepError(f"--quick: {source} is a config, which says itself what is done", fix="name a folder")
    return run(settings, out, device=device, progress=progress, **how)
