"""What names and shapes say of tensors: real naming schemes, order in depth, what a person adds, JSON and back."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from metarep.errors import MetarepError
from metarep.formats.described import Descriptions, read_description
from metarep.networks.architecture import KINDS, Architecture, read_architecture


def named(module: nn.Module):
    return [(name, tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in module.state_dict().items()]


def listed(*entries):
    return [(name, shape, "float32") for name, *shape in entries for shape in [tuple(shape)]]


def told(entries, *, ordered=True):
    """{name: (layer, kind, role)} in the architecture's order."""
    return {t.name: (t.layer, t.kind, t.role) for t in read_architecture(entries, ordered=ordered).tensors}


def test_a_perceptron():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    assert told(named(net)) == {
        "0.weight": (0, "linear", "weight"),
        "0.bias": (0, "linear", "bias"),
        "2.weight": (1, "linear", "weight"),
    }


def test_convolutions_and_norms_without_names():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv1d(2, 3, 2), nn.LayerNorm(5), nn.ConvTranspose2d(1, 1, 2), nn.PReLU()
    )
    found = told(named(net))
    assert [found[f"{i}.weight"] for i in range(6)] == [
        (0, "conv2d", "weight"),
        (1, "batch_norm", "scale"),
        (2, "conv1d", "weight"),
        (3, "layer_norm", "scale"),
        (4, "conv2d", "weight"),
        (5, "other", "other"),
    ]
    assert found["0.bias"] == (0, "conv2d", "bias")
    assert [found[f"1.{leaf}"][2] for leaf in ("bias", "running_mean", "running_var", "num_batches_tracked")] == [
        "shift",
        "running_mean",
        "running_var",
        "counter",
    ]


@pytest.mark.parametrize(("make", "kind"), [(nn.LSTM, "lstm"), (nn.GRU, "gru"), (nn.RNN, "other")])
def test_recurrent_layers_by_their_gates(make, kind):
    found = told(named(make(3, 4, num_layers=2, bidirectional=True)))
    assert {entry[1] for entry in found.values()} == {kind}
    assert found["weight_ih_l0"][0::2] == (0, "input")
    assert found["bias_hh_l0"][0::2] == (0, "hidden_bias")
    assert [found[f"weight_hh_{end}"][0] for end in ("l0", "l0_reverse", "l1", "l1_reverse")] == [0, 1, 2, 3]


def test_cells_projections_and_keras():
    assert told(named(nn.LSTMCell(3, 4)))["weight_hh"] == (0, "lstm", "hidden")
    assert told(named(nn.GRUCell(3, 4)))["bias_ih"] == (0, "gru", "input_bias")
    assert told(named(nn.LSTM(3, 4, proj_size=2)))["weight_hr_l0"] == (0, "lstm", "projection")
    keras = told(listed(("rnn/kernel:0", 3, 12), ("rnn/recurrent_kernel:0", 4, 12), ("rnn/bias:0", 24)))
    assert keras["rnn/recurrent_kernel:0"] == (0, "gru", "hidden")


@pytest.mark.parametrize("ordered", [True, False])
def test_a_transformer_encoder(ordered):
    found = told(named(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 11)), ordered=ordered)
    kinds = {name: entry[1:] for name, entry in found.items() if name.startswith("layers.3.")}
    assert kinds == {
        "layers.3.self_attn.in_proj_weight": ("attention", "qkv"),
        "layers.3.self_attn.in_proj_bias": ("attention", "qkv_bias"),
        "layers.3.self_attn.out_proj.weight": ("attention", "output"),
        "layers.3.self_attn.out_proj.bias": ("attention", "output_bias"),
        "layers.3.linear1.weight": ("linear", "weight"),
        "layers.3.linear1.bias": ("linear", "bias"),
        "layers.3.linear2.weight": ("linear", "weight"),
        "layers.3.linear2.bias": ("linear", "bias"),
        "layers.3.norm1.weight": ("layer_norm", "scale"),
        "layers.3.norm1.bias": ("layer_norm", "shift"),
        "layers.3.norm2.weight": ("layer_norm", "scale"),
        "layers.3.norm2.bias": ("layer_norm", "shift"),
    }
    assert found["layers.9.linear1.weight"][0] < found["layers.10.linear1.weight"][0]
    assert max(entry[0] for entry in found.values()) == 5 * 11 - 1


