"""Sine networks: signals are what they say, what is kept holds them, broken builds carry on."""

import gzip
from itertools import pairwise

import numpy as np
import pytest
import torch

from metarep.domains.inr import build as stage
from metarep.domains.inr.build import build_inr
from metarep.domains.inr.settings import InrConfig
from metarep.domains.inr.signals import CLOTHES, draw_signals
from metarep.domains.inr.training import first_parameters, fit_networks, folded, outputs
from metarep.errors import MetarepError
from metarep.zoos.zoo import open_zoo

SMALL = {"n_networks": 40, "n_points": 512, "n_steps": 30, "widths": (8, 8)}


def run(tensors: dict[str, torch.Tensor], x: np.ndarray) -> np.ndarray:
    """(B, S): the networks as anyone would run them, sines between linear layers."""
    h = torch.from_numpy(x).float().expand(len(tensors["layers.0.weight"]), -1, -1)
    n = sum(name.endswith("weight") for name in tensors)
    for number in range(n):
        h = h @ tensors[f"layers.{number}.weight"].mT + tensors[f"layers.{number}.bias"].unsqueeze(1)
        h = torch.sin(h) if number < n - 1 else h
    return h.squeeze(-1).numpy()


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return build_inr(InrConfig(**SMALL), tmp_path_factory.mktemp("inr") / "zoo")


def test_sines_are_drawn_evenly_and_follow_from_the_seed():
    signals = draw_signals(InrConfig(n_networks=2000, n_points=8))
    known = np.array([[one["amplitude"], one["frequency"]] for one in signals.known])
    np.testing.assert_allclose(
        np.quantile(known, [0, 0.25, 0.5, 0.75, 1], axis=0), np.full((5, 2), [[0], [2.5], [5], [7.5], [10]]), atol=0.4
    )
    np.testing.assert_allclose(signals.values[7], known[7, 0] * np.sin(known[7, 1] * signals.coordinates[:, 0]))
    assert draw_signals(InrConfig(n_networks=2000, n_points=8, seed=1)).known != signals.known


def test_pictures_have_their_classes_and_stay_with_their_copies():
    signals = draw_signals(InrConfig(signals="digits", n_networks=3000))
    assert signals.values.shape == (3000, 64)
    assert signals.coordinates.shape == (64, 2)
    runs = np.array(signals.runs)
    first, again = np.flatnonzero(runs == runs[0])
    np.testing.assert_array_equal(signals.values[first], signals.values[again])
    assert signals.known[first] == signals.known[again]


def test_files_of_fashion_mnist_are_read_or_asked_for(tmp_path):
    with pytest.raises(MetarepError, match="dataset-fashion-mnist"):
        draw_signals(InrConfig(signals="fashion-mnist", folder=tmp_path))
    rng = np.random.default_rng(0)
    pictures, classes = rng.integers(256, size=(12, 28, 28), dtype=np.uint8), rng.integers(10, size=12, dtype=np.uint8)
    for name, rows in (("train", slice(0, 9)), ("t10k", slice(9, 12))):
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + pictures[rows].tobytes()))
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + classes[rows].tobytes()))
    signals = draw_signals(InrConfig(signals="fashion-mnist", folder=tmp_path, n_networks=12))
    number = int(signals.runs[0].rpartition("-")[2])
    np.testing.assert_allclose(signals.values[0], pictures[number].reshape(-1) / 255)
    assert signals.known[0]["class"] == CLOTHES[classes[number]]


def test_what_is_kept_is_what_was_fitted():
    config = InrConfig(n_networks=6, n_points=64, n_steps=200, widths=(16,), enough=0)
    signals = draw_signals(config)
    found = fit_networks(config, signals.coordinates, signals.values, range(6))
    tensors = {name: value for name, value in found.items() if name.startswith("layers.")}
    errors = np.square(run(tensors, signals.coordinates) - signals.values).mean(axis=1)
    np.testing.assert_allclose(errors, found["mse"], rtol=1e-3)
    start = [torch.stack(own) for own in zip(*[first_parameters(config, 1, seed) for seed in range(6)], strict=True)]
    before = outputs(start, torch.from_numpy(signals.coordinates).float(), config.frequency).numpy()
    np.testing.assert_allclose(run(folded(start, config.frequency), signals.coordinates), before, atol=1e-4)
    assert (errors < np.square(before - signals.values).mean(axis=1)).all()


