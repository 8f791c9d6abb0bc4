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
    kind: Annotated[
        str | None,
        typer.Option(
            help="pooled, states, profile, certainty, surprisal, description, coupling; of a model that was asked for "
            "behaviour activity, beliefs, patterns, effects, function; of a window model layers, pooled, surprisal"
        ),
    ] = None,
    parts: Annotated[
        str | None, typer.Option(help="a window model's: network,layer,unit,window, those that are wanted")
    ] = None,
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
    """Turn every network of a zoo into a vector, and with a window model its layers, units and windows too.

    \b
    Examples:
      metarep embed results/model results/zoo --kind profile --out results/embeddings/profile
      metarep embed results/windows results/imported --parts network,unit --out results/embeddings/units
    """
    from metarep.artefact import open_artefact
    from metarep.settings import load_config

    chosen = [*(overrides or []), *([f"kind={kind}"] if kind else []), *([f"parts=[{parts}]"] if parts else [])]
    if open_artefact(model).kind == "window-model":
        from metarep.windows.embed import embed_windows as embed_zoo
        from metarep.windows.settings import WindowEmbedConfig as Config
    else:
        from metarep.cloze.embed import embed as embed_zoo
        from metarep.cloze.settings import EmbedConfig as Config
    settings = load_config(Config, config, chosen, seed=seed, untrained=untrained)
    folder = out or Path("results/embeddings") / ("untrained_" * settings.untrained + settings.kind)
    path = embed_zoo(
        settings, model, zoo, folder, device=usable_device(device), overwrite=overwrite, progress=progress_for(quiet)
    )
    say_where("embeddings", path)
