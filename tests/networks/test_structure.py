"""Networks as people name them: their units are found, permutations of them leave the outputs, and false ones would not."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from metarep.errors import MetarepError
from metarep.formats.described import Descriptions, read_description
from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import SymmetryGroup
from metarep.networks.tensor_symmetry import permuted, random_symmetry


class Net(nn.Module):
    """Modules by dotted names, and a function of them and of an input."""

    def __init__(self, run, **parts):
        super().__init__()
        for name, part in parts.items():
            at = self
            *path, last = name.split("__")
            for step in path:
                if not hasattr(at, step):
                    at.add_module(step, nn.Module())
                at = getattr(at, step)
            setattr(at, last, part)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def mlp(*widths, act=nn.Tanh):
    layers = [part for a, b in itertools.pairwise(widths) for part in (nn.Linear(a, b), act())]
    return nn.Sequential(*layers[:-1])


def cat(*values):
    return torch.cat(values, dim=-1)


def recurrent(s, x):
    h, _ = s.rnn(s.embedding(x))
    return s.fc(h[:, -1])


def variational(s, x):
    h = s.encoder(x)
    return s.decoder(s.fc_mu(h) + 0.3 * torch.exp(s.fc_logvar(h)))


def lens(n_heads=2, d=6, d_head=4):
    """A transformer as TransformerLens names it, one layer, no norms."""
    p = nn.Parameter
    attn = {f"blocks__0__attn__W_{x}": p(torch.randn(n_heads, d, d_head)) for x in "QKV"}
    attn |= {f"blocks__0__attn__b_{x}": p(torch.randn(n_heads, d_head)) for x in "QKV"}
    attn |= {"blocks__0__attn__W_O": p(torch.randn(n_heads, d_head, d)), "blocks__0__attn__b_O": p(torch.randn(d))}
    ends = {
        "embed__W_E": p(torch.randn(11, d)),
        "pos_embed__W_pos": p(torch.randn(5, d)),
        "unembed__W_U": p(torch.randn(d, 11)),
    }
    inner = {"W_in": p(torch.randn(d, 9)), "b_in": p(torch.randn(9)), "W_out": p(torch.randn(9, d)), "b_out": p(torch.randn(d))}

    def run(s, x):
        h = s.embed.W_E[x] + s.pos_embed.W_pos
        a, m = getattr(s.blocks, "0").attn, getattr(s.blocks, "0").mlp
        q, k, v = (torch.einsum("btd,hde->bhte", h, getattr(a, f"W_{w}")) + getattr(a, f"b_{w}")[:, None] for w in "QKV")
        z = torch.softmax(q @ k.mT, -1) @ v
        h = h + torch.einsum("bhte,hed->btd", z, a.W_O) + a.b_O
        return (h + F.relu(h @ m.W_in + m.b_in) @ m.W_out + m.b_out) @ s.unembed.W_U

    return Net(run, **ends, **attn, **{f"blocks__0__mlp__{name}": value for name, value in inner.items()})


def heads_alone(n_heads=3, d=6, d_head=2):
    """A block of attention, whose square W_O is (d, heads · d_head) as its queries (heads, d_head, d) tell."""
    p = nn.Parameter
    attn = {f"attn_blocks__0__attn__W_{x}": p(torch.randn(n_heads, d_head, d)) for x in "QKV"}
    ends = {
        "embed__W_E": p(torch.randn(d, 11)),
        "pos_embed__W_pos": p(torch.randn(5, d)),
        "unembed__W_U": p(torch.randn(d, 11)),
    }

    def run(s, x):
        h, a = s.embed.W_E.T[x] + s.pos_embed.W_pos, getattr(s.attn_blocks, "0").attn
        q, k, v = (torch.einsum("btd,hed->bhte", h, getattr(a, f"W_{w}")) for w in "QKV")
        z = (torch.softmax(q @ k.mT, -1) @ v).permute(0, 2, 1, 3).flatten(2)
        return (h + z @ a.W_O.T) @ s.unembed.W_U

    return Net(run, **ends, **attn, attn_blocks__0__attn__W_O=p(torch.randn(d, n_heads * d_head)))


def field_trunk(s, x):
    """Points are read again half way, in front of the hidden units."""
    h = F.relu(s.pts_linears[1](F.relu(s.pts_linears[0](x))))
    return F.relu(s.pts_linears[2](cat(x, h)))


def detector():
    """Convolutions with a filter for each channel, two heads on the way, and a block that may or may not be led around."""

    def separable(n_in, n_out):
        first = (nn.Conv2d(n_in, n_in, 3, padding=1, groups=n_in, bias=False), nn.BatchNorm2d(n_in), nn.ReLU())
        return nn.Sequential(*first, nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())

    def run(s, x):
        middle = s.base[2](s.base[1](s.base[0](x)))
        late = s.base[3](middle + s.base[2](middle))
        found = [s.boxes[0](middle), s.boxes[1](late), s.scores[0](middle), s.scores[1](late), s.extra(late)]
        return cat(*(value.flatten(1) for value in found))

    return Net(
        run,
        base=nn.ModuleList([nn.Sequential(nn.Conv2d(1, 5, 3)), separable(5, 7), separable(7, 7), separable(7, 13)]),
        extra=nn.Sequential(nn.Conv2d(13, 6, 1), nn.ReLU(), nn.Conv2d(6, 13, 1)),
        boxes=nn.ModuleList([separable(7, 4), nn.Conv2d(13, 4, 1)]),
        scores=nn.ModuleList([separable(7, 2), nn.Conv2d(13, 2, 1)]),
    )


class Convolution(nn.Module):
    """A graph convolution as PyTorch Geometric keeps it."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.bias, self.lin = nn.Parameter(torch.randn(n_out)), nn.Linear(n_in, n_out, bias=False)

    def forward(self, x):
        mix = torch.softmax(torch.arange(9.0, dtype=x.dtype).view(3, 3), -1)
        return mix @ self.lin(x) + self.bias


