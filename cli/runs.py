"""`metarep run`, `demo`, `report`, `map`, `ablations` and the three series of studies: from a question to a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, OVERRIDES, Given, command
from .output import print_csv, say_where

SIDE_BY_SIDE = ("run", "row", "embedding", "kmeans_ari", "gmm_ari", "linear", "masked_r2")


@command(
    "metarep.run_settings:RunConfig",
    out_help="the run's folder; by default results/NAME",
    overwrite="make stages again whose settings or inputs have changed",
    seed="override the seeds of all stages; targets keep theirs",
    device=DEVICE,
    publish=True,
)
def run(
    given: Given,
    source: Annotated[Path | None, typer.Argument(help="a folder of checkpoints, a YAML file, or a zoo")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="a CSV or Parquet table of labels and properties; its column `file` joins")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="a first look at a folder in about two minutes")] = False,
) -> None:
    """Make everything, from a folder of checkpoints or from a zoo to a report.

    Says first what was found, what will be done with which settings, and about how long that takes. Settings that neither
    --config nor --set states are fitted to the folder. Stages that are finished with the same settings and inputs are kept, so
    an interrupted run carries on.

    \b
    Examples:
      metarep run checkpoints/ --labels labels.csv --out results/mine
      metarep run configs/quickstart.yaml --set pretrain.n_steps=500
    """
    from metarep.outlook import run_folder

    if source is None and given.config is None:
        raise typer.BadParameter("name a folder or a config file: metarep run SOURCE", param_hint="SOURCE")
    seeds = [] if given.seed is None else [f"seed={given.seed}"]
    folder = run_folder(
        source or given.config,
        given.out,
        labels=labels,
        quick=quick,
        config=given.config if source else None,
        overrides=[*(given.overrides or []), *seeds],
        publish_to=given.publish,
        **given.how,
    )
    say_where("run", folder)
    if (folder / "map").is_dir():
        say_where("map", folder / "map" / "map.html")
    if (folder / "report").is_dir():
        say_where("report", folder / "report" / "report.html")


@command(out="results/demo", overwrite="make stages again whose settings or inputs have changed")
def demo(
    given: Given,
    example: Annotated[str, typer.Argument(help="one of the examples that come with metarep")] = "multiplier",
) -> None:
    """Write the report on a small zoo and a model that come with metarep: what a run ends in, within a minute.

    \b
    Example:
      metarep demo --out results/demo
    """
    from metarep.examples import demo as show

    folder = show(given.out, example, **given.how)
    say_where("run", folder)
    say_where("report", folder / "report" / "report.html")


@command("metarep.report.settings:ReportConfig", out_help="the folder to write; RUN/report if left out", seed="")
def report(
    given: Given,
    run: Annotated[Path, typer.Argument(help="a run's folder, as `metarep run` leaves it")],
) -> None:
    """Write the report of a run, one HTML file.

    \b
    Example:
      metarep report results/quickstart --overwrite
    """
    from metarep.report.page import report as write

    path = write(run, given.out, config=given.settings(), **given.how)
    say_where("report", path / "report.html")


@command(
    "metarep.map.settings:MapConfig",
    out_help="the HTML file to write; by default map.html in the first of the folders",
    overwrite="replace the file at --out",
)
def map_(
    given: Given,
    sources: Annotated[list[Path], typer.Argument(help="a run; or embeddings, with or without their zoo")],
) -> None:
    """Draw every network as a point, in one HTML file that opens by double click and needs no network.

    \b
    Examples:
      metarep map results/quickstart
      metarep map results/embeddings --out map.html --set picture_megabytes=20
    """
    from metarep.map.page import write_map

    path = write_map(given.settings(), sources, given.out or sources[0] / "map.html", **given.how)
    say_where("map", path)


@command(out="results/ablations", device=DEVICE, publish=True, overwrite="make again what has changed")
def ablations(
    given: Given,
    configs: Annotated[Path, typer.Argument(help="a folder of YAML files: base.yaml and those that extend it")],
    overrides: OVERRIDES = None,
) -> None:
    """Run a series of configs that share a zoo and a base model, and put their models side by side.

    What is finished with the same settings and inputs is kept.

    \b
    Example:
      metarep ablations configs/ablations --out results/ablations
    """
    from metarep.series import run_series

    path = run_series(configs, given.out, overrides=overrides, publish_to=given.publish, **given.how)
    say_where("ablations", path)
    print_csv(path / "ablations.csv", SIDE_BY_SIDE)


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
    _study("EXPERIMENTS", name, given, "published", "found", "best_known", "verdict")


@command("metarep.studies.settings:QuestionConfig", out="results/questions", publish=True)
def question(given: Given, name: Annotated[str, typer.Argument(help="1 to 4, or all")]) -> None:
    """Answer one of the four questions about learning from parameters, or all of them.

    1 how big must the subject material be · 2 does it transfer · 3 what should the input look like · 4 is the task
    too hard.

    \b
    Example:
      metarep question 4 --out results/questions
    """
    _study("QUESTIONS", name, given, "found")


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
    _study("BEYOND", name, given, "found", **paths)


def _study(series: str, name: str, given: Given, *columns: str, **fixed: str | None) -> None:
    """Runs one study of a series, or all of them, and prints some columns of the summary."""
    from metarep.studies import series as known
    from metarep.studies.running import run_series

    chosen = getattr(known, series)
    path = run_series(given.settings(**fixed), name, given.out, series=chosen, publish_to=given.publish, **given.how)
    print_csv(path / "report" / "summary.csv", ("study", "quantity", *columns))
    say_where("page", path / "report" / "report.html")
