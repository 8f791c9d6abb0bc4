"""Units of Keras models by their configuration: claims hold by outputs and break with one member alone; traps claim nothing."""

import json

import h5py
import pytest
import torch
from torch.nn import functional as F

from metarep.formats.keras_graph import graph_of
from metarep.formats.readers import read_checkpoint
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Symmetries, SymmetryGroup
from metarep.networks.tensor_symmetry import random_symmetry

PICTURE, WORDS, ROW = (None, 6, 6, 2), (None, 5), (None, 4)


def model(shape, layers, outputs, *, keras3=False):
    """A configuration of layers {name: (class, settings, inputs)}."""

    def inbound(names):
        if keras3:
            history = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in names]
            return [{"args": history if len(history) == 1 else [history], "kwargs": {}}]
        return [[[name, 0, 0, {}] for name in names]]

    listed = [{"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": shape}, "inbound_nodes": []}]
    listed += [
        {"class_name": kind, "config": {"name": name, **how}, "inbound_nodes": inbound(inputs)}
        for name, (kind, how, inputs) in layers.items()
    ]
    config = {"layers": listed, "output_layers": [[name, 0, 0] for name in outputs]}
    return json.dumps({"class_name": "Functional", "config": config})


def conv(t, name, x, **how):
    found = F.conv2d(x.movedim(-1, 1), t[f"{name}/kernel"].permute(3, 2, 0, 1), padding="same", **how).movedim(1, -1)
    return found + t[f"{name}/bias"]


def separable(t, name, x):
    depth = t[f"{name}/depthwise_kernel"]
    found = F.conv2d(
        x.movedim(-1, 1), depth.permute(2, 3, 0, 1).reshape(-1, 1, *depth.shape[:2]), padding="same", groups=depth.shape[2]
    )
    return found.movedim(1, -1) @ t[f"{name}/pointwise_kernel"][0, 0] + t[f"{name}/bias"]


def norm(t, name, x):
    scale = t[f"{name}/gamma"] / (t[f"{name}/moving_variance"].abs() + 1).sqrt()
    return (x - t[f"{name}/moving_mean"]) * scale + t[f"{name}/beta"]


def dense(t, name, x):
    return x @ t[f"{name}/kernel"] + t[f"{name}/bias"]


def residual(t, x):
    h = norm(t, "n", conv(t, "c", x)).relu()
    return dense(t, "d", (h + separable(t, "s", h)).flatten(1))


def towers(t, x):
    return dense(t, "d", torch.cat([dense(t, "a", x).relu(), torch.tanh(dense(t, "b", x))], dim=-1))


def recurrent(t, x):
    h = torch.zeros(len(x), 7).double()
    for step in t["e/embeddings"][x].unbind(1):
        h = torch.tanh(step @ t["r/kernel"] + h @ t["r/recurrent_kernel"] + t["r/bias"])
    return dense(t, "d", h)


NORMS = ("gamma", "beta", "moving_mean", "moving_variance")
FOUND = {
    "residual": (
        PICTURE,
        {
            "c": ("Conv2D", {"activation": "linear"}, ["x"]),
            "n": ("BatchNormalization", {"axis": [3]}, ["c"]),
            "act": ("Activation", {"activation": "relu"}, ["n"]),
            "s": ("SeparableConv2D", {}, ["act"]),
            "sum": ("Add", {}, ["act", "s"]),
            "flat": ("Flatten", {}, ["sum"]),
            "d": ("Dense", {}, ["flat"]),
        },
        {"c/kernel": (3, 3, 2, 4), "c/bias": (4,)}
        | {f"n/{leaf}": (4,) for leaf in NORMS}
        | {"s/depthwise_kernel": (3, 3, 4, 1), "s/pointwise_kernel": (1, 1, 4, 4), "s/bias": (4,)}
        | {"d/kernel": (144, 3), "d/bias": (3,)},
        residual,
        {4: False},
    ),
    "towers": (
        ROW,
        {
            "a": ("Dense", {"activation": "relu"}, ["x"]),
            "b": ("Dense", {"activation": "tanh"}, ["x"]),
            "both": ("Concatenate", {"axis": -1}, ["a", "b"]),
            "d": ("Dense", {}, ["both"]),
        },
        {"a/kernel": (4, 6), "a/bias": (6,), "b/kernel": (4, 5), "b/bias": (5,), "d/kernel": (11, 3), "d/bias": (3,)},
        towers,
        {6: True, 5: False},
    ),
    "recurrent": (
        WORDS,
        {"e": ("Embedding", {}, ["x"]), "r": ("SimpleRNN", {"activation": "tanh"}, ["e"]), "d": ("Dense", {}, ["r"])},
        {"e/embeddings": (9, 5), "r/kernel": (5, 7), "r/recurrent_kernel": (7, 7), "r/bias": (7,)}
        | {"d/kernel": (7, 3), "d/bias": (3,)},
        recurrent,
        {5: False, 7: False},
    ),
}
"""Layers, tensors, the true forward pass, and the width of each group with whether its scale is free."""


