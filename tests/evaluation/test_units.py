"""Units as what is compared: whose they are, baselines that need no model, and a comparison from embeddings to tables."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from metarep.domains.groups.build import build_groups
from metarep.domains.groups.settings import GroupsConfig
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed
from metarep.embeddings.store import load_embeddings
from metarep.errors import MetarepError
from metarep.evaluation.arena import vectors_of
from metarep.evaluation.baselines import baselines_of
from metarep.evaluation.compare import cluster
from metarep.evaluation.settings import ClusterConfig
from metarep.evaluation.unit_baselines import low_rank, only_rows, profile
from metarep.evaluation.units import units_of, within_rows
from metarep.model.pretraining import pretrain
from metarep.model.settings import PretrainConfig
from metarep.networks.symmetry_groups import Symmetries
from metarep.tables import read_csv
from metarep.zoos.zoo import open_zoo

TINY = {"d_model": 16, "n_layers": 1, "n_heads": 2, "n_steps": 2, "batch_size": 8, "warmup_steps": 0, "chunk": 2, "context": 9}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    config = GroupsConfig(n_networks=12, groups=("S3",), widths=(8,), n_steps=150)
    return build_groups(config, tmp_path_factory.mktemp("units") / "zoo")


@pytest.fixture(scope="module")
def embedded(zoo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    model = pretrain(PretrainConfig(**TINY), [zoo], folder / "model")
    kinds = ("spread", "predictability")
    return [embed(EmbedConfig(kind=kind, parts=("network", "unit")), model, zoo, folder / kind) for kind in kinds]


def test_units_stand_network_by_network_with_their_labels(zoo):
    networks = open_zoo(zoo)
    units = units_of(networks)
    assert len(units) == 12 * 8
    assert units["unit"][:9].tolist() == [*range(8), 0]
    assert (units.run_id == networks.run_id[units["row"]]).all()
    assert set(units.labels) == {"irrep", "dimension", "units"}
    assert units.properties == ("purity",)
    rows = only_rows(units)
    fed, read = (np.linalg.norm(side, axis=1) for side in rows.sides)
    np.testing.assert_allclose(fed, read)  # units behind a ReLU may be rescaled
    hidden = networks.raw_tensors(2)["hidden.weight"][5].numpy()
    own = rows.sides[0][2 * 8 + 5]
    np.testing.assert_allclose(own / np.linalg.norm(own), hidden / np.linalg.norm(hidden), rtol=1e-5)


def test_baselines_of_units_know_neither_other_units_nor_their_scale(zoo):
    units, train = units_of(open_zoo(zoo)), np.arange(12 * 8) < 60
    found = {one.name: one.make(units, train) for one in baselines_of(units)}
    shapes = {name: vectors.shape[1] for name, vectors in found.items()}
    values = dict.fromkeys(("unit_values", "energies_30", "energies_60"), 18)
    profiles = dict.fromkeys(("linear_gaussian_profile", "within_network_profile"), 12)
    assert shapes == {"unit_statistics": 14, "mixture_densities": 64} | values | profiles
    few = units.select(np.arange(80))
    for one in baselines_of(few):
        if one.name != "within_network_profile":
            np.testing.assert_allclose(one.make(few, train[:80]), found[one.name][:80], atol=1e-6)


def test_a_profile_falls_where_values_follow_from_each_other_and_not_where_they_do_not():
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(400, 30))
    ranked = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 30))
    reads = np.arange(30) >= 20
    errors = {}
    for name, z in (("plain", plain), ("ranked", ranked / ranked.std())):
        gaussian = low_rank(z[:200], 16)
        errors[name] = profile(z[200:], reads, lambda mask, z=z, g=gaussian: g.predict(z[200:], mask)).mean(axis=0)
    assert (errors["ranked"][:2] < errors["plain"][:2] - 2).all()
    assert errors["ranked"][5] > errors["ranked"][0] + 2  # two values seen do not tell three factors
    assert abs(errors["plain"][0]) < 0.5
    assert errors["plain"].shape == (12,)


def test_vectors_of_units_are_those_of_the_units(zoo, embedded):
    units, loaded = units_of(open_zoo(zoo)), load_embeddings(embedded[0], part="unit")
    vectors = vectors_of(loaded, units)
    key = units["network_id"][19], units["unit"][19]
    (at,) = [i for i in range(len(loaded)) if (loaded.network_id[i], loaded.index[i]) == key and "hidden" in loaded.group[i]]
    np.testing.assert_array_equal(loaded.vectors[at], vectors[19])
    assert vectors.shape == (96, 64)


def test_units_are_compared_by_run_into_the_same_tables(embedded, tmp_path):
    settings = {"part": "unit", "clusterers": ("kmeans",), "ks": (2, 3), "umap": False, "n_bootstraps": 2, "n_probe_seeds": 1}
    out = cluster(ClusterConfig(**settings, baselines=("unit_statistics", "energies_30")), embedded, tmp_path / "clusters")
    assert {row["label"] for row in read_csv(out / "agreement.csv")} == {"irrep", "dimension"}
    probes = read_csv(out / "probes.csv")
    assert {(row["target"], row["metric"]) for row in probes} >= {("irrep", "balanced_accuracy"), ("purity", "r2")}
    assert {row["representation"] for row in probes} == {"spread", "predictability", "unit_statistics", "energies_30"}
    assert int(probes[0]["n_runs"]) == 12
    assert {row["label"] for row in read_csv(out / "within.csv")} == {"irrep", "dimension"}
    assert {"network_id", "units", "unit", "cluster"} <= read_csv(out / "assignments.csv")[0].keys()


def test_clusters_within_networks_need_no_shared_basis():
    """Two directions of its own in each network: nothing is shared, and each network falls apart by itself."""
    rng, label = np.random.default_rng(0), np.array(["a", "b"] * 10, dtype=object)
    x = np.concatenate([rng.normal(size=(2, 6))[np.arange(20) % 2] + 0.05 * rng.normal(size=(20, 6)) for _ in range(8)])
    network, labels = np.repeat(np.arange(8).astype(str), 20), np.tile(label, 8)
    (row,) = within_rows(x, network, network, labels, (2, 3), seed=0, n_permutations=20)
    assert (row["value"], row["n_runs"]) == (1.0, 8)
    (null,) = within_rows(rng.normal(size=x.shape), network, network, labels, (2, 3), seed=0, n_permutations=20)
    assert abs(null["value"]) < 0.15
    assert row["null"] < 0.2
    assert within_rows(x, network, network, np.full(160, "a", dtype=object), (2,), seed=0, n_permutations=2) == []


def test_networks_without_hidden_units_say_so(zoo):
    flat = replace(open_zoo(zoo))
    vars(flat)["symmetries"] = (Symmetries(()),)
    with pytest.raises(MetarepError, match="hidden units"):
        units_of(flat)


def test_predictability_of_a_unit_is_the_error_of_its_masked_values(zoo, embedded):
    vectors = vectors_of(load_embeddings(embedded[1], part="unit"), units_of(open_zoo(zoo)))
    assert vectors.shape == (96, 12)
    assert np.isfinite(vectors).all()
    assert torch.tensor(vectors).std(dim=0).min() > 0.01
