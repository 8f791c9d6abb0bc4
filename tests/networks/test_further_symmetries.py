"""Signs, shifts of logits, rotations: drawn at random they leave the function, canonical forms undo them, and others do not."""

import math

import pytest
import torch

from metarep.networks.architecture import read_architecture
from metarep.networks.further_inference import with_further
from metarep.networks.further_symmetries import HeadRows, LogitShift, Rotation, Signs, odd_sign
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Member, Symmetries
from metarep.networks.tensor_symmetry import canonical_form, random_further, random_symmetry


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    generator = draw()
    return {name.replace("__", "."): torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def found_in(tensors, *, n_lead: int = 0, relu: bool = False, **stated) -> Symmetries:
    architecture = read_architecture([(name, tuple(value.shape[n_lead:]), "float32") for name, value in tensors.items()])
    return with_further(architecture, symmetries_of(architecture, relu=relu), **stated)


def chain(tensors, x, activation) -> torch.Tensor:
    h = activation(x @ tensors["0.weight"].T + tensors["0.bias"])
    return activation(h @ tensors["2.weight"].T + tensors["2.bias"]) @ tensors["4.weight"].T + tensors["4.bias"]


def layers(*lead: int) -> dict[str, torch.Tensor]:
    shapes = {"0__weight": (6, 3), "0__bias": (6,), "2__weight": (5, 6), "2__bias": (5,), "4__weight": (4, 5), "4__bias": (4,)}
    return normal(**{name: (*lead, *shape) for name, shape in shapes.items()})


def same(one, other, atol: float = 0.0) -> bool:
    return all(torch.allclose(value, other[name], atol=atol, rtol=0) for name, value in one.items())


@pytest.mark.parametrize(("name", "activation"), [("tanh", torch.tanh), ("sin", torch.sin), ("erf", torch.erf)])
def test_signs_behind_odd_activations(name, activation):
    tensors, x = layers(), torch.randn(7, 3, generator=draw(1))
    symmetries = found_in(tensors, activation=name)
    assert [one.n for one in symmetries.further] == [6, 5]
    turned = random_further(tensors, symmetries, n_lead=0, generator=draw(2))
    assert not same(tensors, turned)
    torch.testing.assert_close(chain(turned, x, activation), chain(tensors, x, activation))
    assert (chain(turned, x, torch.relu) - chain(tensors, x, torch.relu)).abs().max() > 0.1


@pytest.mark.parametrize("activation", ["relu", "gelu", None])
def test_no_signs_where_no_odd_activation_is_stated(activation):
    assert found_in(layers(), relu=activation == "relu", activation=activation).further == ()


def test_no_signs_behind_a_norm_or_a_convolution():
    norm = normal(**{"0__weight": (6, 3), "0__bias": (6,), "1__weight": (6,), "1__bias": (6,), "3__weight": (2, 6)})
    assert any(units.interchangeable for units in found_in(norm).groups)
    assert found_in(norm, activation="tanh").further == ()
    pooled = normal(**{"0__weight": (6, 3, 3, 3), "0__bias": (6,), "2__weight": (2, 6, 3, 3), "2__bias": (2,)})
    assert found_in(pooled, activation="tanh").further == ()


def test_canonical_signs_are_the_same_bits_in_any_order_and_sign():
    tensors = layers(5)
    symmetries = found_in(tensors, n_lead=1, activation="tanh")
    turned = random_further(tensors, symmetries, n_lead=1, generator=draw(3))
    for row in range(5):
        own = {name: value[row] for name, value in tensors.items()}
        copy = random_symmetry({name: value[row] for name, value in turned.items()}, symmetries, generator=draw(row))
        first, again = (canonical_form(each, symmetries)[0] for each in (own, copy))
        assert same(first, again)
        assert same(first, canonical_form(first, symmetries)[0])
        broken = {**own, "2.weight": -own["2.weight"]}
        assert not same(first, canonical_form(broken, symmetries)[0], atol=1e-3)


def test_ties_of_signs_go_to_the_next_moment():
    rows = torch.tensor([[1.0, -1.0, 0.0], [2.0, -1.0, -1.0], [-2.0, 1.0, 1.0], [-1.0, 0.0, 0.0]])
    assert odd_sign(rows).tolist() == [1, 1, -1, -1]


def test_a_shift_of_logits_is_one_only_behind_a_softmax():
    tensors, x = layers(), torch.randn(7, 3, generator=draw(1))
    assert found_in(tensors, activation="relu").further == ()
    symmetries = found_in(tensors, activation="relu", output_activation="softmax")
    shifted = random_further(tensors, symmetries, n_lead=0, generator=draw(2))
    before, after = (chain(each, x, torch.relu) for each in (tensors, shifted))
    torch.testing.assert_close(torch.softmax(after, 1), torch.softmax(before, 1), atol=1e-5, rtol=1e-4)
    assert (after - before).abs().max() > 0.1
    first, again = (canonical_form(each, symmetries)[0] for each in (tensors, shifted))
    assert same(first, again, atol=1e-5)
    assert first["4.weight"].mean(0).abs().max() < 1e-6
    single = shifted["4.weight"].clone()
    single[0] += 1
    assert not same(first, canonical_form({**shifted, "4.weight": single}, symmetries)[0], atol=1e-2)


def heads() -> tuple[dict[str, torch.Tensor], tuple[Rotation, Rotation]]:
    """Two heads of width 3 in a stream of 8: queries and keys fused with their biases, values apart, per head."""
    tensors = normal(qk=(12, 8), qk_bias=(12,), value=(2, 8, 3), out=(8, 6))
    queries = (HeadRows("qk", 0), HeadRows("qk_bias", 0))
    keys = (HeadRows("qk", 0, start=6), HeadRows("qk_bias", 0, start=6))
    turns = Rotation("attention rotation", "qk", 2, 3, queries, keys)
    return tensors, (turns, Rotation("attention rotation", "vo", 2, 3, (HeadRows("value", 2, heads=0),), (HeadRows("out", 1),)))


def attend(tensors, x) -> torch.Tensor:
    q, k = (x @ tensors["qk"].T + tensors["qk_bias"]).chunk(2, dim=-1)
    q, k = (part.unflatten(-1, (2, 3)).transpose(-2, -3) for part in (q, k))
    v = torch.einsum("td,hde->hte", x, tensors["value"])
    return (torch.softmax(q @ k.mT / math.sqrt(3), -1) @ v).transpose(0, 1).flatten(1) @ tensors["out"].T


@pytest.mark.parametrize("std", [0.0, 0.7])
def test_rotations_inside_attention(std):
    tensors, turns = heads()
    x, symmetries = torch.randn(6, 8, generator=draw(4)), Symmetries((), (), turns)
    turned = random_further(tensors, symmetries, n_lead=0, generator=draw(5), log_scale_std=std)
    assert all(not torch.allclose(value, turned[name]) for name, value in tensors.items())
    torch.testing.assert_close(attend(turned, x), attend(tensors, x), atol=1e-4, rtol=1e-4)
    first, again = (canonical_form(each, symmetries)[0] for each in (tensors, turned))
    torch.testing.assert_close(attend(first, x), attend(tensors, x), atol=1e-4, rtol=1e-4)
    assert same(first, again, atol=1e-5)
    alone = {**tensors, "qk": torch.cat([turned["qk"][:6], tensors["qk"][6:]])}
    assert (attend(alone, x) - attend(tensors, x)).abs().max() > 1e-2
    assert not same(first, canonical_form(alone, symmetries)[0], atol=1e-2)


def test_rotations_of_several_networks_at_once_are_those_of_each():
    tensors, turns = heads()
    several = {name: torch.stack([value, 2 * value, value.flip(-1)]) for name, value in tensors.items()}
    together = canonical_form(several, Symmetries((), (), turns), n_lead=1)[0]
    for row in range(3):
        one = canonical_form({name: value[row] for name, value in several.items()}, Symmetries((), (), turns))[0]
        assert same(one, {name: value[row] for name, value in together.items()}, atol=1e-5)


def test_lora_factors_count_by_their_product():
    tensors = normal(q__lora_A__default__weight=(3, 7), q__lora_B__default__weight=(5, 3), v__lora_A__weight=(2, 7))
    symmetries = found_in(tensors)
    assert [(one.kind, one.d) for one in symmetries.further] == [("LoRA", 3)]
    turned = random_further(tensors, symmetries, n_lead=0, generator=draw(6), log_scale_std=0.5)
    a, b = "q.lora_A.default.weight", "q.lora_B.default.weight"
    assert not torch.allclose(turned[a], tensors[a], atol=0.1)
    torch.testing.assert_close(turned[b] @ turned[a], tensors[b] @ tensors[a], atol=1e-5, rtol=1e-4)
    first, again = (canonical_form(each, symmetries)[0] for each in (tensors, turned))
    assert same(first, again, atol=1e-5)
    torch.testing.assert_close(first[b] @ first[a], tensors[b] @ tensors[a], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(first[a] @ first[a].T, first[b].T @ first[b], atol=1e-5, rtol=1e-4)  # balanced
    assert not same(first, canonical_form({**tensors, a: turned[a]}, symmetries)[0], atol=1e-2)
    fresh = canonical_form({**tensors, b: torch.zeros(5, 3)}, symmetries)[0]
    assert all(torch.isfinite(value).all() for value in fresh.values())


def test_what_a_symmetry_needs_and_is_not_there_is_left_alone():
    tensors = {"0.weight": torch.ones(2, 2)}
    gone = (
        LogitShift("l", (Member("9.weight", 0, "in"),)),
        Rotation("LoRA", "r", 1, 2, (HeadRows("a", 0),), (HeadRows("b", 1),)),
    )
    symmetries = Symmetries((), (), gone)
    assert same(tensors, random_further(tensors, symmetries, n_lead=0, generator=draw()))
    assert same(tensors, canonical_form(tensors, symmetries)[0])


def test_signs_of_recurrent_weights_do_not_decide():
    """A weight between two units of a group turns with both."""
    units = Signs("u", 2, (Member("b", 0, "in"), Member("w", 0, "in"), Member("w", 1, "out")))
    tensors = {"b": torch.tensor([-1.0, 2.0]), "w": torch.tensor([[1.0, 2.0], [-9.0, 4.0]])}
    found = units.canonical(tensors, n_lead=0)
    assert found["b"].tolist() == [1, 2]
    assert found["w"].tolist() == [[1, -2], [9, 4]]


@pytest.mark.parametrize(("places", "kinds"), [("pos_embed.W_pos", 2), ("blocks.0.attn.rotary_sin", 1)])
def test_rotary_positions_leave_the_rotations_of_values_and_are_named(places, kinds):
    shapes = {f"blocks.0.attn.W_{part}": (2, 6, 4) for part in "QKV"} | {"blocks.0.attn.W_O": (2, 4, 6), places: (9, 6)}
    architecture = read_architecture([(name, shape, "float32") for name, shape in shapes.items()])
    found = with_further(architecture, symmetries_of(architecture))
    assert [one.kind for one in found.further] == ["attention rotation"] * kinds
    assert any("rotary" in note for note in found.notes) == (kinds == 1)
