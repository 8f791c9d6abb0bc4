"""Stages and how they are run: what stands is kept, what has changed is refused, every stage is timed.

A stage makes one artefact in one folder. It stands while its artefact has the stage's settings and was made from its present
inputs, by hash. So a run that was interrupted carries on, and a changed setting costs only what depends on it.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metarep.artefact import MANIFEST, canonical_json, open_artefact, partial_path, write_whole
from metarep.errors import MetarepError
from metarep.progress import Progress

CONFIG = "config.yaml"
TIMINGS = "timings.json"
"""What the folder of a run holds besides its artefacts."""


@dataclass(frozen=True)
class Stage:
    """One artefact that is to be made.

    name: its folder, below that of the run.
    make: `make(path, overwrite=…, progress=…)` writes the artefact to `path`.
    inputs: by the names that the manifest gives them, the folders of the artefacts that it is made from.
    finds_inputs: whether `make` finds further inputs by itself, such as the parents of a zoo; these only must not have changed.
    holds: whether an artefact that was found still is what the stage would make, as far as its manifest does not tell.
    side_by_side: whether it may be made beside other such stages, each in a process of one thread.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    make: Callable[..., object]
    inputs: Mapping[str, Path] = field(default_factory=dict)
    finds_inputs: bool = False
    holds: Callable[[Path], bool] = lambda folder: True
    side_by_side: bool = False


def stands(stage: Stage, folder: Path) -> bool:
    """Whether `folder` holds the stage's artefact, made with these settings from the present inputs."""
    try:
        artefact = open_artefact(folder, stage.kind)
        made_from = {name: entry["manifest_sha256"] for name, entry in artefact.manifest["inputs"].items()}
        found = made_from.keys() - stage.inputs.keys() if stage.finds_inputs else ()
        present = {name: open_artefact(path).digest for name, path in stage.inputs.items()}
        present |= {name: open_artefact(artefact.input_path(name)).digest for name in found}
    except MetarepError:
        return False
    same_config = artefact.config == json.loads(canonical_json(stage.config))
    return made_from == present and same_config and stage.holds(folder)


