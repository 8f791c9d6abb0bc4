"""Small networks as public repositories build and name them: an input, and the widths of their interchangeable groups."""

from __future__ import annotations

from itertools import pairwise

import torch
from named_networks import Net, cat
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

LINKS = (torch.arange(36).reshape(6, 6) * 5 % 3 > 0).double() + torch.eye(6).double()
EDGES = torch.sin(torch.arange(108.0)).reshape(6, 6, 3).double()
PAIRS, WORDS = torch.arange(10).reshape(5, 2) * 3 % 7, torch.arange(18).reshape(3, 6) * 7 % 11
NODES, ROWS = torch.cos(torch.arange(30.0)).reshape(6, 5), torch.sin(torch.arange(24.0)).reshape(4, 6)
PIXELS, WAVES = torch.sin(torch.arange(96.0)).reshape(2, 3, 4, 4), torch.sin(torch.arange(72.0)).reshape(2, 3, 12)
linear, table, conv = nn.Linear, nn.Embedding, nn.Conv2d


def both_rows(s, x):
    return s.user_embedding(x[:, 0]), s.item_embedding(x[:, 1])


def multiplied(s, x):
    user, item = both_rows(s, x)
    return s.fc(user * item)


def joined(s, x):
    return s.out(torch.tanh(s.fc1(cat(*both_rows(s, x)[::-1]))))


def factors(s, x):
    user, item = both_rows(s, x)
    return (user * item).sum(-1) + s.user_bias(x[:, 0])[:, 0] + s.item_bias(x[:, 1])[:, 0]


def filters(s, x):
    h = s.embedding(x).mT
    return s.fc(cat(*(F.relu(one(h)).amax(2) for one in s.convs)))


def two_critics(s, x):
    return cat(s.l3(torch.tanh(s.l2(torch.tanh(s.l1(x))))), s.l6(torch.tanh(s.l5(torch.tanh(s.l4(x))))))


def weighed(layer, x, heads, *, mean):
    """What PyTorch Geometric's GATConv makes of nodes."""
    h = layer.lin(x).view(len(x), heads, -1)
    score = F.leaky_relu((h * layer.att_dst).sum(-1)[:, None] + (h * layer.att_src).sum(-1)[None], 0.2)
    share = score.masked_fill((LINKS == 0)[..., None], -1e9).softmax(1)
    made = torch.einsum("ijh,jhc->ihc", share, h)
    return (made.mean(1) if mean else made.flatten(1)) + layer.bias


def graph_attention(n_in, n, heads, *, mean):
    parts = {name: nn.Parameter(torch.randn(1, heads, n)) for name in ("att_src", "att_dst")}
    return Net(None, **parts, bias=nn.Parameter(torch.randn(n if mean else n * heads)), lin=linear(n_in, n * heads, bias=False))


def over_graphs(s, x):
    h = F.elu(s.bn1(weighed(s.conv1, x, 2, mean=False)))
    return s.lin(F.elu(weighed(s.conv2, h, 3, mean=True)))


def messages(s, x):
    m = s.message_passing
    first = m.W_i(x)
    h = F.relu(first)
    for _ in range(2):
        h = F.relu(first + m.W_h(LINKS @ h))
    return s.predictor.ffn(s.bn(F.relu(m.W_o(cat(x, LINKS @ h)))))


def atoms(s, x):
    h = s.embedding(x)
    for one in s.convs:
        pair = cat(h[:, None].expand(6, 6, -1), h[None].expand(6, 6, -1), EDGES)
        gate, core = one.bn1(one.fc_full(pair).flatten(0, 1)).view(6, 6, -1).chunk(2, 2)
        h = F.softplus(h + one.bn2((gate.sigmoid() * F.softplus(core)).sum(1)))
    return s.fc_out(F.softplus(s.conv_to_fc(F.softplus(h))))


def gated_sum(n, n_edge):
    return Net(None, fc_full=linear(2 * n + n_edge, 2 * n), bn1=nn.BatchNorm1d(2 * n), bn2=nn.BatchNorm1d(n))


def heads_of_modules(s, x):
    h = s.token_embedding_table(x) + s.position_embedding_table(torch.arange(x.shape[1]))
    for block in s.blocks:
        y, made = block.ln1(h), []
        for head in block.sa.heads:
            share = torch.softmax(head.query(y) @ head.key(y).mT, -1)
            made.append(share @ head.value(y))
        h = h + block.sa.proj(cat(*made))
        h = h + block.ffwd.net(block.ln2(h))
    return s.lm_head(s.ln_f(h))


