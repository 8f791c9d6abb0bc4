"""`metarep audit`: how far do embeddings move when a network is rewritten and its function is not?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import print_csv, say_where

COLUMNS = ("rewriting", "metric", "value", "low", "high", "function", "output_change", "n_networks", "n_runs")


@command("metarep.evaluation.settings:AuditConfig", out="results/audit", device=DEVICE)
def audit(
    given: Given,
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    kind: Annotated[str | None, typer.Option(help="the kind of embedding")] = None,
) -> None:
    """Rewrite networks without changing their function, and see how far their embeddings move.

    Units are permuted, scaled, split and pruned, signs turned, attention rotated, as far as these symmetries are known.
    Distances are those to the nearest network of another run.

    \b
    Example:
      metarep audit results/model results/zoo --kind layers --out results/audit
    """
    from metarep.evaluation.audit import audit as run
    from metarep.evaluation.audit import sentence
    from metarep.report.audit_section import png_of_rows
    from metarep.tables import read_csv

    path = run(given.settings(kind=kind), model, zoo, given.out, draw=png_of_rows, **given.how)
    print_csv(path / "audit.csv", COLUMNS)
    typer.echo(sentence(read_csv(path / "audit.csv")))
    say_where("audit", path)
