"""U-Nets and DenseNets as public repositories build and name them: an input, and the widths of their interchangeable groups."""

from __future__ import annotations

from itertools import pairwise

import torch
from named_networks import Net
from torch import nn
from torch.nn import functional as F

PIXELS = torch.sin(torch.arange(3.0 * 3 * 16 * 16)).reshape(3, 3, 16, 16)
half = nn.MaxPool2d(2)


def join(*values):
    return torch.cat(values, dim=1)


def conv(a, b, size=3, **how):
    return nn.Conv2d(a, b, size, padding=size // 2, **how)


def turned(a, b, size=2, **how):
    return nn.ConvTranspose2d(a, b, size, stride=2, padding=size // 2 - 1, **how)


def double(a, b, name="double_conv"):
    layers = (conv(a, b), nn.BatchNorm2d(b), nn.ReLU(), conv(b, b), nn.BatchNorm2d(b), nn.ReLU())
    return Net(lambda s, x: getattr(s, name)(x), **{name: nn.Sequential(*layers)})


def up(a, b, *, bilinear):
    """What the encoder put out stands first."""
    parts = {"up": nn.Upsample(scale_factor=2) if bilinear else turned(a, b), "conv": double(a + b if bilinear else 2 * b, b)}
    return Net(lambda s, x: s.conv(join(x[1], s.up(x[0]))), **parts)


def stages(s, x):
    one = s.inc(x)
    two = s.down1(one)
    return s.outc(s.up2((s.up1((s.down2(two), two)), one)))


def unet(*, bilinear=False):
    downs = {f"down{i}": nn.Sequential(half, double(a, b)) for i, (a, b) in enumerate(pairwise((4, 8, 16)), 1)}
    ups = {f"up{i}": up(a, b, bilinear=bilinear) for i, (a, b) in enumerate(pairwise((16, 8, 4)), 1)}
    return Net(stages, inc=double(3, 4), **downs, **ups, outc=conv(4, 2, 1))


def named_block(a, b, name):
    parts = {f"{name}conv1": conv(a, b, bias=False), f"{name}norm1": nn.BatchNorm2d(b)}
    parts |= {f"{name}conv2": conv(b, b, bias=False), f"{name}norm2": nn.BatchNorm2d(b)}
    both = lambda s, x, n: F.relu(getattr(s, f"{name}norm{n}")(getattr(s, f"{name}conv{n}")(x)))  # noqa: E731
    return Net(lambda s, x: both(s, both(s, x, 1), 2), **parts)


def up_first(s, x):
    one = s.encoder1(x)
    two = s.encoder2(half(one))
    x = s.decoder2(join(s.upconv2(s.bottleneck(half(two))), two))
    return s.conv(s.decoder1(join(s.upconv1(x), one)))


def named_stages():
    widths = {"encoder1": (3, 4), "encoder2": (4, 8), "bottleneck": (8, 16), "upconv2": (16, 8), "decoder2": (16, 8)}
    widths |= {"upconv1": (8, 4), "decoder1": (8, 4)}
    short = {name: name.replace("encoder", "enc").replace("decoder", "dec") for name in widths}
    parts = {name: turned(*n) if "upconv" in name else named_block(*n, short[name]) for name, n in widths.items()}
    return Net(up_first, **parts, conv=conv(4, 1, 1))


def listed(s, x):
    one = s.downs[0](x)
    two = s.downs[1](half(one))
    x = s.ups[1](join(two, s.ups[0](s.bottleneck(half(two)))))
    return s.final_conv(s.ups[3](join(one, s.ups[2](x))))


def lists_of_stages():
    """The bottleneck stands behind the decoder."""
    block = lambda a, b: double(a, b, "conv")  # noqa: E731
    ups = nn.ModuleList([turned(16, 8), block(16, 8), turned(8, 4), block(8, 4)])
    parts = {"ups": ups, "downs": nn.ModuleList([block(3, 4), block(4, 8)]), "bottleneck": block(8, 16)}
    return Net(listed, **parts, final_conv=conv(4, 1, 1))


def before_the_end(s, x):
    one = torch.tanh(s.enc1.conv(x))
    two = torch.tanh(s.enc2.conv(torch.tanh(s.enc1.down(one))))
    x = torch.tanh(s.dec2.up(torch.tanh(s.mid(torch.tanh(s.enc2.down(two))))))
    x = torch.tanh(s.dec1.up(torch.tanh(s.dec2.conv(join(x, two)))))
    return s.out(torch.tanh(s.dec1.conv(join(one, x))))


def skips_from_inside():
    """Nothing but widths that are alike says what is joined, and no bias which axis of a square kernel is read."""
    parts = {f"enc{i}": Net(None, conv=conv(a, b), down=nn.Conv2d(b, b, 2, 2)) for i, (a, b) in enumerate(((3, 4), (4, 8)), 1)}
    parts |= {f"dec{i}": Net(None, up=turned(a, a, bias=False), conv=conv(2 * a, 4)) for i, a in ((2, 8), (1, 4))}
    return Net(before_the_end, **parts, mid=conv(8, 8), out=conv(4, 2, 1))


def nested(outer, inner, below=None, *, n_in=None):
    """pix2pix: a block holds the one below it, and joins what it reads to what it makes."""
    down, up = (
        nn.Conv2d(n_in or outer, inner, 4, 2, 1, bias=False),
        turned(inner * (1 if below is None else 2), outer, 4, bias=False),
    )
    norm = [nn.BatchNorm2d(outer)]
    layers = [nn.LeakyReLU(0.2), down, *([nn.BatchNorm2d(inner), below] if below else []), nn.ReLU(), up, *norm]
    if n_in:
        return Net(lambda s, x: s.model(x), model=nn.Sequential(down, below, nn.ReLU(), up))
    return Net(lambda s, x: join(x, s.model(x)), model=nn.Sequential(*layers))


def dense_layer(n, growth, norm, one, *, new_first=False):
    widths = {f"{norm}1": nn.BatchNorm2d(n), f"{one}1": conv(n, 2 * growth, 1, bias=False)}
    widths |= {f"{norm}2": nn.BatchNorm2d(2 * growth), f"{one}2": conv(2 * growth, growth, bias=False)}

    def run(s, x):
        h = x
        for number in "12":
            h = getattr(s, one + number)(F.relu(getattr(s, norm + number)(h)))
        return join(h, x) if new_first else join(x, h)

    return Net(run, **widths)


def dense(s, x):
    f = s.features
    x = F.relu(f.norm0(f.conv0(x)))
    for layer in f.denseblock1.children():
        x = layer(x)
    x = f.transition1.conv(F.relu(f.transition1.norm(x)))
    for layer in f.denseblock2.children():
        x = layer(x)
    return s.classifier(F.relu(f.norm5(x)).mean((2, 3)))


def densenet(n=6, growth=4):
    parts = {"conv0": conv(3, n, bias=False), "norm0": nn.BatchNorm2d(n)}
    for block in (1, 2):
        made = [dense_layer(n + i * growth, growth, "norm", "conv") for i in range(2)]
        parts |= {f"denseblock{block}__denselayer{i}": layer for i, layer in enumerate(made, 1)}
        n += 2 * growth
        if block == 1:
            parts |= {"transition1__norm": nn.BatchNorm2d(n), "transition1__conv": conv(n, n // 2, 1, bias=False)}
            n //= 2
    parts = {f"features__{name}": part for name, part in parts.items()} | {"features__norm5": nn.BatchNorm2d(n)}
    return Net(dense, **parts, classifier=nn.Linear(n, 2))


def new_first(s, x):
    x = s.trans1.conv(F.relu(s.trans1.bn(s.dense1(s.conv1(x)))))
    return s.linear(F.relu(s.bn(s.dense2(x))).mean((2, 3)))


def densenet_new_first(growth=4):
    """No name says in which order units are joined."""
    made = [[dense_layer(n + i * growth, growth, "bn", "conv", new_first=True) for i in range(2)] for n in (8, 12)]
    parts = {"conv1": conv(3, 8, bias=False), "dense1": nn.Sequential(*made[0]), "trans1__bn": nn.BatchNorm2d(16)}
    parts |= {"trans1__conv": conv(16, 12, 1, bias=False), "dense2": nn.Sequential(*made[1]), "bn": nn.BatchNorm2d(20)}
    return Net(new_first, **parts, linear=nn.Linear(20, 2))


JOINED = {
    "u-net": (unet, PIXELS, [4, 4, 8, 8, 16, 16]),
    "u-net, pixels between pixels": (lambda: unet(bilinear=True), PIXELS, [4, 4, 8, 16]),
    "u-net, stages by name": (named_stages, PIXELS, [4, 8, 16]),
    "u-net, lists of stages": (lists_of_stages, PIXELS, [4, 4, 8, 8, 16, 16]),
    "u-net, skips from inside stages": (skips_from_inside, PIXELS, [4, 8]),
    "u-net, nested": (lambda: nested(2, 4, nested(4, 8, nested(8, 8, nested(8, 8))), n_in=3), PIXELS, [4, 8]),
    "densenet": (densenet, PIXELS, [4, 4, 4, 4, 6, 7, 8, 8, 8, 8]),
    "densenet, what is new first": (densenet_new_first, PIXELS, [4, 8, 8, 8]),
}
