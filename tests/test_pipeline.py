"""A run: stages that stand are kept, changed ones are made again when allowed, timings add up."""

import json

import pytest

from metarep import pipeline
from metarep.artefact import open_artefact, writing
from metarep.errors import MetarepError
from metarep.run_settings import RunConfig, Stage, artefacts_of, run, stages_of
from metarep.progress import Progress
from metarep.settings import load_config
from metarep.training.settings import ZooConfig


@pytest.fixture
def made(monkeypatch):
    """Replaces the stages by three small ones, zoo → model → report; the list of those that were made."""
    names = []

    def stages(config, out, *, device, progress):
        def stage(name, settings, inputs):
            def make(path, *, overwrite):
                names.append(name)
                opened = {key: open_artefact(out / folder) for key, folder in inputs.items()}
                with writing(path, name, config=settings, seed=0, inputs=opened, overwrite=overwrite) as folder:
                    (folder / "data.txt").write_text(json.dumps(settings))
                return path

            return Stage(name, name, settings, make, inputs)

        return [
            stage("zoo", {"seed": config.zoo.seed}, {}),
            stage("model", {"n_steps": config.pretrain.n_steps}, {"zoo": "zoo"}),
            stage("report", {}, {"model": "model"}),
        ]

    monkeypatch.setattr(pipeline, "stages_of", stages)
    return names


def snapshot(folder):
    return {str(f): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_second_run_keeps_everything(tmp_path, made):
    run(RunConfig(), tmp_path / "run")
    before = snapshot(tmp_path)
    run(RunConfig(), tmp_path / "run", overwrite=True)
    assert made == ["zoo", "model", "report"]
    assert snapshot(tmp_path) == before


def test_a_changed_setting_needs_overwrite_and_costs_what_depends_on_it(tmp_path, made):
    run(RunConfig(), tmp_path / "run")
    changed = load_config(RunConfig, None, ["pretrain.n_steps=9"])
    before = snapshot(tmp_path)
    with pytest.raises(MetarepError, match="met model; pass --overwrite"):
        run(changed, tmp_path / "run")
    assert snapshot(tmp_path) == before
    made.clear()
    run(changed, tmp_path / "run", overwrite=True)
    assert made == ["model", "report"]
    assert load_config(RunConfig, tmp_path / "run" / "config.yaml") == changed


def test_an_input_that_was_made_anew_is_noticed(tmp_path, made):
    run(RunConfig(), tmp_path / "run")
    with writing(tmp_path / "run" / "zoo", "zoo", config={"seed": 0}, seed=1, overwrite=True) as folder:
        (folder / "data.txt").write_text("other networks")
    with pytest.raises(MetarepError, match="met model"):
        run(RunConfig(), tmp_path / "run")


def test_a_missing_stage_is_made_again_and_the_rest_kept_where_the_bytes_agree(tmp_path, made):
    import shutil

    run(RunConfig(), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "zoo")
    made.clear()
    run(RunConfig(), tmp_path / "run")
    assert made == ["zoo"]


def test_timings_add_up_over_broken_attempts(tmp_path, monkeypatch):
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr(pipeline.time, "monotonic", lambda: float(next(clock)))
    attempts = []

    def make(path, *, overwrite):
        attempts.append(1)
        if len(attempts) == 1:
            raise KeyboardInterrupt
        with writing(path, "zoo", config={}, seed=0, overwrite=overwrite):
            pass
        return path

    monkeypatch.setattr(pipeline, "stages_of", lambda *_, **__: [Stage("zoo", "zoo", {}, make)])
    with pytest.raises(KeyboardInterrupt):
        run(RunConfig(), tmp_path)
    run(RunConfig(), tmp_path)
    timings = json.loads((tmp_path / "timings.json").read_text())
    assert timings["seconds"] == {"zoo": 10.0}
    assert timings["unfinished"] == {}
    assert timings["machine"]["cores"] >= 1


def test_a_foreign_folder_is_refused(tmp_path, made):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(MetarepError, match="not the folder of a run"):
        run(RunConfig(), tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "override",
    ["targets={'a/b': {}}", "targets={'..': {}}", "zoo.families=[{variant: e05, n_networks: 2, parents: nowhere}]"],
)
def test_names_and_parents_are_checked_before_anything_is_written(tmp_path, made, override):
    with pytest.raises(MetarepError):
        run(load_config(RunConfig, None, [override]), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    assert made == []


def test_stages_name_their_inputs_in_order(tmp_path):
    config = load_config(RunConfig, None, ["targets.e07.seed=1"])
    stages = stages_of(config, tmp_path, device="cpu", progress=Progress())
    names = [stage.name for stage in stages]
    assert names == [
        "zoo",
        "targets/e07",
        "model",
        "embeddings/pooled",
        "embeddings/profile",
        "embeddings/certainty",
        "embeddings/untrained_pooled",
        "embeddings/untrained_profile",
        "clusters",
        "scan",
        "transfer",
        "report",
    ]
    for number, stage in enumerate(stages):
        assert set(stage.inputs.values()) <= set(names[:number])


def test_each_model_is_embedded_by_its_own_settings(tmp_path):
    config = load_config(RunConfig, None, ["embeddings=[states]", "models.model.embed.n_copies=8"])
    stages = {stage.name: stage.config for stage in stages_of(config, tmp_path, device="cpu", progress=Progress())}
    assert stages["embeddings/states"]["n_copies"] == stages["embeddings/untrained_states"]["n_copies"] == 0
    assert stages["embeddings/model-pooled"]["n_copies"] == 8


@pytest.mark.parametrize(
    ("kinds", "seen"), [("[pooled, certainty]", "embeddings/certainty"), ("[profile]", "embeddings/profile"), ("[]", None)]
)
def test_the_scan_sees_one_embedding_of_the_run(tmp_path, kinds, seen):
    config = load_config(RunConfig, None, [f"embeddings={kinds}"])
    (stage,) = [s for s in stages_of(config, tmp_path, device="cpu", progress=Progress()) if s.name == "scan"]
    assert stage.inputs.get("embeddings") == seen


def test_artefacts_of_a_run(tmp_path, made):
    run(RunConfig(), tmp_path / "run")
    assert [folder.name for folder in artefacts_of(tmp_path / "run")] == ["model", "report", "zoo"]
    assert artefacts_of(tmp_path) == []


def test_a_run_of_an_earlier_version_carries_on(tmp_path, monkeypatch):
    """A finished stage counts where its settings, read with today's defaults, are those that are wanted."""
    made = []

    def make(path, *, overwrite):
        made.append(path.name)
        with writing(path, "zoo", config={"seed": 7}, seed=7, overwrite=overwrite):
            pass

    def stages(seed):
        wanted = ZooConfig(seed=seed)
        return lambda *_, **__: [Stage("zoo", "zoo", wanted.resolved(), make, as_of_today=wanted.as_of_today)]

    monkeypatch.setattr(pipeline, "stages_of", stages(7))
    for _ in range(2):
        run(RunConfig(), tmp_path / "run")
    assert made == ["zoo"]
    monkeypatch.setattr(pipeline, "stages_of", stages(8))
    with pytest.raises(MetarepError, match="other settings"):
        run(RunConfig(), tmp_path / "run")
