"""Quantised weights are read as the numbers they stand for, and a slow reference agrees."""

import json
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from metarep.formats.quantised import AWQ_ORDER
from metarep.formats.readers import read_contents


def read(tmp_path, tensors):
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "x.safetensors")
    contents = read_contents(tmp_path / "x.safetensors")
    return contents.networks[0].checkpoint.tensors, contents.entries


@pytest.mark.filterwarnings("ignore")
def test_layers_that_pytorch_quantised(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 2, bias=False))
    quantised = torch.ao.quantization.quantize_dynamic(network, {nn.Linear})
    torch.save(quantised.state_dict(), tmp_path / "x.pt")
    (held,) = read_contents(tmp_path / "x.pt").networks
    assert list(held.checkpoint.tensors) == ["0.weight", "0.bias", "2.weight"]
    assert torch.equal(held.checkpoint.tensors["0.weight"], quantised[0].weight().dequantize())
    torch.save(
        {"conv.weight": torch.quantize_per_channel(torch.randn(4, 3), torch.rand(4), torch.zeros(4), 0, torch.qint8)},
        tmp_path / "y.pt",
    )
    assert read_contents(tmp_path / "y.pt").networks[0].checkpoint.tensors["conv.weight"].dtype == torch.float32


def test_eight_bits_with_the_largest_value_of_each_row(tmp_path):
    weight = torch.randn(6, 4)
    scale = weight.abs().amax(1)
    whole = (weight * 127 / scale[:, None]).round().to(torch.int8)
    found, entries = read(tmp_path, {"a.weight": whole, "a.SCB": scale, "a.bias": torch.zeros(6), "b.weight": torch.ones(2, 2)})
    assert sorted(found) == ["a.bias", "a.weight", "b.weight"]
    torch.testing.assert_close(found["a.weight"], weight, atol=0.02, rtol=0)
    assert [entry.doubt for entry in entries] == [False]


def packed(values, bits, axis):
    """Values packed into int32 one by one, the lowest bits first."""
    n = 32 // bits
    moved = values.movedim(axis, 0).tolist()
    rows = []
    for start in range(0, len(moved), n):
        words = [sum(moved[start + k][j] << (bits * k) for k in range(n)) for j in range(len(moved[0]))]
        rows.append([word - (1 << 32) if word >= 1 << 31 else word for word in words])
    return torch.tensor(rows, dtype=torch.int32).movedim(0, axis)


@pytest.mark.parametrize(
    ("bits", "stored", "doubt"), [(4, 7, False), (8, 127, False), (4, 8, False), (4, 5, True), (2, 1, False)]
)
def test_gptq(tmp_path, bits, stored, doubt):
    """Two groups of inputs in an order of their own; a zero point is stored less one but in the second format."""
    torch.manual_seed(1)
    values, scales = torch.randint(0, 1 << bits, (32, 16)), torch.rand(2, 16)
    groups = torch.arange(32) % 2
    zero = stored if stored == 1 << (bits - 1) else stored + 1
    held = {"l.qweight": packed(values, bits, 0), "l.qzeros": packed(torch.full((2, 16), stored), bits, 1), "l.scales": scales}
    found, entries = read(tmp_path, held | {"l.g_idx": groups.int()})
    assert list(found) == ["l.weight"]
    torch.testing.assert_close(found["l.weight"], ((values - zero) * scales[groups]).T)
    assert any(entry.doubt for entry in entries) == doubt


def test_awq(tmp_path):
    torch.manual_seed(2)
    values, zeros, scales = torch.randint(0, 16, (8, 16)), torch.randint(0, 16, (2, 16)), torch.rand(2, 16)
    places = torch.tensor(AWQ_ORDER).argsort()
    mixed = lambda one: packed(one.unflatten(1, (-1, 8))[..., places].flatten(1), 4, 1)  # noqa: E731
    found, entries = read(tmp_path, {"l.qweight": mixed(values), "l.qzeros": mixed(zeros), "l.scales": scales})
    groups = torch.arange(8) // 4
    torch.testing.assert_close(found["l.weight"], ((values - zeros[groups]) * scales[groups]).T)
    assert places.tolist() == [0, 2, 4, 6, 1, 3, 5, 7]  # as AutoAWQ packs
    assert not any(entry.doubt for entry in entries)


