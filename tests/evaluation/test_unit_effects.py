"""Removed units: their effects against networks without them, and a likeness of clusters that chance does not give."""

import numpy as np
import pytest
import torch

from metarep.domains.digits.networks import build_network, declared
from metarep.domains.digits.settings import draw_hyperparameters
from metarep.domains.groups.build import build_groups
from metarep.domains.groups.settings import GroupsConfig
from metarep.evaluation.chains import inputs_of_zoo, runs_of
from metarep.evaluation.compare import cluster
from metarep.evaluation.settings import ClusterConfig, UnitEffectsConfig
from metarep.evaluation.unit_effects import alike_row, cluster_rows, effects_of, measure, unit_effects, without
from metarep.evaluation.units import units_of
from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of
from metarep.progress import Progress
from metarep.tables import read_csv
from metarep.zoos.zoo import open_zoo

CONFIG = UnitEffectsConfig(n_permutations=40)
ONE_LAYER = np.zeros(60, dtype=int)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    config = GroupsConfig(n_networks=12, groups=("S3",), widths=(8,), n_steps=150)
    return build_groups(config, tmp_path_factory.mktemp("effects") / "zoo")


def test_inputs_of_groups_are_all_pairs_and_what_networks_say_of_them_is_composition(zoo):
    networks = open_zoo(zoo)
    (chain,) = runs_of(networks).values()
    inputs = inputs_of_zoo(networks, chain, 1000)
    assert inputs.shape == (36, 12)
    assert len({tuple(row) for row in inputs.tolist()}) == 36
    assert len(set(inputs[:8, :6].argmax(dim=1).tolist())) > 2  # in random order: the first few stand for all
    hidden, output = (networks.raw_tensors(3)[name] for name in ("hidden.weight", "output.weight"))
    expected = torch.relu(inputs @ hidden.T) @ output.T
    torch.testing.assert_close(chain.outputs(networks.stacked(np.array([3])), inputs)[0], expected)


def test_an_effect_is_what_the_outputs_lack_without_the_unit(zoo):
    networks = open_zoo(zoo)
    units, chains = units_of(networks), runs_of(networks)
    chosen = np.array([3, 8 * 2 + 1, 8 * 2 + 5])
    effects, size = effects_of(units, chosen, chains, 36, progress=Progress())
    inputs = inputs_of_zoo(networks, chains[0], 36)
    for at, unit in enumerate(chosen):
        tensors = networks.raw_tensors(int(units["row"][unit]))
        hidden, output = tensors["hidden.weight"], tensors["output.weight"]
        own = int(units["unit"][unit])
        term = torch.relu(inputs @ hidden[own])[:, None] * output[:, own]
        whole = torch.relu(inputs @ hidden.T) @ output.T
        np.testing.assert_allclose(effects[at], (term / term.norm()).flatten(), atol=1e-5)
        assert size[at] == pytest.approx(float(term.square().mean().sqrt() / whole.square().mean().sqrt()), rel=1e-4)


def test_a_channel_is_removed_with_all_its_pixels_and_nothing_else():
    settings = draw_hyperparameters(0, ("two-conv",), seed=0)
    tensors = {name: value.detach() for name, value in build_network(settings).state_dict().items()}
    architecture = read_architecture([(name, tuple(value.shape), "float32") for name, value in tensors.items()])
    groups = {
        member.tensor: group for group in symmetries_of(architecture).groups for member in group.members if member.side == "in"
    }
    removed = [(groups["conv1.weight"], 2), (groups["conv2.weight"], 5)]
    found = without({name: value.unsqueeze(0) for name, value in tensors.items()}, removed)
    assert declared(settings).steps
    for copy, name, columns in ((0, "conv2.weight", [2]), (1, "fc1.weight", range(5 * 4, 6 * 4))):
        expected = {key: value.clone() for key, value in tensors.items()}
        expected[name][:, list(columns)] = 0
        assert all(torch.equal(found[key][copy], value) for key, value in expected.items())


def test_units_of_one_cluster_are_alike_where_their_effects_are_and_not_by_chance():
    rng = np.random.default_rng(0)
    cluster, network = np.arange(60) % 3, np.repeat(np.arange(10), 6)
    effects = np.eye(3)[cluster] * rng.choice([-1, 1], size=(60, 1))
    row = alike_row(effects, cluster, network, ONE_LAYER, CONFIG)
    assert (row["value"], row["between"]) == (1.0, 0.0)
    assert row["low"] == row["high"] == 1.0
    assert row["null"] < 0.5
    other = alike_row(effects, rng.permutation(cluster), network, ONE_LAYER, CONFIG)
    assert other["value"] < 0.5
    assert alike_row(effects[:6], cluster[:6], network[:6], ONE_LAYER[:6], CONFIG) is None  # units of one run alone


def test_clusters_that_find_the_layer_alone_are_no_more_alike_than_chance():
    layer, network = np.arange(60) % 2, np.repeat(np.arange(10), 6)
    effects = np.eye(2)[layer]
    row = alike_row(effects, layer, network, layer, CONFIG)
    assert row["value"] == row["null"] == 1.0
    assert alike_row(effects, layer, network, ONE_LAYER, CONFIG)["null"] < 0.6


def of_two_kinds(seed, n=20):
    """Effects (4 n, 6), clusters and runs of units of runs of two kinds."""
    rng = np.random.default_rng(seed)
    run, kind = np.repeat(np.arange(n), 4), rng.random(n) < 0.8
    effects = 0.5 * rng.normal(size=(4 * n, 6))
    effects[:, :2] += np.stack([2 * kind, ~kind], axis=1)[run]
    return effects / np.linalg.norm(effects, axis=1, keepdims=True), rng.integers(2, size=4 * n), run


