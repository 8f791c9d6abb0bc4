"""What the multipliers add to `metarep parts`: known networks inside one hidden layer, or a sentence."""

import csv

import pytest
import torch
from torch import nn

from metarep.artefact import open_artefact
from metarep.domains.multiplier.sections.stage import one_hidden
from metarep.errors import MetarepError
from metarep.model.pretraining import pretrain
from metarep.model.settings import PretrainConfig
from metarep.parts.settings import PartsConfig
from metarep.parts.source import open_source
from metarep.parts.stage import parts
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig

CONFIG = PartsConfig(n_shuffles=4, n_bootstraps=2, ks=(2,))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    zoo = build_zoo(ZooConfig(families=[{"variant": "e09", "n_networks": 60, "n_steps": 400}]), folder / "zoo")
    settings = {"behaviour_weight": 1.0, "d_model": 16, "n_layers": 1, "n_steps": 20, "eval_every": 10, "batch_size": 32}
    return pretrain(PretrainConfig(**settings), zoo, folder / "model")


def saved(path, *layers):
    torch.manual_seed(0)
    torch.save(nn.Sequential(*layers).state_dict(), path)
    return path


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_sections_and_units_are_written_beside_the_parts(model, tmp_path):
    network = saved(tmp_path / "network.pt", nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    path = parts(CONFIG, model, network, tmp_path / "parts")
    assert open_artefact(path, "parts", check_hashes=True)
    assert [row["unit"] for row in rows_of(path / "units.csv")] == [str(number) for number in range(6)]
    tests = [row for row in rows_of(path / "tests.csv") if row["part"] == "section"]
    assert {row["statistic"] for row in tests} == {"number", "summed affinity"}
    assert all(1 / 5 <= float(row["p"]) <= 1 for row in tests)
    assert "sections in 6 hidden units" in (path / "report.html").read_text()


def test_other_networks_are_taken_apart_without_sections(model, tmp_path):
    deep = saved(tmp_path / "deep.pt", nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    path = parts(CONFIG, model, deep, tmp_path / "parts")
    assert "in one hidden layer" in (path / "findings.md").read_text()
    assert not (path / "sections.csv").exists()
    assert rows_of(path / "parts.csv")
    wide = saved(tmp_path / "wide.pt", nn.Linear(2, 300), nn.ReLU(), nn.Linear(300, 1))
    with pytest.raises(MetarepError, match="at most 256"):
        one_hidden(open_source(wide))
