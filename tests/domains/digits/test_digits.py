"""Digit networks: figures belong to the tensors, seeds reproduce bytes, builds that were broken off carry on."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from metarep.domains.digits.build import build_digits
from metarep.domains.digits.networks import ARCHITECTURES, build_network
from metarep.domains.digits.settings import DigitsConfig, draw_hyperparameters
from metarep.domains.digits.training import build_optimiser, load_pictures, own_pictures, train_network
from metarep.errors import MetarepError
from metarep.model.data import read_probes
from metarep.model.settings import PretrainConfig
from metarep.networks.chain_forward import input_and_output_widths
from metarep.networks.check import stated_of
from metarep.networks.forward_passes import forward_pass
from metarep.zoos.zoo import open_zoo

SMALL = {"n_runs": 8, "epochs": (1, 2), "designs": ("two-conv", "three-conv-norm")}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return build_digits(DigitsConfig(**SMALL), tmp_path_factory.mktemp("digits") / "zoo")


@pytest.mark.parametrize("design", ARCHITECTURES)
def test_every_design_maps_pictures_to_ten_logits(design):
    settings = draw_hyperparameters(0, (design,), seed=0)
    network = build_network(settings)
    assert network(load_pictures()[0].x[:5]).shape == (5, 10)
    assert 1000 < sum(value.numel() for value in network.parameters()) < 6000


def test_what_is_declared_of_a_network_runs_it_as_it_was_trained(zoo):
    networks = open_zoo(zoo)
    assert set(networks["activation"]) == {"relu", "tanh"}
    for row, network_id in enumerate(networks.network_id):
        settings = draw_hyperparameters(int(networks.run_id[row][-5:]), SMALL["designs"], seed=0)
        module, tensors, number = (
            build_network(settings).double().eval(),
            networks.network(network_id),
            networks.architecture[row],
        )
        module.load_state_dict(tensors)
        architecture = networks.architectures[number]
        assert input_and_output_widths(architecture) == (64, 10)
        run = forward_pass(architecture, networks.symmetries[number], stated_of(architecture))
        x = load_pictures()[1].x[:7].double()
        with torch.no_grad():
            torch.testing.assert_close(run.outputs({n: t.double() for n, t in tensors.items()}, x), module(x))


def test_pictures_without_their_classes_are_probes():
    found = read_probes(PretrainConfig(probes="digits"))
    assert found.shape == (1024, 1, 8, 8)
    assert np.array_equal(found, load_pictures()[0].x[:1024].numpy())
    points = read_probes(PretrainConfig(probes="multiplier"))
    line = read_probes(PretrainConfig(probes="functions"))
    assert (points.shape, line.shape) == ((1024, 2), (1024, 1))
    for some, low in ((points[:64], 0), (line[:64], -1)):  # the first few are all over the domain
        assert some.min() == pytest.approx(low, abs=0.1)
        assert some.max() == pytest.approx(1, abs=0.1)
    with pytest.raises(MetarepError, match=r"holds no probe inputs.*has inputs: .*digits"):
        read_probes(PretrainConfig(probes="groups"))


def test_the_test_pictures_are_not_trained_on():
    train, test = load_pictures()
    assert len(train.y) + len(test.y) == 1797
    own = own_pictures(draw_hyperparameters(3, ("two-conv",), seed=0), train)
    held = {picture.numpy().tobytes() for picture in test.x}
    assert sum(picture.numpy().tobytes() in held for picture in own.x) <= 1  # one picture stands twice in the data


def test_figures_come_from_the_tensors_that_are_kept():
    settings = draw_hyperparameters(1, ("three-conv-norm",), seed=0)
    (first, last) = train_network(settings, (1, 3))
    assert (first.epoch, last.epoch) == (1, 3)
    network = build_network(settings)
    network.load_state_dict(last.tensors)
    test = load_pictures()[1]
    with torch.no_grad():
        logits = network.eval()(test.x)
    assert float((logits.argmax(1) == test.y).float().mean()) == pytest.approx(last.figures["test_accuracy"])
    assert last.figures["gap"] == pytest.approx(last.figures["train_accuracy"] - last.figures["test_accuracy"])
    assert F.cross_entropy(logits, test.y).item() == pytest.approx(last.figures["test_loss"], rel=1e-5)


def test_optimisers_are_those_of_the_settings():
    for run in range(12):
        settings = draw_hyperparameters(run, ("two-conv",), seed=0)
        optimiser = build_optimiser(settings, build_network(settings))
        assert type(optimiser).__name__.lower() == settings.optimiser
        assert optimiser.param_groups[0]["lr"] == settings.lr


def test_the_zoo_holds_a_row_a_snapshot_and_splits_by_run(zoo):
    networks = open_zoo(zoo)
    assert len(networks) <= 16
    runs = np.array(networks["run_id"])
    split = np.array(networks["split"])
    assert all(len(set(split[runs == run])) == 1 for run in set(runs))
    assert set(networks["design"]) == set(SMALL["designs"])
    assert set(networks["epoch"]) == {1, 2}
    assert "conv1.weight" in networks.network(networks["network_id"][0])
    assert {"test_accuracy", "gap", "lr", "epoch"} <= set(networks.properties)
    assert (networks.domain, set(networks.labels)) == ("digits", {"design", "activation", "optimiser"})


def test_a_build_that_was_broken_off_carries_on_with_the_same_bytes(zoo, tmp_path, monkeypatch):
    import metarep.domains.digits.build as stage

    group, calls = stage.train_group, []

    def break_off(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return group(*args)

    monkeypatch.setattr(stage, "GROUP", 4)
    monkeypatch.setattr(stage, "train_group", break_off)
    with pytest.raises(KeyboardInterrupt):
        build_digits(DigitsConfig(**SMALL), tmp_path / "zoo")
    assert list((tmp_path / "zoo.partial").glob("group-*.safetensors"))
    monkeypatch.setattr(stage, "train_group", group)
    again = build_digits(DigitsConfig(**SMALL), tmp_path / "zoo")
    assert (again / "manifest.json").read_bytes() == (zoo / "manifest.json").read_bytes()
