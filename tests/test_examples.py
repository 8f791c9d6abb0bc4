"""Examples: made by a config, read from the package, shown without training."""

import pytest

import metarep
from metarep import examples
from metarep.errors import MetarepError
from metarep.examples import making
from metarep.progress import Progress

PACKAGE = examples.HERE
CONFIG = """
name: tiny
zoo: {seed: 0, networks_per_shard: 60, families: [{variant: e09, n_networks: 60, n_steps: 100}]}
pretrain: {d_model: 16, n_layers: 1, n_heads: 2, n_steps: 6, warmup_steps: 1, eval_every: 3}
embeddings: [states]
without: [masked_r2, clusters, audit, parts, scan, predictions, map]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in place of the package's, with one example."""
    here = tmp_path_factory.mktemp("examples")
    (here / "configs").mkdir()
    (here / "configs" / "tiny.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        for module in (examples, making):
            patch.setattr(module, "HERE", here / "package")
        making.make(here / "configs", here / "runs", progress=Progress())
        yield here / "package"


def test_an_example_has_a_zoo_a_model_and_a_card(made):
    example = metarep.load_example("tiny")
    assert len(example.zoo) == 60
    assert example.model.d_model == 16
    assert example.card.startswith("---\nlibrary_name: metarep")
    assert "Trained for 6 steps" in example.card
    assert "The zoo holds 60 networks" in example.card
    assert repr(example) == "Example(name='tiny')"
    with pytest.raises(MetarepError, match="no such example; met 'none'; expected one of tiny"):
        metarep.load_example("none")


def test_the_demo_ends_in_a_report_and_trains_nothing(made, tmp_path, monkeypatch):
    def trained(*_):
        raise AssertionError("the demo trained a model")

    monkeypatch.setattr("metarep.model.pretraining.run_training", trained)
    out = examples.demo(tmp_path / "demo", "tiny")
    assert (out / "report" / "report.html").is_file()
    assert not (out / "model").exists()
    assert examples.demo(out, "tiny") == out


@pytest.mark.parametrize("name", examples.example_names())
def test_what_lies_in_the_package_is_whole_and_small(name, monkeypatch):
    monkeypatch.setattr(examples, "HERE", PACKAGE)
    example = metarep.load_example(name)
    assert len(example.zoo) > 90
    assert "## Limits" in example.card
    assert sum(file.stat().st_size for file in example.folder.rglob("*") if file.is_file()) < 5 << 20
