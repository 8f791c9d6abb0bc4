"""`metarep embed`: a vector for every network of a zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, Overrides, Overwrite, Quiet, Seed, progress_for, usable_device
from .output import say_where


def embed(
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    kind: Annotated[str | None, typer.Option(help="pooled, profile, certainty or coupling")] = None,
    untrained: Annotated[bool | None, typer.Option("--untrained", help="the control: a fresh encoder")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="the folder to write; results/embeddings/<kind> if left out")
    ] = None,
    seed: Seed = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Turn every network of a zoo into a vector.

    \b
    Example:
      metarep embed results/model results/zoo --kind profile --out results/embeddings/profile
    """
    from metarep.cloze.embed import embed as embed_zoo
    from metarep.config import EmbedConfig
    from metarep.settings import load_config

    chosen = [f"kind={kind}"] if kind else []
    settings = load_config(EmbedConfig, config, [*(overrides or []), *chosen], seed=seed, untrained=untrained)
    folder = out or Path("results/embeddings") / ("untrained_" * settings.untrained + settings.kind)
    path = embed_zoo(
        settings, model, zoo, folder, device=usable_device(device), overwrite=overwrite, progress=progress_for(quiet)
    )
    say_where("embeddings", path)
