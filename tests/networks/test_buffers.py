"""Tensors that nothing trains are set aside by their names, and those that may be trained are not."""

import pytest
from named_networks import layers

from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of

BUFFERS = {
    "mask": (8, 8),
    "blocks.0.attn.IGNORE": (),
    "rope.inv_freq": (4,),
    "obs_mean": (6,),
    "criterion.weight": (3,),
    "class_weights": (3,),
    "position_ids": (1, 9),
    "global_step": (),
    "alphas_cumprod": (50,),
    "mel_fb": (9, 4),
    "conv.blur.kernel": (6, 6),
    "to_rgb.upsample.kernel": (3, 3),
    "resample_kernel": (1, 1, 4, 4),
}


@pytest.mark.parametrize("name", BUFFERS)
def test_what_nothing_trains_is_set_aside(name):
    entries = [(name, BUFFERS[name], "float32"), *layers(["fc1", "fc2"], (6, 8, 3))]
    found = read_architecture(entries)
    assert next(t.role for t in found.tensors if t.name == name) == "buffer"
    assert found.n_params == 6 * 8 + 8 + 8 * 3 + 3
    assert [units.n for units in symmetries_of(found).groups if units.interchangeable] == [8]


@pytest.mark.parametrize(
    "name",
    ["input.weight", "input.bias", "scale.weight", "gain", "log_std", "conv.filters.weight", "pos.weight", "upsample.weight"],
)
def test_what_may_be_trained_is_not(name):
    shape = (6,) if name in ("input.bias", "gain", "log_std") else (6, 6)
    found = read_architecture([(name, shape, "float32"), ("input.weight2", (3, 3), "float32"), *layers(["fc"], (6, 8))])
    assert found.tensors[0].role != "buffer"


def test_an_empty_tensor_is_no_layer():
    entries = [*layers(["fc1", "fc2"], (6, 8, 3)), ("cache.weight", (0, 8), "float32")]
    assert [units.n for units in symmetries_of(read_architecture(entries)).groups if units.interchangeable] == [8]
