"""Dynamics: planted changes and drops are found, nulls score chance, and the words follow the numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metarep.domains.multiplier.dynamics import dynamics, follow, phase_sentence, sentences
from metarep.domains.multiplier.loss_at_change import drops_at_change, excess_summary, matched_controls
from metarep.domains.multiplier.mode_paths import last_change, passing_rows, paths, transition_counts, transition_rows
from metarep.domains.multiplier.modes import MODES
from metarep.domains.multiplier.phase_transitions import coincidence, drop_shapes
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import Runs, initial_error, read_runs
from metarep.errors import MetarepError
from metarep.evaluation.resampling import wilson
from metarep.tables import read_csv
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig
from metarep.zoos.zoo import open_zoo

STEP = np.r_[0, np.unique(np.geomspace(1, 4000, 40).round().astype(int))]
QUICK = {"n_bootstraps": 100, "n_permutations": 60, "seed": 0}


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
    return Runs(names, split, step[:t], params, 10.0**log_error, mode, np.full((n, t, 2), 0.5), np.full((n, t, 4), 0.25))


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


def test_last_change_and_paths_agree_with_a_slow_reference():
    mode = random_modes(200, 5)
    for row, column, path in zip(mode, last_change(mode), paths(mode), strict=True):
        slow = max((t for t in range(1, 5) if row[t] != row[t - 1]), default=0)
        assert column == slow
        assert path.split(">") == [m for t, m in enumerate(row) if t == 0 or m != row[t - 1]]


def test_transitions_count_every_network_once():
    mode = random_modes(150, 4)
    counts = transition_counts(mode[:, 0], mode[:, -1])
    assert counts.sum() == 150
    assert counts[3, 1] == ((mode[:, 0] == "3") & (mode[:, -1] == "2")).sum()
    rows = transition_rows(mode, np.array([0, 1, 2, 3]))
    for span, step in (("whole", 0), ("step", 0), ("step", 2)):
        assert sum(r["n"] for r in rows if r["span"] == span and r["from_step"] == step) == 150


def test_a_stage_on_the_way_is_told_from_an_end():
    mode = np.array([["2.5", "2.5", "3"]] * 20 + [["3", "3", "3"]] * 20, dtype=object)
    share = {row["mode"]: row["share"] for row in passing_rows(mode) if row["of"]}
    assert share == {"2.5": 1.0, "3": 0.0}


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
    assert runs.n_steps == 80
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
    row = excess_summary(runs, found, window=1, n_controls=10, **QUICK)
    assert row["n"] == 150
    assert row["low"] - 0.003 < extra < row["high"] + 0.003
    assert (row["p"] < 0.05) == (extra > 0)
    assert ("falls more than in" in sentences(metrics_with(drop=row))[2]) == (extra > 0)


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


def test_a_relaxation_is_smooth_a_jump_is_abrupt_and_two_falls_are_two():
    step = STEP.astype(float)
    smooth = np.log10(0.003 + 0.2 * np.exp(-step / 400))
    jump = np.where(step < 500, -0.7, -2.5) - 1e-3 * np.log(step + 1)
    stairs = -0.9 / (1 + np.exp(-8 * np.log(np.maximum(step, 1) / 30))) - 0.9 / (
        1 + np.exp(-8 * np.log(np.maximum(step, 1) / 1200))
    )
    still = np.full(len(step), -1.08)
    shape = drop_shapes(STEP, np.stack([smooth, jump, stairs, still]))
    np.testing.assert_array_equal(shape.run, [0, 1, 2])
    assert shape.ratio[0] == pytest.approx(1, abs=0.03)
    assert shape.ratio[1] > 3
    np.testing.assert_array_equal(shape.n_drops, [1, 1, 2])
    assert shape.fastest[1] == pytest.approx(500, rel=0.3)


def test_coincidence_knows_chance():
    rng = np.random.default_rng(0)
    times, others = rng.normal(2.5, 0.5, 200), rng.normal(2.5, 0.5, 200)
    assert coincidence(times, times + 0.05, 200, rng)["p"] < 0.01
    assert coincidence(times, others, 200, rng)["p"] > 0.01


def metrics_with(*, drop=None, ratio=(1.2, 1.1, 1.3), together=0.5):
    """The numbers that sentences are made of."""
    share = {"n": 1, "of": 2, "share": 0.5, "low": 0.4, "high": 0.6}
    near = {"n": 9, "median_distance": 0.4, "null_mean": 0.5, "null_low": 0.4, "null_high": 0.6, "p": together}
    names = ("median_ratio", "median_ratio_low", "median_ratio_high")
    phase = {**dict(zip(names, ratio, strict=True)), "several_drops": share, "coincidence": near}
    return {
        "n_runs": 10,
        "n_steps": 4000,
        "kept_from_birth": share,
        "never_changes": share,
        "last_change_quartiles": [1.0, 2.0, 3.0],
        "loss_at_change": drop or {"n": 0},
        "phase": phase,
        "scan_auc": [],
    }


def test_the_sentence_on_phase_transitions_follows_the_numbers():
    tied = {"low": 0.1, "p": 0.01}
    assert phase_sentence(metrics_with(drop=tied, ratio=(3, 2.5, 3.5), together=0.01)).startswith("There are phase transitions")
    assert "no phase transition" in phase_sentence(metrics_with(drop=tied, together=0.01))
    assert phase_sentence(metrics_with()).startswith("There is no sign")
    assert "only in part" in phase_sentence(metrics_with(drop=tied, ratio=(3, 2.5, 3.5)))
    assert "as smooth as" in phase_sentence(metrics_with(ratio=(1, 0.9, 1.1)))


def test_the_stage_writes_its_tables_and_the_same_bytes_twice(tmp_path):
    zoo = zoo_of(tmp_path / "zoo", n=40, n_steps=150, lr=0.01)
    config = DynamicsConfig(n_bootstraps=20, n_permutations=20)
    first, second = (dynamics(config, zoo, tmp_path / name) for name in ("a", "b"))
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()
    rows = read_csv(first / "last_change.csv")
    runs = read_runs(open_zoo(zoo))
    assert [row["final_mode"] for row in rows] == list(runs.mode[:, -1])
    assert json.loads((first / "metrics.json").read_text())["n_runs"] == 40
    assert len(read_csv(first / "modes_over_time.csv")) == 40
    assert follow(config, runs).metrics["kept_from_birth"]["of"] == 40


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
