"""Weights that layers compute from others are read as the layers compute them."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from metarep.formats.readers import read_contents
from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of

pytestmark = pytest.mark.filterwarnings("ignore")


def pruned(layer):
    prune.random_unstructured(layer, "weight", 0.4)
    prune.random_unstructured(layer, "bias", 0.4)
    return layer


WAYS = {
    "weight norm": parametrizations.weight_norm,
    "weight norm of all": lambda layer: parametrizations.weight_norm(layer, dim=None),
    "weight norm of inputs": lambda layer: parametrizations.weight_norm(layer, dim=1),
    "spectral norm": parametrizations.spectral_norm,
    "weight norm, older": nn.utils.weight_norm,
    "spectral norm, older": nn.utils.spectral_norm,
    "pruning": pruned,
}
LAYERS = {
    "linear": lambda: (nn.Linear(5, 9), nn.Linear(9, 2)),
    "convolutions": lambda: (nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 3)),
    "transposed": lambda: (nn.ConvTranspose1d(3, 8, 3), nn.ConvTranspose1d(8, 2, 3)),
}


def read(path, content):
    torch.save(content, path)
    contents = read_contents(path)
    return contents.networks[0].checkpoint, contents.entries


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("way", WAYS)
def test_a_weight_is_what_its_layer_computes(tmp_path, way, layers):
    torch.manual_seed(0)
    network = nn.Sequential(*(WAYS[way](layer) for layer in LAYERS[layers]())).eval()
    with torch.no_grad():
        for value in network.parameters():
            value += 0.1 * torch.randn_like(value)
    checkpoint, entries = read(tmp_path / "x.pt", network.state_dict())
    found = checkpoint.tensors
    assert set(found) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    network(torch.randn(1, *{"linear": (5,), "convolutions": (3, 7, 7), "transposed": (3, 7)}[layers]))
    for name, value in found.items():
        torch.testing.assert_close(value, attribute(network, name))
    assert any(way.split(",")[0].removesuffix(" of all").removesuffix(" of inputs") in entry.what for entry in entries)
    assert not any(entry.doubt for entry in entries)


def attribute(network, name):
    number, leaf = name.split(".")
    return getattr(network[int(number)], leaf).detach()


def test_units_of_such_layers_are_found(tmp_path):
    plain = nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 2))
    normed = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(5, 9)), nn.ReLU(), parametrizations.spectral_norm(nn.Linear(9, 2))
    )
    free = []
    for number, network in enumerate((plain, normed)):
        checkpoint, _ = read(tmp_path / f"{number}.pt", network.state_dict())
        symmetries = symmetries_of(read_architecture(checkpoint.named))
        free.append([units.n for units in symmetries.groups if units.interchangeable])
    assert free == [[9], [9]]


def test_what_only_its_own_code_computes_is_in_doubt(tmp_path):
    network = nn.Sequential(parametrizations.orthogonal(nn.Linear(6, 6)), parametrizations.weight_norm(nn.Linear(6, 2)))
    checkpoint, entries = read(tmp_path / "x.pt", network.state_dict())
    assert "0.parametrizations.weight.original" in checkpoint.tensors
    assert "1.weight" in checkpoint.tensors
    (doubt,) = [entry for entry in entries if entry.doubt]
    assert "0.weight" in doubt.what
    assert "remove_parametrizations" in doubt.why


@pytest.mark.parametrize(
    "names", [("attn.w_g", "attn.w_v"), ("weight_g", "weight_v", "weight_k"), ("bias_v",), ("weight_mask",)]
)
def test_names_that_look_so_stay(tmp_path, names):
    content = {f"fc.{name}": torch.randn(4, 4) for name in names} | {"out.weight": torch.randn(2, 4)}
    checkpoint, entries = read(tmp_path / "x.pt", content)
    assert set(checkpoint.tensors) == set(content)
    assert not entries
