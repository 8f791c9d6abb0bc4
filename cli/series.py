"""`metarep experiment`, `question` and `beyond`: the three series of studies, each from its question to a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command
from .output import print_csv, say_where


@command("metarep.studies.settings:ExperimentConfig", out="results/experiments", publish=True)
def experiment(given: Given, name: Annotated[str, typer.Argument(help="1 to 10, optima, dynamics, or all")]) -> None:
    """Run one of the ten experiments on how a network multiplies two numbers, or all of them.

    1 linear · 2 a ReLU on the output · 3 one hidden layer · 4 the clean mode-3 network · 5 trained further on the
    square · 6 hand-crafted · 7 trained further from it · 8 other starting biases · 9 thousands from scratch ·
    10 the scan · optima: which algorithm is best · dynamics: how modes arise.

    \b
    Example:
      metarep experiment 4 --out results/experiments
    """
    _run("EXPERIMENTS", name, given, "published", "found", "best_known", "verdict")


@command("metarep.studies.settings:QuestionConfig", out="results/questions", publish=True)
def question(given: Given, name: Annotated[str, typer.Argument(help="1 to 4, or all")]) -> None:
    """Answer one of the four questions about learning from parameters, or all of them.

    1 how big must the subject material be · 2 does it transfer · 3 what should the input look like · 4 is the task
    too hard.

    \b
    Example:
      metarep question 4 --out results/questions
    """
    _run("QUESTIONS", name, given, "found")


@command("metarep.studies.settings:BeyondConfig", out="results/beyond", publish=True)
def beyond(
    given: Given,
    name: Annotated[str, typer.Argument(help="planted, trained, architectures, digits, large, or all")],
    model: Annotated[Path | None, typer.Option(help="a model pretrained on 2-2-1 networks; made if left out")] = None,
    zoo: Annotated[Path | None, typer.Option(help="its zoo; where the model's manifest says if left out")] = None,
) -> None:
    """Go beyond tiny whole networks: parts inside larger ones, other architectures, convolutions, size.

    planted: networks built of 2-2-1 blocks, are they found · trained: the parts of wide networks, ablated ·
    architectures: read for the first time · digits: accuracy, epoch and gap of convolutional networks · large: time and
    memory.

    \b
    Example:
      metarep beyond planted --model results/representation/model --out results/beyond
    """
    paths = {key: None if path is None else str(path) for key, path in (("model", model), ("zoo", zoo))}
    _run("BEYOND", name, given, "found", **paths)


def _run(series: str, name: str, given: Given, *columns: str, **fixed: str | None) -> None:
    """Runs one study of a series, or all of them, and prints some columns of the summary."""
    from metarep.studies import series as known
    from metarep.studies.running import run_series

    chosen = getattr(known, series)
    path = run_series(given.settings(**fixed), name, given.out, series=chosen, publish_to=given.publish, **given.how)
    print_csv(path / "report" / "summary.csv", ("study", "quantity", *columns))
    say_where("page", path / "report" / "report.html")