def test_intervals_are_as_wide_as_values_vary_among_samples_of_runs():
    rows = [alike_row(*of_two_kinds(seed), np.zeros(80, dtype=int), UnitEffectsConfig(n_permutations=10)) for seed in range(60)]
    mean = np.mean([row["value"] for row in rows])
    assert np.mean([row["low"] <= mean <= row["high"] for row in rows]) > 0.88


def test_units_of_one_run_say_nothing_of_each_other_and_a_null_may_have_no_pairs():
    effects, run = np.eye(3)[[0, 0, 0, 1]], np.array([0, 0, 1, 0])
    row = alike_row(effects, np.array([0, 1, 0, 2]), run, ONE_LAYER[:4], CONFIG)
    assert (row["value"], row["n"], row["n_runs"]) == (1.0, 2, 2)
    assert np.isfinite(row["null"])
    assert np.isnan(alike_row(effects[[0, 2]], np.array([0, 0]), run[[0, 2]], ONE_LAYER[:2], CONFIG)["between"])


def test_networks_whose_outputs_are_no_numbers_have_no_effects(zoo, monkeypatch):
    networks = open_zoo(zoo)
    units, chains = units_of(networks), runs_of(networks)
    raw = type(networks).stacked
    monkeypatch.setattr(
        type(networks), "stacked", lambda self, rows: {n: v * (1e30 if rows[0] == 2 else 1) for n, v in raw(self, rows).items()}
    )
    chosen = np.arange(8 * 4)
    _, size = effects_of(units, chosen, chains, 36, progress=Progress())
    assert np.array_equal(np.isnan(size), chosen // 8 == 2)
    clusters = {("own", "", "", 0): dict.fromkeys(chosen.tolist(), 0) | {0: 1, 9: 1}}
    tables = measure(CONFIG, units, chosen, clusters, progress=Progress())
    assert [row["n_removed"] for row in tables["clusters"]] == [22, 2]
    assert all(np.isfinite(row[name]) for row in tables["clusters"] for name in ("effect", "does_nothing"))
    assert np.isfinite(tables["alike"][0]["value"])


def test_units_that_do_nothing_are_no_pairs(zoo, monkeypatch):
    units = units_of(open_zoo(zoo))
    chosen = np.arange(8 * 4)
    size = np.where(chosen % 2, 0.5, 0.5e-6)
    monkeypatch.setattr("metarep.evaluation.unit_effects.effects_of", lambda *_, **how: (np.eye(4)[chosen % 2], size))
    found = measure(CONFIG, units, chosen, {("own", "", "", 0): dict.fromkeys(chosen.tolist(), 0)}, progress=Progress())
    assert (found["alike"][0]["n"], found["alike"][0]["value"]) == (16, 1.0)
    assert found["clusters"][0]["does_nothing"] == 0.5


def test_where_clusters_occur_does_not_hang_on_which_units_are_removed(zoo):
    units = units_of(open_zoo(zoo))
    own = {unit: unit % 2 for unit in range(len(units))}
    (first, second) = measure(CONFIG, units, np.array([0, 2, 8]), {("own", "", "", 0): own}, progress=Progress())["clusters"]
    assert (first["n_networks"], first["n"], first["share"], first["n_removed"]) == (12, 48, 0.5, 3)
    assert (second["n_networks"], second["n_removed"]) == (12, 0)
    assert np.isnan(second["effect"])


def test_clusters_say_how_often_they_occur_and_what_their_units_do():
    rows = cluster_rows(np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.3, 0.0, 0.0, 0.0]), np.array([0, 1, 1, 1, 1]))
    assert [(row["n"], row["n_networks"], row["of_networks"], row["does_nothing"]) for row in rows] == [
        (2, 2, 2, 0),
        (3, 1, 2, 1),
    ]
    assert rows[0]["effect"] == pytest.approx(0.2)
    assert rows[0]["low"] < rows[0]["share"] == 0.4 < rows[0]["high"]


def without_kmeans(settings, zoo, folder):
    """A comparison that says of no unit in which cluster it is."""
    other = ClusterConfig(**settings | {"clusterers": ("gmm",)}, baselines=("unit_statistics",))
    return cluster(other, [], folder / "other", zoo=zoo)


def test_a_comparison_of_units_is_followed_by_what_their_removal_does(zoo, tmp_path):
    settings = {"part": "unit", "clusterers": ("kmeans",), "ks": (2, 3), "umap": False, "n_bootstraps": 2, "n_probe_seeds": 1}
    compared = cluster(ClusterConfig(**settings, baselines=("unit_statistics", "energies_30")), [], tmp_path / "units", zoo=zoo)
    out = unit_effects(CONFIG, compared, zoo, tmp_path / "effects")
    alike = {row["representation"]: row for row in read_csv(out / "alike.csv")}
    assert set(alike) == {"unit_statistics", "energies_30", "label irrep", "label dimension"}
    assert alike["label irrep"]["value"] > alike["label irrep"]["null"]
    assert 0 <= alike["energies_30"]["low"] <= alike["energies_30"]["value"] <= alike["energies_30"]["high"] <= 1
    rows = read_csv(out / "clusters.csv")
    assert not list(unit_effects(CONFIG, without_kmeans(settings, zoo, tmp_path), zoo, tmp_path / "none").glob("*.csv"))
    assert sum(row["share"] for row in rows if row["representation"] == "energies_30") == pytest.approx(1)
