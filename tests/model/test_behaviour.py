"""Behaviour as a target: contributions of every network that can be run, for whole networks, windows and probe files."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_networks import (
    TINY,
    architecture_with,
    model_for,
    parts_of,
    plan_for,
    random_tensors,
    whole_networks,
)
from torch import nn

from metarep.errors import MetarepError
from metarep.model.augment import jitter
from metarep.model.behaviour import BehaviourDecoder, ProbeSpace
from metarep.model.data import TrainingData, behaviour_of, cut_windows, forward_of, read_probes
from metarep.model.fitting import ask_behaviour, fit_statistics
from metarep.model.pretraining import draw_batch, prepare, probe_spaces
from metarep.model.settings import PretrainConfig
from metarep.networks.chain_forward import ACTIVATIONS, chain_forward
from metarep.networks.forward import contributions, forward
from metarep.networks.forward_passes import BUILDERS, ForwardPass, numbers
from metarep.networks.spec import NetworkSpec
from metarep.networks.tensor_symmetry import permuted, scaled
from metarep.progress import Progress
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo

CONFIG = PretrainConfig(**TINY, behaviour_weight=1.0, n_probes=9)
PROBES = torch.rand(7, 2, generator=torch.Generator().manual_seed(0))


def flat(tensors) -> np.ndarray:
    return torch.cat([value.flatten(1) for value in tensors.values()], dim=1).numpy()


@pytest.mark.parametrize("name", ["2-2-1", "2-5-1", "2-4-3-1"])
def test_contributions_of_a_chain_are_those_of_its_spec(name):
    networks, spec = whole_networks(name, 5), NetworkSpec.parse(name)
    outputs = torch.zeros(len(PROBES), dtype=torch.int64)
    found = networks.forward.contributions(networks.tensors, PROBES, outputs)
    expected = contributions(spec, flat(networks.tensors), PROBES.numpy())
    for values, own in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(values.transpose(1, 2).numpy(), own, atol=1e-4)
    both = networks.forward.outputs(networks.tensors, PROBES), forward(spec, flat(networks.tensors), PROBES.numpy())
    np.testing.assert_allclose(both[0].numpy(), both[1], atol=1e-4)


def modules(name: str, activation: type[nn.Module]) -> nn.Sequential:
    torch.manual_seed(0)
    if name == "conv":
        layers = [nn.Conv2d(2, 3, 3, padding=1), activation(), nn.Conv2d(3, 4, 3, padding=1), activation()]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 25, 6))
    return nn.Sequential(nn.Linear(4, 5), activation(), nn.Linear(5, 3), activation(), nn.Linear(3, 6))


@pytest.mark.parametrize(("activation", "module"), [("relu", nn.ReLU), ("tanh", nn.Tanh), ("gelu", nn.GELU), ("silu", nn.SiLU)])
@pytest.mark.parametrize(("name", "shape"), [("mlp", (4,)), ("conv", (2, 5, 5))])
def test_outputs_and_contributions_are_pytorchs(name, shape, activation, module):
    network = modules(name, module)
    tensors = {key: value.detach().unsqueeze(0) for key, value in network.state_dict().items()}
    architecture = architecture_with({key: tuple(value.shape[1:]) for key, value in tensors.items()})
    _, symmetries = parts_of(architecture)
    chain = chain_forward(architecture, symmetries, activation=activation, input_shape=shape)
    x, looked_at = torch.randn(4, *shape), torch.tensor([0, 3, 5, 3])
    hidden, values = [], x
    for layer in network:
        values = layer(values)
        if isinstance(layer, module):
            values.retain_grad()
            hidden.append(values)
    torch.testing.assert_close(chain.outputs(tensors, x.flatten(1))[0], values, atol=1e-5, rtol=1e-4)
    values[torch.arange(4), looked_at].sum().backward()
    found = chain.contributions(tensors, x.flatten(1), looked_at)
    for own, h in zip(found.values(), hidden, strict=True):
        expected = (h.detach() * h.grad).flatten(2).sum(-1) if h.ndim > 2 else h.detach() * h.grad
        torch.testing.assert_close(own[0].T, expected, atol=1e-5, rtol=1e-4)


def test_only_plain_chains_with_a_known_activation_are_run():
    beside = architecture_with({"query.weight": (4, 4), "key.weight": (4, 4), "norm.weight": (4,)})
    assert chain_forward(beside, parts_of(beside)[1], activation="relu") is None
    known, symmetries = parts_of("2-2-1")
    with pytest.raises(MetarepError, match="unknown activation"):
        chain_forward(known, symmetries, activation="swoosh")
    assert set(ACTIVATIONS) >= {"relu", "tanh", "gelu"}


class Gated:
    """tanh(a x) · sigmoid(b x), read by c: a network that no rule of metarep runs."""

    n_inputs, n_outputs = 3, 2

    def outputs(self, tensors, inputs):
        return self._units(tensors, inputs) @ tensors["read.weight"].mT

    def contributions(self, tensors, inputs, outputs):
        terms = self._units(tensors, inputs) * tensors["read.weight"][:, outputs]
        return {1: terms.transpose(1, 2)}  # the group behind the inputs

    def _units(self, tensors, inputs):
        return torch.tanh(inputs @ tensors["value.weight"].mT) * torch.sigmoid(inputs @ tensors["gate.weight"].mT)


def test_another_way_to_run_networks_enters_by_the_registry_alone(tmp_path, monkeypatch):
    folder = tmp_path / "files"
    folder.mkdir()
    shapes = {"value.weight": (5, 3), "gate.weight": (5, 3), "read.weight": (2, 5)}
    for number in range(30):
        generator = torch.Generator().manual_seed(number)
        torch.save(
            {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}, folder / f"run_{number}.pt"
        )
    (tmp_path / "architecture.yaml").write_text("structure: [{elementwise: [value, gate]}, read]")
    zoo = import_networks(ImportConfig(), [folder], tmp_path / "zoo", architecture=tmp_path / "architecture.yaml")
    config = PretrainConfig(**TINY, behaviour_weight=1.0, n_probes=9)
    with pytest.raises(MetarepError, match="cannot be run"):
        prepare(config, [open_zoo(zoo)], progress=Progress())
    gated = ForwardPass("gated", Gated().outputs, numbers(3), behaving=Gated())
    monkeypatch.setitem(BUILDERS, "gated", lambda architecture, symmetries, stated: gated)
    prepared = prepare(config, [open_zoo(zoo)], progress=Progress())
    (segment,), _, _ = draw_batch(config, prepared.model, prepared.train, 0)
    assert segment.behaviour.contributions.shape[1:] == (5, config.n_probes)
    whole = Gated().outputs(segment.tensors, segment.behaviour.probes.inputs)
    looked_at = segment.behaviour.probes.outputs.view(1, -1, 1).expand(len(whole), -1, 1)
    torch.testing.assert_close(segment.behaviour.contributions.sum(dim=1), whole.gather(2, looked_at).squeeze(2))


def test_behaviour_follows_the_units_and_knows_no_scale():
    networks = whole_networks("2-4-3-1", 6)
    space = ProbeSpace(8, 2, 1, 0.0, 1.0)
    probes, generator = space.fixed(9), torch.Generator().manual_seed(1)
    tell = lambda tensors: behaviour_of(networks.plan, networks.forward, tensors, probes).contributions  # noqa: E731
    hidden = [units for units in networks.symmetries.groups if units.interchangeable]
    groups = networks.symmetries.groups
    orders = [torch.randperm(u.n, generator=generator).expand(6, -1) if u in hidden else None for u in groups]
    factors = [torch.rand(6, u.n, generator=generator).double() + 0.5 if u in hidden else None for u in groups]
    before, moved = tell(networks.tensors), tell(permuted(networks.tensors, networks.symmetries, orders))
    places = torch.cat([orders[1][0], 4 + orders[2][0]])
    torch.testing.assert_close(moved, before[:, places], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(tell(scaled(networks.tensors, networks.symmetries, factors)), before, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(moved, before, atol=1e-2)


def test_networks_without_hidden_units_have_no_behaviour():
    networks = whole_networks("2-1", 4)
    assert behaviour_of(networks.plan, networks.forward, networks.tensors, ProbeSpace(8, 2, 1, 0.0, 1.0).fixed(4)) is None


@pytest.mark.parametrize("units", ["raw", "shuffled"])
def test_jitter_changes_unmasked_networks_alone_and_their_targets_with_them(units):
    settings = {"units": units, "batch_size": 200, "unmasked_share": 0.5, "behaviour_weight": 1.0, "d_model": 16, "n_heads": 2}
    networks, config = whole_networks("2-2-1", 300), PretrainConfig(**settings)
    model, data = model_for(config, networks), TrainingData([networks])
    still, moved = (draw_batch(config.model_copy(update={"jitter": most}), model, data, step=3) for most in (0.0, 1.0))
    (mask,), (before,), (after,) = moved[1], still[0], moved[0]
    torch.testing.assert_close(mask, still[1][0])
    noisy = ~mask.flatten(1).any(dim=1)
    assert 0.3 < noisy.float().mean() < 0.7
    assert torch.equal(before.values[~noisy], after.values[~noisy])
    assert (before.values[noisy] != after.values[noisy]).flatten(1).any(dim=1).all()
    told = behaviour_of(networks.plan, networks.forward, after.tensors, after.behaviour.probes)
    torch.testing.assert_close(after.behaviour.contributions, told.contributions)
    torch.testing.assert_close(networks.plan.whole_values(after.tensors), after.values)
    others = behaviour_of(networks.plan, networks.forward, before.tensors, after.behaviour.probes)
    assert not torch.allclose(others.contributions[noisy], told.contributions[noisy], atol=0.1)


def test_the_strength_of_jitter_is_uniform_in_units_of_the_spread():
    spread, zero = {"w": torch.arange(1.0, 10.0)}, {"w": torch.zeros(20_000, 9)}
    noise = jitter(zero, spread, 2.0, generator=torch.Generator().manual_seed(0))["w"] / spread["w"]
    np.testing.assert_allclose(noise.std(dim=0).numpy(), 2.0 / 3**0.5, rtol=0.03)
    strength = noise.square().mean(dim=1).sqrt()
    assert strength.quantile(0.05) < 0.2
    assert strength.quantile(0.95) > 1.6


def cohort_of(name: str, n: int, context: int, input_shape=None):
    """Networks of a zoo in memory that are larger than one window, and their tensors."""
    architecture, symmetries = parts_of(name)
    tensors = random_tensors(name, n)
    one = lambda row: {key: value[row] for key, value in tensors.items()}  # noqa: E731
    subjects = SimpleNamespace(raw_tensors=one, tensors=one)
    chain = chain_forward(architecture, symmetries, activation="tanh", input_shape=input_shape)
    plan = plan_for(name, context=context)
    return SimpleNamespace(subjects=subjects, rows=np.arange(n), plan=plan, forward=chain, symmetries=symmetries), tensors


def test_windows_of_larger_networks_have_the_behaviour_of_their_own_units():
    name = "3-20-12-2"
    cohort, tensors = cohort_of(name, 3, context=64)
    config = CONFIG.model_copy(update={"units": "raw"})
    spaces = dict(BehaviourDecoder(16, probe_spaces(config, [cohort]), 2).spaces.items())
    assert list(spaces) == ["3 to 2"]
    cut = cut_windows([cohort], config, split="train", spaces=spaces, progress=Progress())
    known = [source for source in cut if source.contributions is not None]
    assert {cohort.plan.views[source.shape.stretches[0].view].n_units for source in known} == {20, 12}
    for source in known:
        (stretch,) = source.shape.stretches
        truth = cohort.forward.contributions(tensors, source.probes.inputs, source.probes.outputs)
        own = truth[cohort.plan.views[stretch.view].group]
        shown = cohort.plan.view_values(tensors)[stretch.view]
        for row in range(len(source)):
            first = int(source.firsts[row])
            units = slice(first, first + stretch.n_units)
            (network,) = [n for n in range(3) if torch.equal(shown[n, units].flatten(0, 1), source.values[row])]
            torch.testing.assert_close(source.contributions[row], own[network, units])
        (segment,) = source.segments(torch.arange(len(source)), config, generator=torch.Generator().manual_seed(0))
        assert segment.behaviour.contributions.shape == (len(source), stretch.n_units, config.n_probes)
        assert len(segment.layout.units) == stretch.n_units


def test_probe_inputs_come_from_a_file(tmp_path):
    inputs = np.random.default_rng(0).random((40, 2)).astype(np.float32)
    np.save(tmp_path / "probes.npy", inputs)
    config = CONFIG.model_copy(update={"probes": tmp_path / "probes.npy"})
    networks = whole_networks("2-2-1", 40)
    model = model_for(config, networks)
    np.testing.assert_array_equal(model.decoder.spaces["2 to 1"].pool.numpy(), inputs)
    (batch,), _, _ = draw_batch(config, model, TrainingData([networks]), 0)
    asked = {tuple(row) for row in batch.behaviour.probes.inputs.numpy().tolist()}
    assert asked <= {tuple(row) for row in inputs.tolist()}
    np.save(tmp_path / "wide.npy", np.zeros((5, 3), np.float32))
    with pytest.raises(MetarepError, match="does not fit"):
        model_for(config.model_copy(update={"probes": tmp_path / "wide.npy"}), networks)
    np.save(tmp_path / "nan.npy", np.full((5, 2), np.nan))
    for name in ("nan.npy", "none.npy"):
        with pytest.raises(MetarepError, match="holds no probe inputs"):
            read_probes(config.model_copy(update={"probes": tmp_path / name}))


def test_behaviour_of_networks_that_cannot_be_run_is_refused_in_words():
    with pytest.raises(MetarepError, match=r"cannot be predicted.*activation=relu"):
        model_for(CONFIG, whole_networks("2-2-1", activation=None))


def test_the_scale_of_contributions_is_fitted_on_training_networks():
    networks = whole_networks("2-2-1", 100)
    networks.tensors["2.weight"] *= 50
    model = model_for(CONFIG, networks)
    (segment,) = networks.segments(torch.arange(100), CONFIG, generator=None)
    asked = ask_behaviour(CONFIG, model, networks, segment, torch.zeros(0), torch.Generator().manual_seed(5))
    size = asked.behaviour.contributions.square().mean().sqrt()
    assert float(model.decoder.spaces["2 to 1"].scale / size) == pytest.approx(1.0, rel=0.2)
    fit_statistics(CONFIG, model, TrainingData([networks]))


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("activation: relu", "size of a convolution's input is not known"),
        ("activation: swish", "unknown activation; met swish"),
        ("{activation: relu, output_activation: log_softmax}", "unknown activation; met log_softmax"),
        ("{activation: relu, input_shape: [1, 8, 8]}", None),  # and how the convolution steps is not stated
    ],
)
def test_what_is_missing_to_run_networks_is_said_where_behaviour_is_asked_for(tmp_path, stated, words):
    folder = tmp_path / "files"
    folder.mkdir()
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(36, 3)
    )
    for number in range(3):
        torch.save(module.state_dict(), folder / f"run_{number}.pt")
    (tmp_path / "architecture.yaml").write_text(stated)
    zoo = open_zoo(import_networks(ImportConfig(), [folder], tmp_path / "zoo", architecture=tmp_path / "architecture.yaml"))
    assert forward_of(zoo, 0, PretrainConfig()) is None
    if words is None:
        assert forward_of(zoo, 0, CONFIG) is None
        return
    with pytest.raises(MetarepError, match=words):
        forward_of(zoo, 0, CONFIG)
