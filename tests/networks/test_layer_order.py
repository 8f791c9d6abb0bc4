"""Which layer stands behind which, where a file has lost it or names leave it open; what is in doubt is not claimed."""

import itertools

import pytest
import torch
from named_networks import layers

from metarep.networks.architecture import read_architecture
from metarep.networks.components import component_of
from metarep.networks.inference import symmetries_of
from metarep.networks.tensor_symmetry import random_symmetry


@pytest.mark.parametrize(
    ("names", "widths"),
    [
        (["sine_layers.0", "sine_layers.1", "final_linear"], (2, 9, 9, 1)),
        (["fc_in", "fc_hidden", "fc_out"], (5, 7, 7, 3)),
        (["first", "middle", "last"], (5, 7, 7, 5)),
        (["initial", "final"], (5, 7, 5)),
        (["z", "a", "m"], (5, 7, 4, 3)),
        (["encoder.0", "encoder.2", "decoder.0", "decoder.2"], (6, 4, 2, 4, 6)),
    ],
)
def test_widths_and_words_find_the_order_again(names, widths):
    entries = layers(names, widths)
    ordered, found = read_architecture(entries), read_architecture(sorted(entries), ordered=False)
    assert {t.name: t.layer for t in found.tensors} == {t.name: t.layer for t in ordered.tensors}
    assert symmetries_of(found).groups == symmetries_of(ordered).groups
    assert [units.n for units in symmetries_of(found).groups if units.interchangeable] == list(widths[1:-1])


@pytest.mark.parametrize(
    "names", [["foo", "bar"], ["fc1", "fc2", "fc"], ["l1", "l2", "lout"], ["fc0", "fc1", "fcL"]], ids=", ".join
)
def test_an_order_in_doubt_is_said_and_nothing_joins(names):
    entries = layers(names, (5, *[7] * (len(names) - 1), 5) if len(names) == 2 else (7, 7, 7, 7))
    n_free = len(names) - 1
    assert [u.n for u in symmetries_of(read_architecture(entries)).groups if u.interchangeable] == [7] * n_free
    found = symmetries_of(read_architecture(sorted(entries), ordered=False))
    assert not any(units.interchangeable for units in found.groups)
    assert any("order" in note and names[0] in note for note in found.notes)


def test_the_layer_without_a_number_stands_first_where_others_are_counted_from_it():
    entries = layers(["dense", "dense_1", "dense_2"], (7, 7, 7, 7))
    found = symmetries_of(read_architecture(sorted(entries), ordered=False))
    assert [units.n for units in found.groups if units.interchangeable] == [7, 7]


def test_filters_of_a_channel_each_stand_behind_the_layer_whose_channels_they_read():
    """By the alphabet dw is first, reads one channel, and the outputs of fc were what stem reads."""
    entries = [("stem.weight", (8, 3, 3, 3)), ("dw.weight", (8, 1, 3, 3)), ("pw.weight", (16, 8, 1, 1)), ("fc.weight", (3, 16))]
    entries = [(*one, "float32") for one in entries]
    found = read_architecture(sorted(entries), ordered=False)
    assert [tensor.name for tensor in found.tensors] == [name for name, *_ in entries]
    assert [units.n for units in symmetries_of(found).groups if units.interchangeable] == [8, 16]


def chain(weights, x):
    for at, (weight, bias) in enumerate(weights):
        x = (torch.tanh(x) if at else x) @ weight + bias
    return x


@pytest.mark.parametrize(
    "names", [("W{}", "b{}"), ("arr_{}", None), ("fc{}/weights", "fc{}/biases"), ("Dense_{}/kernel", "Dense_{}/bias")]
)
def test_bare_parameters_that_keep_inputs_first(names):
    torch.manual_seed(0)
    shapes = list(itertools.pairwise((4, 6, 6, 3)))
    if names[1] is None:
        keys = [(f"arr_{2 * i}", f"arr_{2 * i + 1}") for i in range(3)]
    else:
        keys = [tuple(name.format(i) for name in names) for i in range(3)]
    tensors = {}
    for (weight, bias), shape in zip(keys, shapes, strict=True):
        tensors |= {weight: torch.randn(shape).double(), bias: torch.randn(shape[1]).double()}
    symmetries = symmetries_of(read_architecture([(key, tuple(v.shape), "float32") for key, v in tensors.items()]))
    assert [units.n for units in symmetries.groups if units.interchangeable] == [6, 6]
    changed = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1))
    x = torch.randn(3, 4).double()
    torch.testing.assert_close(*(chain([(t[w], t[b]) for w, b in keys], x) for t in (tensors, changed)))


def test_lists_of_parameters_are_layers():
    entries = [(f"weights.{i}", shape, "float32") for i, shape in enumerate(((7, 4), (5, 7), (2, 5)))]
    entries += [(f"biases.{i}", (n,), "float32") for i, n in enumerate((7, 5, 2))]
    found = read_architecture(entries)
    assert [(t.layer, t.role) for t in found.tensors] == [
        (0, "weight"),
        (1, "weight"),
        (2, "weight"),
        (0, "bias"),
        (1, "bias"),
        (2, "bias"),
    ]
    assert [units.n for units in symmetries_of(found).groups if units.interchangeable] == [7, 5]


