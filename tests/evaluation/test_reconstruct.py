"""Networks out of vectors: what comes back, beside codes of the same width."""

import numpy as np
import pytest

from metarep.errors import MetarepError
from metarep.evaluation.reconstruct import reconstruct, sentence
from metarep.evaluation.settings import ReconstructConfig
from metarep.model.pretraining import pretrain
from metarep.model.settings import PretrainConfig
from metarep.report.outputs import outputs_figure, png_of_networks
from metarep.tables import read_csv, where
from metarep.training.build import build_zoo
from metarep.training.settings import ZooConfig

TINY = {"d_model": 16, "n_layers": 1, "n_heads": 2, "batch_size": 32, "warmup_steps": 0, "eval_every": 100}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    families = [{"variant": "e09", "n_networks": 120, "n_steps": 300}]
    return build_zoo(ZooConfig(seed=5, families=families), tmp_path_factory.mktemp("decoded") / "zoo")


def test_a_wide_decoder_brings_back_more_than_the_mean_and_the_pictures_are_drawn(zoo, tmp_path):
    config = PretrainConfig(**TINY, objective="autoencoder", bottleneck=9, n_steps=200, lr=4e-3)
    model = pretrain(config, [zoo], tmp_path / "model")
    out = reconstruct(ReconstructConfig(n_drawn=1), model, zoo, tmp_path / "out", draw=png_of_networks)
    rows = read_csv(out / "reconstruction.csv")
    value = {(row["code"], row["metric"]): row["value"] for row in rows}
    assert {code for code, _ in value} == {"decoder", "pca", "nearest", "mean"}
    assert value["pca", "parameter_r2"] == pytest.approx(1, abs=1e-4)  # nine components of nine values
    assert value["pca", "output_r2"] == pytest.approx(1, abs=1e-3)
    assert value["pca", "mode kept"] == pytest.approx(1, abs=0.02)
    assert abs(value["mean", "parameter_r2"]) < 0.5
    assert value["decoder", "parameter_r2"] > value["mean", "parameter_r2"] + 0.2
    assert all(row["low"] <= row["value"] <= row["high"] for row in where(rows, code="decoder"))
    assert "decoded from 9 numbers a network: parameter R²" in sentence(rows)
    assert {"between.png", "sampled.png"} <= {file.name for file in out.iterdir()}


def test_a_model_without_a_decoder_is_refused(zoo, tmp_path):
    model = pretrain(PretrainConfig(**TINY, n_steps=2), [zoo], tmp_path / "model")
    with pytest.raises(MetarepError, match="no decoder"):
        reconstruct(ReconstructConfig(), model, zoo, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("n_inputs", "n_values"), [(1, 16), (2, 16)])
def test_all_networks_are_drawn_on_one_scale(n_inputs, n_values):
    rows = [[np.linspace(0, 1, n_values)] * 3, [np.linspace(0, 5, n_values)] * 3]
    figure = outputs_figure(rows, n_inputs)
    axes = figure.axes[:6]
    assert len({ax.get_ylim() for ax in axes}) == 1
    if n_inputs == 2:
        assert len({ax.images[0].get_clim() for ax in axes}) == 1
