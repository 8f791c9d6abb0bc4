"""A zoo on disk: what it holds, that it carries on, that it refuses what does not fit."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from metarep.artefact import open_artefact, partial_path
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.errors import MetarepError
from metarep.training import build
from metarep.training.build import build_zoo
from metarep.training.settings import FamilyConfig, ZooConfig
from metarep.zoos.columns import REQUIRED, SPLITS, split_of
from metarep.zoos.zoo import open_zoo


def config(*families, **changes):
    families = families or ({"n_networks": 30, "n_steps": 50},)
    return ZooConfig(families=[FamilyConfig(**f) for f in families], **{"networks_per_shard": 10} | changes)


def test_the_shards_hold_the_columns_of_the_contract(tmp_path):
    path = build_zoo(config(), tmp_path / "zoo")
    shards = sorted(path.glob("*.parquet"))
    assert [s.name for s in shards] == ["shard-00000.parquet", "shard-00001.parquet", "shard-00002.parquet"]
    zoo = open_zoo(path)
    assert set(REQUIRED) < set(pq.read_schema(shards[0]).names) == set(zoo.columns)
    assert (zoo.domain, zoo.labels[0], zoo.properties) == ("multiplier", "mode", ("log_error",))
    assert zoo.params.shape == (30, 9)
    assert zoo["active_area"].shape == (30, 2)
    assert zoo["quadrant_area"].shape == (30, 4)
    assert set(zoo["split"]) <= {name for name, _ in SPLITS}
    assert len(set(zoo["network_id"])) == 30


def test_the_published_networks_and_modes(tmp_path):
    zoo = open_zoo(build_zoo(config({"seeds": (2813536937, 1316834517, 2935802616)}), tmp_path / "zoo"))
    assert zoo["mode"].tolist() == ["3", "1", "2"]
    published = [0.4373, -0.4425, -0.7523, -0.4695, -0.0023, 1.6139, -0.7446, -1.1377, 1.3982]
    np.testing.assert_allclose(zoo.params[0], published, atol=1e-4)


def test_the_same_config_gives_the_same_bytes_and_another_seed_others(tmp_path):
    digests = [open_artefact(build_zoo(config(seed=s), tmp_path / name)).digest for name, s in (("a", 0), ("b", 0), ("c", 1))]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("engine", ["fast", "loop"])
def test_a_build_that_was_broken_off_carries_on_with_the_same_bytes(tmp_path, monkeypatch, engine):
    chosen = config({"n_networks": 30, "n_steps": 5}, engine=engine)
    whole = build_zoo(chosen, tmp_path / "whole")
    real, calls = build.write_columns, []

    def killed(path, *contents):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(path)
        real(path, *contents)

    monkeypatch.setattr(build, "write_columns", killed)
    with pytest.raises(KeyboardInterrupt):
        build_zoo(chosen, tmp_path / "broken")
    assert not (tmp_path / "broken").exists()
    (partial_path(tmp_path / "broken") / "shard-00002.parquet.tmp").write_bytes(b"half a shard")
    written = []
    monkeypatch.setattr(build, "write_columns", lambda path, *contents: (written.append(path.name), real(path, *contents)))
    build_zoo(chosen, tmp_path / "broken")
    assert written == ["shard-00002.parquet"]
    assert open_artefact(tmp_path / "broken").digest == open_artefact(whole).digest


def test_relatives_share_run_and_split_and_seeds_of_one_recipe_too(tmp_path):
    seeds = (2813536937, 5, 6, 7, 8, 9, 10, 11)
    families = (
        {"variant": "e09", "seeds": seeds},
        {"variant": "e04", "seeds": seeds[:3], "n_steps": 10},
        {"variant": "e05", "n_networks": 4, "parents": "e09", "n_steps": 20},
    )
    zoo = open_zoo(build_zoo(config(*families, n_snapshots=3), tmp_path / "zoo"))
    parent_of = dict(zip(zoo["network_id"], zoo["run_id"], strict=True))
    children = zoo.where(variant="e05")
    assert all(parent_of[parent] == run for parent, run in zip(children["parent_id"], children["run_id"], strict=True))
    assert set(zoo.where(variant="e04")["run_id"]) <= set(zoo.where(variant="e09")["run_id"])
    for run in set(zoo["run_id"]):
        assert len(set(zoo["split"][zoo["run_id"] == run])) == 1
    finals = zoo.where(variant="e09").final()
    parents = {name: mode for name, mode in zip(finals["network_id"], finals["mode"], strict=True)}
    assert {parents[name] for name in children["parent_id"]} == {"3"}


def test_snapshots_stand_before_the_end_and_final_leaves_them_out(tmp_path):
    zoo = open_zoo(build_zoo(config({"n_networks": 4, "n_steps": 60}, n_snapshots=5), tmp_path / "zoo"))
    assert len(zoo.final()) == 4
    assert set(zoo.final()["step"]) == {60}
    one = zoo.where(run_id=zoo["run_id"][0])
    assert one["step"].tolist() == sorted(one["step"])
    moved = np.abs(one.params - one.init_params).max(axis=1)
    assert moved[0] < moved[-1]
    assert one["snapshot_of"].tolist() == [one.network_id[-1]] * (len(one) - 1) + [""]


def test_every_variant_makes_a_family(tmp_path):
    families = [{"variant": f"e0{i}", "n_networks": 9, "n_steps": 3} for i in (1, 2, 3, 4, 6, 7, 8, 9)]
    zoo = open_zoo(build_zoo(config(*families), tmp_path / "zoo"))
    assert set(zoo["spec"]) == {"2-1", "2-1-relu", "2-2-1"}
    with pytest.raises(MetarepError, match="mixes architectures"):
        _ = zoo.spec
    e08 = zoo.where(variant="e08")
    starts = {tuple(row) for row in e08.init_params[:, 4:6].tolist()}
    assert len(starts) == 9
    np.testing.assert_allclose(e08.init_params[:, :4], np.tile(HANDCRAFTED[:4], (9, 1)), atol=1e-6)
    e06 = zoo.where(variant="e06")
    assert e06.params.std(axis=0).min() > 0.01
    assert len(zoo.where(variant="e01").params[0]) == 3


def test_explicit_seeds_of_a_hand_crafted_variant_are_as_published(tmp_path):
    zoo = open_zoo(build_zoo(config({"variant": "e06", "seeds": (2813536937,)}), tmp_path / "zoo"))
    np.testing.assert_allclose(zoo.params[0], HANDCRAFTED, atol=1e-6)
    assert round(zoo["valid_mse"][0], 4) == 0.0397
    assert zoo["log_error"] == pytest.approx([-1.401], abs=2e-3)  # log10 of it


def test_a_diverged_run_is_kept_and_flagged_and_left_out_of_analyses(tmp_path):
    zoo = open_zoo(build_zoo(config({"n_networks": 4, "n_steps": 60, "lr": 1e30}), tmp_path / "zoo"))
    assert not zoo["finite"].any()
    assert len(zoo.final()) == 0
    assert set(zoo["mode"]) == {""}


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ({"variant": "e05", "n_networks": 2}, "no parents"),
        ({"variant": "e05", "n_networks": 2, "parents": "e09"}, "earlier family"),
        ({"variant": "e07", "n_networks": 2, "parents": "nowhere"}, "no folder nowhere"),
        ({"variant": "e09", "n_networks": 2, "spec": "3-2-1"}, "2 inputs and 1 output"),
        ({"variant": "e07", "n_networks": 2, "spec": "2-3-1"}, "leave spec out"),
    ],
)
def test_what_cannot_be_built_is_refused_before_anything_is_written(tmp_path, family, message):
    with pytest.raises(MetarepError, match=message):
        build_zoo(config(family), tmp_path / "zoo")
    assert list(tmp_path.iterdir()) == []


def test_parents_of_the_wrong_mode_are_refused_before_anything_is_written(tmp_path):
    parents = build_zoo(config({"seeds": (1316834517,)}), tmp_path / "collapsed")
    with pytest.raises(MetarepError, match="mode 3"):
        build_zoo(config({"variant": "e05", "n_networks": 2, "parents": str(parents)}), tmp_path / "zoo")
    assert [p.name for p in tmp_path.iterdir()] == ["collapsed"]


def test_the_same_network_twice_is_refused(tmp_path):
    with pytest.raises(MetarepError, match="same network"):
        build_zoo(config({"seeds": (1, 2), "n_steps": 5}, {"seeds": (2, 3), "n_steps": 6}), tmp_path / "zoo")


def test_splits_depend_on_the_run_alone_and_have_their_shares():
    splits = [split_of(f"e09-{i}") for i in range(4000)]
    shares = {name: splits.count(name) / 4000 for name, _ in SPLITS}
    assert shares["train"] == pytest.approx(0.7, abs=0.03)
    assert shares["test"] == pytest.approx(0.2, abs=0.03)


def test_a_truncated_and_an_altered_shard_are_errors(tmp_path):
    path = build_zoo(config(), tmp_path / "zoo")
    shard = path / "shard-00001.parquet"
    content = shard.read_bytes()
    for damaged in (content[:-20], content[:100] + b"x" + content[101:], b""):
        shard.write_bytes(damaged)
        with pytest.raises(MetarepError, match="truncated or altered"):
            open_zoo(path)
