"""A run: which stages follow from its zoo, what they are made from, what is checked before anything is written."""

import numpy as np
import pytest
import torch

from metarep import pipeline
from metarep.artefact import open_artefact
from metarep.errors import MetarepError
from metarep.evaluation.settings import TransferConfig
from metarep.pipeline import ZooFacts, config_of, later_stages, run, zoo_stages
from metarep.run_settings import RunConfig
from metarep.runner import artefacts_of
from metarep.settings import load_config
from metarep.zoos.domain import Domain, DomainStage, domain_named


def names_of(config, out, facts=None):
    """The names of a run's stages, each with the folders it is made from, relative to the run."""
    stages = [*zoo_stages(config, out, "cpu"), *later_stages(config, facts or ZooFacts(), out, "cpu")]
    return {stage.name: [str(path.relative_to(out)) for path in stage.inputs.values()] for stage in stages}


def test_stages_are_made_from_earlier_ones(tmp_path):
    settings = ["targets.e07.seed=1", "embeddings=[states]", "untrained=[states]", "models.seed1.embeddings=[pooled]"]
    stages = names_of(load_config(RunConfig, None, settings), tmp_path, ZooFacts(properties=("error",)))
    assert list(stages) == [
        "zoo",
        "targets/e07",
        "model",
        "models/seed1",
        "masked_r2",
        "masked_r2_by_model/seed1",
        "embeddings/model/states",
        "embeddings/seed1/pooled",
        "embeddings/model/untrained/states",
        "clusters",
        "predictions",
        "audit",
        "transfer",
        "map",
        "report",
    ]
    for number, inputs in enumerate(stages.values()):
        assert set(inputs) <= set(list(stages)[:number])
    assert stages["clusters"] == ["zoo", *(name for name in stages if name.startswith("embeddings/"))]
    assert "embeddings/model/states" not in stages["report"]


@pytest.mark.parametrize(
    ("n_networks", "device", "expected"), [(pipeline.MANY, "cpu", True), (9, "cpu", False), (10**6, "cuda", False)]
)
def test_models_of_large_zoos_are_measured_and_embedded_side_by_side(tmp_path, n_networks, device, expected):
    stages = later_stages(RunConfig(), ZooFacts(n_networks=n_networks), tmp_path, device)
    at_once = {stage.name.partition("/")[0] for stage in stages if stage.side_by_side} - {"model"}
    assert at_once == ({"masked_r2", "embeddings"} if expected else set())


def test_stages_follow_from_what_the_zoo_has(tmp_path):
    plain = names_of(RunConfig(), tmp_path)
    assert not {"predictions", "transfer"} & set(plain)
    assert "embeddings/model/states" in plain
    several = names_of(RunConfig(), tmp_path, ZooFacts(n_architectures=2))
    assert {"embeddings/model/layers", "embeddings/model/pooled"} <= set(several)
    assert "clusters" not in names_of(load_config(RunConfig, None, ["without=[clusters]"]), tmp_path)
    contrastive = load_config(RunConfig, None, ["pretrain.objective=contrastive"])
    assert "masked_r2" not in names_of(contrastive, tmp_path)


def test_a_domain_adds_stages_with_settings_of_their_own(tmp_path):
    made = []
    counted = DomainStage("counted", TransferConfig, lambda *words, **how: made.append(words), first_of=("pooled", "states"))
    everywhere = DomainStage("everywhere", TransferConfig, print)
    never = DomainStage("never", TransferConfig, print, suits=lambda zoo: False)
    facts = ZooFacts(domain=Domain("test", "tests", stages=(counted, everywhere, never)))
    config = load_config(RunConfig, None, ["embeddings=[states, layers]", "stages.counted.k=9", "seed=4"])
    stages = names_of(config, tmp_path, facts)
    assert stages["counted"] == ["zoo", "embeddings/model/states"]
    assert stages["everywhere"] == ["zoo", "embeddings/model/states", "embeddings/model/layers"]
    assert "never" not in stages
    assert {"counted", "everywhere"} <= set(stages["report"])
    (stage,) = [one for one in later_stages(config, facts, tmp_path, "cpu") if one.name == "counted"]
    assert (stage.config["k"], stage.config["seed"]) == (9, 4)
    stage.make(tmp_path / "counted", overwrite=False, progress=None)
    assert made[0][1:] == (tmp_path / "zoo", [tmp_path / "embeddings/model/states"], tmp_path / "counted")
    with pytest.raises(MetarepError, match="no such stage"):
        names_of(load_config(RunConfig, None, ["stages.absent.k=9"]), tmp_path, facts)