def test_a_network_is_as_if_fitted_alone():
    config = InrConfig(n_networks=5, n_points=32, n_steps=40, widths=(8, 8))
    signals = draw_signals(config)
    together = fit_networks(config, signals.coordinates, signals.values, range(5))
    alone = fit_networks(config, signals.coordinates, signals.values[3:4], [3])
    for name in ("layers.1.weight", "layers.2.bias"):
        np.testing.assert_allclose(together[name][3], alone[name][0], rtol=1e-3, atol=1e-4)


def test_a_network_that_is_good_enough_is_left_as_it_is():
    config = InrConfig(n_networks=8, n_points=32, n_steps=300, widths=(16,), enough=1.0)
    signals = draw_signals(config)
    found = fit_networks(config, signals.coordinates, signals.values, range(8))
    early = found["n_steps"] < config.n_steps
    assert early.any()
    assert (found["mse"][early] <= config.enough).all()
    tensors = {name: value for name, value in found.items() if name.startswith("layers.")}
    errors = np.square(run(tensors, signals.coordinates) - signals.values).mean(axis=1)
    np.testing.assert_allclose(errors, found["mse"], rtol=1e-3)


def test_first_weights_are_those_of_sine_networks():
    config = InrConfig(widths=(512, 512))
    parameters = first_parameters(config, 2, seed=0)
    for weight, n_in in zip(parameters[:-2:2], (2, 512), strict=True):
        assert config.frequency * float(weight.abs().max()) == pytest.approx((6 / n_in) ** 0.5, rel=0.01)
    assert all(not bias.any() for bias in parameters[1:-2:2])
    assert [own.shape[0] for own in parameters[::2]] == [n_out for _, n_out in pairwise((2, *config.widths, 1))]


def test_the_zoo_says_what_each_network_holds(zoo):
    networks = open_zoo(zoo)
    assert (networks.domain, networks.activation, tuple(networks.labels)) == ("inr", "sin", ())
    assert {"amplitude", "frequency", "log_error"} == set(networks.properties)
    tensors = {
        name: torch.stack([networks.network(one)[name] for one in networks["network_id"]])
        for name in networks.network(networks["network_id"][0])
    }
    signals = draw_signals(InrConfig(**SMALL))
    errors = np.square(run(tensors, signals.coordinates) - signals.values).mean(axis=1)
    np.testing.assert_allclose(np.log10(errors), networks["log_error"], atol=1e-3)
    assert [group.interchangeable for group in networks.symmetries[0].groups].count(True) == 2


def test_a_build_that_was_broken_off_carries_on_with_the_same_bytes(zoo, tmp_path, monkeypatch):
    def stop(jobs, *how):
        stage.fit_batch(jobs[0], *how)
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "spread", lambda function, jobs, *how, in_order: iter([stop(jobs, *how)]))
    with pytest.raises(KeyboardInterrupt):
        build_inr(InrConfig(**SMALL), tmp_path / "zoo")
    monkeypatch.undo()
    monkeypatch.setattr(stage, "POINTS_AT_ONCE", 4 * stage.POINTS_AT_ONCE)  # as on another device
    again = build_inr(InrConfig(**SMALL), tmp_path / "zoo")
    assert len(open_zoo(again)) == SMALL["n_networks"]
    monkeypatch.undo()
    again = build_inr(InrConfig(**SMALL), tmp_path / "zoo", overwrite=True)
    assert sorted(path.name for path in again.iterdir()) == sorted(path.name for path in zoo.iterdir())
    for path in again.iterdir():
        if path.name != "manifest.json":
            assert path.read_bytes() == (zoo / path.name).read_bytes(), path.name
