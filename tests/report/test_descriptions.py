"""Sentences on clusters follow from their rows, whichever way these fall."""

from metarep.report.descriptions import effects_figure, sentence, unexplained_figure, unexplained_text


def row(cluster=0, effect=0.9, name="height", is_fact=0, n=40):
    figures = {"inside": 0.8, "inside_low": 0.7, "inside_high": 0.9, "outside": 0.1}
    return {
        "cluster": cluster,
        "property": name,
        "is_fact": is_fact,
        "effect": effect,
        "effect_train": effect,
        "n": n,
        **figures,
    }


RULE = {"rule": "height above 3", "precision": 0.9, "precision_low": 0.8, "precision_high": 0.95}
RULE |= {"recall": 0.5, "recall_low": 0.4, "recall_high": 0.6}


def left(name, share, null, p):
    return {"property": name, "share": share, "null": null, "p": p, "p_holm": p}


def test_a_sentence_says_direction_facts_and_the_rule_with_its_intervals():
    text = sentence([row(), row(name="it is dead", is_fact=1), row(name="third", effect=0.5)], RULE)
    assert "height is higher (median 0.8, others 0.1)" in text
    assert "it is dead (80%, of the others 10%)" in text
    assert "third" not in text
    assert "50% (40% to 60%) of the cluster, and 90% (80% to 95%)" in text
    assert "lower" in sentence([row(effect=-0.9)], None)


def test_weak_effects_and_empty_clusters_are_said_to_be_so():
    assert "Nothing" in sentence([row(effect=0.1)], None)
    assert "No test network" in sentence([row(n=0)], RULE)


def test_the_unexplained_is_said_to_be_there_only_where_it_is():
    whole = left("clusters", 0.3, 0.9, float("nan"))
    some = unexplained_text([whole, left("norm", 0.4, 0.1, 0.01), left("bias", 0.1, 0.1, 0.5)])
    assert "30%" in some
    assert "1 of 2 numbers" in some
    assert "norm" in some
    assert "None of 1 numbers" in unexplained_text([whole, left("bias", 0.1, 0.1, 0.5)])


def test_the_figures_show_every_cluster_and_every_number():
    rows = [row(cluster=c, name=n, effect=e) for c, e in ((0, 0.9), (1, -0.4)) for n in ("a", "b")]
    (ax, _) = effects_figure(rows).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0\nn = 40", "1\nn = 40"]
    assert "−0.4" in {text.get_text() for text in ax.texts}
    (ax,) = unexplained_figure([left("clusters", 0.3, 0.9, 1.0), left("norm", 0.4, 0.1, 0.01)]).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["norm"]
