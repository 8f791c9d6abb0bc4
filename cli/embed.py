"""`metarep embed`: a vector for every network of a zoo, and for its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEVICE, Given, command
from .output import print_table, say_where


def _list_kinds(wanted: bool) -> None:
    if wanted:
        from metarep.embeddings.registry import kind_named, kind_names

        kinds = [kind_named(name) for name in kind_names()]
        print_table(("kind", "needs", "what"), [(k.name, ", ".join(k.needs) or "-", k.description) for k in kinds], left=True)
        raise typer.Exit


@command(
    "metarep.embeddings.settings:EmbedConfig",
    out_help="the folder; by default results/embeddings/KIND",
    device=DEVICE,
    cluster=True,
)
def embed(
    given: Given,
    model: Annotated[Path, typer.Argument(help="a model's folder")],
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    kind: Annotated[str | None, typer.Option(help="the kind of embedding")] = None,
    kinds: Annotated[bool, typer.Option("--kinds", callback=_list_kinds, is_eager=True, help="list them and exit")] = False,
    parts: Annotated[str | None, typer.Option(help="network,layer,unit,window: those that are wanted")] = None,
    untrained: Annotated[bool | None, typer.Option("--untrained", help="the control: a fresh encoder")] = None,
) -> None:
    """Turn every network of a zoo into a vector, and its layers, units and windows too.

    \b
    Examples:
      metarep embed results/model results/zoo --kind predictability --out results/embeddings/predictability
      metarep embed results/model results/zoo --parts network,unit --out results/embeddings/units
    """
    from metarep.embeddings.stage import embed as embed_zoo

    wanted = None if parts is None else parts.split(",")
    settings = given.settings(kind=kind, parts=wanted, untrained=untrained)
    folder = given.out or Path("results/embeddings", *(["untrained"] if settings.untrained else []), settings.kind)
    say_where("embeddings", embed_zoo(settings, model, zoo, folder, **given.how))
