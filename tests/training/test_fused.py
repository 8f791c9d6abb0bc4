"""The fused kernel, run through Triton's interpreter on the CPU, agrees with the plain loop."""

import numpy as np
import pytest

from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.training.engines import engine_by_name
from metarep.training.recipe import TrainingPlan

pytest.importorskip("triton")
SEEDS = np.array([7, 2813536937], np.uint32)


def trained(engine, spec="2-2-1", *, seeds=SEEDS, start=None, lr=1e-3, **how):
    plan = TrainingPlan(NetworkSpec.parse(spec), "product", lr, 5, (1, 3))
    return engine_by_name(engine, **how)(plan, seeds, start)


@pytest.mark.parametrize("spec", ["2-2-1", "2-3-1"])  # three units fill a block of four
def test_the_fused_kernel_agrees_with_the_plain_loop(spec):
    loop, fused = trained("loop", spec), trained("triton", spec)
    for field in ("params", "init_params", "train_mse", "valid_mse", "snapshots", "snapshot_mse"):
        np.testing.assert_allclose(getattr(fused, field), getattr(loop, field), atol=1e-6, err_msg=field)


def test_the_control_another_rate_disagrees():
    one = {"seeds": SEEDS[:1]}
    assert np.abs(trained("triton", lr=2e-3, **one).params - trained("loop", **one).params).max() > 1e-3


def test_samples_that_stay_in_registers_give_the_same(monkeypatch):
    from metarep.training import fused

    streamed = trained("triton", seeds=SEEDS[:1])
    monkeypatch.setattr(fused, "VALUES_PER_THREAD", 128)
    np.testing.assert_allclose(trained("triton", seeds=SEEDS[:1]).params, streamed.params, atol=1e-6)


def test_a_dead_network_stays_finite_and_a_broken_one_is_flagged():
    start = np.array([[-1, -1, -1, -1, -1, -1, 0.5, 0.5, 0.0], [np.nan] + [0.1] * 8], np.float32)
    found = trained("triton", start=start)
    np.testing.assert_array_equal(found.params[0, :8], start[0, :8])
    assert found.diverged.tolist() == [False, True]


def test_other_networks_are_trained_in_one_batch():
    np.testing.assert_allclose(trained("triton", "2-3-2-1").params, trained("loop", "2-3-2-1").params, atol=1e-5)


def test_the_cpu_is_refused_outside_the_interpreter(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(MetarepError, match="runs on a GPU"):
        engine_by_name("triton")
