"""Progress of a long stage: a bar in a terminal, plain lines elsewhere, or nothing.

The library is silent unless it is handed a `Progress` that speaks; the command line does that.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

PLAIN_INTERVAL_S = 10.0


class TaskCounter:
    """One stage's counter. This one says nothing."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Counts n more units; `note` is a short text such as the current loss."""


class Progress:
    """Where the stages report to: `mode` is "bar", "plain" or "quiet"."""

    def __init__(self, mode: Literal["bar", "plain", "quiet"] = "quiet"):
        self.mode = mode

    @classmethod
    def for_terminal(cls, *, quiet: bool) -> Progress:
        """A bar where stderr is a terminal, plain lines where it is not, nothing if quiet."""
        return cls("quiet" if quiet else "bar" if sys.stderr.isatty() else "plain")

    def say(self, text: str) -> None:
        """One line to the user, unless quiet."""
        if self.mode != "quiet":
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    @contextmanager
    def task(self, name: str, total: int, unit: str, *, done: int = 0) -> Iterator[TaskCounter]:
        """Counts `total` units of work, of which `done` were there before."""
        if self.mode == "bar":
            with _bar(name, total, unit, done) as task:
                yield task
        elif self.mode == "plain":
            task = _PlainTask(self, name, total, unit, done)
            yield task
            task.close()
        else:
            yield TaskCounter()


class _PlainTask(TaskCounter):
    def __init__(self, progress: Progress, name: str, total: int, unit: str, done: int):
        self.progress, self.name, self.total, self.unit = progress, name, total, unit
        self.done = self.first = done
        self.start = self.last = time.monotonic()

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n
        if time.monotonic() - self.last >= PLAIN_INTERVAL_S:
            self.last = time.monotonic()
            rate = (self.done - self.first) / (self.last - self.start)
            left = (self.total - self.done) / rate if rate else float("inf")
            self.progress.say(
                f"{self.name}: {self.done:,}/{self.total:,} {self.unit}, {pace(rate)}, {left:,.0f} s left {note}".rstrip()
            )

    def close(self) -> None:
        seconds = time.monotonic() - self.start
        rate = (self.done - self.first) / seconds if seconds else 0.0
        self.progress.say(f"{self.name}: {self.done:,} {self.unit} in {seconds:,.1f} s ({pace(rate)})")


def pace(rate: float) -> str:
    """Units a second in words; of what takes longer than a second, the seconds of each."""
    return f"{rate:,.1f}/s" if rate >= 1 or not rate else f"{1 / rate:,.1f} s each"


@contextmanager
def _bar(name: str, total: int, unit: str, done: int) -> Iterator[TaskCounter]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), refresh_per_second=4) as bar:
        key = bar.add_task(name, total=total, completed=done, rate="", note="")

        class BarTask(TaskCounter):
            def advance(self, n: int = 1, note: str = "") -> None:
                speed = bar.tasks[key].speed
                bar.update(key, advance=n, note=note, rate=f"{unit}, {pace(speed)}" if speed else unit)

        yield BarTask()
