"""What a notebook and scikit-learn are given of a run; who is most like whom; models that are pushed and fetched."""

import numpy as np
import pytest
import torch
from hub_stand_in import hub
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import metarep
from metarep.card import model_card
from metarep.errors import MetarepError
from metarep.likeness import space_of
from metarep.pipeline import config_of, run
from metarep.report.page import report
from metarep.zoos.memory import zoo_of
from metarep.zoos.zoo import open_zoo

N = 24
TINY = ["pretrain.n_steps=4", "pretrain.d_model=16", "pretrain.n_layers=1", "pretrain.n_heads=2", "embeddings=[layers, states]"]
TINY += ["embed.parts=[network, layer, unit]", "without=[masked_r2, clusters, predictions, audit, parts, map, report]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Networks of two kinds, small and large weights, with copies of one another in other orders of their units."""
    where = tmp_path_factory.mktemp("made")
    (where / "nets").mkdir()
    rng = np.random.default_rng(0)
    for number in range(N):
        scale = 0.2 if number % 2 else 2.0
        shapes = {"0.weight": (5, 3), "0.bias": (5,), "2.weight": (2, 5), "2.bias": (2,)}
        tensors = {name: torch.tensor(scale * rng.normal(size=shape), dtype=torch.float32) for name, shape in shapes.items()}
        torch.save(tensors, where / "nets" / f"n{number}.pt")
    rows = "".join(f"n{number},{'small' if number % 2 else 'large'},{number / 7}\n" for number in range(N))
    (where / "labels.csv").write_text("file,size,loss\n" + rows)
    config = config_of(where / "nets", overrides=[*TINY, f"zoo.labels={where / 'labels.csv'}"])
    run(config, where / "run")
    return where


@pytest.fixture(scope="module")
def opened(folder):
    """The run."""
    return metarep.open_run(folder / "run")


def test_a_run_gives_frames_arrays_and_words(folder, opened):
    assert list(opened.table("model/log")["step"]) == [4]
    assert len(opened.zoo.frame()) == N
    assert opened.embeddings("states").vectors.shape[0] == np.asarray(opened.embeddings("states")).shape[0] == N
    assert opened.kinds == ("layers", "states")
    assert "24 networks, 24 runs, 1 architecture; labels: size; properties: loss" in repr(opened)
    assert "<table>" in opened._repr_html_()
    assert repr(opened.embeddings("layers")).startswith("Embeddings('layers', 24 vectors of ")
    assert repr(opened.zoo.artefact).startswith("zoo at ")
    with pytest.raises(MetarepError, match="no table 'nonsense'; expected one of"):
        opened.table("nonsense")
    with pytest.raises(MetarepError, match="has no report"):
        _ = opened.report
    report(opened.path)
    assert "iframe" in opened.report._repr_html_()
    drawn = opened.map(umap=False)
    assert (drawn.path, opened.map()) == (opened.path / "map.html", drawn)
    assert "iframe" in drawn._repr_html_()
    with pytest.raises(MetarepError, match="no run"):
        metarep.open_run(folder)


def test_a_copy_in_another_order_of_units_is_nearest_and_nothing_else_is(folder, opened, tmp_path):
    tensors = torch.load(folder / "nets" / "n3.pt", weights_only=True)
    order = torch.tensor([4, 2, 0, 1, 3])
    copy = {"0.weight": tensors["0.weight"][order], "0.bias": tensors["0.bias"][order], "2.bias": tensors["2.bias"]}
    torch.save(copy | {"2.weight": tensors["2.weight"][:, order]}, tmp_path / "copy.pt")
    found = opened.neighbours(tmp_path / "copy.pt", k=3)
    assert [row["rank"] for row in found.rows] == [1, 2, 3]
    first, second = found.rows[:2]
    assert (first["network_id"], first["size"], first["nearer_pairs"], first["permuted_p"]) == ("n3", "small", 0, 0.05)
    assert first["distance"] < 1e-4 < second["distance"]
    assert found.others[0] <= found.others[1] <= found.others[2]
    broken = {name: value.flatten().flip(0).reshape(value.shape) for name, value in tensors.items()}
    torch.save(broken | {"0.bias": tensors["0.bias"]}, tmp_path / "broken.pt")
    assert opened.neighbours(tmp_path / "broken.pt", k=3).rows[0]["distance"] > 1e-3


def test_a_network_of_the_zoo_is_no_neighbour_of_itself_and_its_vectors_are_those_stored(opened):
    found = opened.neighbours("n3", k=N)
    assert len(found.rows) == N - 1
    assert "n3" not in {row["network_id"] for row in found.rows}
    held = opened.embeddings("layers")
    space = space_of(held, opened.zoo)
    away = np.linalg.norm(
        space.vectors[3] - space.vectors[[list(held.network_id).index(r["network_id"]) for r in found.rows]], axis=1
    )
    assert [row["distance"] for row in found.rows] == pytest.approx(away.tolist(), abs=1e-4)


def test_units_have_neighbours_among_units(opened):
    found = opened.neighbours("n3", part="unit", k=2)
    assert len(found.rows) == 2 * 5
    assert {row["query_index"] for row in found.rows} == set(range(5))
    assert {"group", "index"} <= set(found.frame().columns)
    assert found.rows[0]["permuted_p"] is None


def test_what_is_no_query_is_said(opened):
    with pytest.raises(MetarepError, match=r"no file, and no network of .*such as n0"):
        opened.neighbours("elsewhere")
    with pytest.raises(MetarepError, match="met --kind certainty; expected one of layers, states"):
        opened.neighbours("n3", kind="certainty")


def test_the_embedder_is_a_transformer_of_scikit_learn(folder, opened):
    embedder = clone(metarep.Embedder(folder / "run" / "model"))
    files = [folder / "nets" / f"n{number}.pt" for number in range(N)]
    labels = opened.zoo.label("size")[np.argsort([int(name[1:]) for name in opened.zoo.network_id])]
    vectors = embedder.fit_transform(files)
    held = opened.embeddings("layers")
    order = [list(held.network_id).index(f"n{number}") for number in range(N)]
    assert vectors == pytest.approx(held.vectors[order], abs=1e-4)
    assert embedder.transform([torch.load(files[0], weights_only=True)]) == pytest.approx(vectors[:1], abs=1e-4)
    assert len(embedder.get_feature_names_out()) == vectors.shape[1]
    pipeline = make_pipeline(embedder, LogisticRegression(max_iter=500))
    assert cross_val_score(pipeline, files, labels, cv=3).mean() == 1.0
    assert cross_val_score(pipeline, opened.zoo, opened.zoo.label("size"), cv=3).mean() == 1.0
    assert cross_val_score(pipeline, files, np.random.default_rng(1).permutation(labels), cv=3).mean() < 0.9


def test_networks_in_memory_are_read_as_those_of_a_zoo(folder, opened):
    alone = zoo_of([folder / "nets" / "n0.pt"], like=opened.zoo)
    assert alone.architectures[0] == opened.zoo.architecture_of(0)
    with pytest.raises(MetarepError, match="no network"):
        zoo_of([])


def test_the_card_says_what_a_model_was_trained_on(folder):
    card = model_card(folder / "run" / "model", where="u/m")
    assert "24 networks (" in card
    assert "Known of each: size, loss" in card
    assert 'from_pretrained("u/m")' in card


def test_a_model_goes_to_the_hub_and_comes_back_the_same(folder, tmp_path):
    with hub() as server:
        metarep.push(folder / "run" / "model", "u/m", endpoint=server.address, token="hf_none")
        assert {"config.json", "model.safetensors", "manifest.json", "README.md"} <= set(server.files)
        how = {"endpoint": server.address, "token": False}
        back = metarep.from_pretrained("u/m", cache_dir=tmp_path / "cache", **how)
        here = metarep.from_pretrained(folder / "run" / "model")
        assert all(torch.equal(value, back.state_dict()[name]) for name, value in here.state_dict().items())
        server.files["model.safetensors"] = server.files["model.safetensors"][:-4] + b"\0\0\0\1"
        with pytest.raises(MetarepError, match="truncated or altered"):
            metarep.from_pretrained("u/m", cache_dir=tmp_path / "other", **how)
        server.files.clear()
        with pytest.raises(MetarepError, match="no model u/m"):
            metarep.from_pretrained("u/m", cache_dir=tmp_path / "third", **how)


def test_a_pretrained_model_is_used_in_place_of_pretraining_one(folder, tmp_path):
    given = ["without=[masked_r2, clusters, predictions, audit, parts, map, report]", "embeddings=[layers]"]
    out = run(config_of(folder / "run" / "zoo", overrides=[*given, f"pretrained={folder / 'run' / 'model'}"]), tmp_path / "run")
    assert not (out / "model").exists()
    assert metarep.open_run(out).model.d_model == 16
    assert np.array_equal(metarep.open_run(out).embeddings().vectors, metarep.open_run(folder / "run").embeddings().vectors)
    assert open_zoo(folder / "run" / "zoo").shape == (N,)
    with pytest.raises(MetarepError, match="no folder"):
        run(config_of(folder / "run" / "zoo", overrides=["pretrained=nowhere"]), tmp_path / "other")