PICTURES, NUMBERS = torch.randn(3, 1, 6, 6), torch.randn(3, 6)
WORDS = torch.arange(15).view(3, 5) % 11
linear = nn.Linear

FAMILIES = {
    "policy of stable-baselines3": (
        lambda: Net(
            lambda s, x: cat(s.action_net(s.mlp_extractor.policy_net(x)), s.value_net(s.mlp_extractor.value_net(x))),
            log_std=nn.Parameter(torch.zeros(2)),
            mlp_extractor__policy_net=mlp(6, 8, 8).append(nn.Tanh()),
            mlp_extractor__value_net=mlp(6, 8, 8).append(nn.Tanh()),
            action_net=linear(8, 2),
            value_net=linear(8, 1),
        ),
        NUMBERS,
        [8, 8, 8, 8],
    ),
    "soft actor": (
        lambda: Net(
            lambda s, x: cat(s.actor.mu(s.actor.latent_pi(x)), s.actor.log_std(s.actor.latent_pi(x)), s.critic.qf0(x)),
            actor__latent_pi=mlp(6, 8, 7).append(nn.Tanh()),
            actor__mu=linear(7, 2),
            actor__log_std=linear(7, 2),
            critic__qf0=mlp(6, 9, 1),
            critic__qf1=mlp(6, 9, 1),
        ),
        NUMBERS,
        [7, 8, 9, 9],
    ),
    "trunk and heads": (
        lambda: Net(
            lambda s, x: cat(s.pi(torch.tanh(s.fc1(x))), s.v(torch.tanh(s.fc1(x)))),
            fc1=linear(6, 8),
            pi=linear(8, 3),
            v=linear(8, 1),
        ),
        NUMBERS,
        [8],
    ),
    "critic that reads actions late": (
        lambda: Net(
            lambda s, x: s.fc3(F.relu(s.fc2(cat(F.relu(s.fcs1(x)), x[:, :2])))),
            fcs1=linear(6, 8),
            fc2=linear(10, 7),
            fc3=linear(7, 1),
        ),
        NUMBERS,
        [7],
    ),
    "generator and discriminator": (
        lambda: Net(lambda s, x: cat(s.netG(x), s.netD(x)), netG=mlp(6, 8, 6), netD=mlp(6, 8, 6)),
        NUMBERS,
        [8, 8],
    ),
    "a network and its average": (
        lambda: Net(lambda s, x: cat(s.model(x), s.ema.module(x)), model=mlp(6, 8, 6), ema__module=mlp(6, 8, 6)),
        NUMBERS,
        [8, 8],
    ),
    "an ensemble": (
        lambda: Net(lambda s, x: sum(net(x) for net in s.members), members=nn.ModuleList(mlp(6, 8, 6) for _ in range(3))),
        NUMBERS,
        [8, 8, 8],
    ),
    "variational autoencoder": (
        lambda: Net(variational, encoder=mlp(6, 8, 7), fc_mu=linear(7, 4), fc_logvar=linear(7, 4), decoder=mlp(4, 9, 6)),
        NUMBERS,
        [4, 7, 8, 9],
    ),
    "variational autoencoder whose latent stands last": (
        lambda: Net(
            lambda s, x: s.decoder(s.mean_layer(s.encoder(x)) + torch.exp(s.logvar_layer(s.encoder(x)))),
            encoder=mlp(6, 8, 5),
            decoder=mlp(5, 9, 6),
            mean_layer=linear(5, 5),
            logvar_layer=linear(5, 5),
        ),
        NUMBERS,
        [5, 5, 8, 9],
    ),
    "generator that reads a label behind its noise": (
        lambda: Net(lambda s, x: s.model(cat(x, s.label_emb.weight[:3])), label_emb=nn.Embedding(3, 3), model=mlp(9, 8, 7, 4)),
        NUMBERS,
        [7, 8],
    ),
    "decoder of square transposed convolutions": (
        lambda: Net(
            lambda s, x: s.decoder(s.encoder(x)),
            encoder=nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1)),
            decoder=nn.Sequential(
                *(nn.ConvTranspose2d(4, 7, 1), nn.ReLU(), nn.ConvTranspose2d(7, 7, 3), nn.ReLU()),
                *(nn.ConvTranspose2d(7, 3, 3), nn.ReLU(), nn.ConvTranspose2d(3, 1, 1)),
            ),
        ),
        PICTURES,
        [3, 4, 5, 6],
    ),
    "a table as the last layer": (
        lambda: Net(
            lambda s, x: F.relu(s.l1(s.embed(x).flatten(1))) @ s.unembed.weight.T,
            embed=nn.Embedding(11, 4),
            unembed=nn.Embedding(11, 8),
            l1=linear(20, 8),
        ),
        WORDS,
        [4, 8],
    ),
    "detector with heads on its way": (detector, PICTURES, [5, 6, 7]),
    "radiance field": (
        lambda: Net(
            lambda s, x: cat(
                s.alpha_linear(field_trunk(s, x)),
                s.rgb_linear(F.relu(s.views_linears[0](cat(s.feature_linear(field_trunk(s, x)), x[:, :2])))),
            ),
            pts_linears=nn.ModuleList([linear(6, 8), linear(8, 8), linear(14, 8)]),
            views_linears=nn.ModuleList([linear(10, 5)]),
            feature_linear=linear(8, 8),
            alpha_linear=linear(8, 1),
            rgb_linear=linear(5, 3),
        ),
        NUMBERS,
        [5, 8, 8],
    ),
    "attention alone": (heads_alone, WORDS, [3]),
    "lstm": (
        lambda: Net(recurrent, embedding=nn.Embedding(11, 5), rnn=nn.LSTM(5, 7, 2, batch_first=True), fc=linear(7, 3)),
        WORDS,
        [5, 7, 7],
    ),
    "gru in both directions": (
        lambda: Net(
            recurrent,
            embedding=nn.Embedding(11, 5),
            rnn=nn.GRU(5, 7, 2, batch_first=True, bidirectional=True),
            fc=linear(14, 3),
        ),
        WORDS,
        [5, 7, 7, 7, 7],
    ),
    "transformer of interpretability": (lens, WORDS, [2, 6, 9]),
    "graph convolutions": (
        lambda: Net(
            lambda s, x: s.fc(s.conv2(F.relu(s.conv1(x)))), conv1=Convolution(6, 8), conv2=Convolution(8, 7), fc=linear(7, 2)
        ),
        NUMBERS,
        [7, 8],
    ),
    "list of convolutions in an unknown network": (
        lambda: Net(
            lambda s, x: (s.block.body(x) * s.gate_map).mean((2, 3)),
            block__body=nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 1)),
            gate_map=nn.Parameter(torch.randn(3, 1, 1)),
        ),
        PICTURES,
        [4],
    ),
    "low rank": (
        lambda: Net(
            lambda s, x: x + s.layers_0.lora_B(s.layers_0.lora_A(x)) + s.layers_1.lora_B(s.layers_1.lora_A(x)),
            layers_0__lora_A=linear(6, 3, bias=False),
            layers_0__lora_B=linear(3, 6, bias=False),
            layers_1__lora_A=linear(6, 3, bias=False),
            layers_1__lora_B=linear(3, 6, bias=False),
        ),
        NUMBERS,
        [3, 3],
    ),
    "single layers in a list": (
        lambda: Net(
            lambda s, x: s.net[2].linear(torch.sin(s.net[1].linear(torch.sin(s.net[0].linear(x))))),
            net=nn.ModuleList(Net(None, linear=linear(a, b)) for a, b in ((6, 6), (6, 6), (6, 6))),
        ),
        NUMBERS,
        [6, 6],
    ),
    "a norm of inputs": (
        lambda: Net(lambda s, x: s.fc2(F.relu(s.fc1(s.norm(x)))), norm=nn.BatchNorm1d(6), fc1=linear(6, 8), fc2=linear(8, 3)),
        NUMBERS,
        [8],
    ),
}
"""A network, an input, and the widths of all its interchangeable groups."""


