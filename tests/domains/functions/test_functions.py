"""The stage that tells functions apart: its files, its sentences, its figure."""

from pathlib import Path

import pytest

from metarep.artefact import open_artefact
from metarep.domains.functions.probe import FunctionsConfig
from metarep.domains.functions.report import function_sentences, functions, functions_figure, goal_sentence
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed
from metarep.examples import load_example
from metarep.run_settings import RunConfig
from metarep.settings import load_config
from metarep.tables import read_csv

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
EXAMPLE = load_example("functions").folder
ABOUT = {"n_networks": 5000, "spec": "1-16-1", "n_functions": 10, "valid_mse": {"median": 0.0123}}


LINEAR, NEIGHBOURS = "linear", "nearest_neighbours"


def row(name, n_functions, value, *, probe=LINEAR, untrained=0, width=0.02, null=0.3):
    model = "" if name in ("raw", "outputs") else "model"
    what = {
        "representation": f"{name} (untrained)" if untrained else name,
        "model": model,
        "kind": name,
        "untrained": untrained,
    }
    score = {"value": value, "low": value - width, "high": min(1.0, value + width), "null": null, "n_test": 100}
    known = {"origin": "embedding" if model else "baseline", "metric": "balanced_accuracy"}
    return what | known | {"n_functions": n_functions, "probe": probe, **score}


def table():
    values = {
        ("raw", 0): (0.5, 0.3),
        ("outputs", 0): (1.0, 0.99),
        ("states", 0): (0.8, 0.7),
        ("function", 0): (1.0, 0.94),
        ("function", 1): (0.6, 0.4),
    }
    return [
        row(name, count, value, probe=probe, untrained=untrained)
        for (name, untrained), pair in values.items()
        for count, value in zip((5, 10), pair, strict=True)
        for probe in (LINEAR, NEIGHBOURS)
    ]


def test_the_stage_writes_table_sentences_and_figure(tmp_path):
    zoo, model = EXAMPLE / "zoo", EXAMPLE / "model"
    config = EmbedConfig(kind="function", max_per_split=120)
    embedded = [
        embed(config.model_copy(update={"untrained": untrained}), model, zoo, tmp_path / f"embedded-{untrained}")
        for untrained in (False, True)
    ]
    path = functions(FunctionsConfig(counts=(2, 3)), zoo, tmp_path / "out", embeddings=embedded)
    rows = read_csv(path / "functions.csv")
    assert len(rows) == 6 * 2 * 2
    assert {(row["kind"], row["untrained"]) for row in rows} >= {("function", 0), ("function", 1)}
    assert open_artefact(path, check_hashes=True).kind == "functions"
    best = [row for row in rows if row["representation"] == "outputs"]
    assert all(row["value"] > 0.8 > row["null"] for row in best)
    assert "**3 functions**" in (path / "findings.md").read_text()
    assert (path / "figures" / "functions.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("value", "goal", "said"),
    [(1.0, 1.0, "reached by cloze function"), (0.94, 0.95, "none, within the interval of"), (0.9, 0.95, "reached by none")],
)
def test_a_goal_is_reached_missed_within_the_interval_or_missed(value, goal, said):
    sentence = goal_sentence([row("function", 5, value)], goal)
    assert said in sentence
    assert ("within" in sentence) == (value == 0.94)


def test_sentences_say_who_reaches_what_beside_the_controls():
    intro, _, five, ten, chance = function_sentences(table(), ABOUT)
    assert "5,000 networks 1-16-1, 10 functions" in intro
    assert "1.00 is reached by outputs and cloze function" in five
    assert "0.95 is reached by outputs, within the interval of cloze function" in ten
    assert "untrained function 0.400 [0.380, 0.420]" in ten
    assert "raw parameters 0.300" in ten
    assert "states" not in five  # not the best of its kind
    assert "0.30 (5) and 0.30 (10)" in chance


def test_every_representation_is_a_labelled_line_in_either_panel():
    figure = functions_figure(table())
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert names == {"raw parameters", "outputs", "cloze states", "cloze function", "untrained function"}
    for ax in figure.axes:
        lines = [line for line in ax.lines if len(line.get_ydata()) == 2 and line.get_marker() != "_"]
        assert [line.get_ydata()[-1] for line in lines] == [0.3, 0.99, 0.7, 0.94, 0.4]


def test_the_model_of_the_run_is_asked_on_the_domain_of_the_functions():
    model = load_config(RunConfig, CONFIGS / "functions.yaml").pretrain
    assert model.probe_range == FunctionsConfig().domain
    assert model.behaviour_weight > 0
