"""Small residual networks of convolutions and linear layers with the names that others give them, every tensor random."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


def conv(n_in: int, n_out: int, size: int = 3, **how) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=False, **how)


class ConvBlock(nn.Module):
    """BasicBlock (two widths) or Bottleneck (three) of torchvision; `before`: norms in front, as in pre-activation networks."""

    def __init__(self, n_in: int, widths: tuple[int, ...], *, before=False, across="downsample", norm=nn.BatchNorm2d):
        super().__init__()
        self.n, self.before, self.across = len(widths), before, across
        for number, (a, b) in enumerate(zip((n_in, *widths[:-1]), widths, strict=True), start=1):
            parts = [(f"conv{number}", conv(a, b, 1 if len(widths) == 3 and number != 2 else 3))]
            parts.append((f"bn{number}", norm(a if before else b)))
            for name, part in parts[::-1] if before else parts:
                setattr(self, name, part)
        if across and n_in != widths[-1]:
            setattr(self, across, nn.Sequential(conv(n_in, widths[-1], 1), *([] if before else [norm(widths[-1])])))

    def forward(self, x):
        y = x
        for number in range(1, self.n + 1):
            step, norm = getattr(self, f"conv{number}"), getattr(self, f"bn{number}")
            y = step(F.relu(norm(y))) if self.before else norm(step(y if number == 1 else F.relu(y)))
        if self.across and hasattr(self, self.across):
            x = getattr(self, self.across)(x)
        if x.shape[1] != y.shape[1]:  # "option A": padded with zeros
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return x + y if self.before else F.relu(x + y)


class ResNet(nn.Module):
    """Stages of blocks between a convolution and a linear layer."""

    def __init__(self, stages, *, before=False, norm=nn.BatchNorm2d, head=True, n_pools=1, extra=None, **how):
        super().__init__()
        n, self.before, self.n_pools = stages[0][0][-1] if len(stages[0][0]) == 2 else 4, before, n_pools
        self.conv1 = conv(1, n)
        if not before:
            self.bn1 = norm(n)
        self.stages = []
        for number, blocks in enumerate(stages, start=1):
            made = []
            for widths in blocks:
                made.append(ConvBlock(n, widths, before=before, norm=norm, **how))
                n = widths[-1]
            setattr(self, f"layer{number}", nn.Sequential(*made))
            self.stages.append(f"layer{number}")
        if before:
            self.bn_final = norm(n)
        if head:
            self.fc = nn.Linear(n_pools * n, 3)
        if extra:
            setattr(self, *extra)

    def forward(self, x):
        x = self.conv1(x) if self.before else F.relu(self.bn1(self.conv1(x)))
        for name in self.stages:
            x = getattr(self, name)(x)
        x = F.relu(self.bn_final(x)) if self.before else x
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3))][: self.n_pools], dim=1)
        return self.fc(x) if hasattr(self, "fc") else x


class DenseLayer(nn.Module):
    """Stacks what it adds on what it got."""

    def __init__(self, n_in: int, growth: int):
        super().__init__()
        self.conv1, self.bn1 = conv(n_in, 6, 1), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = conv(6, growth), nn.BatchNorm2d(growth)

    def forward(self, x):
        return torch.cat([x, F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))], dim=1)


class DenseNet(nn.Module):
    """A DenseNet under the names of a residual network, the growth as wide as what comes in."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = conv(1, 4), nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(DenseLayer(4, 4), DenseLayer(8, 4))
        self.fc = nn.Linear(12, 3)

    def forward(self, x):
        return self.fc(self.layer1(F.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


class MLPBlock(nn.Module):
    def __init__(self, d: int, hidden: int, norm_of_hidden: bool):
        super().__init__()
        self.norm = nn.LayerNorm(hidden if norm_of_hidden else d)
        self.fc1, self.fc2, self.norm_of_hidden = nn.Linear(d, hidden), nn.Linear(hidden, d), norm_of_hidden

    def forward(self, x):
        return x + self.fc2(F.gelu(self.norm(self.fc1(x)) if self.norm_of_hidden else self.fc1(self.norm(x))))


class ResidualMLP(nn.Module):
    def __init__(self, d: int = 7, hidden: int = 11, *, norm_of_hidden=False, extra=None):
        super().__init__()
        self.stem, self.head = nn.Linear(5, d), nn.Linear(d, 3)
        self.blocks = nn.Sequential(*(MLPBlock(d, hidden, norm_of_hidden) for _ in range(2)))
        if extra:
            setattr(self, *extra)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


@dataclass(frozen=True)
class Subject:
    """A network, an input, its tensors in float64."""

    module: nn.Module
    x: torch.Tensor
    tensors: dict[str, torch.Tensor]

    def outputs(self, tensors) -> torch.Tensor:
        """(B, …): what the network makes of the input with other tensors."""
        with torch.no_grad():
            return torch.func.functional_call(self.module, tensors, (self.x,), tie_weights=False)


def subject(module: nn.Module, x: torch.Tensor, *, seed: int = 0) -> Subject:
    """With every tensor drawn at random, of a size that keeps signals alive."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    shared: dict[int, torch.Tensor] = {}
    for name, value in module.state_dict().items():
        drawn = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        if value.ndim > 1:
            drawn = drawn * 1.5 / max(1, value[0].numel()) ** 0.5
        if name.endswith("running_var"):
            drawn = drawn.abs() + 0.5
        if name.endswith("num_batches_tracked"):
            drawn = value.clone()
        if name.endswith(".attn.bias"):
            drawn = value.double()
        tensors[name] = shared.setdefault(value.data_ptr(), drawn) if value.ndim > 1 else drawn
    return Subject(module.double().eval(), x.double() if x.is_floating_point() else x, tensors)