def made(name, *, prefix=""):
    torch.manual_seed(0)
    make, x, free = FAMILIES[name]
    module = make().double().eval()
    tensors = {key: torch.randn_like(v) if v.is_floating_point() and v.ndim else v for key, v in module.state_dict().items()}
    tensors = {key: v.abs() + 0.5 if key.endswith("running_var") else v for key, v in tensors.items()}
    named = [(prefix + key, tuple(v.shape), str(v.dtype).removeprefix("torch.")) for key, v in tensors.items()]
    return module, x.double() if x.is_floating_point() else x, tensors, symmetries_of(read_architecture(named)), free


def outputs(module, tensors, x):
    with torch.no_grad():
        return torch.func.functional_call(module, tensors, (x,))


@pytest.mark.parametrize("name", FAMILIES)
def test_units_are_found_and_change_places(name):
    module, x, tensors, symmetries, free = made(name)
    assert sorted(units.n for units in symmetries.groups if units.interchangeable) == free
    before = outputs(module, tensors, x)
    changed = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1))
    assert any(not torch.equal(tensors[key], changed[key]) for key in tensors)
    torch.testing.assert_close(outputs(module, changed, x), before, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_member_left_out_breaks_it(name):
    """The control, on the first group that outputs hang on."""
    module, x, tensors, symmetries, _ = made(name)
    before = outputs(module, tensors, x)
    units = next(units for units in symmetries.groups if units.interchangeable)
    rest = type(symmetries)((SymmetryGroup("rest", units.n, units.members[1:]),))
    broken = permuted(tensors, rest, [np.roll(np.arange(units.n), 1)])
    assert (outputs(module, broken, x) - before).abs().max() > 1e-6


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.model.", "state_dict."])
@pytest.mark.parametrize("name", ["variational autoencoder", "transformer of interpretability", "single layers in a list"])
def test_a_prefix_of_all_names_changes_nothing(name, prefix):
    *_, symmetries, free = made(name, prefix=prefix)
    assert sorted(units.n for units in symmetries.groups if units.interchangeable) == free


def layers(names, widths):
    return [
        (f"{name}.{leaf}", shape, "float32")
        for name, (a, b) in zip(names, itertools.pairwise(widths), strict=True)
        for leaf, shape in (("weight", (b, a)), ("bias", (b,)))
    ]


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


def test_an_order_in_doubt_is_said_and_nothing_joins():
    entries = layers(["foo", "bar"], (5, 7, 5))
    assert [u.n for u in symmetries_of(read_architecture(entries)).groups if u.interchangeable] == [7]
    found = symmetries_of(read_architecture(sorted(entries), ordered=False))
    assert not any(units.interchangeable for units in found.groups)
    assert any("order" in note and "foo" in note for note in found.notes)


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
    ("names", "expected"),
    [
        (("model.0", "model.2", "ema_model.module.0", "ema_model.module.2"), ("model", "ema_model.module")),
        (("user_net.0", "user_net.2", "item_net.0", "item_net.2"), ("user_net", "item_net")),
        (("t.0.0", "t.0.2", "s.0.0", "s.0.2"), ("t.0", "s.0")),
        (("q1.0", "q1.2", "q2.0", "q2.2"), ("q1", "q2")),
        (("teacher.0", "teacher.2", "student.0", "student.2"), ("teacher", "student")),
        (("layers.0.0", "layers.0.2", "layers.1.0", "layers.1.2"), ()),
        (("fc1", "fc2", "fc3", "fc4"), ()),
    ],
)
def test_networks_side_by_side_have_prefixes_and_never_join(names, expected):
    entries = layers(names[:2], (6, 9, 6)) + layers(names[2:], (6, 9, 6))
    found = read_architecture(entries)
    assert found.components == expected
    for units in symmetries_of(found).groups if expected else ():
        assert len({member.tensor.split(".")[0] for member in units.members}) == 1


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
}


@pytest.mark.parametrize("name", BUFFERS)
def test_what_nothing_trains_is_set_aside(name):
    entries = [(name, BUFFERS[name], "float32"), *layers(["fc1", "fc2"], (6, 8, 3))]
    found = read_architecture(entries)
    assert next(t.role for t in found.tensors if t.name == name) == "buffer"
    assert found.n_params == 6 * 8 + 8 + 8 * 3 + 3
    assert [units.n for units in symmetries_of(found).groups if units.interchangeable] == [8]


@pytest.mark.parametrize(
    "name", ["input.weight", "input.bias", "scale.weight", "gain", "log_std", "conv.filters.weight", "pos.weight"]
)
def test_what_may_be_trained_is_not(name):
    shape = (6,) if name in ("input.bias", "gain", "log_std") else (6, 6)
    found = read_architecture([(name, shape, "float32"), ("input.weight2", (3, 3), "float32"), *layers(["fc"], (6, 8))])
    assert found.tensors[0].role != "buffer"


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
