"""Networks of many architectures: under each claimed symmetry outputs and embeddings stay, and half of it breaks both."""

from functools import cache

import pytest
import torch
from many_networks import ARCHITECTURES, checked, of_module
from residual_networks import Subject, subject

from metarep.embeddings.readout import read_networks
from metarep.model.transformer import ClozeModel
from metarep.model.windows import build_plan
from metarep.networks.architecture import Architecture, read_architecture, readable_tensors
from metarep.networks.further_inference import with_further
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Symmetries
from metarep.networks.tensor_symmetry import canonical_form, random_symmetry

SIGNS, TURNS = "sign", "attention rotation"
ODD = {"mlp, tanh": "tanh", "inr, siren": "sin", "inr, sines": "sin", "cnn, tanh": "tanh"}
"""Activations that are stated."""

RELU = ("mlp", "inr, relu", "autoencoder", "cnn", "cnn of series", "cnn, depthwise")
"""Where a ReLU is stated to stand behind every hidden layer."""

FOUND = {
    "mlp": ([9, 7], []),
    "mlp, tanh": ([9, 7], [SIGNS, SIGNS]),
    "mlp, batch norms": ([9, 7], []),
    "mlp, layer norms": ([9, 7], []),
    "inr, siren": ([8, 8], [SIGNS, SIGNS]),
    "inr, sines": ([8, 6], [SIGNS, SIGNS]),
    "inr, relu": ([8, 8], []),
    "autoencoder": ([8, 3, 8], []),
    "variational autoencoder": ([8, 4, 8], []),
    "towers": ([6, 6], []),
    "actor and critic": ([8, 8], []),
    "duel": ([8], []),
    "deep set": ([6, 4, 6], []),
    "lora": ([2], ["LoRA"]),
    "cnn": ([4, 6], []),
    "cnn, tanh": ([4, 6], []),
    "cnn, batch norms": ([4, 6], []),
    "cnn, group norms": ([], []),
    "cnn, depthwise": ([6, 4], []),
    "cnn of series": ([4, 6], []),
    "resnet": ([4, 6, 4, 6], []),
    "resnet, bottlenecks": ([4, 10, 12, 5, 6, 7, 8], []),
    "resnet, norms before": ([4, 6, 4, 6], []),
    "residual mlp": ([7, 11, 11], []),
    "encoder": ([8, 12, 12], []),
    "encoder, norms first": ([8, 12, 12], []),
    "vit": ([8, 20, 20], []),
    "gpt-2": ([8, 20, 20], []),
    "llama": ([8, 20, 20], []),
    "bert": ([8, 20, 20], []),
    "transformer lens": ([8, 12, 12, 2, 2], [TURNS] * 4),
    "lstm": ([7], [SIGNS]),
    "lstm, two layers": ([7, 7], [SIGNS, SIGNS]),
    "lstm, both ways": ([7, 7], [SIGNS, SIGNS]),
    "gru": ([7], [SIGNS]),
}
"""The widths of interchangeable groups, and the kinds of further symmetries."""


@cache
def made(name: str) -> tuple[Subject, Architecture, Symmetries]:
    make, x = ARCHITECTURES[name]
    torch.manual_seed(0)
    one = subject(make(), x)
    named = [(key, tuple(value.shape), "float32") for key, value in one.tensors.items()]
    architecture = read_architecture(named)
    symmetries = symmetries_of(architecture, relu=name in RELU)
    return one, architecture, with_further(architecture, symmetries, activation=ODD.get(name))


def alone(symmetries: Symmetries) -> list[Symmetries]:
    """Each symmetry that can be drawn, by itself."""
    free = [Symmetries((units,)) for units in symmetries.groups if units.interchangeable]
    return free + [Symmetries((), (), (one,)) for one in symmetries.further]


def drawn(one: Subject, symmetries: Symmetries, seed: int = 1) -> dict[str, torch.Tensor]:
    return random_symmetry(one.tensors, symmetries, generator=torch.Generator().manual_seed(seed), further=True)


def halves(one: Subject, symmetries: Symmetries) -> list[dict[str, torch.Tensor]]:
    """For each symmetry the network with one tensor changed by it and the others left."""
    found = []
    for own in alone(symmetries):
        changed = drawn(one, own)
        name = next(key for key, value in changed.items() if not torch.equal(value, one.tensors[key]))
        found.append(one.tensors | {name: changed[name]})
    return found


@cache
def model() -> ClozeModel:
    torch.manual_seed(0)
    found = ClozeModel(chunk=4, context=512, d_model=8, n_layers=1, n_heads=2).eval()
    torch.nn.init.normal_(found.relation_bias)
    return found


def embedding(tensors, architecture: Architecture, symmetries: Symmetries) -> torch.Tensor:
    """What a model makes of the layers of a network, canonical as `embed` reads it."""
    plan = build_plan(architecture, symmetries, chunk=4, context=512, overlap=0.25)
    placed, _ = canonical_form(readable_tensors(architecture, tensors, where="here"), symmetries)
    return read_networks(model(), plan, {n: v.unsqueeze(0) for n, v in placed.items()}, with_units=False).layer_states


def test_every_architecture_is_expected():
    assert FOUND.keys() == ARCHITECTURES.keys()
    assert len(FOUND) >= 25


@pytest.mark.parametrize("name", FOUND)
def test_symmetries_are_found_and_true(name):
    one, _, symmetries = made(name)
    found = checked(symmetries, one.tensors, of_module(one.module, lambda n, generator: one.x))
    widths, kinds = FOUND[name]
    assert sorted(units.n for units in symmetries.groups if units.interchangeable) == sorted(widths)
    assert sorted(further.kind for further in symmetries.further) == sorted(kinds)
    assert found.notes == symmetries.notes
    claimed = [units for units in found.groups if units.interchangeable] + list(found.further)
    assert [units.evidence for units in claimed] == ["checked"] * (len(widths) + len(kinds))


@pytest.mark.parametrize("name", [name for name, found in FOUND.items() if found != ([], [])])
def test_embeddings_stay_and_half_a_symmetry_moves_outputs_and_embeddings(name):
    one, architecture, symmetries = made(name)
    before, outputs = embedding(one.tensors, architecture, symmetries), one.outputs(one.tensors)
    copy = drawn(one, symmetries)
    assert any(not torch.equal(value, copy[key]) for key, value in one.tensors.items())
    torch.testing.assert_close(one.outputs(copy), outputs, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(embedding(copy, architecture, symmetries), before, atol=2e-5, rtol=1e-4)
    for broken in halves(one, symmetries):
        assert (one.outputs(broken) - outputs).abs().max() > 1e-6 * outputs.abs().max()
        assert (embedding(broken, architecture, symmetries) - before).abs().max() > 1e-4
