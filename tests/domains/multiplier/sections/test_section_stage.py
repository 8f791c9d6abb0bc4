"""`metarep parts` with a model of small networks: from a checkpoint to a page, and what it refuses."""

import csv

import pytest
import torch
from torch import nn

from metarep.artefact import open_artefact
from metarep.cloze.pretrain import pretrain
from metarep.cloze.settings import PretrainConfig
from metarep.domains.multiplier.sections.stage import find_parts
from metarep.errors import MetarepError
from metarep.parts.settings import PartsConfig
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig

CONFIG = PartsConfig(n_shuffles=4)


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


def test_sections_units_and_page_are_written(model, tmp_path):
    network = saved(tmp_path / "network.pt", nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    path = find_parts(CONFIG, model, network, tmp_path / "parts")
    assert open_artefact(path, "parts", check_hashes=True)
    with (path / "units.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["unit"] for row in rows] == [str(number) for number in range(6)]
    with (path / "tests.csv").open(newline="") as file:
        tests = list(csv.DictReader(file))
    assert {row["statistic"] for row in tests} == {"number", "summed affinity"}
    assert all(1 / 5 <= float(row["p"]) <= 1 for row in tests)
    assert "sections in 6 hidden units" in (path / "report.html").read_text()


def test_other_networks_are_refused(model, tmp_path):
    deep = saved(tmp_path / "deep.pt", nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    with pytest.raises(MetarepError, match=r"one hidden layer.*two linear layers"):
        find_parts(CONFIG, model, deep, tmp_path / "parts")
    wide = saved(tmp_path / "wide.pt", nn.Linear(2, 300), nn.ReLU(), nn.Linear(300, 1))
    with pytest.raises(MetarepError, match="at most 256"):
        find_parts(CONFIG, model, wide, tmp_path / "parts")
    assert not (tmp_path / "parts").exists()
