"""The map's page: what lies in it, where points lie, which are near each other, and what it refuses."""

import base64
import gzip
import json
import re

import numpy as np
import pytest
from embedded_zoo import write_embedded
from scipy.spatial.distance import cdist
from sklearn.preprocessing import StandardScaler

from metarep.artefact import open_artefact
from metarep.embeddings.store import load_embeddings
from metarep.errors import MetarepError
from metarep.map import places
from metarep.map.page import map_page, map_stage, quantised, write_map
from metarep.map.places import neighbours_of
from metarep.map.settings import MapConfig
from metarep.zoos.zoo import open_zoo

SIZES = {"Uint8Array": "u1", "Uint16Array": "<u2", "Uint32Array": "<u4", "Int8Array": "i1", "Float32Array": "<f4"}
N = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_embedded(tmp_path_factory.mktemp("map") / "islands", n=N)


@pytest.fixture(autouse=True)
def first_columns(monkeypatch):
    """In place of UMAP, which takes seconds to compile: the first two columns."""
    monkeypatch.setattr(places, "fit_umap", lambda x, **_: lambda y: y[:, :2])


def unpacked(page):
    """The head of a page's data, and a function that reads its arrays."""
    text = re.search(r'<script id="data" type="text/plain">(.*?)</script>', page, flags=re.DOTALL)[1]
    whole = gzip.decompress(base64.b64decode(text))
    length = int.from_bytes(whole[:4], "little")
    arrays = whole[4 + length :]

    def read(entry):
        return np.frombuffer(arrays, SIZES[entry["type"]], count=entry["n"], offset=entry["at"])

    return json.loads(whole[4 : 4 + length]), read


def test_the_page_holds_every_network_with_its_label(run):
    head, read = unpacked(map_page(MapConfig(), [run]))
    zoo = open_zoo(run / "zoo")
    names = np.array(head["ids"]["values"])[read(head["ids"]["codes"])]
    (mode,) = (one for one in head["parts"][0]["columns"] if one["name"] == "mode")
    shown = [mode["legend"][code]["value"] for code in read(mode["codes"])]
    assert dict(zip(names, shown, strict=True)) == dict(zip(zoo.network_id, zoo["mode"], strict=True))


def test_a_cluster_column_is_that_of_the_run(run):
    head, read = unpacked(map_page(MapConfig(), [run]))
    (cluster,) = (one for one in head["parts"][0]["columns"] if one["group"] == "cluster")
    names = np.array(head["ids"]["values"])[read(head["ids"]["codes"])]
    sign = dict(zip(open_zoo(run / "zoo").network_id, open_zoo(run / "zoo")["sign_pattern"], strict=True))
    pairs = {(code, sign[name]) for code, name in zip(read(cluster["codes"]).tolist(), names, strict=True)}
    assert len(pairs) == len({code for code, _ in pairs}) == 4


def test_units_belong_to_their_networks(run):
    head, read = unpacked(map_page(MapConfig(), [run]))
    units = head["parts"][1]
    assert (units["part"], units["n"]) == ("unit", 2 * N)
    assert np.bincount(read(units["owner"])).tolist() == [2] * N
    (state,) = (one for one in units["columns"] if one["name"] == "unit state")
    (index,) = (one for one in units["columns"] if one["name"] == "index")
    area = open_zoo(run / "zoo")["active_area"]
    row = {name: i for i, name in enumerate(open_zoo(run / "zoo").network_id)}
    owners = np.array(head["ids"]["values"])[read(head["ids"]["codes"])][read(units["owner"])]
    for name, unit, code in zip(owners, read(index["numbers"]).astype(int), read(state["codes"]), strict=True):
        is_off = state["legend"][code]["value"] == "off"
        assert is_off == (area[row[name], unit] < 0.02)


def test_of_many_units_those_of_some_networks_are_shown_and_it_is_said(run):
    head, read = unpacked(map_page(MapConfig(max_parts=100), [run]))
    assert head["parts"][1]["n"] == 100
    assert len(set(read(head["parts"][1]["owner"]).tolist())) == 50
    assert any("50 of 60 networks" in note for note in head["notes"])


def test_neighbours_are_the_nearest_others():
    x = np.random.default_rng(0).normal(size=(40, 3))
    x[7] = x[3]
    nearest, distance, quantiles = neighbours_of(x, MapConfig(n_neighbors=5))
    apart = cdist(x, x)
    np.fill_diagonal(apart, np.inf)
    np.testing.assert_allclose(distance, np.sort(apart, axis=1)[:, :5] / np.median(apart[np.isfinite(apart)]), rtol=0.02)
    np.testing.assert_allclose(np.take_along_axis(apart, nearest, axis=1), np.sort(apart, axis=1)[:, :5])
    assert nearest[7, 0] == 3
    assert nearest[3, 0] == 7
    assert quantiles[50] == 1


def test_distances_are_those_of_the_embedding(run):
    head, read = unpacked(map_page(MapConfig(), [run]))
    names = np.array(head["ids"]["values"])[read(head["ids"]["codes"])]
    space = head["parts"][0]["spaces"][0]
    zoo, states = open_zoo(run / "zoo"), load_embeddings(run / "embeddings" / "states")
    scaled = StandardScaler().fit(states.vectors[zoo.split == "train"]).transform(states.vectors)
    first = int(np.flatnonzero(zoo.network_id == names[0])[0])
    apart = np.linalg.norm(scaled - scaled[first], axis=1)
    apart[first] = np.inf
    assert names[read(space["nearest"])[0]] == zoo.network_id[np.argmin(apart)]


def test_places_keep_their_shape():
    xy = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 1.0]])
    placed = quantised(xy).astype(float)
    assert np.ptp(placed[:, 0]) == 65_535
    assert abs(np.ptp(placed[:, 1]) * 4 - 65_535) < 4


def test_the_same_run_gives_the_same_page(run):
    assert map_page(MapConfig(), [run]) == map_page(MapConfig(), [run])


def test_embeddings_alone_are_enough(run):
    head, _ = unpacked(map_page(MapConfig(), [run / "embeddings" / "other"]))
    assert [one["name"] for one in head["parts"][0]["spaces"]] == ["other"]


def test_the_stage_says_what_it_was_made_from(run, tmp_path):
    made = open_artefact(map_stage(MapConfig(), [run], tmp_path / "map"), "map", check_hashes=True)
    assert set(made.manifest["inputs"]) == {"zoo", "embeddings_0", "embeddings_1", "clusters"}
    assert "map.html" in made.manifest["files"]


@pytest.mark.parametrize(("source", "config"), [("zoo", {}), ("", {"embeddings": ("nonsense",)})])
def test_what_cannot_be_drawn_is_refused(run, source, config):
    with pytest.raises(MetarepError):
        map_page(MapConfig(**config), [run / source])


def test_a_file_is_not_replaced_unasked(run, tmp_path):
    (tmp_path / "map.html").write_text("mine")
    with pytest.raises(MetarepError):
        write_map(MapConfig(), [run], tmp_path / "map.html")
    assert (tmp_path / "map.html").read_text() == "mine"
