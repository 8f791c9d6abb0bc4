"""Runs side by side: every row is the figure of its run, at the k that was chosen there."""

import math

import pytest
from synthetic_run import ARI, write_run

from metarep.artefact import writing
from metarep.errors import MetarepError
from metarep.report.ablations import (
    ablation_figure,
    ablation_sentences,
    ablations,
    caveat,
    other_seeds,
    repeats_of,
    run_rows,
)
from metarep.report.style import MUTED
from metarep.tables import read_csv


def test_rows_are_the_trained_embeddings_with_the_figures_of_their_run(tmp_path):
    rows = run_rows(write_run(tmp_path / "one", ari=ARI | {"wide/profile": 0.6, "autoencoder/pooled": 0.25}))
    assert {(row["row"], row["embedding"]) for row in rows} == {
        ("base", "profile"),
        ("wide", "profile"),
        ("autoencoder", "pooled"),
    }
    found = {row["row"]: row["kmeans_ari"] for row in rows}
    assert found == {"base": ARI["profile"], "wide": 0.6, "autoencoder": 0.25}


def test_several_runs_make_one_table_and_a_figure_each(tmp_path):
    runs = [write_run(tmp_path / name) for name in ("masks", "heads")]
    out = ablations(runs, tmp_path / "out")
    assert {row["run"] for row in read_csv(out / "ablations.csv")} == {"masks", "heads"}
    drawn = sorted((out / "figures").iterdir())
    assert [file.name for file in drawn] == ["heads.png", "masks.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in drawn)


def test_what_is_no_run_and_equal_names_are_refused(tmp_path):
    with pytest.raises(MetarepError, match="no run with a comparison"):
        ablations([tmp_path], tmp_path / "out")
    runs = [write_run(tmp_path / folder / "run") for folder in ("a", "b")]
    with pytest.raises(MetarepError, match="two runs have one name"):
        ablations(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def row(name: str, ari: float, embedding: str = "activity", **other) -> dict:
    scores = {"kmeans_ari": ari, "gmm_ari": ari, "linear": ari + 0.1, "masked_r2": 0.7, "property_r2": math.nan}
    ends = {f"{metric}{end}": value + d for metric, value in scores.items() for end, d in (("_low", -0.02), ("_high", 0.02))}
    nulls = {"kmeans_ari_null": 0.01, "gmm_ari_null": 0.01, "linear_null": 0.3, "property_r2_null": math.nan, "imputed_r2": 0.4}
    about = {"run": "size", "row": name, "embedding": embedding, "label": "mode", "property": "log_error"}
    return about | {"base_model": "a", "repeats_base": False} | scores | ends | nulls | other


def test_a_figure_has_a_line_an_embedding_and_masked_r2_once_a_model():
    rows = [row("base", 0.5), row("base", 0.9, "states"), row("wide", 0.6), row("wide", 0.7, "states")]
    first, _, probe, last = ablation_figure(rows).axes
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels == ["base:  activity", "states", "wide:  activity", "states"]
    points = [[line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"] for ax in (first, last)]
    assert points == [[0.5, 0.9, 0.6, 0.7], [0.7, 0.7]]
    ticks = [[line.get_xdata()[0] for line in ax.lines if line.get_color() == MUTED] for ax in (first, probe, last)]
    assert ticks == [[0.01] * 4, [0.3] * 4, [0.4] * 2]


def test_sentences_tell_better_from_level_and_worse_by_the_best_embedding_of_each_model():
    rows = [row("base", 0.5), row("base", 0.4, "states"), row("wide", 0.3), row("wide", 0.6, "states"), row("same", 0.51)]
    rows += [row("tiny", 0.2), row("alone", 0.1, "coupling")]
    (text,) = ablation_sentences(rows)
    assert "ARI 0.50 [0.48, 0.52] (activity); clearly above: wide (0.60, states); level: same (0.51); " in text
    assert "clearly below: tiny (0.20) and alone (0.10, coupling)." in text
    said = "the mode with 0.60 [0.58, 0.62] (activity); clearly above: wide (0.70, states); clearly below: tiny (0.30) and"
    assert said in text
    assert text.endswith("to 0.70 [0.68, 0.72] (wide; simple imputer 0.40).")


def test_sentences_say_when_no_change_is_clearly_above_the_base():
    (text,) = ablation_sentences([row("base", 0.5), row("same", 0.51), row("tiny", 0.2)])
    assert text.count("none clearly above") == 3
    assert "(activity); none clearly above; level: same (0.51); clearly below: tiny (0.20)." in text


def test_masked_r2_is_read_beside_the_best_imputer(tmp_path):
    write_run(tmp_path / "one")
    found = run_rows(tmp_path / "one")[0]
    assert (found["masked_r2"], found["imputed_r2"]) == (0.8, 0.5)
    assert (found["masked_r2_low"], found["masked_r2_high"]) == pytest.approx((0.65, 0.85))
    assert [found[f"linear{end}"] for end in ("_low", "_high", "_null")] == pytest.approx([0.89, 0.91, 0.22])
    assert found["property_r2"] == 0.6


def seeded(*aris: float) -> list[dict]:
    """A run of the base with other seeds, its first value that of the base."""
    rows = [row("base" if number == 0 else f"seed{number}", value) for number, value in enumerate(aris)]
    return [one | {"run": "seeds", "repeats_base": one["row"] != "base"} for one in rows]


def test_a_change_is_clear_where_it_leaves_all_seeds_of_the_base():
    size = [row("base", 0.5), row("wide", 0.6), row("huge", 0.8)]
    assert "clearly above: wide (0.60) and huge (0.80)" in ablation_sentences(size)[0]
    rows = size + seeded(0.5, 0.45, 0.62)
    text, luck = ablation_sentences(rows)
    assert "0.50 [0.48, 0.52] (activity; 0.43 to 0.64 over 3 seeds); clearly above: huge (0.80); level: wide (0.60)." in text
    assert "none clearly above; level: seed1 (0.45) and seed2 (0.62)." in luck
    assert "3 seeds" in caveat(rows)
    assert "another seed" in caveat(size)
    other = [one | {"base_model": "b"} for one in size]
    assert "clearly above: wide (0.60) and huge (0.80)" in ablation_sentences(other + seeded(0.5, 0.45, 0.62))[0]


def test_a_figure_shows_the_range_of_the_seeds():
    rows = seeded(0.5, 0.45, 0.62)
    first, *_ = ablation_figure(rows, repeats_of(rows, rows)).axes
    band = first.patches[-1]  # behind the stripes of the rows
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.43, 0.64))
    assert len(ablation_figure(rows).axes[0].patches) == len(first.patches) - 1


def test_repeats_of_the_base_differ_by_the_seed_alone(tmp_path):
    models = {"model": {"seed": 0, "d": 8}, "models/again": {"seed": 1, "d": 8}, "models/wide": {"seed": 1, "d": 16}}
    for name, config in (models | {"models/same": models["model"]}).items():
        with writing(tmp_path / name, "model", config=config, seed=config["seed"]):
            pass
    assert other_seeds(tmp_path) == {"again"}