def test_four_bits_with_a_table_of_levels(tmp_path):
    torch.manual_seed(3)
    levels, codes, absmax = torch.linspace(-1, 1, 16), torch.randint(0, 16, (128,)), torch.rand(2)
    bytes_ = (codes[::2] << 4 | codes[1::2]).to(torch.uint8)[:, None]
    state = torch.tensor(list(json.dumps({"shape": [8, 16], "blocksize": 64, "dtype": "float16"}).encode()), dtype=torch.uint8)
    held = {"l.weight": bytes_, "l.weight.absmax": absmax, "l.weight.quant_map": levels}
    found, _ = read(tmp_path, held | {"l.weight.quant_state.bitsandbytes__nf4": state})
    assert list(found) == ["l.weight"]
    torch.testing.assert_close(found["l.weight"], (levels[codes] * absmax.repeat_interleave(64)).reshape(8, 16))


@pytest.mark.parametrize("shape", [(), (1,), (6, 1), (2, 1), (3, 2)])
def test_scales_for_all_for_rows_and_for_blocks(tmp_path, shape):
    torch.manual_seed(4)
    weight, scale = torch.randn(6, 4).to(torch.float8_e4m3fn), torch.rand(shape)
    spread = scale if scale.ndim < 2 else scale.repeat_interleave(6 // shape[0], 0).repeat_interleave(4 // shape[1], 1)
    name = "l.weight_scale_inv" if shape == (3, 2) else "l.weight_scale"
    found, _ = read(tmp_path, {"l.weight": weight, name: scale})
    if shape == (2, 1):  # no such layout
        assert found["l.weight"].dtype == torch.float8_e4m3fn
    else:
        torch.testing.assert_close(found["l.weight"], weight.float() * spread)


@pytest.mark.parametrize("scale", [torch.tensor(0.25), torch.rand(6), torch.rand(6, 1, 1, 1)])
@pytest.mark.parametrize(("ending", "zero", "doubts"), [("weight_scale", "weight_zero_point", 0), ("scale", "zero_point", 1)])
def test_zero_points_of_weights_of_any_number_of_axes(tmp_path, scale, ending, zero, doubts):
    torch.manual_seed(5)
    weight, zeros = torch.randint(-128, 127, (6, 4, 3, 3), dtype=torch.int8), torch.arange(6, dtype=torch.int8)
    found, entries = read(tmp_path, {"l.weight": weight, f"l.{ending}": scale, f"l.{zero}": zeros})
    assert list(found) == ["l.weight"]
    expected = (weight.float() - torch.arange(6.0).view(6, 1, 1, 1)) * scale.reshape(-1, 1, 1, 1)
    torch.testing.assert_close(found["l.weight"], expected)
    assert sum(entry.doubt for entry in entries) == doubts


@pytest.mark.parametrize(
    "held",
    [
        {"l.weight": torch.ones(4, 3, dtype=torch.int8), "l.bias": torch.ones(4)},
        {
            "l.qweight": torch.ones(3, 5, dtype=torch.int32),
            "l.qzeros": torch.ones(1, 2, dtype=torch.int32),
            "l.scales": torch.ones(1, 7),
        },
        {"l.weight": torch.ones(4, 3, dtype=torch.int8), "l.SCB": torch.ones(5)},
    ],
)
def test_what_cannot_be_read_is_said_and_kept(tmp_path, held):
    found, entries = read(tmp_path, held)
    assert set(found) == set(held)
    assert [entry.doubt for entry in entries] == [True]
    assert "not read" in entries[0].why


def test_whole_numbers_that_are_no_weights_need_no_word(tmp_path):
    with warnings.catch_warnings():
        held = {"l.weight": torch.ones(2, 2), "mask": torch.ones(4, 4, dtype=torch.uint8), "steps": torch.tensor(3)}
        found, entries = read(tmp_path, held)
    assert set(found) == set(held)
    assert not entries