def tensors_of(shapes):
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


def drawn(tensors, symmetries, log_scale_std=0.5):
    return random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1), log_scale_std=log_scale_std)


@pytest.mark.parametrize("keras3", [False, True])
@pytest.mark.parametrize("name", FOUND)
def test_units_are_found_and_true(name, keras3):
    shape, layers, shapes, forward, expected = FOUND[name]
    tensors = tensors_of(shapes)
    groups = [units for units in graph_of(model(shape, layers, ["d"], keras3=keras3), tensors).groups if units.interchangeable]
    assert {units.n: units.positive_scale for units in groups} == expected
    x = torch.randint(9, (3, 5)) if shape is WORDS else torch.randn(3, *shape[1:], dtype=torch.float64)
    torch.testing.assert_close(forward(drawn(tensors, Symmetries(tuple(groups))), x), forward(tensors, x))
    for units in groups:
        half = Symmetries((SymmetryGroup("half", units.n, units.members[:1]),))
        assert (forward(drawn(tensors, half, 0.0), x) - forward(tensors, x)).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("kind", "how"),
    [("Lambda", {}), ("Permute", {"dims": [3, 1, 2]}), ("Conv2D", {"groups": 2}), ("BatchNormalization", {"axis": 1})],
)
def test_a_layer_that_is_not_known_holds_the_units_that_it_reads(kind, how):
    layers = {
        "c": ("Conv2D", {}, ["x"]),
        "odd": (kind, how, ["c"]),
        "pool": ("GlobalAveragePooling2D", {}, ["odd"]),
        "h": ("Dense", {"activation": "tanh"}, ["pool"]),
        "d": ("Dense", {}, ["h"]),
    }
    shapes = {"c/kernel": (3, 3, 2, 6), "h/kernel": (6, 5), "d/kernel": (5, 3)}
    shapes |= {"odd/kernel": (3, 3, 3, 6)} if kind == "Conv2D" else {f"odd/{leaf}": (6,) for leaf in NORMS if "axis" in how}
    groups = graph_of(model(PICTURE, layers, ["d"]), tensors_of(shapes)).groups
    assert [units.n for units in groups if units.interchangeable] == [5]


@pytest.mark.parametrize(("how", "scaled"), [({}, True), ({"max_value": 6.0}, False), ({"threshold": 0.5}, False)])
def test_a_bounded_relu_hands_no_scale_on(how, scaled):
    layers = {"h": ("Dense", {}, ["x"]), "act": ("ReLU", how, ["h"]), "d": ("Dense", {}, ["act"])}
    tensors = tensors_of({"h/kernel": (4, 6), "h/bias": (6,), "d/kernel": (6, 3)})
    (units,) = (one for one in graph_of(model(ROW, layers, ["d"]), tensors).groups if one.interchangeable)
    assert units.positive_scale == scaled


@pytest.mark.parametrize("text", ["", "{", "[]", '{"class_name": "Model", "config": {"layers": [{}]}}', '{"config": 1}'])
def test_what_is_no_configuration_says_nothing(text):
    assert graph_of(text, tensors_of({"a/kernel": (4, 6), "b/kernel": (6, 3)})) is None


def test_a_file_is_read_with_its_configuration(tmp_path):
    shape, layers, shapes, _, _ = FOUND["towers"]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["model_config"] = model(shape, layers, ["d"])
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = list(layers)
        for layer in layers:
            own = {name: value for name, value in tensors_of(shapes).items() if name.startswith(layer + "/")}
            group.create_group(layer).attrs["weight_names"] = list(own)
            for name, value in own.items():
                group[layer][name] = value.numpy()
    groups = symmetries_of(read_checkpoint(tmp_path / "x.h5").architecture).groups
    assert sorted(units.n for units in groups if units.interchangeable) == [5, 6]


def test_values_joined_without_end_are_not_followed():
    """40 times with themselves: their units would have a million million places."""
    layers = {"v0": ("Dense", {}, ["x"])}
    layers |= {f"v{i}": ("Concatenate", {"axis": -1}, [f"v{i - 1}"] * 2) for i in range(1, 41)}
    tensors = {"v0/kernel": torch.zeros(4, 5), "v0/bias": torch.zeros(5)}
    assert graph_of(model(ROW, layers, ["v40"]), tensors) is None
