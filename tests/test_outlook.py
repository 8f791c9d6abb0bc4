"""A run of a folder: what is said before it begins, settings that suit the folder, bad folders, and a run that was killed."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from metarep import outlook, pipeline
from metarep.errors import MetarepError
from metarep.outlook import fitted, fitted_pretraining, found_lines, run_folder, survey_of
from metarep.pipeline import config_of
from metarep.progress import Progress
from metarep.run_settings import RunConfig
from metarep.runner import artefacts_of
from metarep.zoos.survey import Group, Survey


class Heard(Progress):
    """Keeps what is said."""

    def __init__(self):
        super().__init__("plain")
        self.lines: list[str] = []

    def say(self, text):
        self.lines.append(text)

    def line(self, start):
        """The line that begins so."""
        return next(line for line in self.lines if line.startswith(start))


def save(path, width, seed, n_inputs=3):
    """A network of one hidden layer."""
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    shapes = {"0.weight": (width, n_inputs), "0.bias": (width,), "2.weight": (2, width), "2.bias": (2,)}
    torch.save({name: torch.tensor(rng.normal(size=shape), dtype=torch.float32) for name, shape in shapes.items()}, path)


@pytest.fixture
def folder(tmp_path):
    """Twelve networks of two architectures."""
    (tmp_path / "nets").mkdir()
    for i in range(12):
        save(tmp_path / "nets" / f"n{i}.pt", 6 if i % 3 else 8, i)
    return tmp_path / "nets"


def looked_at(folder, *overrides, quick=False):
    """The settings of a run of a folder, and what was found."""
    config = config_of(folder, overrides=list(overrides))
    survey = survey_of(config, quick=quick)
    return config.filled(fitted(survey, quick=quick, embeddings=config.embeddings)), survey


def said(folder, *overrides):
    """What the screen says was found."""
    return "\n".join(found_lines(*looked_at(folder, *overrides)))


def test_the_screen_says_what_was_found_and_what_will_be_done(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(outlook, "run", lambda config, out, **how: out)
    monkeypatch.setattr(outlook, "_seconds", lambda call: (call(), 0.05)[1])  # two steps, on a machine of any speed
    (tmp_path / "labels.csv").write_text("file,kind,loss\n" + "".join(f"n{i},{'ab'[i % 2]},{i / 7}\n" for i in range(6)))
    heard = Heard()
    run_folder(folder, tmp_path / "run", labels=tmp_path / "labels.csv", progress=heard)
    assert heard.line("found: ") == "found: 12 networks of 2 architectures, 504 parameters, 80 interchangeable units"
    assert heard.line("labels: known") == "labels: known of 6 networks; 6 have no row and are read without labels"
    assert (heard.line("labels: kind"), heard.line("properties: ")) == ("labels: kind", "properties: loss")
    assert "clusters" in heard.line("to do: ")
    assert re.match(r"settings: 300 steps of 107 windows, each at most 128 tokens of 1 value", heard.line("settings: "))
    assert re.match(r"time: about [\d.]+ (ms|s|min) on this machine", heard.line("time: "))
    assert "(300 steps, 25 ms each)" in heard.line("  pretrain: ")


def test_what_is_said_in_the_settings_stays(folder):
    config, _ = looked_at(folder, "pretrain.n_steps=7", "zoo.skip_damaged=false", "embeddings=[states]")
    assert (config.pretrain.n_steps, config.zoo.skip_damaged, config.embeddings) == (7, False, ("states",))
    assert config.untrained == ("states",), "the untrained control is of a kind that is compared"
    assert config.pretrain.chunk == 1
    assert config.zoo.partial_labels


def test_settings_grow_with_the_folder():
    def of(n, n_params, **how):
        class Sized(Survey):
            sizes = np.full(n, n_params)
            n_networks = n

        return fitted_pretraining(Sized("", (), n, n, ()), **how)

    few, many, large = of(10, 40), of(100_000, 5000), of(50, 20_000_000)
    assert (few["n_steps"], many["n_steps"]) == (300, 4000)
    assert (few["chunk"], many["chunk"], large["chunk"]) == (1, 4, 16)
    assert of(100_000, 5000, quick=True)["n_steps"] == 150
    assert RunConfig().pretrain.changed(large, where="fitted")


def test_a_folder_without_networks(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "thesis.tex").write_text("years")
    with pytest.raises(MetarepError, match="holds no networks"):
        run_folder(tmp_path / "nets", tmp_path / "run")
    (tmp_path / "nets" / "a.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(MetarepError, match=r"no network can be read; met a\.pt"):
        run_folder(tmp_path / "nets", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_path_that_is_not_there(folder, tmp_path):
    with pytest.raises(MetarepError, match="there is no nowhere; expected a folder of checkpoints"):
        run_folder("nowhere", tmp_path / "run")
    with pytest.raises(MetarepError, match=r"there is no table missing\.csv; check the path"):
        run_folder(folder, tmp_path / "run", labels="missing.csv")


def test_too_few_networks_and_too_few_runs(tmp_path, monkeypatch):
    (tmp_path / "nets").mkdir()
    save(tmp_path / "nets" / "one.pt", 4, 0)
    with pytest.raises(MetarepError, match=r"too few networks to compare; met 1 network; expected at least 10; add networks"):
        run_folder(tmp_path / "nets", tmp_path / "run")
    for number in range(8):
        save(tmp_path / "few" / f"n{number}.pt", 4, number)
    save(tmp_path / "few" / "giant1.pt", 900, 0)
    (tmp_path / "few" / "torn.pt").write_bytes(b"PK\x03\x04 torn")
    monkeypatch.setattr(outlook, "VERY_LARGE", 1000)
    with pytest.raises(MetarepError, match=r"met 8 networks \| torn\.pt \(damaged .*; expected at least 10"):
        run_folder(tmp_path / "few", tmp_path / "run")
    for epoch in range(12):
        save(tmp_path / "nets" / f"one_epoch{epoch}.pt", 4, epoch)
    with pytest.raises(MetarepError, match="too few training runs; met 13 networks of 1 training run,"):
        run_folder(tmp_path / "nets", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_network_much_larger_than_the_others_is_left_out_and_never_read(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(outlook, "VERY_LARGE", 1000)
    save(folder / "giant.pt", 3000, 0)
    data = bytearray((folder / "giant.pt").read_bytes())
    data[len(data) // 2] ^= 255  # a checksum that no longer holds is met by whoever reads the values
    (folder / "giant.pt").write_bytes(data)
    line = next(line for line in said(folder).splitlines() if line.startswith("left out"))
    assert line.startswith("left out: giant.pt, 18,002 parameters, where most have about")
    assert "--set zoo.max_params=18002 keeps it" in line
    monkeypatch.setattr(pipeline, "later_stages", lambda *_: [])
    monkeypatch.setattr(outlook, "tell", lambda *_: None)
    out = run_folder(folder, tmp_path / "run")
    assert "giant.pt" in (out / "zoo" / "account.csv").read_text()
    assert run_folder(folder, out) == out
    with pytest.raises(MetarepError, match=r"cannot be read|checksum"):
        run_folder(folder, tmp_path / "other", overrides=["zoo.max_params=18002", "zoo.skip_damaged=false"])


def test_many_architectures_and_damaged_files_are_said(tmp_path):
    (tmp_path / "nets").mkdir()
    for i in range(30):
        save(tmp_path / "nets" / f"n{i}.pt", 3 + i, i)
    (tmp_path / "nets" / "torn.pt").write_bytes((tmp_path / "nets" / "n0.pt").read_bytes()[:500])
    text = said(tmp_path / "nets")
    assert "30 networks of 30 architectures" in text
    assert "and 25 further architectures" in text
    assert "most architectures have one network each" in text
    assert "left out: torn.pt: not read: damaged or was not written by torch.save; copy it again, or save it" in text
    assert looked_at(tmp_path / "nets")[0].embeddings == ("layers", "pooled")


def test_labels_of_other_files_end_it(folder, tmp_path):
    (tmp_path / "labels.csv").write_text("file,kind\nelsewhere,a\n")
    with pytest.raises(MetarepError, match="matches none of the files"):
        run_folder(folder, tmp_path / "run", labels=tmp_path / "labels.csv")


def test_of_very_many_files_some_heads_are_read_and_all_large_ones(folder, monkeypatch):
    monkeypatch.setattr("metarep.zoos.survey.MAX_HEADS", 4)
    save(folder / "z.pt", 30_000, 0)
    survey = survey_of(config_of(folder))
    assert (survey.n_files, survey.n_read) == (13, 5)
    assert max(group.n_params for group in survey.groups) == 180_002
    assert "about (heads of 5 files were read)" in said(folder)


def test_quick_takes_some_files(folder, monkeypatch):
    monkeypatch.setattr(outlook, "QUICK_FILES", 10)
    config, survey = looked_at(folder, quick=True)
    assert (survey.n_files, config.zoo.max_files) == (10, 10)
    assert {"audit", "parts"} <= set(config.without)


def test_a_killed_run_carries_on_with_the_same_command(folder, tmp_path, monkeypatch):
    how = {"overrides": ["pretrain.n_steps=4", "pretrain.d_model=8", "pretrain.n_layers=1", "pretrain.n_heads=1"]}
    real = pipeline.later_stages
    monkeypatch.setattr(pipeline, "later_stages", lambda *words: real(*words)[:1])
    whole = run_folder(folder, tmp_path / "whole", **how)
    from metarep.model import pretraining

    def killed(*words, **how):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "evaluate", killed)
        with pytest.raises(KeyboardInterrupt):
            run_folder(folder, tmp_path / "run", **how)
    assert [one.name for one in artefacts_of(tmp_path / "run")] == ["zoo"]
    heard = Heard()
    run_folder(folder, tmp_path / "run", progress=heard, **how)
    assert heard.line("carries on: ").startswith("carries on: 1 of ")
    assert not any(line.startswith("time: ") for line in heard.lines)
    for one in ("zoo", "model"):
        assert (tmp_path / "run" / one / "manifest.json").read_bytes() == (whole / one / "manifest.json").read_bytes()


def test_a_zoo_is_run_as_a_folder_is(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(outlook, "tell", lambda *_: None)
    monkeypatch.setattr(pipeline, "later_stages", lambda *_: [])
    zoo = run_folder(folder, tmp_path / "run") / "zoo"
    assert run_folder(zoo, tmp_path / "again") == tmp_path / "again"
    survey = survey_of(config_of(zoo))
    assert (survey.n_networks, survey.activation) == (12, None)
    assert fitted(replace(survey, groups=survey.groups[:1], activation="relu"), quick=False)["embeddings"][0] == "activity"


def test_units_are_counted_once_a_network():
    from metarep.networks.architecture import Architecture

    survey = Survey("x", (Group(Architecture(()), 3, 5, "a"),), 3, 3, ("a", "b", "c"))
    assert survey.n_units == 15