def test_the_domains_that_come_with_metarep_add_theirs():
    assert [stage.name for stage in domain_named("multiplier").stages] == ["scan"]
    assert [stage.name for stage in domain_named("functions").stages] == ["functions"]


def test_each_model_has_settings_of_its_own(tmp_path):
    settings = ["embed.n_copies=2", "models.other.embed.n_copies=8", "models.other.embeddings=[states]", "seed=3"]
    config = load_config(RunConfig, None, [*settings, "embeddings=[states]", "models.other.pretrain.d_model=32"])
    stages = {stage.name: stage.config for stage in later_stages(config, ZooFacts(), tmp_path, "cpu")}
    assert stages["embeddings/model/states"]["n_copies"] == 2
    assert stages["embeddings/other/states"]["n_copies"] == 8
    assert stages["models/other"] == stages["model"] | {"d_model": 32}
    assert {stage["seed"] for stage in stages.values() if "seed" in stage} == {3}


@pytest.mark.parametrize(
    "override",
    [
        "targets={'a/b': {}}",
        "targets={'..': {}}",
        "models={model: {}}",
        "models.a.pretrain.d_modell=3",
        "models.a.embeddings=[astral]",
        "embeddings=[astral]",
        "zoo.folder=nowhere",
        "beside=[nowhere]",
        "zoo.families=[{variant: e05, n_networks: 2, parents: nowhere}]",
    ],
)
def test_names_models_and_zoos_are_checked_before_anything_is_written(tmp_path, override):
    with pytest.raises(MetarepError):
        run(load_config(RunConfig, None, [override]), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(MetarepError, match="not the folder of a run"):
        run(RunConfig(), tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.fixture
def checkpoints(tmp_path):
    """A folder of six networks."""
    (tmp_path / "checkpoints").mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        shapes = {"0.weight": (6, 3), "0.bias": (6,), "2.weight": (2, 6), "2.bias": (2,)}
        tensors = {name: torch.tensor(rng.normal(size=shape), dtype=torch.float32) for name, shape in shapes.items()}
        torch.save(tensors, tmp_path / "checkpoints" / f"n{number}.pt")
    return tmp_path / "checkpoints"


def test_a_folder_of_checkpoints_is_imported_and_imported_again_when_it_has_changed(checkpoints, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "later_stages", lambda *_: [])
    config = config_of(checkpoints)
    assert config.name == "checkpoints"
    out = run(config, tmp_path / "run")
    before = open_artefact(out / "zoo", "zoo").digest
    assert run(config, out) == out
    assert open_artefact(out / "zoo").digest == before
    (checkpoints / "n5.pt").unlink()
    with pytest.raises(MetarepError, match="met zoo"):
        run(config, out)
    run(config, out, overwrite=True)
    assert open_artefact(out / "zoo").digest != before
    assert [folder.name for folder in artefacts_of(out)] == ["zoo"]
    assert artefacts_of(tmp_path) == []
    assert config_of(out / "zoo").zoo.folder == out / "zoo"
    (tmp_path / "labels.csv").write_text("file,kind\n" + "".join(f"n{i},{i % 2}\n" for i in range(5)))
    labelled = config_of(checkpoints, overrides=[f"zoo.labels={tmp_path / 'labels.csv'}"])
    with pytest.raises(MetarepError, match="met zoo"):
        run(labelled, out)
