"""Symmetries from names: permutations and scales that they allow leave the function as it is, and a false one would not."""

import numpy as np
import pytest
import torch
from torch import nn

from metarep.errors import MetarepError
from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import Member, Symmetries, SymmetryGroup
from metarep.networks.tensor_symmetry import canonical, permuted, random_symmetry, scaled


class Transformer(nn.Module):
    """A residual stream, a norm and an MLP, whose hidden units alone are interchangeable by name."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.norm, self.fc1, self.fc2, self.head = nn.LayerNorm(8), nn.Linear(8, 20), nn.Linear(20, 8), nn.Linear(8, 11)

    def forward(self, x):
        h = self.embed(x)
        return self.head(h + self.fc2(torch.nn.functional.gelu(self.fc1(self.norm(h)))))


class ResidualBlocks(nn.Module):
    """Skips without parameters: no name but the numbered blocks gives them away."""

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(*(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6)) for _ in range(2)))

    def forward(self, x):
        for block in self.layer1:
            x = x + block(x)
        return x


def mlp():
    return nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 3)), torch.randn(4, 5)


def cnn():
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, bias=False), nn.ReLU(), nn.Flatten())
    module = nn.Sequential(*layers, nn.Linear(6 * 16, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    module[1].running_mean.normal_()
    module[1].running_var.uniform_(0.5, 2)
    nn.init.normal_(module[1].weight)
    return module, torch.randn(3, 1, 8, 8)


def depthwise():
    layers = (nn.Conv2d(2, 6, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(4 * 36, 3)), torch.randn(2, 2, 8, 8)


def transformer():
    return Transformer(), torch.randint(11, (2, 6))


def residual():
    return ResidualBlocks(), torch.randn(4, 6)


MODULES = {"mlp": mlp, "cnn": cnn, "depthwise": depthwise, "transformer": transformer, "residual": residual}


def made(module: nn.Module, *, relu: bool = False):
    tensors = {name: value.detach().clone() for name, value in module.state_dict().items()}
    named = [(name, tuple(value.shape), str(value.dtype).removeprefix("torch.")) for name, value in tensors.items()]
    return tensors, symmetries_of(read_architecture(named), relu=relu)


def outputs(module: nn.Module, tensors, x) -> torch.Tensor:
    module.double().load_state_dict({n: v.double() if v.is_floating_point() else v for n, v in tensors.items()})
    with torch.no_grad():
        return module(x.double() if x.is_floating_point() else x)


@pytest.mark.parametrize("name", MODULES)
def test_a_permutation_of_free_units_leaves_the_function(name):
    torch.manual_seed(0)
    module, x = MODULES[name]()
    tensors, symmetries = made(module)
    before = outputs(module, tensors, x)
    changed = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(outputs(module, changed, x), before, atol=1e-9, rtol=1e-9)
    moved = any(not torch.equal(tensors[n], changed[n]) for n in tensors)
    assert moved == any(units.interchangeable for units in symmetries.groups)


@pytest.mark.parametrize("name", ["mlp", "cnn", "depthwise", "transformer"])
def test_a_permutation_of_one_member_alone_breaks_it(name):
    """The control."""
    torch.manual_seed(0)
    module, x = MODULES[name]()
    tensors, symmetries = made(module)
    free = next(units for units in symmetries.groups if units.interchangeable)
    member = next(m for m in free.members if m.side == "in")
    broken = permuted(tensors, type(symmetries)((SymmetryGroup("one", free.n, (member,)),)), [np.roll(np.arange(free.n), 1)])
    assert (outputs(module, broken, x) - outputs(module, tensors, x)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "free"), [("mlp", [9, 7]), ("cnn", [4, 6, 5]), ("depthwise", [6, 4]), ("transformer", [20]), ("residual", [6, 6])]
)
def test_the_groups_are_those_of_the_network(name, free):
    _, symmetries = made(MODULES[name]()[0])
    assert [units.n for units in symmetries.groups if units.interchangeable] == free


def test_flattened_channels_keep_their_pixels():
    _, symmetries = made(cnn()[0])
    channels = next(units for units in symmetries.groups if units.n == 6)
    assert Member("6.weight", 1, "out", inner=16) in channels.members


def test_scales_behind_a_relu_leave_the_function():
    torch.manual_seed(0)
    module, x = mlp()
    tensors, symmetries = made(module, relu=True)
    before = outputs(module, tensors, x)
    changed = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1), log_scale_std=1.0)
    torch.testing.assert_close(outputs(module, changed, x), before, atol=1e-5, rtol=1e-5)


def test_other_scales_and_orders_are_refused():
    tensors, symmetries = made(mlp()[0])
    with pytest.raises(MetarepError, match="cannot be permuted"):
        permuted(tensors, symmetries, [np.arange(5), None, None, None])
    with pytest.raises(MetarepError, match="cannot be scaled"):
        scaled(tensors, symmetries, [None, np.ones(9), None, None])


@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer"])
def test_the_canonical_order_knows_nothing_of_the_given_one(name):
    torch.manual_seed(0)
    tensors, symmetries = made(MODULES[name]()[0])
    first = canonical(tensors, symmetries)
    again = canonical(random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(3)), symmetries)
    twice = canonical(first, symmetries)
    for key, value in first.items():
        assert torch.equal(value, again[key])
        assert torch.equal(value, twice[key])


def test_keras_kernels_are_read_the_other_way_round():
    named = [("dense/kernel:0", (4, 6), "float32"), ("dense/bias:0", (6,), "float32")]
    named += [("dense_1/kernel:0", (6, 6), "float32"), ("dense_1/bias:0", (6,), "float32")]
    symmetries = symmetries_of(read_architecture(named))
    assert [units.n for units in symmetries.groups] == [4, 6, 6]
    assert Member("dense_1/kernel:0", 0, "out") in symmetries.groups[1].members


def test_keras_flattens_pixel_by_pixel():
    """Kernels (row, column, in, out) and channels behind the pixels; grouping neighbours, as PyTorch lies, would be false."""
    torch.manual_seed(0)
    shapes = {"c/kernel": (3, 3, 2, 8), "c/bias": (8,), "d/kernel": (32, 5), "d/bias": (5,)}
    tensors = {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64)

    def answer(values):
        h = nn.functional.conv2d(x, values["c/kernel"].permute(3, 2, 0, 1), values["c/bias"]).relu()
        return h.permute(0, 2, 3, 1).flatten(1) @ values["d/kernel"] + values["d/bias"]

    symmetries = symmetries_of(read_architecture([(name, shape, "float32") for name, shape in shapes.items()]))
    assert [units.interchangeable for units in symmetries.groups] == [False, True, False]
    assert Member("d/kernel", 0, "out", outer=4) in symmetries.groups[1].members
    turned = permuted(tensors, symmetries, [None, np.arange(8)[::-1].copy(), None])
    assert torch.allclose(answer(tensors), answer(turned))
    neighbours = SymmetryGroup("units", 8, (*symmetries.groups[1].members[:2], Member("d/kernel", 0, "out", inner=4)))
    assert not torch.allclose(
        answer(tensors), answer(permuted(tensors, Symmetries((neighbours,)), [np.arange(8)[::-1].copy()]))
    )


def test_a_transposed_convolution_with_one_output_is_not_depthwise():
    shapes = {"0.weight": (5, 8, 3, 3), "0.bias": (8,), "1.weight": (8, 1, 3, 3), "1.bias": (1,)}
    groups = symmetries_of(read_architecture([(name, shape, "float32") for name, shape in shapes.items()])).groups
    assert [(units.n, units.interchangeable) for units in groups] == [(5, False), (8, True), (1, False)]
    assert Member("1.weight", 0, "out") in groups[1].members
