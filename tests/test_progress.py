"""Progress: plain lines with a rate and the time left, a bar in a terminal, silence when asked."""

import pytest

from metarep import progress as module
from metarep.progress import Progress


def test_quiet_says_nothing(capsys):
    progress = Progress()
    progress.say("hello")
    with progress.task("work", 3, "steps") as task:
        task.advance(3, "note")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_plain_lines_have_count_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(module, "PLAIN_INTERVAL_S", 0.0)
    with Progress("plain").task("work", 10, "steps", done=2) as task:
        task.advance(4, "loss 0.5")
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("work: 6/10 steps, ")
    assert "/s" in first
    assert "s left loss 0.5" in first
    assert last.startswith("work: 6 steps in ")


@pytest.mark.parametrize(("rate", "said"), [(1234.5, "1,234.5/s"), (1.0, "1.0/s"), (0.008, "125.0 s each"), (0.0, "0.0/s")])
def test_what_takes_long_is_said_by_its_seconds(rate, said):
    assert module.pace(rate) == said


def test_plain_lines_are_rare(capsys):
    with Progress("plain").task("work", 1000, "steps") as task:
        for _ in range(1000):
            task.advance()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_bar_draws_on_stderr_only(capsys):
    with Progress("bar").task("work", 4, "steps") as task:
        task.advance(4, "note")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "work" in captured.err


@pytest.mark.parametrize(("quiet", "terminal", "mode"), [(True, True, "quiet"), (False, True, "bar"), (False, False, "plain")])
def test_the_mode_follows_the_terminal(monkeypatch, quiet, terminal, mode):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    assert Progress.for_terminal(quiet=quiet).mode == mode
