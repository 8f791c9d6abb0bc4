"""What a person declares of a network: its structure, heads, fixed axes, strides and pools."""

import pytest
import torch
from named_networks import NUMBERS, Net, cat, layers, linear, outputs
from torch import nn
from torch.nn import functional as F

from metarep.errors import MetarepError
from metarep.formats.described import Descriptions, read_description
from metarep.networks.architecture import read_architecture
from metarep.networks.check import with_checks
from metarep.networks.inference import symmetries_of
from metarep.networks.tensor_symmetry import random_symmetry


def described(tmp_path, text, entries):
    (tmp_path / "a.yaml").write_text(text)
    descriptions = Descriptions(read_description(tmp_path / "a.yaml"))
    found = descriptions.apply(read_architecture(entries))
    descriptions.require_all_used()
    return found


def test_a_declared_structure_is_what_counts(tmp_path):
    torch.manual_seed(0)
    module = Net(
        lambda s, x: s.f(cat(F.relu(s.d(h := (y := s.a(x)) + s.c(F.relu(s.b(y))))), F.relu(s.e(h)))),
        **{
            name: linear(*shape) for name, shape in zip("abcdef", ((6, 7), (7, 9), (9, 7), (7, 4), (7, 5), (9, 2)), strict=True)
        },
    ).double()
    tensors = {key: value.clone() for key, value in module.state_dict().items()}
    entries = [(key, tuple(value.shape), "float64") for key, value in tensors.items()]
    text = "structure: [a, {residual: [b, c]}, {parallel: [[d], [e]]}, f]\nactivation: relu\nfixed: {d.weight: [0]}"
    found = described(tmp_path, text, entries)
    assert type(found).from_json(found.to_json()) == found
    symmetries = symmetries_of(found)
    assert sorted(units.n for units in symmetries.groups if units.interchangeable) == [5, 7, 9]
    assert {units.n for units in symmetries.groups if units.positive_scale} == {9, 5}
    changed = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1), log_scale_std=0.5)
    torch.testing.assert_close(outputs(module, changed, NUMBERS.double()), outputs(module, tensors, NUMBERS.double()))
    unknown = symmetries_of(read_architecture(entries))
    assert not {7} & {units.n for units in unknown.groups if units.interchangeable}


def test_what_is_joined_can_be_declared(tmp_path):
    """A U-Net whose skip is narrower than what it is joined to: the order is known, so all units change places alone."""
    torch.manual_seed(0)
    widths = {"enc": (6, 4), "mid": (4, 7), "dec": (11, 5), "out": (5, 2)}
    module = Net(
        lambda s, x: s.out(torch.tanh(s.dec(cat(h := torch.tanh(s.enc(x)), torch.tanh(s.mid(h)))))),
        **{name: linear(*shape) for name, shape in widths.items()},
    ).double()
    tensors = {key: value.clone() for key, value in module.state_dict().items()}
    entries = [(key, tuple(value.shape), "float64") for key, value in tensors.items()]
    symmetries = symmetries_of(described(tmp_path, "structure: [enc, {concatenate: [[], mid]}, dec, out]", entries))
    assert sorted(units.n for units in symmetries.groups if units.interchangeable) == [4, 5, 7]
    changed = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(outputs(module, changed, NUMBERS.double()), outputs(module, tensors, NUMBERS.double()))


def test_a_norm_that_is_none_over_groups_can_be_declared(tmp_path):
    torch.manual_seed(0)
    module = Net(
        lambda s, x: s.c2(F.relu(s.n1(s.c1(x.view(-1, 1, 2, 3))))).mean((2, 3)),
        c1=nn.Conv2d(1, 8, 1),
        n1=nn.InstanceNorm2d(8, affine=True),
        c2=nn.Conv2d(8, 3, 1),
    ).double()
    tensors = {key: torch.randn_like(value) for key, value in module.state_dict().items()}
    entries = [(key, tuple(value.shape), "float64") for key, value in tensors.items()]
    unsaid = symmetries_of(described(tmp_path, "structure: [c1, n1, c2]", entries))
    assert not any(units.interchangeable for units in unsaid.groups)
    assert any("n1 may be over groups of channels" in note and "kind: batch_norm" in note for note in unsaid.notes)
    said = symmetries_of(described(tmp_path, "structure: [c1, n1, c2]\ntensors: {n1.*: {kind: batch_norm}}", entries))
    assert [units.n for units in said.groups if units.interchangeable] == [8]
    changed = random_symmetry(tensors, said, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(outputs(module, changed, NUMBERS.double()), outputs(module, tensors, NUMBERS.double()))


def test_declared_heads_are_units(tmp_path):
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 4, batch_first=True).double()
    tensors = {key: torch.randn_like(value) for key, value in module.state_dict().items()}
    entries = [(f"attn.{key}", tuple(value.shape), "float64") for key, value in tensors.items()]
    assert not any(units.interchangeable for units in symmetries_of(read_architecture(entries)).groups)
    symmetries = symmetries_of(described(tmp_path, "n_heads: 4", entries))
    (heads,) = [units for units in symmetries.groups if units.interchangeable]
    assert heads.n == 4
    prefixed = {f"attn.{key}": value for key, value in tensors.items()}
    changed = random_symmetry(prefixed, symmetries, generator=torch.Generator().manual_seed(1))
    x = torch.randn(2, 5, 8).double()
    one, other = (
        torch.func.functional_call(module, {key.removeprefix("attn."): v for key, v in t.items()}, (x, x, x))[0]
        for t in (prefixed, changed)
    )
    assert not torch.equal(prefixed["attn.in_proj_weight"], changed["attn.in_proj_weight"])
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("structure: [a, q]", "no network has all layers.*q"),
        ("structure: {what: [a]}", "no structure.*what"),
        ("structure: [b, a]", "does not fit.*reads 6"),
        ("structure: [a]", "leaves out layers.*b"),
        ("structure: {parallel: []}", "lists nothing"),
        ("fixed: {a.weight: [4]}", "no such axes.*4"),
        ("fixed: {nothing: [0]}", "fixed nothing"),
        ("n_heads: 0", "n_heads"),
        ("{}", "describes nothing"),
    ],
)
def test_what_is_declared_wrongly_is_named(tmp_path, text, said):
    with pytest.raises(MetarepError, match=said):
        described(tmp_path, text, layers(["a", "b"], (6, 7, 3)))


def test_strides_and_pools_that_are_declared_let_claims_be_checked(tmp_path):
    entries = [("0.weight", (4, 1, 3, 3), "float32"), ("0.bias", (4,), "float32"), ("3.weight", (3, 16), "float32")]
    tensors = {name: torch.randn(shape) for name, shape, _ in entries}
    text = "activation: relu\nsteps: {'0': {stride: 2, padding: 1, pool: 2}}\ninput_shape: [1, 8, 8]"
    found = described(tmp_path, text, entries)
    assert type(found).from_json(found.to_json()) == found
    assert dict(with_checks(found, tensors).evidence)["units of 0"] == "checked"
    assert with_checks(described(tmp_path, "activation: relu\ninput_shape: [1, 8, 8]", entries), tensors).evidence == ()
