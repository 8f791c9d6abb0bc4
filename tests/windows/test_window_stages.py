"""Pretraining and embedding on zoos of several architectures, built and imported, end to end."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from metarep.artefact import open_artefact
from metarep.cloze.embed import load_embeddings
from metarep.cloze.pretrain import CHECKPOINT
from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig
from metarep.windows.embed import embed_windows
from metarep.windows.pretrain import load_window_model, pretrain_windows
from metarep.windows.settings import WindowEmbedConfig, WindowPretrainConfig
from metarep.zoos.exporting import read_network
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo

SETTINGS = {
    "chunk": 2,
    "contexts": (16, 32),
    "d_model": 16,
    "n_layers": 1,
    "n_heads": 2,
    "n_steps": 40,
    "eval_every": 20,
    "batch_size": 16,
    "warmup_steps": 5,
}


@pytest.fixture(scope="module")
def zoos(tmp_path_factory):
    """A built zoo of two architectures, and an imported one: the same networks of one of them with their units reversed."""
    folder = tmp_path_factory.mktemp("zoos")
    families = [{"variant": "e09", "n_networks": 30, "n_steps": 30}]
    families += [{"variant": "e09", "n_networks": 30, "n_steps": 30, "spec": "2-12-1"}]
    built = build_zoo(ZooConfig(families=families), folder / "built")
    subjects = open_zoo(built).finite()
    ids = [str(name) for i, name in enumerate(subjects.network_id) if subjects.architecture_of(i).n_params == 49]
    (folder / "files").mkdir()
    for name in ids:
        tensors = read_network(built, name)
        tensors = {key: value.flip(0) if key[0] == "0" else value for key, value in tensors.items()}
        tensors["2.weight"] = tensors["2.weight"].flip(1)
        torch.save(tensors, folder / "files" / f"{name}.pt")
    return built, import_networks(ImportConfig(), [folder / "files"], folder / "imported"), ids


@pytest.fixture(scope="module")
def model(zoos, tmp_path_factory):
    return pretrain_windows(WindowPretrainConfig(**SETTINGS), zoos[:2], tmp_path_factory.mktemp("model") / "model")


def vectors(path) -> dict[str, np.ndarray]:
    found = load_embeddings(path)
    return dict(zip(found.network_id.astype(str), found.vectors, strict=True))


def test_the_loss_falls_and_hidden_values_are_measured(model):
    log = (model / "log.csv").read_text().splitlines()
    assert float(log[-1].split(",")[2]) < float(log[1].split(",")[2])
    assert "cloze,all," in (model / "masked_r2.csv").read_text()
    assert set(open_artefact(model).manifest["inputs"]) == {"zoo_0", "zoo_1"}


def test_a_run_that_was_broken_off_ends_with_the_same_bytes(zoos, model, tmp_path, monkeypatch):
    import metarep.windows.pretrain as stage

    step, calls = stage.train_step, []

    def break_off(*args):
        calls.append(1)
        if len(calls) == 31:
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr(stage, "train_step", break_off)
    with pytest.raises(KeyboardInterrupt):
        pretrain_windows(WindowPretrainConfig(**SETTINGS), zoos[:2], tmp_path / "model")
    assert (tmp_path / "model.partial" / CHECKPOINT).is_file()
    monkeypatch.setattr(stage, "train_step", step)
    again = pretrain_windows(WindowPretrainConfig(**SETTINGS), zoos[:2], tmp_path / "model")
    assert (again / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()


@pytest.mark.parametrize("kind", ["layers", "pooled", "surprisal"])
def test_the_order_of_units_changes_nothing(zoos, model, tmp_path, kind):
    built, imported, ids = zoos
    config = WindowEmbedConfig(kind=kind)
    first = vectors(embed_windows(config, model, built, tmp_path / "a"))
    second = vectors(embed_windows(config, model, imported, tmp_path / "b"))
    assert len(first) == 60
    for name in ids:
        np.testing.assert_allclose(first[name], second[name], atol=2e-5)
    assert np.std(list(second.values()), axis=0).max() > 1e-3


def test_networks_give_the_same_alone_and_in_company(zoos, model, tmp_path):
    together = vectors(embed_windows(WindowEmbedConfig(), model, zoos[0], tmp_path / "a"))
    alone = vectors(embed_windows(WindowEmbedConfig(tokens_per_batch=64), model, zoos[0], tmp_path / "b"))
    for name, vector in together.items():
        np.testing.assert_allclose(vector, alone[name], atol=2e-5)


def test_parts_have_a_row_each(zoos, model, tmp_path):
    parts = ("network", "layer", "unit", "window")
    path = embed_windows(WindowEmbedConfig(parts=parts, context=16), model, zoos[1], tmp_path / "parts")
    table = pq.read_table(path / "embeddings.parquet").to_pylist()
    of_one = [row["part"] for row in table if row["network_id"] == table[0]["network_id"]]
    kinds = {name: sum(part.startswith(name) for part in of_one) for name in parts}
    assert kinds["network"] == 1
    assert kinds["layer"] == 2
    assert kinds["unit"] == 12 + 1
    assert kinds["window"] > 2
    assert len(load_embeddings(path).network_id) == 30


def test_the_untrained_control_differs(zoos, model, tmp_path):
    trained = vectors(embed_windows(WindowEmbedConfig(), model, zoos[0], tmp_path / "a"))
    control = vectors(embed_windows(WindowEmbedConfig(untrained=True), model, zoos[0], tmp_path / "b"))
    name = next(iter(trained))
    assert np.abs(trained[name] - control[name]).max() > 0.1


def test_augmentation_by_symmetries_trains_too(zoos, tmp_path):
    config = WindowPretrainConfig(**SETTINGS | {"units": "shuffled", "scale_units": 0.5, "n_copies": 2, "n_steps": 5})
    path = pretrain_windows(config, zoos[:1], tmp_path / "model")
    assert load_window_model(path).chunk == 2


@pytest.fixture
def diverged(tmp_path):
    """An imported zoo of eighty networks of which every fourth holds NaN or infinity; the last is infinite as float32 only."""
    (tmp_path / "files").mkdir()
    values = [torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in range(80)]
    for number, weight in enumerate(values):
        if number % 4 == 3:
            weight[2, 3] = [float("nan"), float("-inf"), 1e300][number % 3]
        torch.save({"a.weight": weight, "b.weight": weight[:3].T}, tmp_path / "files" / f"n{number}.pt")
    return import_networks(ImportConfig(), [tmp_path / "files"], tmp_path / "zoo")


def test_networks_with_nan_are_left_out_and_counted(tmp_path, diverged, capsys):
    model = pretrain_windows(
        WindowPretrainConfig(**SETTINGS | {"n_steps": 3}), [diverged], tmp_path / "model", progress=Progress("plain")
    )
    assert "zoo: 20 networks with NaN or infinity are left out" in capsys.readouterr().err
    found = vectors(embed_windows(WindowEmbedConfig(), model, diverged, tmp_path / "out", progress=Progress("plain")))
    assert "20 networks with NaN or infinity are left out" in capsys.readouterr().err
    assert set(found) == {f"n{i}" for i in range(80) if i % 4 != 3}
    assert np.isfinite(list(found.values())).all()


def test_a_zoo_without_a_finite_network_is_refused(tmp_path, model):
    (tmp_path / "files").mkdir()
    torch.save({"fc.weight": torch.tensor([[float("nan"), 1.0]])}, tmp_path / "files" / "bad.pt")
    zoo = import_networks(ImportConfig(), [tmp_path / "files"], tmp_path / "zoo")
    with pytest.raises(MetarepError, match="no finite network; met NaN or infinity in all 1"):
        embed_windows(WindowEmbedConfig(), model, zoo, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_complex_weights_alone_are_no_weights_to_read(tmp_path, model):
    (tmp_path / "files").mkdir()
    torch.save({"fc.weight": torch.full((2, 2), 1j)}, tmp_path / "files" / "c.pt")
    zoo = import_networks(ImportConfig(), [tmp_path / "files"], tmp_path / "zoo")
    with pytest.raises(MetarepError, match=r"no weights to read; met complex64.*complex.* are not read"):
        embed_windows(WindowEmbedConfig(), model, zoo, tmp_path / "out")


def test_too_few_networks_are_refused(tmp_path, zoos):
    (tmp_path / "files").mkdir()
    torch.save({"fc.weight": torch.ones(2, 2)}, tmp_path / "files" / "one.pt")
    zoo = import_networks(ImportConfig(), [tmp_path / "files"], tmp_path / "zoo")
    with pytest.raises(MetarepError, match="too few networks"):
        pretrain_windows(WindowPretrainConfig(**SETTINGS), [zoo], tmp_path / "model")


def test_units_keep_the_numbers_that_they_were_saved_with(zoos, model, tmp_path):
    """The imported copies have their units reversed: unit i of the one is unit 11 - i of the other."""
    config = WindowEmbedConfig(parts=("unit",))
    paths = [embed_windows(config, model, zoo, tmp_path / str(number)) for number, zoo in enumerate(zoos[:2])]
    tables = [pq.read_table(path / "embeddings.parquet").to_pylist() for path in paths]
    first, second = ({(r["network_id"], r["part"]): r["embedding"] for r in table} for table in tables)
    name = zoos[2][0]
    for unit in range(12):
        mirrored = second[name, f"unit units of 0:{11 - unit}"]
        np.testing.assert_allclose(first[name, f"unit units of 0:{unit}"], mirrored, atol=2e-5)
    assert np.abs(np.subtract(first[name, "unit units of 0:0"], second[name, "unit units of 0:0"])).max() > 1e-3
