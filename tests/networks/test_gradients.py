"""Jacobians of networks against automatic differentiation."""

import pytest
import torch

from metarep.networks.forward import forward, jacobians
from metarep.networks.spec import NetworkSpec


@pytest.mark.parametrize("text", ["2-1", "2-2-1", "1-8-1", "2-3-4-2", "2-2-2-1-relu"])
def test_jacobians_are_those_of_automatic_differentiation(text):
    spec, generator = NetworkSpec.parse(text), torch.Generator().manual_seed(0)
    params = torch.randn(4, spec.n_params, generator=generator, dtype=torch.float64)
    x = torch.rand(5, spec.widths[0], generator=generator, dtype=torch.float64)
    found = jacobians(spec, params, x)
    for i, one in enumerate(params):
        by_params = torch.autograd.functional.jacobian(lambda p: forward(spec, p, x), one)
        torch.testing.assert_close(found.by_params[i], by_params)
        for s, point in enumerate(x):
            by_input = torch.autograd.functional.jacobian(lambda q, p=one: forward(spec, p, q.unsqueeze(0))[0], point)
            torch.testing.assert_close(found.by_input[i, s], by_input)
    assert found.by_params.abs().max() > 0.1
