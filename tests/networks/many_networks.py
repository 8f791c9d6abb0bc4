"""Small networks of many architectures with the names that others give them; their own forward is the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from residual_networks import ResidualMLP, ResNet
from residual_transformers import GPT2, Bert, Encoder, Llama, ViT
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from metarep.networks.check import evidence_of
from metarep.networks.forward_passes import ForwardPass
from metarep.networks.further_inference import with_evidence
from metarep.networks.symmetry_groups import Symmetries

Tensors = Mapping[str, torch.Tensor]

DRAW = torch.Generator().manual_seed(0)
PICTURES, NUMBERS = torch.randn(3, 1, 8, 8, generator=DRAW), torch.randn(4, 5, generator=DRAW)
COLOURS = torch.randn(3, 2, 8, 8, generator=DRAW)
SERIES, WAVES = torch.randn(3, 6, 5, generator=DRAW), torch.randn(3, 2, 12, generator=DRAW)
POINTS, WORDS = torch.rand(9, 2, generator=DRAW) * 2 - 1, torch.arange(18).reshape(3, 6) * 7 % 11


class Wired(nn.Module):
    """Modules by name, and a function of them: `run(self, x)`."""

    def __init__(self, run, **parts):
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.run(self, x)


def mlp(*widths: int, act=nn.ReLU, norm=None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), *([norm(b)] if norm else []), act()]
    return nn.Sequential(*layers[: -1 - bool(norm)])


def cnn(*, norm=None, act=nn.ReLU, pool=nn.MaxPool2d) -> nn.Sequential:
    first, second = ([nn.Conv2d(a, b, 3, padding=1), *([norm(b)] if norm else []), act(), pool(2)] for a, b in ((1, 4), (4, 6)))
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(24, 3))


class Sine(nn.Module):
    """A layer of a SIREN."""

    def __init__(self, a: int, b: int):
        super().__init__()
        self.linear = nn.Linear(a, b)

    def forward(self, x):
        return torch.sin(3.0 * self.linear(x))


class Sin(nn.Module):
    def forward(self, x):
        return torch.sin(x)


def last_state(s, x):
    return s.fc(s.rnn(x)[0][:, -1])


def recurrent(kind=nn.LSTM, **how) -> nn.Module:
    both = 2 if how.get("bidirectional") else 1
    return Wired(last_state, rnn=kind(5, 7, batch_first=True, **how), fc=nn.Linear(7 * both, 3))


class Hooked(nn.Module):
    """A transformer of TransformerLens: weights (heads, d_model, d_head), learned places, causal."""

    def __init__(self, d=8, h=2, e=4, hidden=12, n_words=11, n_blocks=2):
        super().__init__()
        p = lambda *shape: nn.Parameter(torch.randn(*shape) / math.sqrt(shape[-2] if len(shape) > 1 else 1))  # noqa: E731
        self.n_blocks = n_blocks
        self.embed, self.pos_embed = nn.ParameterDict({"W_E": p(n_words, d)}), nn.ParameterDict({"W_pos": p(6, d)})
        self.blocks = nn.ModuleList()
        for _ in range(n_blocks):
            heads = {f"W_{x}": p(h, d, e) for x in "QKV"} | {f"b_{x}": p(h, e) for x in "QKV"}
            attn = nn.ParameterDict(heads | {"W_O": p(h, e, d), "b_O": p(d)})
            inner = nn.ParameterDict({"W_in": p(d, hidden), "b_in": p(hidden), "W_out": p(hidden, d), "b_out": p(d)})
            self.blocks.append(nn.ModuleDict({"attn": attn, "mlp": inner}))
        self.unembed = nn.ParameterDict({"W_U": p(d, n_words), "b_U": p(n_words)})

    def forward(self, x):
        h = self.embed["W_E"][x] + self.pos_embed["W_pos"]
        for block in self.blocks:
            a, m = block["attn"], block["mlp"]
            q, k, v = (torch.einsum("btd,hde->bhte", h, a[f"W_{i}"]) + a[f"b_{i}"][:, None] for i in "QKV")
            seen = torch.triu(torch.full((x.shape[1],) * 2, -torch.inf, dtype=h.dtype), 1)
            mixed = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]) + seen, -1) @ v
            h = h + torch.einsum("bhte,hed->btd", mixed, a["W_O"]) + a["b_O"]
            h = h + F.relu(h @ m["W_in"] + m["b_in"]) @ m["W_out"] + m["b_out"]
        return h @ self.unembed["W_U"] + self.unembed["b_U"]


def towers(s, x):
    return s.head(torch.cat([s.left(x[:, :2]), s.right(x[:, 2:])], dim=1))


def adapted(s, x):
    return x @ s.weight.T + (x @ s.lora_A.weight.T) @ s.lora_B.weight.T


def variational(s, x):
    h = F.relu(s.fc1(x))
    return s.fc4(F.relu(s.fc3(s.fc21(h) + torch.tanh(s.fc22(h)))))


def duel(s, x):
    h = F.relu(s.features(x))
    return s.value(h) + s.advantage(h)


def pooled_set(s, x):
    return s.rho(s.phi(x.unsqueeze(-1)).sum(1))


def both_outputs(s, x):
    return torch.cat([s.actor(x), s.critic(x)], dim=1)


def waves() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 3)
    )


def depthwise() -> nn.Sequential:
    layers = (nn.Conv2d(2, 6, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(4 * 36, 3))


def autoencoder(act=nn.ReLU) -> nn.Module:
    return Wired(lambda s, x: s.decoder(s.encoder(x)), encoder=mlp(5, 8, 3, act=act), decoder=mlp(3, 8, 5, act=act))


def lora() -> nn.Module:
    a, b = nn.Linear(5, 2, bias=False), nn.Linear(2, 3, bias=False)
    return Wired(adapted, weight=nn.Parameter(torch.empty(3, 5)), lora_A=a, lora_B=b)


ARCHITECTURES = {
    "mlp": (lambda: mlp(5, 9, 7, 3), NUMBERS),
    "mlp, tanh": (lambda: mlp(5, 9, 7, 3, act=nn.Tanh), NUMBERS),
    "mlp, batch norms": (lambda: mlp(5, 9, 7, 3, norm=nn.BatchNorm1d), NUMBERS),
    "mlp, layer norms": (lambda: mlp(5, 9, 7, 3, norm=nn.LayerNorm), NUMBERS),
    "inr, siren": (lambda: Wired(lambda s, x: s.net(x), net=nn.Sequential(Sine(2, 8), Sine(8, 8), nn.Linear(8, 1))), POINTS),
    "inr, sines": (lambda: mlp(2, 8, 6, 1, act=Sin), POINTS),
    "inr, relu": (lambda: mlp(2, 8, 8, 1), POINTS),
    "autoencoder": (autoencoder, NUMBERS),
    "variational autoencoder": (
        lambda: Wired(
            variational,
            fc1=nn.Linear(5, 8),
            fc21=nn.Linear(8, 4),
            fc22=nn.Linear(8, 4),
            fc3=nn.Linear(4, 8),
            fc4=nn.Linear(8, 5),
        ),
        NUMBERS,
    ),
    "towers": (lambda: Wired(towers, left=mlp(2, 6, 4), right=mlp(3, 6, 4), head=nn.Linear(8, 2)), NUMBERS),
    "actor and critic": (lambda: Wired(both_outputs, actor=mlp(5, 8, 2), critic=mlp(5, 8, 1)), NUMBERS),
    "duel": (lambda: Wired(duel, features=nn.Linear(5, 8), value=nn.Linear(8, 1), advantage=nn.Linear(8, 3)), NUMBERS),
    "deep set": (lambda: Wired(pooled_set, phi=mlp(1, 6, 4), rho=mlp(4, 6, 2)), NUMBERS),
    "lora": (lora, NUMBERS),
    "cnn": (cnn, PICTURES),
    "cnn, tanh": (lambda: cnn(act=nn.Tanh), PICTURES),
    "cnn, batch norms": (lambda: cnn(norm=nn.BatchNorm2d), PICTURES),
    "cnn, group norms": (lambda: cnn(norm=lambda n: nn.GroupNorm(2, n)), PICTURES),
    "cnn, depthwise": (depthwise, COLOURS),
    "cnn of series": (waves, WAVES),
    "resnet": (lambda: ResNet([[(4, 4)], [(6, 6)]]), PICTURES),
    "resnet, bottlenecks": (lambda: ResNet([[(5, 6, 10)], [(7, 8, 12)]]), PICTURES),
    "resnet, norms before": (lambda: ResNet([[(4, 4)], [(6, 6)]], before=True), PICTURES),
    "residual mlp": (ResidualMLP, NUMBERS),
    "encoder": (Encoder, WORDS),
    "encoder, norms first": (lambda: Encoder(norm_first=True), WORDS),
    "vit": (ViT, PICTURES),
    "gpt-2": (GPT2, WORDS),
    "llama": (Llama, WORDS),
    "bert": (lambda: Bert(head="class"), WORDS),
    "transformer lens": (Hooked, WORDS),
    "lstm": (recurrent, SERIES),
    "lstm, two layers": (lambda: recurrent(num_layers=2), SERIES),
    "lstm, both ways": (lambda: recurrent(bidirectional=True), SERIES),
    "gru": (lambda: recurrent(nn.GRU), SERIES),
}
"""A network and an input."""


def of_module(module: nn.Module, draw: Callable[[int, torch.Generator], torch.Tensor], name: str = "a module") -> ForwardPass:
    """A user's module, of which the tensors are the state dict."""

    def outputs(tensors: Tensors, inputs: torch.Tensor) -> torch.Tensor:
        inputs = inputs.to(next(iter(tensors.values())).dtype) if inputs.is_floating_point() else inputs
        with torch.no_grad():
            found = functional_call(module, dict(tensors), (inputs,), tie_weights=False)
        return found[0] if isinstance(found, tuple) else found

    return ForwardPass(name, outputs, draw)


def checked(symmetries: Symmetries, tensors: Tensors, forward: ForwardPass, *, seed: int = 0) -> Symmetries:
    """The symmetries of a network with the evidence for each; those that are refuted are dropped."""
    return with_evidence(symmetries, dict(evidence_of(symmetries, tensors, forward, seed=seed)))
