"""Stages: what stands is kept, what has changed is refused, equal ones are copied, timings add up, one writer a folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metarep import runner
from metarep.artefact import open_artefact, writing
from metarep.errors import MetarepError
from metarep.lock import locked
from metarep.progress import Progress
from metarep.runner import Stage, batches, publish, run_stages, stands


def stages_in(out: Path, made: list[str], *, zoo: int = 0, model: int = 5) -> list[Stage]:
    """Three small stages, zoo → model → report, that note in `made` when they are made."""

    def stage(name, settings, **inputs):
        def make(path, *, overwrite, progress):
            made.append(name)
            opened = {key: open_artefact(folder) for key, folder in inputs.items()}
            with writing(path, name, config=settings, seed=0, inputs=opened, overwrite=overwrite) as folder:
                (folder / "data.txt").write_text(json.dumps(settings))

        return Stage(name, name, settings, make, inputs)

    return [
        stage("zoo", {"seed": zoo}),
        stage("model", {"n_steps": model}, zoo=out / "zoo"),
        stage("report", {}, model=out / "model"),
    ]


def snapshot(folder):
    return {str(f): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.fixture
def out(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_a_second_run_keeps_everything(out):
    made = []
    run_stages(stages_in(out, made), out)
    before = snapshot(out)
    run_stages(stages_in(out, made), out, overwrite=True)
    assert made == ["zoo", "model", "report"]
    assert snapshot(out) == before


def test_a_changed_setting_needs_overwrite_and_costs_what_depends_on_it(out):
    made = []
    run_stages(stages_in(out, made), out)
    before = snapshot(out)
    with pytest.raises(MetarepError, match="met model; pass --overwrite"):
        run_stages(stages_in(out, made, model=9), out)
    assert snapshot(out) == before
    made.clear()
    run_stages(stages_in(out, made, model=9), out, overwrite=True)
    assert made == ["model", "report"]


def test_an_input_that_was_made_anew_is_noticed(out):
    run_stages(stages_in(out, []), out)
    with writing(out / "zoo", "zoo", config={"seed": 0}, seed=1, overwrite=True) as folder:
        (folder / "data.txt").write_text("other networks")
    with pytest.raises(MetarepError, match="met model"):
        run_stages(stages_in(out, []), out)


def test_a_missing_stage_is_made_again_and_the_rest_kept_where_the_bytes_agree(out):
    import shutil

    made = []
    run_stages(stages_in(out, made), out)
    shutil.rmtree(out / "zoo")
    made.clear()
    run_stages(stages_in(out, made), out)
    assert made == ["zoo"]


def test_inputs_that_a_stage_found_by_itself_must_not_have_changed(out):
    def make(config, **inputs):
        with writing(out / config["name"], "zoo", config=config, seed=0, inputs=inputs, overwrite=True) as folder:
            (folder / "data.txt").write_text(json.dumps(config))
        return open_artefact(out / config["name"])

    make({"name": "child"}, parent=make({"name": "parent", "seed": 0}))
    stage = Stage("child", "zoo", {"name": "child"}, print, finds_inputs=True)
    assert stands(stage, out / "child")
    assert not stands(Stage("child", "zoo", {"name": "child"}, print), out / "child")
    make({"name": "parent", "seed": 1})
    assert not stands(stage, out / "child")


def test_what_the_manifest_does_not_tell_can_be_asked_for(out):
    run_stages(stages_in(out, []), out)
    (zoo, *_) = stages_in(out, [])
    assert stands(zoo, out / "zoo")
    assert not stands(Stage("zoo", "zoo", zoo.config, zoo.make, holds=lambda folder: False), out / "zoo")


def test_stages_that_stand_in_another_run_are_copied(out, tmp_path):
    run_stages(stages_in(out, []), out)
    made, other = [], tmp_path / "other"
    other.mkdir()
    run_stages(stages_in(other, made, model=9), other, reuse=[out])
    assert made == ["model", "report"]
    assert (other / "zoo" / "manifest.json").read_bytes() == (out / "zoo" / "manifest.json").read_bytes()


def test_neighbours_that_may_be_are_made_side_by_side(out, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")

    def make(path, *, overwrite, progress):
        with writing(path, "model", config={}, seed=0, overwrite=overwrite):
            pass

    stages = [Stage(name, "model", {}, make, side_by_side=name != "c") for name in "abcd"]
    assert [[stage.name for stage in batch] for batch in batches(stages, out)] == [["a", "b"], ["c"], ["d"]]
    chained = [stages[0], Stage("b", "model", {}, make, {"first": out / "a"}, side_by_side=True)]
    assert [[stage.name for stage in batch] for batch in batches(chained, out)] == [["a"], ["b"]]
    run_stages(stages[:2], out)
    assert set(json.loads((out / "timings.json").read_text())["seconds"]) == {"a", "b"}


def test_timings_add_up_over_broken_attempts(out, monkeypatch):
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr(runner.time, "monotonic", lambda: float(next(clock)))
    attempts = []

    def make(path, *, overwrite, progress):
        attempts.append(1)
        if len(attempts) == 1:
            raise KeyboardInterrupt
        with writing(path, "zoo", config={}, seed=0, overwrite=overwrite):
            pass

    for _ in range(2):
        try:
            run_stages([Stage("zoo", "zoo", {}, make)], out, progress=Progress())
        except KeyboardInterrupt:
            assert attempts == [1]
    timings = json.loads((out / "timings.json").read_text())
    assert timings["seconds"] == {"zoo": 10.0}
    assert timings["unfinished"] == {}
    assert timings["machine"]["cores"] >= 1
    assert timings["elapsed"] == 30.0


def test_two_writers_of_one_folder(tmp_path):
    with locked(tmp_path / "zoo"):
        with (
            pytest.raises(MetarepError, match=f"is being written by process {os.getpid()} on .* since 20"),
            locked(tmp_path / "zoo"),
        ):
            pass
        with (
            pytest.raises(MetarepError, match="is being written"),
            writing(tmp_path / "zoo", "zoo", config={}, seed=0),
        ):
            pass
        with locked(tmp_path / "other"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    code = "import os, pathlib, sys; from metarep.lock import locked\nwith locked(pathlib.Path(sys.argv[1])): os._exit(1)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "zoo")], cwd=Path(runner.__file__).parents[1], check=False)
    assert (tmp_path / "zoo.lock").is_file()
    with locked(tmp_path / "zoo"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_files_are_published_by_pattern(tmp_path):
    (tmp_path / "run" / "a" / "figures").mkdir(parents=True)
    for name in ("a/x.csv", "a/figures/x.png", "a/figures/y.png"):
        (tmp_path / "run" / name).write_text(name)
    what = {"tables": ["*/*.csv"], "figures/one": ["a/figures/*.png"]}
    assert publish(tmp_path / "run", tmp_path / "to", what, named=lambda path: f"{path.parts[0]}-{path.name}") == 3
    found = sorted(file.relative_to(tmp_path / "to").as_posix() for file in (tmp_path / "to").rglob("*.*"))
    assert found == ["figures/one/a-x.png", "figures/one/a-y.png", "tables/a-x.csv"]
    with pytest.raises(MetarepError, match="nothing to publish"):
        publish(tmp_path / "run", tmp_path / "to", {"tables": ["*.json"]})
