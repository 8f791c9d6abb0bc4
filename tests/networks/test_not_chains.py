"""Networks that look like chains by shape and are none: what is called interchangeable must leave their function as it is."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of
from metarep.networks.tensor_symmetry import random_symmetry


class Wired(nn.Module):
    """Layers by name, and a function of them: `run(self, x)`."""

    def __init__(self, run, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def blocks(n, width, hidden):
    return nn.ModuleList(
        Wired(lambda s, x: x + s.fc2(F.relu(s.fc1(x))), fc1=nn.Linear(width, hidden), fc2=nn.Linear(hidden, width))
        for _ in range(n)
    )


def through_blocks(s, x):
    x = s.inp(x)
    for block in s.layers:
        x = block(x)
    return s.out(x)


def attention(s, x):
    h = s.emb(x)
    return s.out(torch.softmax(s.query(h) @ s.key(h).T, -1) @ s.value(h))


def variational(s, x):
    h = F.relu(s.fc1(x))
    return s.fc4(F.relu(s.fc3(s.fc21(h) + torch.tanh(s.fc22(h)))))


def scaled_by_hand(s, x):
    return s.fc3(F.relu(s.fc2(F.relu(s.fc1(x) * s.scale.weight[0]))))


def nets(*widths):
    return nn.Sequential(nn.Linear(*widths[:2]), nn.Tanh(), nn.Linear(*widths[1:]))


def by_hand(*widths):
    """Bare matrices (in, out) and vectors: W1, b1, W2, …"""

    def run(s, x):
        for number in range(1, len(widths)):
            x = torch.tanh(x @ getattr(s, f"W{number}") + getattr(s, f"b{number}"))
        return x

    module = Wired(run)
    for number, shape in enumerate(pairwise(widths), start=1):
        module.register_parameter(f"W{number}", nn.Parameter(torch.randn(shape)))
        module.register_parameter(f"b{number}", nn.Parameter(torch.randn(shape[1])))
    return module


def both(x, y):
    return torch.cat([x, y], dim=-1)


linear = nn.Linear
NETWORKS = {
    "variational autoencoder": lambda: Wired(
        variational, fc1=linear(6, 8), fc21=linear(8, 4), fc22=linear(8, 4), fc3=linear(4, 8), fc4=linear(8, 6)
    ),
    "two heads": lambda: Wired(
        lambda s, x: both(s.action(F.relu(s.fc1(x))), s.worth(F.relu(s.fc1(x)))),
        fc1=linear(6, 8),
        action=linear(8, 2),
        worth=linear(8, 1),
    ),
    "heads as wide as the trunk": lambda: Wired(
        lambda s, x: both(s.policy(F.relu(s.fc1(x))), s.out(F.relu(s.fc1(x)))),
        fc1=linear(6, 8),
        policy=linear(8, 8),
        out=linear(8, 8),
    ),
    "duel": lambda: Wired(
        lambda s, x: s.value(F.relu(s.fc2(F.relu(s.fc1(x))))) + s.adv(F.relu(s.fc2(F.relu(s.fc1(x))))),
        fc1=linear(6, 8),
        fc2=linear(8, 8),
        value=linear(8, 1),
        adv=linear(8, 3),
    ),
    "a duel in modules of several layers": lambda: Wired(
        lambda s, x: s.worth(F.relu(s.feature(x))) + s.adv(F.relu(s.feature(x))),
        feature=linear(6, 8),
        adv=nets(8, 8, 2),
        worth=nets(8, 8, 1),
    ),
    "what scales and shifts units stands first": lambda: Wired(
        lambda s, x: s.fc2(F.relu(s.fc1(x[:, :2]) * s.cond(x)[:, :8] + s.cond(x)[:, 8:])),
        cond=linear(6, 16),
        fc1=linear(2, 8),
        fc2=linear(8, 3),
    ),
    "one network for two inputs, whose answers are joined": lambda: Wired(
        lambda s, x: s.last(torch.cat([s.enc(x[:, :3]), s.enc(x[:, 3:])], 1)), enc=nets(3, 8, 4), last=linear(8, 2)
    ),
    "square matrices that stand behind what they read": lambda: by_hand(6, 6, 6, 6),
    "two networks": lambda: Wired(lambda s, x: both(s.actor(x), s.critic(x)), actor=nets(6, 8, 6), critic=nets(6, 8, 1)),
    "residual blocks": lambda: Wired(through_blocks, inp=linear(6, 8), layers=blocks(3, 8, 16), out=linear(8, 3)),
    "residual blocks without names": lambda: Wired(
        lambda s, x: s.tail(s.body[1](s.body[0](s.head(x)) + s.head(x)) + s.body[0](s.head(x)) + s.head(x)),
        head=linear(6, 8),
        body=nn.ModuleList(nn.Sequential(linear(8, 8), nn.ReLU(), linear(8, 8)) for _ in range(2)),
        tail=linear(8, 3),
    ),
    "a step of a recurrent layer": lambda: Wired(
        lambda s, x: s.h2o(torch.tanh(s.i2h(x) + s.h2h(torch.tanh(s.i2h(x.flip(1)))))),
        i2h=linear(6, 8),
        h2h=linear(8, 8),
        h2o=linear(8, 2),
    ),
    "gates by hand": lambda: Wired(
        lambda s, x: s.out(torch.tanh(s.w_i(x) + s.u_i(s.w_f(x))) * s.u_f(torch.tanh(s.w_i(x)))),
        w_i=linear(6, 8),
        u_i=linear(8, 8),
        w_f=linear(6, 8),
        u_f=linear(8, 8),
        out=linear(8, 2),
    ),
    "attention": lambda: Wired(
        attention, emb=linear(6, 8), query=linear(8, 8), key=linear(8, 8), value=linear(8, 8), out=linear(8, 2)
    ),
    "concatenation": lambda: Wired(
        lambda s, x: s.out(both(F.relu(s.fc1(x)), F.relu(s.fc2(F.relu(s.fc1(x)))))),
        fc1=linear(6, 8),
        fc2=linear(8, 6),
        out=linear(14, 2),
    ),
    "branches": lambda: Wired(
        lambda s, x: s.fc(F.relu(s.b1(s.stem(x))) + F.relu(s.b2(s.stem(x)))),
        stem=linear(6, 8),
        b1=linear(8, 8),
        b2=linear(8, 8),
        fc=linear(8, 2),
    ),
    "a scale by hand": lambda: Wired(
        scaled_by_hand, fc1=linear(6, 8), fc2=linear(8, 8), scale=nn.Embedding(1, 8), fc3=linear(8, 2)
    ),
}


conv = nn.Conv2d


def convolutions(run, **layers):
    """A network of convolutions that reads the six values as pixels, and names that make no chain."""
    return Wired(lambda s, x: run(s, x.view(-1, 1, 2, 3)).mean((2, 3)), **layers)


def joined(s, x):
    first = torch.tanh(s.down0(x))
    inner = torch.tanh(s.up0(torch.tanh(s.down2(torch.tanh(s.down1(first))))))
    return s.last_skip(s.up1(torch.cat([inner, first], 1)))


def squeezed(first, second, x):
    return x * torch.sigmoid(second(F.relu(first(x.mean((2, 3))))))[:, :, None, None]


def scaled_by(gate, x):
    return x * torch.sigmoid(gate(x.mean((2, 3), keepdim=True)))


NETWORKS |= {
    "joined channels as many as others": lambda: convolutions(
        joined, down0=conv(1, 4, 1), down1=conv(4, 8, 1), down2=conv(8, 8, 1), up0=conv(8, 4, 1), up1=conv(8, 5, 1),
        last_skip=conv(5, 3, 1),
    ),
    "channels moved to pixels": lambda: convolutions(
        lambda s, x: s.end(s.after_skip(F.pixel_shuffle(s.grow(torch.tanh(s.skip0(x))), 2))),
        skip0=conv(1, 4, 1), grow=conv(4, 16, 1), after_skip=conv(4, 5, 1), end=conv(5, 2, 1),
    ),
    "filters of several lengths": lambda: Wired(
        lambda s, x: s.fc(torch.cat([one(s.stem(x.view(-1, 1, 6))).amax(2) for one in s.convs], 1)),
        stem=nn.Conv1d(1, 4, 1), convs=nn.ModuleList(nn.Conv1d(4, 4, k) for k in (2, 3)), fc=linear(8, 2),
    ),
    "gates of half the channels": lambda: convolutions(
        lambda s, x: s.end(F.glu(s.skip1(F.glu(s.skip0(torch.tanh(s.start(x))), 1)), 1)),
        start=conv(1, 4, 1), skip0=conv(4, 8, 1), skip1=conv(4, 8, 1), end=conv(4, 2, 1),
    ),
    "a latent reshaped into channels": lambda: Wired(
        lambda s, x: s.dc2(torch.tanh(s.dc1(torch.tanh(s.fc(x)).view(-1, 4, 2, 1)))).mean((2, 3)),
        fc=linear(6, 8), dc1=nn.ConvTranspose2d(4, 4, 2), dc2=nn.ConvTranspose2d(4, 3, 2),
    ),
    "channels scaled by what is squeezed out of them": lambda: convolutions(
        lambda s, x: s.conv2(squeezed(s.se1, s.se2, torch.tanh(s.conv1(x)))),
        conv1=conv(1, 6, 1), se1=linear(6, 2), se2=linear(2, 6), conv2=conv(6, 3, 1),
    ),
    "channels scaled by convolutions of a pixel": lambda: convolutions(
        lambda s, x: s.conv2(scaled_by(s.se, torch.tanh(s.conv1(x)))),
        conv1=conv(1, 6, 1), se=nn.Sequential(conv(6, 2, 1), nn.ReLU(), conv(2, 6, 1)), conv2=conv(6, 3, 1),
    ),
    "channels in groups": lambda: convolutions(
        lambda s, x: s.end(torch.tanh(s.mixed_skip(torch.tanh(s.wide(torch.tanh(s.start(x))))))),
        start=conv(1, 4, 1), wide=conv(4, 8, 1), mixed_skip=conv(8, 8, 1, groups=2), end=conv(8, 2, 1),
    ),
    "every second channel": lambda: convolutions(
        lambda s, x: s.end(torch.tanh(s.half_skip(torch.tanh(s.wide(torch.tanh(s.start(x))))[:, ::2]))),
        start=conv(1, 4, 1), wide=conv(4, 8, 1), half_skip=conv(4, 5, 1), end=conv(5, 2, 1),
    ),
    "outputs as many as hidden units": lambda: Wired(
        lambda s, x: both(s.skip_a(torch.tanh(s.fc1(x))), s.skip_b(torch.tanh(s.fc1(x)))),
        fc1=linear(6, 8), skip_a=linear(8, 8), skip_b=linear(8, 3),
    ),
    "inputs as many as hidden units": lambda: Wired(
        lambda s, x: s.end(torch.tanh(s.skip_a(torch.tanh(s.fc1(x[:, :2])))) * s.skip_b(x)),
        fc1=linear(2, 6), skip_a=linear(6, 7), skip_b=linear(6, 7), end=linear(7, 2),
    ),
}  # fmt: skip


def means_and_selves(s, x):
    """Layers over a graph without the library that names them: what neighbours hold, and what a node holds itself."""
    for one in s.convs:
        x = torch.tanh(one.lin_l(x.roll(1, 0)) + one.lin_r(x))
    return x


NETWORKS |= {
    "layers over a graph": lambda: Wired(
        means_and_selves,
        convs=nn.ModuleList(
            Wired(None, lin_l=linear(a, b), lin_r=linear(a, b, bias=False)) for a, b in ((6, 8), (8, 8), (8, 3))
        ),
    ),
    "units scaled and shifted by a layer between": lambda: Wired(
        lambda s, x: s.fc2(F.relu(s.fc1(x[:, :5]) * s.cond(x[:, 2:])[:, :8] + s.cond(x[:, 2:])[:, 8:])),
        fc1=linear(5, 8),
        cond=linear(4, 16),
        fc2=linear(8, 3),
    ),
}


@pytest.mark.parametrize("prefix", ["", "module.", "net.0.", "G.", "layers.1.mlp."])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_called_free_leaves_the_function(name, prefix):
    torch.manual_seed(0)
    module = NETWORKS[name]().double()
    tensors = {prefix + key: value.clone() for key, value in module.state_dict().items()}
    named = [(key, tuple(value.shape), "float64") for key, value in tensors.items()]
    symmetries = symmetries_of(read_architecture(named))
    x = torch.randn(4, 6, dtype=torch.float64)
    before = module(x)
    changed = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1))
    module.load_state_dict({key.removeprefix(prefix): value for key, value in changed.items()})
    torch.testing.assert_close(module(x), before, atol=1e-9, rtol=1e-9)


BLOCK = [("up", 20, 8), ("down", 8, 20)]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ([], [20, 20]),
        ([("gate", 40, 8)], []),  # may scale and shift them
        ([("mixed", 8, 28)], []),  # may read them beside what the block reads
        ([("book", 7, 20)], []),  # may be compared with them
        ([("other_up", 20, 8), ("other_down", 8, 20)], []),  # which of them reads which
    ],
)
def test_units_of_two_layers_that_lead_back_are_known_by_their_number(more, found):
    entries = [("emb.weight", (11, 8), "float32"), ("un.weight", (11, 8), "float32")]
    entries += [(f"ls.{i}.{name}.weight", (out, n_in), "float32") for i in (0, 1) for name, out, n_in in (*BLOCK, *more)]
    entries += [(f"ls.{i}.{name}.weight", (8, 8), "float32") for i in (0, 1) for name in "qkvo"]
    for architecture in (read_architecture(entries), read_architecture(sorted(entries), ordered=False)):
        free = [units for units in symmetries_of(architecture).groups if units.interchangeable]
        assert [units.n for units in free] == found
        assert all(len({member.tensor.split(".")[1] for member in units.members}) == 1 for units in free)


def test_a_head_that_fits_by_a_multiple_is_no_flattened_channel():
    """8 = 4 · 2, but no pixels stand behind a linear layer; behind a convolution they do."""
    heads = [("fc1.weight", (8, 6)), ("left.weight", (4, 8)), ("right.weight", (4, 8))]
    free = [u for u in symmetries_of(read_architecture([(*one, "float32") for one in heads])).groups if u.interchangeable]
    assert [{(m.tensor, m.axis) for m in u.members} for u in free] == [
        {("fc1.weight", 0), ("left.weight", 1), ("right.weight", 1)}
    ]
    chain = [("conv.weight", (4, 1, 3, 3)), ("fc.weight", (5, 8)), ("out.weight", (2, 5))]
    assert [
        u.n for u in symmetries_of(read_architecture([(*one, "float32") for one in chain])).groups if u.interchangeable
    ] == [4, 5]