H, L, B = "h.0.", "model.layers.7.", "bert.encoder.layer.0."
SCHEMES = {
    "gpt2": [
        ("wte.weight", (50, 8), "embedding", "weight"),
        ("wpe.weight", (10, 8), "embedding", "weight"),
        (H + "ln_1.weight", (8,), "layer_norm", "scale"),
        (H + "ln_1.bias", (8,), "layer_norm", "shift"),
        (H + "attn.bias", (1, 1, 10, 10), "other", "buffer"),
        (H + "attn.masked_bias", (), "other", "buffer"),
        (H + "attn.c_attn.weight", (8, 24), "attention", "qkv"),
        (H + "attn.c_attn.bias", (24,), "attention", "qkv_bias"),
        (H + "attn.c_proj.weight", (8, 8), "attention", "output"),
        (H + "ln_2.weight", (8,), "layer_norm", "scale"),
        (H + "ln_2.bias", (8,), "layer_norm", "shift"),
        (H + "mlp.c_fc.weight", (8, 32), "linear", "weight"),
        (H + "mlp.c_proj.weight", (32, 8), "linear", "weight"),
        ("ln_f.weight", (8,), "layer_norm", "scale"),
        ("ln_f.bias", (8,), "layer_norm", "shift"),
        ("lm_head.weight", (50, 8), "linear", "weight"),
    ],
    "llama": [
        ("model.embed_tokens.weight", (50, 8), "embedding", "weight"),
        (L + "input_layernorm.weight", (8,), "rms_norm", "scale"),
        (L + "self_attn.q_proj.weight", (8, 8), "attention", "query"),
        (L + "self_attn.k_proj.weight", (4, 8), "attention", "key"),
        (L + "self_attn.v_proj.weight", (4, 8), "attention", "value"),
        (L + "self_attn.o_proj.weight", (8, 8), "attention", "output"),
        (L + "self_attn.rotary_emb.inv_freq", (4,), "other", "buffer"),
        (L + "post_attention_layernorm.weight", (8,), "rms_norm", "scale"),
        (L + "mlp.gate_proj.weight", (16, 8), "linear", "weight"),
        (L + "mlp.up_proj.weight", (16, 8), "linear", "weight"),
        (L + "mlp.down_proj.weight", (8, 16), "linear", "weight"),
        ("model.norm.weight", (8,), "rms_norm", "scale"),
        ("lm_head.weight", (50, 8), "linear", "weight"),
    ],
    "bert": [
        ("bert.embeddings.word_embeddings.weight", (50, 8), "embedding", "weight"),
        ("bert.embeddings.LayerNorm.gamma", (8,), "layer_norm", "scale"),
        ("bert.embeddings.LayerNorm.beta", (8,), "layer_norm", "shift"),
        (B + "attention.self.query.weight", (8, 8), "attention", "query"),
        (B + "attention.self.query.bias", (8,), "attention", "query_bias"),
        (B + "attention.self.key.weight", (8, 8), "attention", "key"),
        (B + "attention.self.value.weight", (8, 8), "attention", "value"),
        (B + "attention.output.dense.weight", (8, 8), "attention", "output"),
        (B + "attention.output.LayerNorm.gamma", (8,), "layer_norm", "scale"),
        (B + "attention.output.LayerNorm.beta", (8,), "layer_norm", "shift"),
        (B + "intermediate.dense.weight", (32, 8), "linear", "weight"),
        (B + "output.dense.weight", (8, 32), "linear", "weight"),
        ("bert.pooler.dense.weight", (8, 8), "linear", "weight"),
        ("classifier.weight", (2, 8), "linear", "weight"),
    ],
    "vit, t5, flax, numpy and others": [
        ("pos_embed", (1, 9, 8), "embedding", "weight"),
        ("patch_embed.proj.weight", (8, 3, 4, 4), "conv2d", "weight"),
        ("blocks.0.attn.qkv.weight", (24, 8), "attention", "qkv"),
        ("blocks.0.attn.proj.weight", (8, 8), "attention", "output"),
        ("shared.weight", (50, 8), "embedding", "weight"),
        ("block.0.layer.0.SelfAttention.q.weight", (8, 8), "attention", "query"),
        ("block.0.layer.0.SelfAttention.relative_attention_bias.weight", (32, 4), "embedding", "weight"),
        ("params/Dense_0/kernel", (3, 4), "linear", "weight"),
        ("params/Dense_0/bias", (4,), "linear", "bias"),
        ("params/Embed_0/embedding", (9, 4), "embedding", "weight"),
        ("sequential/conv2d/kernel:0", (3, 3, 1, 16), "conv2d", "weight"),
        ("W1", (3, 4), "linear", "weight"),
        ("b1", (4,), "linear", "bias"),
        ("conv.weight_v", (8, 3, 5), "conv1d", "weight"),
        ("conv.weight_g", (8, 1, 1), "conv1d", "scale"),
        ("alone.bias", (3,), "bias", "bias"),
        ("arr_0", (3, 3), "other", "other"),
        ("cls_token", (1, 1, 8), "other", "other"),
        ("", (2,), "other", "other"),
        ("..", (2, 3), "other", "other"),
    ],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_naming_schemes(scheme):
    found = told([(name, shape, "float32") for name, shape, _, _ in SCHEMES[scheme]])
    assert {name: entry[1:] for name, entry in found.items()} == {name: (kind, role) for name, _, kind, role in SCHEMES[scheme]}


@pytest.mark.parametrize("scheme", ["gpt2", "llama", "bert"])
def test_depth_is_found_again_where_the_order_is_lost(scheme):
    entries = [(name, shape, "float32") for name, shape, _, _ in SCHEMES[scheme]]
    order = [name for name in told(sorted(entries), ordered=False) if ".masked_bias" not in name and ".attn.bias" not in name]
    kept = [name for name, *_ in SCHEMES[scheme] if name in order]
    first, last = {"gpt2": 2, "llama": 1, "bert": 1}[scheme], 1
    assert set(order[:first]) == set(kept[:first])
    assert order[-last:] == kept[-last:]
    inside = [name for name in kept[first:-last] if "rotary" not in name]
    assert [name for name in order if name in inside] == inside


def test_numbers_in_names_are_numbers():
    entries = [
        (f"layers.{i}.fc{j}.{leaf}", (4, 4) if leaf == "weight" else (4,), "float32")
        for i in (0, 2, 10)
        for j in (1, 2, 10)
        for leaf in ("weight", "bias")
    ]
    assert list(told(sorted(entries), ordered=False)) == [name for name, _, _ in entries]


NAMES = st.text(max_size=30) | st.lists(
    st.sampled_from(
        ["layers", "0", "11", "attn", "q_proj", "norm", "bn", "weight", "bias", "weight_hh_l0", "running_mean", "q", "emb"]
    ),
    max_size=5,
).map(".".join)
SHAPES = st.lists(st.integers(0, 9), max_size=6).map(tuple)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, SHAPES, min_size=1, max_size=8), st.booleans())
def test_any_names_and_shapes_are_read_and_survive_json(shapes, ordered):
    entries = [(name, shape, "float32") for name, shape in shapes.items()]
    architecture = read_architecture(entries, ordered=ordered)
    assert sorted((t.name, t.shape, t.dtype) for t in architecture.tensors) == sorted(entries)
    assert {t.kind for t in architecture.tensors} <= set(KINDS)
    layers = {t.layer for t in architecture.tensors}
    assert sorted(layers) == list(range(len(layers)))
    assert {t.layer for t in architecture.tensors if t.role != "buffer"} == set(range(architecture.n_layers))
    again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert again == architecture


