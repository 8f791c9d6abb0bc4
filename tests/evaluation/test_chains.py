"""Outputs and contributions of chains without a spec: against a forward pass by hand, and what they must not see."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from metarep.domains.digits.build import build_digits
from metarep.domains.digits.networks import build_network
from metarep.domains.digits.settings import DigitsConfig, draw_hyperparameters
from metarep.domains.digits.training import unlabelled_pictures
from metarep.domains.inr.build import build_inr
from metarep.domains.inr.settings import InrConfig
from metarep.evaluation import chains
from metarep.evaluation.baselines import baselines_of
from metarep.evaluation.chains import SEED, chain_of, chains_of, runs_of
from metarep.networks.tensor_symmetry import permuted
from metarep.zoos.columns import Contents
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo

N_POINTS = {"outputs": 64, "exact_contributions": 25}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    config = InrConfig(seed=3, n_networks=7, n_points=16, n_steps=20, widths=(5, 4), frequency=3.0)
    return open_zoo(build_inr(config, tmp_path_factory.mktemp("inr") / "zoo"))


def made(zoo):
    return {one.name: one.make(zoo, np.ones(len(zoo), dtype=bool)) for one in baselines_of(zoo) if one.name in N_POINTS}


def by_hand(tensors, n_points):
    """The activations (S, units) of both hidden layers and the outputs (S, 1) at the inputs of the baselines."""
    x, layers = torch.randn(n_points, 1, generator=torch.Generator().manual_seed(SEED)), []
    for number in range(2):
        x = torch.sin(x @ tensors[f"layers.{number}.weight"].T + tensors[f"layers.{number}.bias"])
        layers.append(x)
    return *layers, x @ tensors["layers.2.weight"].T + tensors["layers.2.bias"]


def test_outputs_and_contributions_are_those_of_the_networks(zoo, monkeypatch):
    monkeypatch.setattr(chains, "AT_ONCE", 2 * 64 * 9)  # two networks at a time
    found = made(zoo)
    for row in range(len(zoo)):
        tensors = zoo.raw_tensors(row)
        np.testing.assert_allclose(found["outputs"][row], by_hand(tensors, 64)[2].flatten(), atol=1e-5)
        _, last, _ = by_hand(tensors, 25)
        terms = (last * tensors["layers.2.weight"]).T
        strongest = terms[terms.square().mean(dim=1).argsort(descending=True)]
        assert found["exact_contributions"].shape == (len(zoo), 25 * 9)
        np.testing.assert_allclose(found["exact_contributions"][row, 25 * 5 :], strongest.flatten(), atol=1e-5)


class InMemory:
    """As much of a zoo as is asked for, of tensors (N, *shape)."""

    domain = None

    def __init__(self, tensors):
        self.tensors, self.architecture = tensors, np.zeros(len(tensors["layers.0.bias"]), dtype=int)

    def __len__(self):
        return len(next(iter(self.tensors.values())))

    def stacked(self, rows):
        return {name: value[rows] for name, value in self.tensors.items()}


@pytest.mark.parametrize(("make", "n_points"), [(chains.outputs, 64), (chains.contributions, 25)])
def test_the_order_of_units_does_not_show_and_other_weights_do(zoo, make, n_points):
    tensors, symmetries = zoo.stacked(np.arange(len(zoo))), zoo.symmetries[0]
    generator = torch.Generator().manual_seed(1)
    draws = [torch.rand(len(zoo), units.n, generator=generator) for units in symmetries.groups]
    orders = [
        draw.argsort(dim=1) if units.interchangeable else None for draw, units in zip(draws, symmetries.groups, strict=True)
    ]
    chain = chain_of(zoo) if make is chains.contributions else chains_of(zoo)
    one, moved, other = (
        make(InMemory(some), chain, n_points)
        for some in (tensors, permuted(tensors, symmetries, orders), tensors | {"layers.0.bias": -tensors["layers.0.bias"]})
    )
    np.testing.assert_allclose(moved, one, atol=1e-5)
    assert not torch.equal(permuted(tensors, symmetries, orders)["layers.0.weight"], tensors["layers.0.weight"])
    assert np.abs(other - one).max() > 0.1


def test_networks_whose_activation_is_not_known_have_neither(zoo):
    assert chains_of(replace(zoo, contents=Contents(None))) == {}
    assert made(replace(zoo, contents=Contents(None))) == {}


def test_large_networks_and_those_of_other_inputs_are_not_run(zoo, tmp_path, monkeypatch):
    for name, widths in (("a", (3, 5, 2)), ("b", (3, 4, 2)), ("c", (2, 5, 2))):
        (tmp_path / "files").mkdir(exist_ok=True)
        layers = torch.nn.Sequential(torch.nn.Linear(*widths[:2]), torch.nn.ReLU(), torch.nn.Linear(*widths[1:]))
        torch.save(layers.state_dict(), tmp_path / "files" / f"{name}.pt")
    (tmp_path / "architecture.yaml").write_text("activation: relu")
    how = {"architecture": tmp_path / "architecture.yaml"}
    mixed = open_zoo(import_networks(ImportConfig(), [tmp_path / "files"], tmp_path / "zoo", **how))
    assert runs_of(mixed) == {}
    alike = mixed.select(np.array([not str(name).startswith("c") for name in mixed.network_id]))
    assert len(runs_of(alike)) == 2
    monkeypatch.setattr(chains, "MAX_PARAMS", alike.architectures[0].n_params - 1)
    assert runs_of(alike) == {}


def test_the_outputs_of_a_network_are_looked_at_in_turn(tmp_path):
    config = DigitsConfig(n_runs=2, epochs=(1,), designs=("two-conv",))
    digits = open_zoo(build_digits(config, tmp_path / "zoo"))
    digits = digits.select(digits.architecture == digits.architecture[0])
    chain, inputs = runs_of(digits)[digits.architecture[0]], torch.from_numpy(unlabelled_pictures()[:25]).flatten(1)
    terms = chain.contributions(
        digits.stacked(np.arange(len(digits))), inputs, torch.tensor([*range(10), *range(10), *range(5)])
    )
    first = chains.strongest_first(terms[chain.layers[0].group]).flatten(1)
    np.testing.assert_allclose(chains.contributions(digits, chain, 25)[:, : first.shape[1]], first, atol=1e-5)


def test_networks_of_several_architectures_put_out_what_they_do_at_inputs_of_their_domain(tmp_path):
    config = DigitsConfig(n_runs=4, epochs=(1,), designs=("two-conv-wide", "three-conv-norm"))
    digits = open_zoo(build_digits(config, tmp_path / "zoo"))
    assert len(chains_of(digits)) > 1
    assert set(made(digits)) == {"outputs"}
    found = made(digits)["outputs"]
    for row, network_id in enumerate(digits.network_id):
        settings = draw_hyperparameters(int(digits.run_id[row][-5:]), config.designs, seed=0)
        module = build_network(settings).eval()
        module.load_state_dict(digits.network(network_id))
        with torch.no_grad():
            expected = module(torch.from_numpy(unlabelled_pictures()[:64]))
        np.testing.assert_allclose(found[row], expected.flatten(), atol=1e-4)


@pytest.mark.parametrize(("make", "size"), [(chains.outputs, 1e15), (chains.contributions, 1e38), (chains.outputs, 1e38)])
def test_weights_beyond_all_measure_give_numbers_that_have_squares(zoo, make, size):
    tensors = zoo.stacked(np.arange(len(zoo)))
    large = {
        name: value * torch.where(torch.arange(len(zoo)) == 2, size, 1.0).view(-1, *[1] * (value.ndim - 1))
        for name, value in tensors.items()
    }
    chain = replace(chain_of(zoo), activation="relu")
    found = make(InMemory(large), chain if make is chains.contributions else {0: chain}, 16)
    assert np.isfinite(np.square(found)).all()
    assert np.abs(found[2]).max() > 1e30
