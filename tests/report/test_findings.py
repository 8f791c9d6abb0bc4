"""The sentences follow the figures: turn a figure round and the sentence turns round."""

import pytest
import synthetic_run
from synthetic_run import ARI, UNTRAINED, write_run

from metarep.report.comparison_section import headline
from metarep.report.model_section import knowledge
from metarep.report.page import findings_of, sections_of
from metarep.report.results import read_run
from metarep.report.wording import Score, listed, num, relation


def said(folder, **options):
    """{topic: text} of a synthetic run, and its headline under ""."""
    results = read_run(write_run(folder, **options))
    return {"": headline(results)} | dict(findings_of(sections_of(results)))


@pytest.mark.parametrize(
    ("profile", "words"), [(0.5, "clearly better than raw"), (0.12, "about as well as raw"), (-0.02, "clearly worse than raw")]
)
def test_the_headline_follows_the_figures(tmp_path, profile, words):
    assert f"{words} parameters (0.10)" in said(tmp_path, ari=ARI | {"profile": profile})[""]


def test_where_clusters_show_nothing_the_headline_says_so_and_goes_on_to_what_is_predicted(tmp_path):
    text = said(tmp_path, null_ari=0.6)[""]
    assert text.startswith(
        "Clusters of the cloze profile embedding do not clearly agree with the mode (adjusted Rand index 0.50"
    )
    assert "where permuted labels reach 0.60), clearly better than raw parameters" in text
    assert "The cloze profile embedding predicts the log error with R² 0.60" in text


def test_a_model_that_is_not_better_than_the_mean_is_best_on_nothing(tmp_path, monkeypatch):
    rows = synthetic_run.masked_rows
    monkeypatch.setattr(synthetic_run, "masked_rows", lambda: [row | {"low": row["low"] - 1} for row in rows()])
    text = said(tmp_path)["The cloze test"]
    assert "no sign that the model learned to predict masked values" in text
    assert "It is best on" not in text


@pytest.mark.parametrize(
    ("untrained", "words"), [(0.1, "clearly above"), (0.45, "not clearly different from"), (0.7, "clearly below")]
)
def test_pretraining_is_praised_only_where_it_helps(tmp_path, untrained, words):
    text = said(tmp_path, ari=ARI | {UNTRAINED: untrained})["Does pretraining help to see the mode?"]
    assert f"It is {words} untrained profile" in text
    assert f"{untrained - 0.02:.2f} for untrained profile" in text.split("With k = 5 for all it reaches")[1]


def test_the_leader_is_whoever_leads(tmp_path):
    topic = "Which representation leads"
    assert "on cloze profile (ARI 0.50" in said(tmp_path / "a")[topic]
    assert "clearly ahead of" in said(tmp_path / "b")[topic]
    behind = said(tmp_path / "c", ari=ARI | {"canonical": 0.55})[topic]
    assert "on canonical parameters (ARI 0.55" in behind
    assert "not clearly ahead of cloze profile" in behind


def test_the_oracle_is_a_ceiling_only_where_it_is_higher(tmp_path):
    assert "clearly below the best of them and reaches 71% of it" in said(tmp_path / "a")["The ceiling"]
    above = said(tmp_path / "b", ari=ARI | {"oracle": 0.2})["The ceiling"]
    assert "clearly above the best of them." in above


def test_chance_names_who_is_not_above_it(tmp_path):
    assert "All 5 representations" in said(tmp_path / "a")["Chance"]
    text = said(tmp_path / "b", null_ari=0.2)["Chance"]
    assert text.endswith("raw parameters and canonical parameters. The other 3 are.")


@pytest.mark.parametrize(("auc", "words"), [(0.8, "above chance"), (0.52, "no better than chance"), (0.3, "worse than chance")])
def test_the_scan_is_said_plainly(tmp_path, auc, words):
    text = said(tmp_path, scan_auc=auc)["The scan"]
    assert f"from 50 random starts with an AUC of {auc:.2f} [{auc - 0.04:.2f}, {auc + 0.04:.2f}], {words}." in text
    assert "Of 2 scans on the same 110 networks, linear classifier separates mode 3 from all other modes best: AUC of" in text


def test_transfer_tells_knowing_a_family_from_knowing_a_network(tmp_path):
    texts = said(tmp_path)
    seeds, family = texts["Transfer"].split("On e07 networks")
    assert "the family" not in seeds
    assert "so it is knowledge of the family, not of the network" in family
    assert "all its 50 networks have mode 3" in family
    control = texts["Negative control"]
    assert "R² −2.30, as it should be, worse than the mean" in control
    assert "0.21, not clearly above its null of 0.20" in control
    assert "permuted predictions reach up to 0.81" in family
    assert "0.85 [0.80, 0.90] (permuted: at most 0.20) from cloze profile" in seeds
    assert "log error is predicted with R² 0.70" in seeds


def test_the_cloze_test_is_said_with_its_interval_and_null(tmp_path):
    text = said(tmp_path)["The cloze test"]
    assert "with R² 0.80 [0.65, 0.85] (predictions permuted among networks: at most −0.80), against 0.50" in text


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (Score(0.8, 0.75, 0.85), "It knows more than the best of these, the mean"),
        (Score(0.5, 0.45, 0.55), "It knows not clearly more or less than the best"),
        (Score(0.3, 0.25, 0.35), "It knows less than the best"),
        (Score(0.02, -0.01, 0.05), "not clearly better than the mean"),
    ],
)
def test_what_the_model_knows_is_said_by_intervals(own, words):
    assert words in knowledge(own, "mean", Score(0.5, 0.4, 0.6))


def test_a_model_that_is_worse_than_the_mean_knows_nothing_however_bad_the_imputer_is():
    assert "knows" not in knowledge(Score(-0.01, -0.02, -0.005), "mean", Score(-0.5, -0.6, -0.4))


@pytest.mark.parametrize(
    ("own", "words"), [(0.8, "clearly above"), (0.705, "not clearly different from"), (0.6, "clearly below")]
)
def test_scores_are_compared_by_their_intervals(own, words):
    assert relation(Score(own, own - 0.01, own + 0.01), Score(0.7, 0.69, 0.71)) == words


def test_every_label_and_property_is_probed(tmp_path):
    texts = said(tmp_path)
    assert "predicts the sign pattern with balanced accuracy 0.900" in texts["Labels from embeddings"]
    assert "predicts the log error with R² 0.600" in texts["Properties from embeddings"]


def test_seeds_that_choose_another_k_are_compared_at_their_own(tmp_path):
    text = said(tmp_path)["Are clusters of cloze profile stable?"]
    assert "pretraining seeds with 0.80 [0.78, 0.82] (permuted: at most 0.010)" in text
    assert "own k, they agree with 0.60 [0.58, 0.62], k = 3 and 5 (permuted" in text


def test_what_was_not_run_is_not_spoken_of(tmp_path):
    texts = said(tmp_path, stages=("scan",))
    assert set(texts) == {"", "The zoo", "Log error", "The scan"}
    assert "no cloze embedding of them has been compared" in texts[""]


def test_few_test_networks_are_a_caution_and_diverged_ones_are_counted(tmp_path):
    texts = said(tmp_path)
    assert "50 test networks only" in texts["Caution"]
    assert "3 are not finite and left out" in texts["The zoo"]


def test_numbers_and_lists_read_well():
    assert (num(-0.304), num(-0.001), num(float("nan"))) == ("−0.30", "0.00", "n/a")
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])) == ("a", "a and b", "a, b and c")
