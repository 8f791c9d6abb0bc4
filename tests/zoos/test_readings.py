"""Columns read as categories, numbers, both or neither, from what they hold and are called."""

import numpy as np
import pytest

from metarep.errors import MetarepError
from metarep.zoos.readings import numbers_of, read_columns, texts_of, varies, why_no_label

N = 60


def read(name, values, **forced):
    """(is a label, is a property, its values, the entry) of one column."""
    found = read_columns([{name: value} for value in values], range(len(values)), **forced)
    (entry,) = found.entries
    assert (entry.subject, entry.where) == ("column", name)
    return name in found.labels, name in found.properties, found.columns[name], entry


def cycle(*values):
    return [values[i % len(values)] for i in range(N)]


@pytest.mark.parametrize(
    ("name", "values", "kinds"),
    [
        ("digit", cycle("4", "7", "9"), (True, True)),
        ("grokked", cycle("0", "1"), (True, True)),
        ("converged", cycle("True", "False"), (True, True)),
        ("early", cycle(True, False), (True, True)),
        ("accuracy", [str(i / N) for i in range(N)], (False, True)),
        ("n_samples", [str(100 + 3 * i * i) for i in range(N)], (False, True)),
        ("lr", cycle("0.1", "0.01"), (False, True)),
        ("optimizer", cycle("adam", "sgd"), (True, False)),
        ("regulariser", cycle("none", "l2"), (True, False)),
        ("epochs", cycle("50"), (False, False)),
        ("temperature", cycle("0.3"), (False, False)),
        ("seed", cycle("0", "1", "2"), (False, False)),
        ("dataSeed", [str(977 * i) for i in range(N)], (False, False)),
        ("wandb_id", [f"k{i:07d}" for i in range(N)], (False, False)),
        ("model_id", [str(i) for i in range(N)], (False, False)),
        ("class_id", cycle("3", "5"), (True, False)),
        ("trial_number", [str(977 * i) for i in range(N)], (False, False)),
        ("run", [str(977 * i) for i in range(N)], (False, False)),
        ("fold", cycle("0", "1", "2"), (True, False)),
        ("steps_per_trial", [str(977 * i) for i in range(N)], (False, True)),
        ("random_state", [str(977 * i) for i in range(N)], (False, False)),
        ("place", [str(7 * i % N) for i in range(N)], (False, False)),
        ("i", [str(i) for i in range(N)], (False, False)),
        ("width", [str(i) for i in range(N)], (False, True)),
        ("subset", cycle("train", "val", "test"), (False, False)),
        ("task", [f"task{i % 30}" for i in range(N)], (False, False)),
        ("nothing", cycle("", "NA"), (False, False)),
        ("gap", ["0.25", "0.5", "0.75"] + [""] * (N - 3), (False, False)),
    ],
)
def test_how_a_column_is_read(name, values, kinds):
    *found, _, entry = read(name, values)
    assert tuple(found) == kinds
    assert any(found) != entry.what.startswith("left out")


@pytest.mark.parametrize(
    "word", ["NA", "N/A", "nan", "null", "None", "none", "-", "", None, "  ", "#N/A", "n.a.", float("nan")]
)
def test_one_missing_value_leaves_a_number_a_number(word):
    values = [str(0.5 + i / 7) for i in range(N)]
    values[3] = word
    is_label, is_property, found, entry = read("acc", values)
    assert (is_label, is_property, "59 of 60" in entry.why) == (False, True, True)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3]


def test_networks_without_a_class_are_of_no_class():
    _, _, found, _ = read("kind", cycle("a", "NA", "b", "", "none"))
    assert sorted(set(found)) == ["", "a", "b", "none"]
    _, _, found, _ = read("digit", cycle("1", "2", "NA"))
    assert sorted(set(texts_of(found))) == ["", "1", "2"]
    assert "known for 40 of 60 networks" in read("digit", cycle("1", "2", "NA"))[3].why
    np.testing.assert_array_equal(numbers_of(np.array(["yes", "", "False", "2.5", "x"], object)), [1, np.nan, 0, 2.5, np.nan])


def test_some_words_among_numbers_are_a_doubt():
    values = [str(i / 7) for i in range(N)]
    values[5] = "diverged"
    is_label, is_property, found, entry = read("loss", values)
    assert (is_label, is_property, entry.doubt, "diverged (1)" in entry.why) == (False, True, True, True)
    assert np.isnan(found[5])


def test_one_reading_can_be_asked_for():
    assert read("digit", cycle("4", "7"), categorical=["digit"])[:2] == (True, False)
    assert read("digit", cycle("4", "7"), numeric=["digit"])[:2] == (False, True)
    assert read("seed", cycle("4", "7"), numeric=["seed"])[:2] == (False, True)
    assert read("task", [f"task{i % 30}" for i in range(N)], categorical=["task"])[:2] == (True, False)
    assert read("epochs", cycle("50"), numeric=["epochs"])[:2] == (False, False)  # there is no R² of what does not vary
    for forced in ({"numeric": ["acc"]}, {"categorical": ["digit"], "numeric": ["digit"]}):
        with pytest.raises(MetarepError, match="--categorical or --numeric"):
            read("digit", cycle("4", "7"), **forced)


def test_sure_labels_come_first():
    found = read_columns([{"depth": i % 2, "task": "ab"[i % 2]} for i in range(N)], range(N))
    assert (found.labels, found.properties) == (("task", "depth"), ("depth",))


def test_many_classes_are_a_label_where_each_has_its_networks():
    classes = np.array([f"c{i % 100}" for i in range(1000)], dtype=object)
    runs = np.arange(1000)
    assert why_no_label(classes, runs) is None
    assert "too many" in why_no_label(classes[:300], runs[:300])
    assert "too many" in why_no_label(classes[:10], runs[:10])
    assert "in 100 runs" in why_no_label(classes, runs % 100)  # each names a run


def test_ids_and_times_of_runs_are_no_classes():
    known = [{"trial_id": f"t{i // 6}", "training_iteration": i % 6, "lr": 0.1 * (i // 6)} for i in range(N)]
    found = read_columns(known, [f"run{i // 6}" for i in range(N)])
    assert (found.labels, found.properties) == ((), ("training_iteration", "lr"))


def test_what_differs_by_rounding_alone_does_not_vary():
    values = np.full(9, 0.1)
    values[0] += 1e-17
    values[4] = np.nan
    assert not varies(values)
    values[0] += 1e-6
    assert varies(values)


def test_infinite_numbers_are_missing_ones_and_are_told():
    values = [str(0.5 + i / 7) for i in range(N)]
    values[3], values[5], values[9] = "inf", "-Infinity", "1e999"
    *found, numbers, entry = read("loss", values)
    assert found == [False, True]
    assert np.flatnonzero(np.isnan(numbers)).tolist() == [3, 5, 9]
    assert "infinite in 3 networks" in entry.why
    assert "infinite" not in read("loss", values[10:] + values[:3] + [str(i) for i in range(7)])[3].why


def test_numbers_of_any_size_differ_and_are_written_short():
    assert varies(np.array([-1.7e308, 1.7e308]))
    assert varies(np.array([1e-300, 2e-300]))
    assert not varies(np.array([0.1 + 0.2, 0.3]))
    assert max(map(len, texts_of(np.array([1e300, 3.0, 2.5])))) < 8
