"""Tables: what is read is what was written, and each column has one type."""

import pytest

from metarep.errors import MetarepError
from metarep.tables import read_csv, to_csv


def test_columns_come_back_with_their_types(tmp_path):
    rows = [
        {"mode": "3", "n": 4, "share": 0.25, "chosen": True, "low": None, "note": 'a, "b"'},
        {"mode": "2.5", "n": 5, "share": 1.0, "chosen": False, "low": float("nan"), "note": ""},
    ]
    (tmp_path / "t.csv").write_text(to_csv(rows))
    first, second = read_csv(tmp_path / "t.csv")
    assert first == rows[0]
    assert {**second, "low": None} == {**rows[1], "low": None}
    assert second["low"] != second["low"]
    assert isinstance(second["share"], float)


def test_tables_of_others_are_read_by_what_they_hold(tmp_path):
    (tmp_path / "t.csv").write_text("name,k,x,empty\na,1,2,\nb,2,0.5,\n")
    assert read_csv(tmp_path / "t.csv") == [
        {"name": "a", "k": 1, "x": 2.0, "empty": ""},
        {"name": "b", "k": 2, "x": 0.5, "empty": ""},
    ]
    (tmp_path / "t.csv").write_text("name,k\n")
    assert read_csv(tmp_path / "t.csv") == []


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(MetarepError, match="no table"):
        read_csv(tmp_path / "none.csv")