def run_stages(
    stages: Sequence[Stage],
    out: Path,
    *,
    reuse: Sequence[Path] = (),
    overwrite: bool = False,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Makes those stages, in order, that do not stand below `out`; `reuse` are folders of other runs to copy from.

    Seconds go to timings.json. Raises MetarepError before anything changes where a finished stage has other settings or inputs
    and `overwrite` is False.
    """
    progress = progress or Progress()
    if not overwrite:
        refuse_changed(stages, out)
    clock = Clock(out / TIMINGS, device)
    done = 0
    for batch in batches(stages, out):
        titles = {stage.name: f"[{done + i}/{len(stages)}] {stage.name}" for i, stage in enumerate(batch, 1)}
        done += len(batch)
        waiting = []
        for stage in batch:
            how = "kept" if stands(stage, out / stage.name) else _copied(stage, out, reuse)
            progress.say(f"{titles[stage.name]}: {how}" if how else titles[stage.name])
            if not how:
                waiting.append(stage)
        if len(waiting) > 1:
            with clock.elapsing():
                _make_side_by_side(waiting, out, overwrite, clock, progress)
        for stage in waiting if len(waiting) == 1 else ():
            with clock.elapsing(), clock.timing(stage.name):
                stage.make(out / stage.name, overwrite=overwrite, progress=progress)


def artefacts_of(run_folder: Path) -> list[Path]:
    """The finished artefacts in a run's folder, by name; empty for any other folder."""
    if not (run_folder / CONFIG).is_file():
        return []
    return sorted(manifest.parent for manifest in run_folder.rglob(MANIFEST) if ".partial" not in str(manifest.parent))


def refuse_changed(stages: Sequence[Stage], out: Path) -> None:
    """Raises MetarepError where stages that are finished would have to be made again."""
    finished = [stage for stage in stages if (out / stage.name / MANIFEST).is_file()]
    whole = [stage for stage in finished if all((path / MANIFEST).is_file() for path in stage.inputs.values())]
    changed = [stage.name for stage in whole if not stands(stage, out / stage.name)]
    if changed:
        raise MetarepError(
            f"{out} holds stages made with other settings or inputs",
            met=", ".join(changed),
            fix="pass --overwrite to make these and what depends on them again, or choose another --out",
        )


def batches(stages: Sequence[Stage], out: Path) -> Iterator[list[Stage]]:
    """The stages in order: neighbours that may be made side by side together, unless one is made from another; every other one
    alone.
    """
    batch: list[Stage] = []
    for stage in stages:
        independent = {out / other.name for other in batch}.isdisjoint(stage.inputs.values())
        if batch and not (independent and stage.side_by_side and batch[-1].side_by_side):
            yield batch
            batch = []
        batch.append(stage)
    if batch:
        yield batch


def _copied(stage: Stage, out: Path, reuse: Sequence[Path]) -> str:
    """Copies the stage from a run in which it stands, and says from which; "" where none has it, or its place is taken."""
    path = out / stage.name
    for other in reuse:
        if not path.exists() and stands(stage, other / stage.name):
            shutil.rmtree(partial_path(path), ignore_errors=True)
            shutil.copytree(other / stage.name, partial_path(path))
            partial_path(path).rename(path)
            return f"copied from {other}"
    return ""


def _make_side_by_side(stages: Sequence[Stage], out: Path, overwrite: bool, clock: Clock, progress: Progress) -> None:
    """A process and a thread for each, since small matrices gain little from more threads."""
    from joblib import Parallel, cpu_count, delayed, parallel_config

    with progress.task("side by side", len(stages), "stages") as task, parallel_config("loky", inner_max_num_threads=1):
        parallel = Parallel(n_jobs=min(cpu_count(), len(stages)), return_as="generator_unordered")
        jobs = (delayed(_make_timed)(stage, out / stage.name, overwrite) for stage in stages)
        for name, seconds in parallel(jobs):
            clock.record(name, seconds, finished=True)
            task.advance(1, name)


def _make_timed(stage: Stage, path: Path, overwrite: bool) -> tuple[str, float]:
    start = time.monotonic()
    stage.make(path, overwrite=overwrite, progress=Progress())
    return stage.name, time.monotonic() - start


@dataclass(frozen=True)
class Clock:
    """The seconds of each stage, and of all that was done, in a file."""

    path: Path
    device: str

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """A block whose seconds count for a stage, also where it is interrupted."""
        start, finished = time.monotonic(), False
        try:
            yield
            finished = True
        finally:
            self.record(name, time.monotonic() - start, finished=finished)

    def record(self, name: str, seconds: float, *, finished: bool) -> None:
        """Interrupted attempts count towards the stage's time; a stage that is made again starts from zero."""
        known = self.known()
        earlier = known["unfinished"].pop(name, 0.0)
        known["seconds" if finished else "unfinished"][name] = round(earlier + seconds, 2)
        known["machine"] = machine() | {"device": self.device}
        write_whole(self.path, json.dumps(known, indent=1) + "\n")

    @contextmanager
    def elapsing(self) -> Iterator[None]:
        """A block whose seconds are added to `elapsed`: less than those of its stages together where some run side by side."""
        start = time.monotonic()
        try:
            yield
        finally:
            known = self.known()
            known["elapsed"] = round(known.get("elapsed", 0.0) + time.monotonic() - start, 2)
            write_whole(self.path, json.dumps(known, indent=1) + "\n")

    def known(self) -> dict[str, Any]:
        """What the file holds."""
        fresh = {"seconds": {}, "unfinished": {}, "elapsed": 0.0}
        return json.loads(self.path.read_text()) if self.path.is_file() else fresh


def machine() -> dict[str, str | int]:
    """What times were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return {"cpu": model, "cores": os.cpu_count() or 1, "python": platform.python_version(), "system": platform.system()}


def publish(
    out: Path, to: Path, what: Mapping[str, Sequence[str]], *, named: Callable[[Path], str] = lambda path: path.name
) -> int:
    """Copies what matches the patterns below `out` into folders of `to`, which `what` is keyed by; returns how many files.

    `named` makes a file's name of its path below `out`. Raises MetarepError for a pattern that nothing matches.
    """
    n = 0
    for folder, patterns in what.items():
        (to / folder).mkdir(parents=True, exist_ok=True)
        for pattern in patterns:
            files = sorted(file for file in out.glob(pattern) if file.is_file())
            if not files:
                raise MetarepError(f"{out} holds nothing to publish as {pattern}", fix="correct `publish`")
            for file in files:
                shutil.copyfile(file, to / folder / named(file.relative_to(out)))
            n += len(files)
    return n