def test_parameters_are_counted_without_statistics():
    assert read_architecture(named(nn.BatchNorm1d(3))).n_params == 6
    assert read_architecture([("a", (2, 3), "int64"), ("w", (2, 3), "bfloat16")]).n_params == 6


def test_a_person_says_what_names_do_not(tmp_path):
    (tmp_path / "a.yaml").write_text("tensors: {'enc.*.w': {kind: linear, role: weight, layer: 5}, enc.1.w: {kind: gru}}")
    descriptions = Descriptions(read_description(tmp_path / "a.yaml"))
    read = read_architecture(listed(("enc.0.w", 2, 2, 2, 2), ("enc.1.w", 2, 2), ("x", 3)))
    first, second, third = descriptions.apply(read).tensors
    assert (first.kind, first.role, first.layer) == ("linear", "weight", 5)
    assert (second.kind, second.layer) == ("gru", 1)
    assert (third.kind, third.role) == ("other", "other")
    descriptions.require_all_used()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tensors: {a: {kind: blob}}", "blob; expected one of linear"),
        ("tensors: {a: {colour: red}}", "colour"),
        ("tensors: {}", "tensors"),
        ("{tensors: {a: {}}, layers: 3}", "layers"),
        ("tensors: {a: {shape: [-1]}}", "shape"),
        ("[", "YAML"),
    ],
)
def test_what_a_person_says_wrongly_is_named(tmp_path, text, said):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(MetarepError, match=said):
        read_description(tmp_path / "a.yaml")


def test_dtypes_are_kept():
    net = nn.Linear(2, 2).to(torch.bfloat16)
    assert {t.dtype for t in read_architecture(named(net)).tensors} == {"bfloat16"}
