"""What holds for every experiment: claims that can fail, folders that are kept or refused, a table that follows the claims."""

import json
from dataclasses import replace

import numpy as np
import pytest

from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.studies.multipliers import multipliers
from metarep.studies.running import run_series, verdict
from metarep.studies.series import BEYOND, EXPERIMENTS, QUESTIONS
from metarep.studies.settings import BeyondConfig, ExperimentConfig
from metarep.studies.study import Claim, Context, Figure, Result, Study
from metarep.tables import read_csv

TINY = ExperimentConfig(n_networks=100, n_initialisations=10, n_parents=10)


def test_a_published_value_is_met_to_its_printing_and_not_beyond():
    assert Claim("x", 0.00144999, 0.0014).met
    assert not Claim("x", 0.00146, 0.0014).met
    assert Claim("x", 0.00146, 0.0014, decimals=3).met
    assert Claim("x", 0.5).met is None


def test_every_one_of_several_values_must_come_back():
    published = [0.4373, -0.4425]
    assert Claim("params", [0.43731, -0.44249], published).met
    assert not Claim("params", [0.43731, 0.44249], published).met
    with pytest.raises(ValueError, match="zip"):
        _ = Claim("params", [0.43731], published).met


def test_without_a_seed_the_published_value_must_lie_in_the_range():
    claim = Claim("x", 0.0033, 0.0039, low=0.001, high=0.005, seed_known=False)
    assert claim.met
    assert not replace(claim, published=0.0061).met


def test_texts_are_compared_as_they_are():
    assert Claim("mode", "3", "3").met
    assert not Claim("mode", "4", "3").met


def test_a_verdict_names_what_was_missed():
    met, missed, unpublished = Claim("a", 1.0, 1.0), Claim("b", 0.35, 1.0), Claim("c", 2.0)
    assert verdict([unpublished.as_json()]) == "nothing was published"
    assert verdict([met.as_json(), unpublished.as_json()]) == "the published value met"
    assert verdict([met.as_json(), missed.as_json()]) == "1 of 2 published values met; not met: b (0.3500 against 1.0000)"


def test_an_unknown_name_is_one_line_that_lists_the_known_ones():
    with pytest.raises(MetarepError, match=r"no such experiment; met '11'; expected 1, 2, .* or all"):
        EXPERIMENTS.named("11")
    assert [one.name for one in EXPERIMENTS.named("all")] == [one.name for one in EXPERIMENTS.studies]
    assert EXPERIMENTS.named("e04") == EXPERIMENTS.named("4")


@pytest.mark.parametrize("series", [EXPERIMENTS, QUESTIONS, BEYOND], ids=lambda series: series.one)
def test_every_study_has_its_folder_and_settings_that_exist(series):
    for study in series.studies:
        assert callable(study.run)
        assert set(study.settings) <= set(series.config.model_fields)


def test_a_study_depends_on_its_own_settings_alone():
    (large,) = BEYOND.named("large")
    assert set(large.config_of(BeyondConfig())) == {"seed", "n_bootstraps", "digits", "large"}
    assert set(EXPERIMENTS.studies[0].config_of(TINY)) == set(ExperimentConfig.model_fields)


@pytest.fixture
def one_experiment(monkeypatch):
    """The settings of each run of an experiment, and a series of that experiment alone."""
    from matplotlib.figure import Figure as Drawing

    runs = []

    def run(context: Context) -> Result:
        runs.append(context.config)
        table = {"rows": [{"mode": "2.5", "n": 3}]}
        figure = Figure(Drawing(), "nothing to see <here>")
        return Result((Claim("x", 0.00144, 0.0014),), ("It is 0.0014.",), table, {"empty": figure}, shown=("rows",))

    class Fake(Study):
        @property
        def run(self):
            return run

    return runs, replace(EXPERIMENTS, studies=(Fake("4", "e04", "A title", "what it shows"),))


def test_a_folder_holds_result_table_figure_and_the_page_shows_them(one_experiment, tmp_path):
    _, series = one_experiment
    run_series(TINY, "4", tmp_path / "x", series=series)
    found = json.loads((tmp_path / "x" / "e04" / "result.json").read_text())
    assert found["claims"][0] | {"value": 0.00144, "met": True} == found["claims"][0]
    assert read_csv(tmp_path / "x" / "e04" / "rows.csv") == [{"mode": "2.5", "n": 3}]
    assert (tmp_path / "x" / "e04" / "figures" / "empty.png").stat().st_size > 100
    page = (tmp_path / "x" / "report" / "report.html").read_text()
    assert "nothing to see &lt;here&gt;" in page
    assert "It is 0.0014." in page
    assert "http" not in page
    (row,) = read_csv(tmp_path / "x" / "report" / "summary.csv")
    assert (row["published"], row["found"], row["verdict"]) == ("0.0014", "0.0014", "the published value met")


def test_a_finished_one_is_refused_by_name_and_kept_among_all(one_experiment, tmp_path):
    runs, series = one_experiment
    run_series(TINY, "4", tmp_path, series=series)
    with pytest.raises(MetarepError, match="already finished"):
        run_series(TINY, "4", tmp_path, series=series)
    run_series(TINY, "all", tmp_path, series=series)
    assert len(runs) == 1
    run_series(TINY, "4", tmp_path, series=series, overwrite=True)
    run_series(TINY.model_copy(update={"seed": 1}), "all", tmp_path, series=series)
    assert [config.seed for config in runs] == [0, 0, 1]


def test_a_shared_zoo_is_built_once_and_again_for_other_settings(tmp_path):
    context = Context(TINY, tmp_path, Progress())
    first = multipliers(context)
    stamp = (tmp_path / "e09" / "manifest.json").stat().st_mtime_ns
    np.testing.assert_array_equal(multipliers(context).params, first.params)
    assert (tmp_path / "e09" / "manifest.json").stat().st_mtime_ns == stamp
    other = Context(TINY.model_copy(update={"n_networks": 101}), tmp_path, Progress())
    assert len(multipliers(other)) == len(first) + 1
    assert set(context.used) == {"e09"}
