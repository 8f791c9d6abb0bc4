"""Runs on several zoos side by side: which representation is best at which task, and whether clearly."""

import pytest
from synthetic_run import ARI, write_run

from metarep.errors import MetarepError
from metarep.report import benchmark as module
from metarep.report.benchmark import benchmark, benchmark_figure, score_rows, sentences
from metarep.tables import read_csv, where


def scored(representation, value, group, **other):
    about = {"run": "zoo", "part": "network", "representation": representation, "model": "", "kind": representation}
    about |= {"untrained": 0, "group": group, "title": representation, "task": "mode", "reading": "linear"}
    return about | {"metric": "ari", "value": value, "low": value - 0.05, "high": value + 0.05, "null": 0.2} | other


def test_rows_are_those_of_the_comparison_at_the_k_that_was_chosen(tmp_path):
    rows = list(score_rows(write_run(tmp_path / "one", ari=ARI | {"profile": 0.61}), "clusters"))
    (found,) = where(rows, representation="profile", model="model", task="mode", reading="kmeans", untrained=0)
    assert found["value"] == 0.61
    assert {row["group"] for row in rows} >= {"cloze", "baseline", "oracle"}


def test_runs_make_one_table_one_figure_and_sentences(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "costs", lambda comparison: [{"representation": "raw", "seconds": 1.0}])
    runs = [write_run(tmp_path / name) for name in ("multipliers", "others")]
    out = benchmark(runs, tmp_path / "out")
    assert {row["run"] for row in read_csv(out / "benchmark.csv")} == {"multipliers", "others"}
    assert len(read_csv(out / "costs.csv")) == 2
    assert (out / "figures" / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    assert "**others**, networks" in (out / "findings.md").read_text()
    with pytest.raises(MetarepError, match="two runs have one name"):
        benchmark([runs[0], runs[0]], tmp_path / "twice")
    with pytest.raises(MetarepError, match="no run with a comparison"):
        benchmark([tmp_path], tmp_path / "none")


@pytest.mark.parametrize(("value", "said"), [(0.9, "clearly above"), (0.72, "level with"), (0.5, "clearly below")])
def test_a_sentence_says_which_of_two_is_ahead_and_what_other_seeds_reach(value, said):
    ours = [scored("states", value, "cloze", model="model"), scored("states", 0.95, "cloze", model="seed1")]
    rows = [*ours, scored("raw", 0.7, "baseline"), scored("pca", 0.4, "baseline"), scored("oracle", 0.97, "oracle")]
    (_, line) = sentences(rows)
    assert f"states {value:.2f}" in line
    assert f"{said} raw 0.70" in line
    assert "states of other models 0.95" in line
    assert "0.97 (oracle)" in line


def test_the_figure_frames_what_reaches_the_best_and_no_oracle():
    rows = [scored("states", 0.9, "cloze"), scored("raw", 0.85, "baseline"), scored("untrained", 0.4, "untrained")]
    rows += [scored("oracle", 0.97, "oracle")]
    (ax,) = benchmark_figure(rows).axes
    titles = [label.get_text() for label in ax.get_yticklabels()]
    framed = {titles[round(one.get_y() + 0.45)] for one in ax.patches}
    assert framed == {"states", "raw"}
