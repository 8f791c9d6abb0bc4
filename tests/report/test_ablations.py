"""Runs side by side: every row is the figure of its run, at the k that was chosen there."""

import pytest
from synthetic_run import ARI, write_run

from metarep.errors import MetarepError
from metarep.report.ablations import ablation_figure, ablation_sentences, ablations, run_rows
from metarep.tables import read_csv


def test_rows_are_the_trained_embeddings_with_the_figures_of_their_run(tmp_path):
    rows = run_rows(write_run(tmp_path / "one", ari=ARI | {"wide-profile": 0.6, "autoencoder-pooled": 0.25}))
    assert {(row["row"], row["embedding"]) for row in rows} == {
        ("base", "profile"),
        ("wide", "profile"),
        ("autoencoder", "pooled"),
    }
    found = {row["row"]: row["kmeans_ari"] for row in rows}
    assert found == {"base": ARI["profile"], "wide": 0.6, "autoencoder": 0.25}


def test_several_runs_make_one_table_and_one_picture(tmp_path):
    runs = [write_run(tmp_path / name) for name in ("masks", "heads")]
    out = ablations(runs, tmp_path / "out")
    assert {row["run"] for row in read_csv(out / "ablations.csv")} == {"masks", "heads"}
    assert (out / "ablations.png").read_bytes().startswith(b"\x89PNG")
    (first, *_) = ablation_figure(read_csv(out / "ablations.csv")).axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["base, profile"] * 2


def test_what_is_no_run_and_equal_names_are_refused(tmp_path):
    with pytest.raises(MetarepError, match="no run with a comparison"):
        ablations([tmp_path], tmp_path / "out")
    runs = [write_run(tmp_path / folder / "run") for folder in ("a", "b")]
    with pytest.raises(MetarepError, match="two runs have one name"):
        ablations(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def row(name: str, ari: float, embedding: str = "activity") -> dict:
    figures = {f"{c}_ari{end}": ari + d for c in ("kmeans", "gmm") for end, d in (("", 0), ("_low", -0.02), ("_high", 0.02))}
    return {"run": "size", "row": name, "embedding": embedding, "mode_linear": ari + 0.3} | figures


def test_sentences_tell_better_from_level_and_worse():
    rows = [
        row("base", 0.5),
        row("base", 0.9, "states"),
        row("wide", 0.6),
        row("same", 0.51),
        row("tiny", 0.2),
        row("alone", 0.1, "coupling"),
    ]
    (text,) = ablation_sentences(rows)
    assert "ARI 0.50 [0.48, 0.52]; clearly above: wide (0.60); level: same (0.51); clearly below: " in text
    assert "tiny (0.20)" in text
    assert "alone (0.10, coupling)" in text
    assert "linearly with 0.80, at best with 0.90 (wide), at worst with 0.50 (tiny)" in text
