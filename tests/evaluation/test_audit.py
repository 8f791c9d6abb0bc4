"""The audit: copies of the same function move as little as the model's symmetries say, and others are told apart."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))
from small_networks import TINY, imported_zoo, parts_of, random_tensors

from metarep.errors import MetarepError
from metarep.evaluation.audit import COLUMNS, audit, sentence
from metarep.evaluation.rewriting import REWRITINGS, Networks, dead_units, resized
from metarep.evaluation.settings import AuditConfig
from metarep.model.pretraining import pretrain
from metarep.model.settings import PretrainConfig
from metarep.networks.structure import Declared
from metarep.report.audit_section import png_of_rows
from metarep.tables import read_csv
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig

FAMILY = {"variant": "e03", "n_networks": 60, "n_steps": 30}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A zoo of ReLU networks and a model of it."""
    folder = tmp_path_factory.mktemp("audit")
    zoo = build_zoo(ZooConfig(families=[FAMILY]), folder / "zoo")
    return zoo, pretrain(PretrainConfig(**TINY, n_steps=4, eval_every=4), zoo, folder / "model")


def networks_of(spec: str, n: int = 3, **changes) -> Networks:
    """Random networks; tensors in `changes` are replaced."""
    architecture, symmetries = parts_of(spec)
    tensors = random_tensors(spec, n) | changes
    inputs = torch.rand(64, architecture.tensors[0].shape[1], generator=torch.Generator().manual_seed(0))
    return Networks(
        torch.arange(n), architecture, symmetries, tensors, Declared(activation="relu", output_activation="identity"), inputs
    )


def outputs(networks: Networks, row: int = 0) -> torch.Tensor:
    return networks.forward.outputs({name: value[row] for name, value in networks.tensors.items()}, networks.inputs)


def made(name: str, networks: Networks, seed: int = 0) -> list[Networks]:
    make = next(one.make for one in REWRITINGS if one.name == name)
    return list(make(networks, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("name", ["permuted", "scaled", "widened"])
def test_rewritings_keep_the_function_and_half_of_one_does_not(name):
    networks = networks_of("3-6-5-2")
    (copies,) = made(name, networks)
    assert [tensor.shape for tensor in copies.architecture.tensors] == [tuple(v.shape[1:]) for v in copies.tensors.values()]
    assert sum(units.n for units in copies.symmetries.groups) == 16 + (name == "widened")
    for row in range(3):
        torch.testing.assert_close(outputs(copies, row), outputs(networks, row), atol=1e-4, rtol=1e-4)
    split = resized(networks, 1, [*range(6), 2], torch.ones(7))
    assert max(float((outputs(split, row) - outputs(networks, row)).abs().max()) for row in range(3)) > 1e-2


def test_units_that_are_not_read_or_never_on_are_dead():
    networks = networks_of("3-6-5-2")
    networks.tensors["2.weight"][0, :, 4] = 0  # unit 4 of the first network is not read
    networks.tensors["0.bias"][1, 2] = -100  # unit 2 of the second is never on
    dead = dead_units(networks)
    assert dead[1][0, 4]
    assert dead[1][1, 2]
    pruned = {int(one.rows[0]): one for one in made("pruned", networks)}
    assert {0, 1} <= pruned.keys()
    for row, one in pruned.items():
        assert one.tensors["0.weight"].shape[1] < 6 or one.tensors["2.weight"].shape[1] < 5
        torch.testing.assert_close(outputs(one), outputs(networks, row), atol=1e-5, rtol=1e-5)


def test_the_audit_of_networks_whose_symmetries_are_known(built, tmp_path):
    zoo, model = built
    path = audit(AuditConfig(n_networks=8, n_bootstraps=20), model, zoo, tmp_path / "audit", draw=png_of_rows)
    rows = read_csv(path / "audit.csv")
    assert tuple(rows[0]) == COLUMNS
    by_name = {row["rewriting"]: row for row in rows if row["metric"] == "median"}
    assert {"permuted", "scaled", "widened"} <= by_name.keys()
    assert by_name["permuted"]["value"] < 1e-3
    assert by_name["widened"]["value"] > 10 * by_name["permuted"]["value"]
    assert by_name["scaled"]["value"] > 10 * by_name["permuted"]["value"]
    assert {row["function"] for row in rows} == {"equal"}
    for row in rows:
        assert row["low"] <= row["value"] + 1e-9
        assert row["value"] <= row["high"] + 1e-9
    said = sentence(rows)
    assert said.startswith("Permuted copies move by 0.00 of the distance to the nearest other network; ")
    assert "widened copies by" in said
    assert (path / "audit.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_settings_give_the_same_table(built, tmp_path):
    config = AuditConfig(n_networks=4, n_bootstraps=20, kind="layers")
    first, again = (audit(config, built[1], built[0], tmp_path / name) for name in "ab")
    assert (first / "audit.csv").read_bytes() == (again / "audit.csv").read_bytes()
    with pytest.raises(MetarepError, match="already finished"):
        audit(config, built[1], built[0], first)


def test_networks_of_which_nothing_is_known_depend_on_the_order_of_their_units(tmp_path):
    """Two branches under names that leave open who reads them."""
    (tmp_path / "files").mkdir()
    shapes = {"b1.weight": (6, 3), "gate.weight": (6, 3), "skip.weight": (6, 3), "end.weight": (2, 6)}
    for number in range(40):
        generator = torch.Generator().manual_seed(number)
        tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        torch.save(tensors, tmp_path / "files" / f"n{number}.pt")
    zoo = import_networks(ImportConfig(), [tmp_path / "files"], tmp_path / "zoo")
    model = pretrain(PretrainConfig(**TINY, n_steps=2, eval_every=2, chunk=2, context=64), zoo, tmp_path / "model")
    rows = read_csv(audit(AuditConfig(n_networks=6, n_bootstraps=20), model, zoo, tmp_path / "audit") / "audit.csv")
    assert {(row["rewriting"], row["function"]) for row in rows} == {("renumbered", "not kept")}
    assert rows[0]["value"] > 0.01
    assert "depend on the order in which units were saved" in sentence(rows)


def test_imported_chains_have_no_known_function_and_their_order_does_not_matter(tmp_path):
    """One network has no other of its architecture beside it: there is no distance to hold its copies against."""
    imported_zoo(tmp_path / "chains", ["3-6-2"], 12)
    alone = {name: value[0] for name, value in random_tensors("5-4-3-2", 1).items()}
    torch.save(alone, tmp_path / "chains" / "files" / "alone.pt")
    zoo = import_networks(ImportConfig(), [tmp_path / "chains" / "files"], tmp_path / "zoo")
    model = pretrain(PretrainConfig(**TINY, n_steps=2, eval_every=2), zoo, tmp_path / "model")
    rows = read_csv(audit(AuditConfig(n_networks=13, n_bootstraps=20), model, zoo, tmp_path / "audit") / "audit.csv")
    found = {row["rewriting"]: row for row in rows if row["metric"] == "p90"}
    assert set(found) == {"permuted", "widened"}
    assert found["permuted"]["value"] < 1e-3
    assert {(row["function"], row["n_networks"]) for row in rows} == {("assumed", 12)}
    assert np.isfinite([row["value"] for row in rows]).all()


def test_nothing_to_rewrite_is_said():
    assert "nothing was audited" in sentence([])
