"""Every engine agrees with the plain PyTorch loop, and the published networks come back."""

import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from metarep.domains.multiplier.recipes import HANDCRAFTED, VARIANTS
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.training.engines import engine_by_name, has_one_hidden_layer, train_fast
from metarep.training.recipe import TrainingPlan, draw_reference, log_spaced_steps

# From the published figures: seed 2813536937, mode 3; rounded there to four digits.
PUBLISHED = [0.4373, -0.4425, -0.7523, -0.4695, -0.0023, 1.6139, -0.7446, -1.1377, 1.3982]
SEEDS = np.array([7, 2813536937, 12345], np.uint32)


def plan(spec="2-2-1", n_steps=300, **changes):
    settings = {"input_distribution": "product", "lr": 1e-3, "snapshot_steps": (1, 40)} | changes
    return TrainingPlan(NetworkSpec.parse(spec), n_steps=n_steps, **settings)


def test_the_published_network_comes_back_from_its_seed():
    trained = train_fast(plan(n_steps=4000), np.array([2813536937], np.uint32))
    np.testing.assert_allclose(trained.params[0], PUBLISHED, atol=1e-4)
    assert round(trained.valid_mse[0], 4) == 0.0014


@pytest.mark.parametrize(
    ("name", "seed", "published"),
    [("e05", 2813536937, 0.0020), ("e06", 2813536937, 0.0397), ("e07", 2813536937, 0.0024), ("e08", 2813536937, 0.0015)],
)
def test_the_published_errors_come_back(name, seed, published):
    variant = VARIANTS[name]
    start = HANDCRAFTED.astype(np.float32)
    if name == "e05":
        start = train_fast(plan(n_steps=4000), np.array([seed], np.uint32)).params[0]
    if name == "e08":
        start[4:6] = -0.0023, 1.6139
    seeds = np.array([seed], np.uint32)
    trained = train_fast(
        TrainingPlan(variant.spec, variant.input_distribution, variant.lr, variant.n_steps), seeds, start[None]
    )
    assert trained.valid_mse[0] == pytest.approx(published, abs=5.1e-5)


@cache
def by_the_plain_loop(spec):
    return engine_by_name("loop")(plan(spec), SEEDS, None)


@pytest.mark.parametrize("spec", ["2-2-1", "2-5-1", "2-3-2-1", "2-1", "2-1-relu"])
@pytest.mark.parametrize("engine", ["fast", "torch"])
def test_engines_agree_with_the_plain_loop(spec, engine):
    loop, other = by_the_plain_loop(spec), engine_by_name(engine)(plan(spec), SEEDS, None)
    for field in ("params", "init_params", "train_mse", "valid_mse", "snapshots", "snapshot_mse"):
        np.testing.assert_allclose(getattr(other, field), getattr(loop, field), atol=2e-5, err_msg=field)


def test_the_moment_kernel_agrees_over_the_whole_recipe_where_boundaries_cross():
    chosen = plan(n_steps=1500, lr=1e-2)  # ten times the rate: the boundaries sweep over many samples
    loop, fast = engine_by_name("loop")(chosen, SEEDS, None), train_fast(chosen, SEEDS)
    assert has_one_hidden_layer(chosen)
    np.testing.assert_allclose(fast.valid_mse, loop.valid_mse, atol=1e-5)


def test_the_control_a_training_that_misses_the_crossings_disagrees():
    seeds, chosen = SEEDS, plan(n_steps=300, lr=1e-2)
    right = train_fast(chosen, seeds).params
    wrong = _train_with_frozen_sides(chosen, seeds)
    assert np.abs(right - wrong).max() > 1e-3


def _train_with_frozen_sides(chosen, seeds):
    """Full-batch Adam on a network whose on/off pattern stays that of the initialisation."""
    import torch

    out = []
    for seed in seeds:
        samples = draw_reference(int(seed), chosen.input_distribution, chosen.spec)
        params = torch.tensor(samples.init_params, requires_grad=True)
        x, y = (torch.from_numpy(part) for part in samples.train)
        (w0, b0), _ = chosen.spec.unpack(params)
        on = (x @ w0.T + b0 > 0).detach().float()
        optimiser = torch.optim.Adam([params], lr=chosen.lr)
        for _ in range(chosen.n_steps):
            (w, b), (v, c) = chosen.spec.unpack(params)
            optimiser.zero_grad()
            ((((x @ w.T + b) * on) @ v.T + c)[:, 0] - y).square().mean().backward()
            optimiser.step()
        out.append(params.detach().numpy())
    return np.stack(out)


def test_no_result_depends_on_the_number_of_threads_or_the_batch(tmp_path):
    """Two threads need a process of their own: numba counts them once, and the tests run with one."""
    program = (
        "import sys, numba, numpy as np\n"
        "from metarep.networks.spec import NetworkSpec\n"
        "from metarep.training.engines import train_fast\n"
        "from metarep.training.recipe import TrainingPlan\n"
        "assert numba.get_num_threads() == 2\n"
        "spec, how = NetworkSpec.parse('2-2-1'), {'input_distribution': 'product', 'lr': 1e-3, 'snapshot_steps': (1, 40)}\n"
        "plan = TrainingPlan(spec, n_steps=300, **how)\n"
        f"np.save(sys.argv[1], train_fast(plan, np.array({SEEDS.tolist()}, np.uint32)).params)\n"
    )
    out = tmp_path / "params.npy"
    subprocess.run([sys.executable, "-c", program, str(out)], check=True, env=os.environ | {"NUMBA_NUM_THREADS": "2"})
    single = np.concatenate([train_fast(plan(), SEEDS[i : i + 1]).params for i in range(3)])
    np.testing.assert_array_equal(np.load(out), single)


def test_dead_networks_stay_finite_and_learn_their_bias():
    start = np.array([[-1, -1, -1, -1, -1, -1, 0.5, 0.5, 0.0]], np.float32)
    for engine in ("fast", "loop"):
        trained = engine_by_name(engine)(plan(n_steps=2000), SEEDS[:1], start)
        np.testing.assert_array_equal(trained.params[0, :8], start[0, :8])
        assert 0.4 < trained.params[0, 8] < 0.6


def test_a_run_that_diverges_is_flagged():
    start = np.full((2, 9), 0.1, np.float32)
    start[1, 0] = np.nan
    trained = train_fast(plan(), SEEDS[:2], start)
    assert trained.diverged.tolist() == [False, True]


def test_the_fast_engine_refuses_a_gpu():
    with pytest.raises(MetarepError, match="engine=triton or torch"):
        engine_by_name("fast", device="cuda")


def test_log_spaced_steps_are_distinct_and_below_the_end():
    steps = log_spaced_steps(4000, 20)
    assert steps[0] == 1
    assert steps[-1] == 3999
    assert list(steps) == sorted(set(steps))
    assert log_spaced_steps(4000, 0) == ()
