"""The forward pass against `torch.nn`, and the stages against the forward pass."""

import numpy as np
import pytest
import torch

from metarep.errors import MetarepError
from metarep.networks.forward import forward, stages
from metarep.networks.spec import NetworkSpec

SPECS = [NetworkSpec.parse(text) for text in ("2-1", "2-1-relu", "2-2-1", "2-16-1", "3-2-4-2", "2-2-2-1-relu")]


def plain_torch(spec, params, x):
    layers = []
    for index, (weight, bias) in enumerate(spec.unpack(torch.from_numpy(params))):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        linear.load_state_dict({"weight": weight, "bias": bias})
        layers += [linear, torch.nn.ReLU()] if index < spec.n_layers - 1 or spec.output_relu else [linear]
    with torch.no_grad():
        return torch.nn.Sequential(*layers)(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_forward_is_what_torch_computes(spec):
    rng = np.random.default_rng(0)
    params, x = rng.normal(size=(3, 5, spec.n_params)), rng.random((7, spec.widths[0]))
    ours = forward(spec, params, x)
    assert ours.shape == (3, 5, 7, spec.widths[-1])
    for i, j in np.ndindex(3, 5):
        np.testing.assert_allclose(ours[i, j], plain_torch(spec, params[i, j], x), atol=1e-13)
    as_torch = forward(spec, torch.from_numpy(params), x)
    assert isinstance(as_torch, torch.Tensor)
    np.testing.assert_allclose(as_torch.numpy(), ours, atol=1e-13)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_stages_end_in_the_output(spec):
    rng = np.random.default_rng(1)
    params, x = rng.normal(size=spec.n_params), rng.random((6, spec.widths[0]))
    steps = stages(spec, params, x)
    assert [step.kind for step in steps][:2] == ["input", "before bias"]
    assert steps[-1].kind == "output"
    np.testing.assert_allclose(steps[-1].values, forward(spec, params, x), atol=1e-13)
    assert len({step.name for step in steps}) == len(steps)


def test_stages_of_a_multiplier_in_order():
    spec = NetworkSpec((2, 2, 1))
    params = np.array([1.0, 0, 0, 1, -0.5, 0, 1, 1, 0.25])
    steps = stages(spec, params, np.array([[0.25, 1.0]]))
    assert [step.name for step in steps] == [
        "input",
        "layer 1 before bias",
        "layer 1 pre-activations",
        "layer 1 activations",
        "layer 2 before bias",
        "output",
    ]
    expected = [[0.25, 1.0], [0.25, 1.0], [-0.25, 1.0], [0.0, 1.0], [1.0], [1.25]]
    for step, values in zip(steps, expected, strict=True):
        np.testing.assert_array_equal(step.values[0], values)


def test_forward_refuses_a_foreign_number_of_parameters():
    with pytest.raises(MetarepError, match="9 parameters"):
        forward(NetworkSpec((2, 2, 1)), np.zeros(8), np.zeros((1, 2)))