def head_block(d=6, n=3, e=2):
    heads = nn.ModuleList(Net(None, **{part: linear(d, e, bias=False) for part in ("key", "query", "value")}) for _ in range(n))
    net = nn.Sequential(linear(d, 9), nn.ReLU(), linear(9, d))
    return Net(None, sa__heads=heads, sa__proj=linear(n * e, d), ffwd__net=net, ln1=nn.LayerNorm(d), ln2=nn.LayerNorm(d))


def read_again(s, x):
    h = torch.zeros(len(x), 7, dtype=x.dtype)
    for step in x.split(2, dim=1):
        h = torch.tanh(s.i2h(step) + s.h2h(h))
    return s.h2o(h)


def curves(s, x):
    a = F.relu(s.e_conv1(x))
    b = F.relu(s.e_conv2(a))
    c = F.relu(s.e_conv3(torch.cat([b, a], 1)))
    return torch.tanh(s.e_conv4(torch.cat([a, c], 1)))


def enlarged(s, x):
    h = first = s.block1(x)
    for block in (s.block2, s.block3):
        h = h + block.bn2(block.conv2(block.prelu(block.bn1(block.conv1(h)))))
    return s.block5(F.pixel_shuffle(s.block4(first + h), 2))


def slope_block(n=4):
    norms = {"bn1": nn.BatchNorm2d(n), "prelu": nn.PReLU(), "conv2": conv(n, n, 3, padding=1), "bn2": nn.BatchNorm2d(n)}
    return Net(None, conv1=conv(n, n, 3, padding=1), **norms)


def pictures():
    turned = lambda a, b: nn.ConvTranspose2d(a, b, 2, bias=False)  # noqa: E731
    layers = (turned(3, 4), nn.BatchNorm2d(4), nn.ReLU(), turned(4, 4), nn.BatchNorm2d(4), nn.ReLU(), turned(4, 2))
    return Net(lambda s, x: s.main(x), main=nn.Sequential(*layers))


def translated(s, x):
    _, state = s.encoder.rnn(s.encoder.embedding(x))
    made, _ = s.decoder.rnn(s.decoder.embedding(x.flip(1)), state)
    return s.decoder.fc_out(made)


def temporal(s, x):
    for block in s.tcn.network:
        h = F.relu(block.conv2(F.relu(block.conv1(x))))
        x = F.relu(h + (block.downsample(x) if hasattr(block, "downsample") else x))
    return s.linear(x[..., -1])


def temporal_block(a, b):
    across = {"downsample": nn.Conv1d(a, b, 1)} if a != b else {}
    return Net(None, conv1=nn.Conv1d(a, b, 3, padding=1), conv2=nn.Conv1d(b, b, 3, padding=1), **across)


def two_sources(s, x):
    left, right = torch.tanh(s.image2(torch.tanh(s.image1(x[:, :2])))), torch.tanh(s.table1(x[:, 2:]))
    return s.fuse2(torch.tanh(s.fuse1(cat(right, left))))


def remembering(s, x):
    h, _ = s.memory(x.view(4, 2, 3))
    return s.actor(h[:, -1])


def with_memory():
    found = Net(remembering, memory=nn.LSTM(3, 6, batch_first=True), actor=nn.Sequential(linear(6, 5), nn.ELU(), linear(5, 2)))
    found.register_buffer("hidden_state", torch.zeros(1, 1, 6))
    return found


def message_network():
    ffn = nn.Sequential(nn.Sequential(linear(8, 7)), nn.Sequential(nn.ReLU(), nn.Dropout(0.0), linear(7, 1)))
    layers = {"W_i": linear(5, 9, bias=False), "W_h": linear(9, 9, bias=False), "W_o": linear(14, 8)}
    layers = {f"message_passing__{name}": layer for name, layer in layers.items()}
    return Net(messages, **layers, bn=nn.BatchNorm1d(8), predictor__ffn=ffn)


def gated_block(s, x):
    """A block of a transformer as diffusers has it: half of what the first layer puts out gates the other half."""
    for block in s.transformer_blocks:
        made, gate = block.ff.net[0].proj(block.norm3(x)).chunk(2, dim=-1)
        x = x + block.ff.net[2](made * F.gelu(gate))
    return s.proj_out(x)


def gated(n=4, d=6):
    net = nn.ModuleList([Net(None, proj=linear(d, 2 * n)), nn.Identity(), linear(n, d)])
    block = Net(None, norm3=nn.LayerNorm(d), ff=Net(None, net=net))
    return Net(gated_block, transformer_blocks=nn.ModuleList([block]), proj_out=linear(d, 3))


def critics():
    widths = (6, 8, 5, 1)
    pairs = list(pairwise(widths)) * 2
    return Net(two_critics, **{f"l{number}": linear(a, b) for number, (a, b) in enumerate(pairs, 1)})


