"""The error that a user sees: one line with what was met, what was expected and what to do."""

from metarep.errors import MetarepError


def test_message_holds_problem_met_expected_and_fix():
    error = MetarepError("zoo/x is odd", met=3, expected=4, fix="mend it")
    assert str(error) == "zoo/x is odd; met 3; expected 4; mend it"


def test_message_is_one_line_whatever_goes_in():
    error = MetarepError("two\nlines", met="a\n  b", expected=["x\ty"], fix="do\r\nthis")
    assert str(error).splitlines() == [str(error)]


def test_parts_that_were_not_given_are_left_out():
    assert str(MetarepError("only this")) == "only this"


def test_a_met_value_that_is_false_is_still_said():
    assert "met 0" in str(MetarepError("n", met=0))
