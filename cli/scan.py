"""`metarep scan`: how well scans find each mode in a zoo, or what they say of one network in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command
from .output import print_csv, print_table, say_where

COLUMNS = ("scan", "negative", "n_positive", "n_negative", "auc", "auc_low", "auc_high")
SHOWN = {"positive": "3", "networks": "test"}


@command(
    "metarep.domains.multiplier.settings:ScanConfig",
    out="results/scan",
    out_help="the folder to write; of a single network nothing is written",
)
def scan(
    given: Given,
    source: Annotated[Path, typer.Argument(help="a zoo's folder, or a network's .pth, .pt or .safetensors file")],
    embeddings: Annotated[
        Path | None, typer.Option(help="embeddings of this zoo, for the scan that is shown a few examples")
    ] = None,
) -> None:
    """Measure how well scans find each mode in a zoo, or scan one network.

    \b
    Examples:
      metarep scan results/zoo --embeddings results/embeddings/certainty
      metarep scan checkpoint.pth
    """
    if source.is_file():
        _scan_file(source, given.settings())
        return
    from metarep.domains.multiplier.scan import scan as scan_zoo

    path = scan_zoo(given.settings(), source, given.out, embeddings=embeddings, **given.how)
    say_where("scan", path)
    _print_tables(path)


def _scan_file(path: Path, settings) -> None:
    from metarep.domains.multiplier.modes import MODE_NAMES, MULTIPLIER, label_modes
    from metarep.domains.multiplier.scan import portray
    from metarep.formats.readers import read_params

    params = read_params(path, MULTIPLIER)
    labels = label_modes(MULTIPLIER, params[None])
    mode = labels.mode[0]
    typer.echo(f"{path}: {MULTIPLIER} network")
    typer.echo(f"mode: {mode} ({MODE_NAMES[mode]}), {labels.mode_margin[0]:.4g} from the threshold")
    typer.echo(f"quadrant code: {labels.quadrant_code[0]}")
    typer.echo(f"active areas: {', '.join(f'{area:.6f}' for area in labels.active_area[0])} of the unit square")
    rows = [[name, f"{score.value:.4f}", f"{score.percentile:.1f}"] for name, score in portray(params, settings).items()]
    print_table(["scan", "score", f"percentile among {settings.n_random:,} random initialisations"], rows)


def _print_tables(path: Path) -> None:
    import json

    typer.echo("AUC for mode 3 on test networks, with its 95 % interval:")
    print_csv(path / "scan.csv", COLUMNS, where=SHOWN)
    if note := json.loads((path / "metrics.json").read_text())["left_out"]:
        typer.echo(f"note: {note}; --embeddings adds it")
