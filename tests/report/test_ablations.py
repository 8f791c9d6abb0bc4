"""Runs side by side: every row is the figure of its run, at the k that was chosen there."""

import math

import pytest
import yaml
from synthetic_run import ARI, write_run

from metarep.errors import MetarepError
from metarep.report.ablations import ablation_figure, ablation_sentences, ablations, caveat, other_seeds, repeats_of, run_rows
from metarep.run_settings import RunConfig
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


def test_several_runs_make_one_table_and_a_picture_each(tmp_path):
    runs = [write_run(tmp_path / name) for name in ("masks", "heads")]
    out = ablations(runs, tmp_path / "out")
    assert {row["run"] for row in read_csv(out / "ablations.csv")} == {"masks", "heads"}
    pictures = sorted((out / "figures").iterdir())
    assert [picture.name for picture in pictures] == ["heads.png", "masks.png"]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_what_is_no_run_and_equal_names_are_refused(tmp_path):
    with pytest.raises(MetarepError, match="no run with a comparison"):
        ablations([tmp_path], tmp_path / "out")
    runs = [write_run(tmp_path / folder / "run") for folder in ("a", "b")]
    with pytest.raises(MetarepError, match="two runs have one name"):
        ablations(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def row(name: str, ari: float, embedding: str = "activity") -> dict:
    figures = {f"{c}_ari{end}": ari + d for c in ("kmeans", "gmm") for end, d in (("", 0), ("_low", -0.02), ("_high", 0.02))}
    return {"run": "size", "row": name, "embedding": embedding, "mode_linear": ari + 0.1, "masked_r2": 0.7} | figures


def probed(one: dict) -> dict:
    """The row as newer runs have it: with the probe's interval and null, and an imputer beside masked R²."""
    ends = {"mode_linear_low": one["mode_linear"] - 0.02, "mode_linear_high": one["mode_linear"] + 0.02}
    return one | ends | {"mode_linear_null_p95": 0.3, "imputed_r2": 0.4}


def test_a_picture_has_a_line_an_embedding_and_masked_r2_once_a_model():
    rows = [row("base", 0.5), row("base", 0.9, "states"), row("wide", 0.6), row("wide", 0.7, "states")]
    first, *_, last = ablation_figure([one | {"kmeans_null_ari_p95": 0.01} for one in rows]).axes
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels == ["base:  activity", "states", "wide:  activity", "states"]
    points = [[line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"] for ax in (first, last)]
    assert points == [[0.5, 0.9, 0.6, 0.7], [0.7, 0.7]]
    assert [line.get_xdata()[0] for line in first.lines if line.get_marker() == "|"] == [0.01] * 4
    *_, probe, last = ablation_figure([probed(one) for one in rows]).axes
    ticks = [[line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"] for ax in (probe, last)]
    assert ticks == [[0.3] * 4, [0.4] * 2]


def test_sentences_tell_better_from_level_and_worse_by_the_best_embedding_of_each_model():
    rows = [
        row("base", 0.5),
        row("base", 0.4, "states"),
        row("wide", 0.3),
        row("wide", 0.6, "states"),
        row("same", 0.51),
        row("tiny", 0.2),
        row("alone", 0.1, "coupling"),
    ]
    (text,) = ablation_sentences(rows)
    assert "ARI 0.50 [0.48, 0.52] (activity); clearly above: wide (0.60, states); level: same (0.51); " in text
    assert "clearly below: tiny (0.20) and alone (0.10, coupling)." in text
    assert (
        "The mode is read off linearly with 0.60 (activity). Masked R² 0.70 (base), from 0.70 (alone) to 0.70 (wide)." in text
    )
    (text,) = ablation_sentences([probed(one) | {"masked_r2": one["mode_linear"]} for one in rows])
    said = "linearly with 0.60 [0.58, 0.62] (activity); clearly above: wide (0.70, states); clearly below: tiny (0.30) and"
    assert said in text
    assert text.endswith(
        "0.60 (base; simple imputer 0.40), from 0.20 (alone; simple imputer 0.40) to 0.70 (wide; simple imputer 0.40)."
    )


def test_sentences_say_when_no_change_is_clearly_above_the_base():
    (text,) = ablation_sentences([probed(row("base", 0.5)), probed(row("same", 0.51)), probed(row("tiny", 0.2))])
    assert text.count("none clearly above") == 3
    assert "(activity); none clearly above; level: same (0.51); clearly below: tiny (0.20)." in text


def test_sentences_list_the_embeddings_of_a_model_that_has_many():
    rows = [row("base", 0.5), row("base", math.nan, "pooled"), row("base", 0.4, "states")]
    (text,) = ablation_sentences(rows)
    assert "ARI 0.50 [0.48, 0.52] (activity); other embeddings of base: pooled (n/a) and states (0.40)." in text


def test_sentences_always_list_what_was_read_in_other_ways():
    rows = [row("base", 0.5), row("narrow", 0.3, "pooled"), row("narrow", 0.4, "states"), row("wide", 0.4, "states")]
    rows.append(row("wide", 0.3))
    (text,) = ablation_sentences(rows)
    assert "other embeddings of narrow: pooled (0.30)" in text
    assert "other embeddings of wide" not in text


def test_masked_r2_stands_beside_the_best_imputer(tmp_path):
    write_run(tmp_path / "one")
    found = run_rows(tmp_path / "one")[0]
    assert (found["masked_r2"], found["imputed_r2"]) == (0.8, 0.5)
    assert (found["masked_r2_low"], found["masked_r2_high"]) == pytest.approx((0.65, 0.85))
    assert [found[f"mode_linear{end}"] for end in ("_low", "_high", "_null_p95")] == pytest.approx([0.89, 0.91, 0.22])


def seeded(*aris: float) -> list[dict]:
    """A run of the base with other seeds, its first value that of the base."""
    rows = [row("base" if number == 0 else f"seed{number}", value) for number, value in enumerate(aris)]
    return [one | {"run": "seeds", "base_model": "a", "repeats_base": one["row"] != "base"} for one in rows]


def test_a_change_is_clear_where_it_leaves_all_seeds_of_the_base():
    size = [one | {"base_model": "a", "repeats_base": False} for one in (row("base", 0.5), row("wide", 0.6), row("huge", 0.8))]
    assert "clearly above: wide (0.60) and huge (0.80)" in ablation_sentences(size)[0]
    rows = size + seeded(0.5, 0.45, 0.62)
    text, luck = ablation_sentences(rows)
    assert "0.50 [0.48, 0.52] (activity; 0.43 to 0.64 over 3 seeds); clearly above: huge (0.80); level: wide (0.60)." in text
    assert "none clearly above; level: seed1 (0.45) and seed2 (0.62)." in luck
    assert "3 seeds" in caveat(rows)
    assert "another seed" in caveat(size)
    other = [one | {"base_model": "b"} for one in size]
    assert "clearly above: wide (0.60) and huge (0.80)" in ablation_sentences(other + seeded(0.5, 0.45, 0.62))[0]


def test_a_picture_shows_the_range_of_the_seeds():
    rows = seeded(0.5, 0.45, 0.62)
    first, *_ = ablation_figure(rows, repeats_of(rows, rows)).axes
    (band,) = first.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.43, 0.64))
    assert not ablation_figure(rows).axes[0].patches


def test_repeats_of_the_base_differ_by_the_seed_alone(tmp_path):
    model = {"pretrain": {"seed": 1}, "embeddings": ["states"]}
    models = {
        "again": model,
        "wide": {"pretrain": {"seed": 1, "d_model": 16}},
        "same": {"pretrain": {}, "embed": {"n_copies": 4}},
    }
    config = RunConfig.model_validate({"zoo": {"families": [{"variant": "e09", "n_networks": 9}]}, "models": models})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.resolved()))
    assert other_seeds(tmp_path) == {"again"}