PUBLIC = {
    "tables multiplied": (
        lambda: Net(multiplied, user_embedding=table(7, 6), item_embedding=table(8, 6), fc=linear(6, 1)), PAIRS, [6],
    ),
    "tables joined": (
        lambda: Net(joined, user_embedding=table(7, 6), item_embedding=table(8, 6), fc1=linear(12, 5), out=linear(5, 1)),
        PAIRS, [5, 6],
    ),
    "tables of two widths": (
        lambda: Net(joined, user_embedding=table(7, 3), item_embedding=table(8, 2), fc1=linear(5, 4), out=linear(4, 1)),
        PAIRS, [4],
    ),
    "factors": (
        lambda: Net(
            factors, user_embedding=table(7, 6), item_embedding=table(8, 6), user_bias=table(7, 1), item_bias=table(8, 1)
        ),
        PAIRS, [6],
    ),
    "filters of several lengths": (
        lambda: Net(
            filters, embedding=table(11, 5), convs=nn.ModuleList(nn.Conv1d(5, 4, k) for k in (2, 3, 4)), fc=linear(12, 2)
        ),
        WORDS, [4, 4, 4, 5],
    ),
    "units gated by halves": (gated, ROWS, [4]),
    "two critics in one list": (critics, ROWS, [5, 5, 8, 8]),
    "attention over graphs": (
        lambda: Net(
            over_graphs, conv1=graph_attention(5, 4, 2, mean=False), bn1=nn.BatchNorm1d(8),
            conv2=graph_attention(8, 7, 3, mean=True), lin=linear(7, 2),
        ),
        NODES, [4, 7],
    ),
    "messages": (message_network, NODES, [7, 8, 9]),
    "atoms": (
        lambda: Net(
            atoms, embedding=linear(5, 4), convs=nn.ModuleList(gated_sum(4, 3) for _ in range(2)), conv_to_fc=linear(4, 7),
            fc_out=linear(7, 1),
        ),
        NODES, [4, 7],
    ),
    "heads as modules": (
        lambda: Net(
            heads_of_modules, token_embedding_table=table(11, 6), position_embedding_table=table(8, 6),
            blocks=nn.ModuleList([head_block()]), ln_f=nn.LayerNorm(6), lm_head=linear(6, 11),
        ),
        WORDS, [2, 2, 2, 6, 9],
    ),
    "a layer read again": (lambda: Net(read_again, i2h=linear(2, 7), h2h=linear(7, 7), h2o=linear(7, 3)), ROWS, [7]),
    "channels of one width joined": (
        lambda: Net(
            curves, e_conv1=conv(3, 10, 3, padding=1), e_conv2=conv(10, 10, 3, padding=1),
            e_conv3=conv(20, 10, 3, padding=1), e_conv4=conv(20, 2, 3, padding=1),
        ),
        PIXELS, [10],
    ),
    "blocks with a slope": (
        lambda: Net(
            enlarged, block1=nn.Sequential(conv(3, 4, 3, padding=1), nn.PReLU()), block2=slope_block(), block3=slope_block(),
            block4=conv(4, 16, 3, padding=1), block5=conv(4, 3, 3, padding=1),
        ),
        PIXELS, [4, 4],
    ),
    "pictures made without biases": (pictures, PIXELS, [4, 4]),
    "rows of their own length": (
        lambda: Net(lambda s, x: s.net(x), net=nn.Sequential(weight_norm(linear(6, 8)), nn.Tanh(), weight_norm(linear(8, 2)))),
        ROWS, [8],
    ),
    "encoder and decoder": (
        lambda: Net(
            translated, encoder__embedding=table(11, 4), encoder__rnn=nn.LSTM(4, 7, 2, batch_first=True),
            decoder__embedding=table(11, 4), decoder__rnn=nn.LSTM(4, 7, 2, batch_first=True), decoder__fc_out=linear(7, 5),
        ),
        WORDS, [4, 7],
    ),
    "temporal convolutions": (
        lambda: Net(temporal, tcn__network=nn.ModuleList([temporal_block(3, 5), temporal_block(5, 5)]), linear=linear(5, 2)),
        WAVES, [5],
    ),
    "two sources": (
        lambda: Net(
            two_sources, image1=linear(2, 9), image2=linear(9, 5), table1=linear(4, 3), fuse1=linear(8, 7), fuse2=linear(7, 2)
        ),
        ROWS, [7, 9],
    ),
    "states kept from step to step": (with_memory, torch.sin(torch.arange(24.0)).reshape(4, 6), [5, 6]),
}  # fmt: skip
