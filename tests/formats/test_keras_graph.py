"""What a Keras model's config says of its units is true: outputs stay under a random draw of the symmetries that it shows."""

import json

import h5py
import pytest
import torch
from other_files import write_keras2

from metarep.formats.keras_graph import graph_of
from metarep.formats.readers import read_checkpoint
from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of
from metarep.networks.tensor_symmetry import random_symmetry

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda x: x}
MERGES = {
    "Add": sum,
    "Multiply": lambda values: values[0] * values[1],
    "Concatenate": lambda values: torch.cat(values, dim=-1),
}


def layer(kind, name, *sources, **config):
    """As Keras 2 writes one that is called once."""
    call = [[source, 0, 0, {}] for source in sources]
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": [call] if call else []}


def model(*layers, out):
    inputs = [layer("InputLayer", name, batch_input_shape=[None, *shape]) for name, shape in (("x", [5]), ("image", [2, 2, 3]))]
    return {"class_name": "Model", "config": {"layers": [*inputs, *layers], "output_layers": [[out, 0, 0]]}}


def dense(name, source, activation="relu"):
    return layer("Dense", name, source, activation=activation)


MODELS = {
    "chain": (model(dense("a", "x"), dense("b", "a", activation="tanh"), dense("c", "b"), out="c"), {"a": 7, "b": 6}),
    "sum": (model(dense("a", "x"), dense("b", "x"), layer("Add", "s", "a", "b"), dense("c", "s"), out="c"), {"a": 7}),
    "product": (model(dense("a", "x"), dense("b", "x"), layer("Multiply", "s", "a", "b"), dense("c", "s"), out="c"), {"a": 7}),
    "beside": (
        model(dense("a", "x"), dense("b", "x"), layer("Concatenate", "s", "a", "x", "b"), dense("c", "s"), out="c"),
        {"a": 7, "b": 6},
    ),
    "pixels": (model(dense("a", "image"), layer("Flatten", "f", "a"), dense("c", "f"), out="c"), {"a": 7}),
    "norm": (
        model(dense("a", "x"), layer("BatchNormalization", "n", "a"), dense("b", "n"), dense("c", "b"), out="c"),
        {"a": 7, "b": 6},
    ),
    "unknown": (model(dense("a", "x"), layer("Lambda", "l", "a"), dense("c", "l"), out="c"), {}),
}
WIDTHS = {"a": 7, "b": 6, "c": 2}


def tensors_of(config, seed=0):
    """Random weights for the layers, and what they put out is found on the way."""
    draw, widths, found = torch.Generator().manual_seed(seed), {"x": 5, "image": 3}, {}
    same = any(one["class_name"] in ("Add", "Multiply") for one in config["config"]["layers"])
    for one in config["config"]["layers"][2:]:
        name, kind = one["name"], one["class_name"]
        read = [widths[place[0]] for place in one["inbound_nodes"][0]]
        if kind == "Dense":
            n = 7 if same and name in "ab" else WIDTHS[name]
            found |= {f"{name}/kernel": torch.randn(read[0], n, generator=draw), f"{name}/bias": torch.randn(n, generator=draw)}
        elif kind == "BatchNormalization":
            words = ("gamma", "beta", "moving_mean", "moving_variance")
            found |= {f"{name}/{word}": torch.rand(read[0], generator=draw) + 0.5 for word in words}
        widths[name] = (
            n if kind == "Dense" else sum(read) if kind == "Concatenate" else 4 * read[0] if kind == "Flatten" else read[0]
        )
    return found


def outputs(config, tensors):
    draw = torch.Generator().manual_seed(9)
    values = {"x": torch.randn(20, 5, generator=draw), "image": torch.randn(20, 2, 2, 3, generator=draw)}
    for one in config["config"]["layers"][2:]:
        name, read = one["name"], [values[place[0]] for place in one["inbound_nodes"][0]]
        weights = {key.rpartition("/")[2]: value for key, value in tensors.items() if key.startswith(name + "/")}
        match one["class_name"]:
            case "Dense":
                values[name] = ACTIVATIONS[one["config"]["activation"]](read[0] @ weights["kernel"] + weights["bias"])
            case "BatchNormalization":
                x = (read[0] - weights["moving_mean"]) / (weights["moving_variance"] + 1e-3).sqrt()
                values[name] = x * weights["gamma"] + weights["beta"]
            case "Flatten":
                values[name] = read[0].flatten(1)
            case "Lambda":
                values[name] = read[0].cumsum(dim=-1)
            case merge:
                values[name] = MERGES[merge](read)
    return values[config["config"]["output_layers"][0][0]]


def symmetries(config, tensors):
    named = [(name, tuple(value.shape), "float32") for name, value in tensors.items()]
    return symmetries_of(read_architecture(named, graph=graph_of(config, tensors)))


@pytest.mark.parametrize("name", MODELS)
def test_outputs_stay_under_what_the_config_shows(name):
    config, units = MODELS[name]
    tensors = tensors_of(config)
    found = symmetries(config, tensors)
    assert {one.name: one.n for one in found.groups if one.interchangeable} == {
        f"units of {layer}/kernel": n for layer, n in units.items()
    }
    drawn = random_symmetry(tensors, found, generator=torch.Generator().manual_seed(1), log_scale_std=0.5)
    before = outputs(config, tensors)
    assert torch.allclose(outputs(config, drawn), before, atol=1e-4)
    if units:
        assert not torch.allclose(outputs(config, {**drawn, "a/kernel": tensors["a/kernel"]}), before, atol=1e-2)


def test_the_config_in_a_file_is_read(tmp_path):
    write_keras2(tmp_path / "x.h5")
    assert read_checkpoint(tmp_path / "x.h5").graph is None
    layers = [dense("wide", "x"), layer("Activation", "act", "wide", activation="relu"), dense("exit", "act")]
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file.attrs["model_config"] = json.dumps(model(*layers, out="exit"))
    graph = read_checkpoint(tmp_path / "x.h5").graph
    assert [group.n for group in graph.groups if group.interchangeable] == [5]


@pytest.mark.parametrize(
    "config", [[], {"config": 3}, {"config": {"layers": []}}, {"config": {"layers": [{"class_name": "A"}]}}]
)
def test_another_config_says_nothing(config):
    assert graph_of(config, {"a/kernel": torch.ones(2, 3)}) is None
