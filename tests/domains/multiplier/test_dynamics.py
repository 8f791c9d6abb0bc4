"""Dynamics: planted changes and drops are found, and the words follow the numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metarep.domains.multiplier.dynamics import (
    drop_sentence,
    dynamics,
    follow,
    steepness_sentence,
    transition_counts,
    with_ends,
)
from metarep.domains.multiplier.loss_at_change import drops_at_change, last_change, matched_controls, steepness
from metarep.domains.multiplier.modes import MODES
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import Runs, initial_error, read_runs
from metarep.errors import MetarepError
from metarep.evaluation.resampling import wilson
from metarep.tables import read_csv
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import open_zoo

STEP = np.r_[0, np.unique(np.geomspace(1, 4000, 40).round().astype(int))]


def zoo_of(folder, n=24, n_snapshots=6, n_steps=80, lr=None):
    family = {"variant": "e09", "n_networks": n, "n_steps": n_steps, "lr": lr}
    return build_zoo(ZooConfig(families=[family], n_snapshots=n_snapshots), folder)


def synthetic(mode, log_error, step=STEP):
    """Runs of given modes (N, T) and errors in decades."""
    n, t = mode.shape
    split = np.array(["train", "test"] * n, dtype=object)[:n]
    names = np.array([f"r{i}" for i in range(n)], dtype=object)
    rng = np.random.default_rng(0)
    params = rng.standard_normal((n, t, 9)).astype(np.float32)
    return Runs(names, split, step[:t], params, 10.0**log_error, mode)


def planted(extra, n=300, seed=0):
    """Half of the runs change from 3 to 2 at a random column; there the error falls by `extra` decades more."""
    rng = np.random.default_rng(seed)
    t = len(STEP)
    mode = np.full((n, t), "2", dtype=object)
    log_error = -0.02 * np.arange(t) + rng.normal(0, 0.003, (n, t)).cumsum(axis=1)
    column = rng.integers(5, t - 5, n // 2)
    for i, c in enumerate(column):
        mode[i, :c] = "3"
        log_error[i, c:] -= extra
    return synthetic(mode, log_error), column


def random_modes(n, t, seed=0):
    return np.random.default_rng(seed).choice(np.array(MODES, dtype=object), (n, t), p=[0.1, 0.3, 0.1, 0.4, 0.1])


def test_the_last_change_agrees_with_a_slow_reference():
    mode = random_modes(200, 5)
    for row, column in zip(mode, last_change(mode), strict=True):
        assert column == max((t for t in range(1, 5) if row[t] != row[t - 1]), default=0)


def test_transitions_count_every_network_once():
    mode = random_modes(150, 4)
    counts = transition_counts(mode[:, 0], mode[:, -1])
    assert counts.sum() == 150
    assert counts[3, 1] == ((mode[:, 0] == "3") & (mode[:, -1] == "2")).sum()


def test_wilson_is_wilsons():
    assert wilson(0, 0) == (0.0, 1.0)
    n, p, z = 50, 0.2, 1.959963984540054
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    np.testing.assert_allclose(wilson(10, 50), (middle - half, middle + half))


def test_runs_come_back_from_a_zoo_with_step_zero(tmp_path):
    zoo = open_zoo(zoo_of(tmp_path / "zoo"))
    runs = read_runs(zoo)
    assert runs.step[0] == 0
    assert runs.step[-1] == 80
    assert 79 not in runs.step
    end = zoo.final()
    order = np.argsort(end["run_id"].astype(str))
    np.testing.assert_array_equal(runs.params[:, -1], end.params[order])
    np.testing.assert_array_equal(runs.params[:, 0], end.init_params[order])
    np.testing.assert_array_equal(runs.mode[:, -1], end["mode"][order])
    shuffled = read_runs(zoo.select(np.random.default_rng(0).permutation(len(zoo))))
    np.testing.assert_array_equal(shuffled.params, runs.params)
    assert np.abs(runs.log_error[:, 1] - runs.log_error[:, 0]).max() < 0.1  # one step of Adam


def test_the_initial_error_is_the_zoos_own(tmp_path):
    zoo = open_zoo(zoo_of(tmp_path / "zoo", n=5, n_snapshots=0, n_steps=0))
    np.testing.assert_allclose(initial_error(zoo), zoo["valid_mse"], rtol=1e-5)


@pytest.mark.parametrize("extra", [0.0, 0.15])
def test_a_planted_drop_is_found_and_none_where_there_is_none(extra):
    runs, column = planted(extra)
    found = drops_at_change(runs, window=1, n_controls=10)
    np.testing.assert_array_equal(found.column, column[found.run])
    assert len(found.run) == 150
    row = {"n_changes": 150, "drop": 1.0, "control": 1.0}
    row |= with_ends("excess", found.excess, np.mean, n_bootstraps=100, seed=0)
    assert row["excess_low"] - 0.003 < extra < row["excess_high"] + 0.003
    assert ("falls further than in" in drop_sentence(row)) == (extra > 0)


def test_controls_end_alike_keep_their_mode_in_the_window_and_are_never_the_run_itself():
    runs, column = planted(0.1)
    run = np.arange(150)
    begin, end = column - 2, column + 1
    controls = matched_controls(runs, run, begin, end, n_controls=7)
    for i, row in enumerate(controls):
        assert i not in row
        for other in row[row >= 0]:
            assert runs.mode[other, -1] == runs.mode[i, -1]
            assert len(set(runs.mode[other, begin[i] : end[i] + 1])) == 1
    lonely = replace(runs, mode=np.where(np.arange(300)[:, None] == 0, "4", runs.mode).astype(object))
    assert (matched_controls(lonely, np.array([0]), begin[:1], end[:1], n_controls=7) == -1).all()


def test_a_relaxation_is_smooth_and_a_jump_is_abrupt():
    step = STEP.astype(float)
    smooth = np.log10(0.003 + 0.2 * np.exp(-step / 400))
    jump = np.where(step < 500, -0.7, -2.5) - 1e-3 * np.log(step + 1)
    still = np.full(len(step), -1.08)
    found = steepness(STEP, np.stack([smooth, still, jump]))
    assert len(found) == 2  # who learns nothing has no fall
    assert found[0] == pytest.approx(1, abs=0.03)
    assert found[1] > 3


@pytest.mark.parametrize(("low", "words"), [(1.6, "Errors drop abruptly"), (1.1, "There is no sign")])
def test_the_sentence_on_phase_transitions_follows_the_numbers(low, words):
    assert steepness_sentence({"steepness": low + 0.1, "steepness_low": low, "steepness_high": low + 0.2}).startswith(words)
    assert steepness_sentence({}).startswith("Too few")


def test_the_stage_writes_its_tables_and_the_same_bytes_twice(tmp_path):
    zoo = zoo_of(tmp_path / "zoo", n=40, n_steps=150, lr=0.01)
    config = DynamicsConfig(n_bootstraps=20)
    first, second = (dynamics(config, zoo, tmp_path / name) for name in ("a", "b"))
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()
    runs = read_runs(open_zoo(zoo))
    rows = read_csv(first / "modes_over_time.csv")
    assert [str(row["150"]) for row in rows] == list(runs.mode[:, -1])
    assert json.loads((first / "metrics.json").read_text())["n_runs"] == 40
    assert sum(row["n"] for row in read_csv(first / "transitions.csv")) == 40
    assert follow(config, runs)[1]["kept_from_birth"]["of"] == 40


def test_zoos_that_cannot_be_followed_are_refused(tmp_path):
    with pytest.raises(MetarepError, match="--snapshots"):
        dynamics(DynamicsConfig(), zoo_of(tmp_path / "zoo", n=2, n_snapshots=0), tmp_path / "out")
    families = [{"variant": "e09", "seeds": [1], "n_steps": 20}, {"variant": "e09", "seeds": [2], "n_steps": 30}]
    mixed = build_zoo(ZooConfig(families=families, n_snapshots=5), tmp_path / "mixed")
    with pytest.raises(MetarepError, match="different steps"):
        dynamics(DynamicsConfig(), mixed, tmp_path / "out")
    linear = build_zoo(ZooConfig(families=[{"variant": "e01", "seeds": [1]}], n_snapshots=5), tmp_path / "linear")
    with pytest.raises(MetarepError, match="2-2-1"):
        dynamics(DynamicsConfig(), linear, tmp_path / "out")
    assert not (tmp_path / "out").exists()
