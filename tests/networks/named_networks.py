"""Small networks by the names that people give them: an input, and the widths of their interchangeable groups."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional as F


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
    "soft actor whose noise hangs on the state": (
        lambda: Net(
            lambda s, x: cat(s.actor.mu(s.actor.latent_pi(x)), s.actor.latent_pi(x) ** 2 @ s.actor.log_std, s.critic.qf0(x)),
            actor__log_std=nn.Parameter(torch.randn(7, 2)),
            actor__latent_pi=mlp(6, 8, 7).append(nn.Tanh()),
            actor__mu=nn.Sequential(linear(7, 2), nn.Hardtanh()),
            critic__qf0=mlp(6, 9, 1),
        ),
        NUMBERS,
        [7, 8, 9],
    ),
    "activations in front of layers in an unknown network": (
        lambda: Net(
            lambda s, x: s.predictor.ffn(torch.einsum("bi,bj,ijk->bk", x, x, s.mixing)),
            mixing=nn.Parameter(torch.randn(6, 6, 8)),
            predictor__ffn=nn.Sequential(
                nn.Sequential(linear(8, 8)), *(nn.Sequential(nn.ReLU(), nn.Dropout(), linear(8, n)) for n in (8, 3))
            ),
        ),
        NUMBERS,
        [8, 8],
    ),
    "last layers of an unknown network": (
        lambda: Net(
            lambda s, x: s.readout(torch.tanh(s.hidden(torch.einsum("bi,bj,ijk->bk", x, x, s.mixing)))),
            mixing=nn.Parameter(torch.randn(6, 6, 5)),
            hidden=linear(5, 8),
            readout=linear(8, 3),
        ),
        NUMBERS,
        [8],
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


def outputs(module, tensors, x):
    with torch.no_grad():
        return torch.func.functional_call(module, tensors, (x,))


def layers(names, widths):
    """The entries of linear layers one behind the other."""
    return [
        (f"{name}.{leaf}", shape, "float32")
        for name, (a, b) in zip(names, itertools.pairwise(widths), strict=True)
        for leaf, shape in (("weight", (b, a)), ("bias", (b,)))
    ]
