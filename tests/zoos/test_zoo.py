"""One zoo, however its parameters are stored: what is chosen, what is left out, and that both ways hold the same networks."""

import numpy as np
import pytest
import torch

from metarep.artefact import writing
from metarep.domains.multiplier.domain import DOMAIN
from metarep.errors import MetarepError
from metarep.networks.architecture import read_architecture
from metarep.networks.spec import NetworkSpec
from metarep.networks.tensor_symmetry import canonical
from metarep.zoos.columns import Contents, write_columns
from metarep.zoos.domain import Domain, domain_named, domain_of, register
from metarep.zoos.parameters import as_sequential
from metarep.zoos.shards import ShardWriter
from metarep.zoos.zoo import open_zoo

SPECS = ("2-2-1", "2-3-1")
CONTENTS = Contents("multiplier", ("kind",), ("size",))


def parameters(spec: str, n: int) -> np.ndarray:
    return np.random.default_rng(len(spec)).standard_normal((n, NetworkSpec.parse(spec).n_params)).astype(np.float32)


def own_columns(spec: str, n: int) -> dict:
    names = [f"{spec}/{i}" for i in range(n)]
    return {
        "network_id": names,
        "run_id": [f"{spec}/{i // 2}" for i in range(n)],
        "split": ["train", "test"] * (n // 2),
        "snapshot_of": ["" if i % 2 else names[i + 1] for i in range(n)],
        "finite": [i != 1 for i in range(n)],
        "kind": ["a", ""] * (n // 2),
        "size": [float(i) if i else np.nan for i in range(n)],
    }


@pytest.fixture
def in_columns(tmp_path):
    """Four networks of each of two specs, one of which is not finite."""
    with writing(tmp_path / "columns", "zoo", config={}, seed=0) as folder:
        for number, spec in enumerate(SPECS):
            params = parameters(spec, 4)
            params[1, 0] = np.nan
            columns = own_columns(spec, 4) | {"spec": [spec] * 4, "params": params}
            write_columns(folder / f"{number}.parquet", columns, CONTENTS)
    return open_zoo(tmp_path / "columns")


@pytest.fixture
def in_shards(tmp_path, in_columns):
    """The same networks, two or so in a shard."""
    with writing(tmp_path / "shards", "zoo", config={}, seed=0) as folder:
        writer = ShardWriter(folder, shard_bytes=100)
        for row, name in enumerate(in_columns.network_id):
            tensors = in_columns.network(name)
            named = [(key, tuple(value.shape), "float32") for key, value in tensors.items()]
            own = {key: in_columns[key][row] for key in ("network_id", "run_id", "split", "snapshot_of")}
            writer.add(own, read_architecture(named), tensors, {key: in_columns[key][row] for key in ("kind", "size")})
        writer.finish(CONTENTS)
    return open_zoo(tmp_path / "shards")


def test_both_ways_hold_the_same_networks(in_columns, in_shards):
    assert len(list(in_shards.artefact.path.glob("*.safetensors"))) > 2
    assert in_columns.architectures == in_shards.architectures
    assert (in_columns.architecture_names, in_shards.architecture_names) == (SPECS, ("linear 9", "linear 13"))
    for name in ("network_id", "run_id", "split", "snapshot_of", "finite", "kind", "size"):
        np.testing.assert_array_equal(in_columns[name], in_shards[name])
    one, other = (zoo.finite() for zoo in (in_columns, in_shards))
    assert (one.n_left_out, len(one)) == (other.n_left_out, len(other)) == (2, 6)
    np.testing.assert_array_equal(one.architecture, other.architecture)
    for row in range(len(one)):
        for key, value in one.tensors(row).items():
            torch.testing.assert_close(value, other.tensors(row)[key], rtol=0, atol=0)
    rows = np.flatnonzero(one.architecture == 1)
    for key, value in one.stacked(rows, canonical=False).items():
        torch.testing.assert_close(value, other.stacked(rows)[key], rtol=0, atol=0)
    assert (one.activation, other.activation) == ("relu", None)


def test_canonical_tensors_do_not_depend_on_the_order_of_units_and_raw_ones_do(in_columns):
    zoo, generator = in_columns.finite(), torch.Generator().manual_seed(1)
    row = int(np.flatnonzero(zoo["spec"] == "2-3-1")[0])
    shuffled = [zoo.shuffled_tensors(row, log_scale_std=0.0, generator=generator) for _ in range(5)]
    assert any(not torch.equal(one["0.weight"], zoo.raw_tensors(row)["0.weight"]) for one in shuffled)
    for one in shuffled:
        for name, value in canonical(one, zoo.symmetries[zoo.architecture[row]]).items():
            torch.testing.assert_close(value, zoo.tensors(row)[name], rtol=0, atol=0)


def test_selections_keep_what_belongs_together(in_columns):
    assert in_columns.final().network_id.tolist() == ["2-2-1/3", "2-3-1/3"]
    test = in_columns.where(split="test", spec="2-3-1")
    assert (test.params.shape, str(test.spec), test.domain) == ((2, 13), "2-3-1", "multiplier")
    with pytest.raises(MetarepError, match="mixes architectures"):
        _ = in_columns.params
    with pytest.raises(MetarepError, match="no column 'mode'; expected one of network_id"):
        _ = in_columns["mode"]
    with pytest.raises(MetarepError, match="no network 'x'"):
        in_columns.network("x")


def test_missing_texts_are_empty_and_missing_numbers_are_nan(in_columns):
    assert in_columns["kind"].tolist() == ["a", ""] * 4
    assert np.isnan(in_columns["size"]).tolist() == [True, False, False, False] * 2
    assert (in_columns.labels, in_columns.properties) == (("kind",), ("size",))


def test_tables_that_are_no_zoo_are_refused(tmp_path):
    columns = own_columns("2-2-1", 4) | {"spec": ["2-2-1"] * 4, "params": parameters("2-2-1", 4)}
    del columns["finite"]
    with writing(tmp_path / "zoo", "zoo", config={}, seed=0) as folder:
        write_columns(folder / "0.parquet", columns, CONTENTS)
    with pytest.raises(MetarepError, match="no column finite"):
        open_zoo(tmp_path / "zoo")


def test_domains_are_found_by_the_name_that_the_zoo_carries(in_columns):
    assert domain_of(in_columns) is DOMAIN is domain_named("multiplier")
    with pytest.raises(MetarepError, match=r"no domain 'chess'; expected one of .*functions"):
        domain_named("chess")
    with pytest.raises(MetarepError, match="two domains have one name"):
        register(Domain("multiplier", "others"))


def test_labels_and_oracles_of_the_multipliers_are_of_every_network():
    spec = NetworkSpec.parse("2-2-1")
    columns = DOMAIN.columns_of(spec, parameters("2-2-1", 50))
    assert set(DOMAIN.labels) <= set(columns)
    assert {len(values) for values in columns.values()} == {50}
    assert all(set(DOMAIN.label_order[name]) >= set(columns[name]) for name in ("mode",))


def test_a_network_in_a_column_runs_as_a_sequential():
    spec = NetworkSpec.parse("2-3-1")
    tensors = as_sequential(spec, parameters("2-3-1", 5))
    assert {name: tuple(value.shape) for name, value in tensors.items()} == {
        "0.weight": (5, 3, 2),
        "0.bias": (5, 3),
        "2.weight": (5, 1, 3),
        "2.bias": (5, 1),
    }