def test_a_sparse_autoencoder_with_its_decoder_first():
    shapes = {"b_dec": (6,), "decoder.weight": (6, 20), "encoder.weight": (20, 6), "encoder.bias": (20,)}
    for entries in (shapes, {"W_enc": (6, 20), "b_enc": (20,), "W_dec": (20, 6), "b_dec": (6,)}):
        groups = symmetries_of(read_architecture([(*one, "float32") for one in entries.items()])).groups
        assert [units.n for units in groups if units.interchangeable] == [20]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("encode", "latent", "decode"), [5, 5]),
        (("fc1", "fc2", "fc3"), [5, 5]),
        (("zeta", "eta", "theta"), []),
    ],
)
def test_where_a_ring_of_layers_begins_is_told_by_names_or_in_doubt(names, found):
    """8, 5, 5 and 8 units: as far as widths go the network could begin anywhere, and its outputs were hidden units."""
    entries = layers(names, (8, 5, 5, 8))
    for ordered, units in ((True, [5, 5]), (False, found)):
        symmetries = symmetries_of(read_architecture(entries, ordered=ordered))
        assert [one.n for one in symmetries.groups if one.interchangeable] == units


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("model.0", "model.2", "ema_model.module.0", "ema_model.module.2"), ("model", "ema_model.module")),
        (("user_net.0", "user_net.2", "item_net.0", "item_net.2"), ("user_net", "item_net")),
        (("t.0.0", "t.0.2", "s.0.0", "s.0.2"), ("t.0", "s.0")),
        (("q1.0", "q1.2", "q2.0", "q2.2"), ("q1", "q2")),
        (("teacher.0", "teacher.2", "student.0", "student.2"), ("teacher", "student")),
        (("alice_fc1", "alice_fc2", "bob_fc1", "bob_fc2"), ("alice_", "bob_")),
        (("net1_lin_a", "net1_lin_b", "net2_lin_a", "net2_lin_b"), ("net1_", "net2_")),
        (("mlp_fc1", "mlp_fc2", "mlp_ema_fc1", "mlp_ema_fc2"), ("mlp_", "mlp_ema_")),
        (("enc_fc1", "enc_fc2", "dec_fc1", "dec_fc2"), ()),
        (("hidden_1", "hidden_2", "linear_1", "linear_2"), ()),
        (("layers.0.0", "layers.0.2", "layers.1.0", "layers.1.2"), ()),
        (("fc1", "fc2", "fc3", "fc4"), ()),
    ],
)
def test_networks_side_by_side_have_prefixes_and_never_join(names, expected):
    entries = layers(names[:2], (6, 9, 6)) + layers(names[2:], (6, 9, 6))
    found = read_architecture(entries)
    assert found.components == expected
    for units in symmetries_of(found).groups if expected else ():
        assert len({component_of(member.tensor, expected) for member in units.members}) == 1


@pytest.mark.parametrize(
    "entries",
    [
        layers(["conv1", "conv2"], (6, 9, 6)) + layers(["shortcut"], (6, 6)),
        [("list.0.weight", (8, 1, 3, 3)), ("list.2.weight", (5, 8, 1, 1)), ("emb.weight", (9, 3)), ("x.y.z", (4, 4, 4, 4, 4))],
        [("conv.weight", (5, 2, 3, 3)), ("dense4.weight", (7, 20))],
        layers(["blocks.0.fc1", "blocks.0.fc3", "blocks.1.fc1", "blocks.1.fc3"], (6, 6, 6, 6, 6))[:6],
    ],
    ids=["a shortcut", "filters of channels first", "flattened as who knows", "blocks of one width"],
)
def test_what_is_in_doubt_is_not_free(entries):
    found = symmetries_of(read_architecture([(name, shape, "float32") for name, shape, *_ in entries]))
    assert not any(units.interchangeable for units in found.groups)
    assert any("depend on the order" in note for note in found.notes)


@pytest.mark.parametrize(
    ("entries", "said"),
    [([("fc.weight", (3, 5)), ("fc.bias", (3,))], False), ([("mixing", (5, 5, 5))], True)],
)
def test_of_a_layer_that_has_no_hidden_units_no_order_is_said_to_matter(entries, said):
    notes = symmetries_of(read_architecture([(*entry, "float32") for entry in entries])).notes
    assert any("depend on the order" in note for note in notes) == said
    assert any("no hidden units" in note for note in notes) != said


def test_why_tied_and_fixed_units_keep_their_order_is_said():
    entries = layers(["fc1", "fc2"], (6, 6, 6))
    looped = read_architecture(entries).changed({f"fc2.{leaf}": {"tied_to": f"fc1.{leaf}"} for leaf in ("weight", "bias")})
    found = symmetries_of(looped)
    assert not any(units.interchangeable for units in found.groups)
    assert any("units of fc1 keep their order" in note and "tied" in note for note in found.notes)


def test_of_units_that_are_not_known_the_order_is_said_to_matter():
    entries = [("mixing", (5, 5, 5), "float32"), ("inner.weight", (6, 4), "float32"), *layers(["hidden", "readout"], (5, 8, 3))]
    found = symmetries_of(read_architecture(entries))
    assert [units.n for units in found.groups if units.interchangeable] == [8]
    assert any("order in which units of inner were saved" in note for note in found.notes)
    chain_alone = symmetries_of(read_architecture(layers(["hidden", "readout"], (5, 8, 3))))
    assert chain_alone.notes == ()
