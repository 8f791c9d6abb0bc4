"""`metarep info`: what an artefact is, how it was made, whether its hashes hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def info(path: Annotated[Path, typer.Argument(help="an artefact's folder, or a run's")]) -> None:
    """Say what a folder is, how it was made, if its hashes hold.

    Exits with 1 where a hash does not hold.

    \b
    Example:
      metarep info results/quickstart/zoo
    """
    from metarep.artefact import MANIFEST, open_artefact
    from metarep.pipeline import artefacts_of

    if (path / MANIFEST).is_file() or not artefacts_of(path):
        _describe(open_artefact(path))
        open_artefact(path, check_hashes=True)
        typer.echo("hashes: every file is as it was written")
        return
    typer.echo(f"run: {path}")
    for folder in artefacts_of(path):
        artefact = open_artefact(folder, check_hashes=True)
        typer.echo(f"{folder.relative_to(path)}: {artefact.kind} {artefact.digest[:12]}, hashes hold")


def _describe(artefact) -> None:
    import yaml

    manifest = artefact.manifest
    typer.echo(f"kind: {artefact.kind}\npath: {artefact.path}\nmetarep: {manifest['code_version']}\nseed: {manifest['seed']}")
    typer.echo(f"sha256 of the manifest: {artefact.digest}")
    typer.echo("config:\n" + _indented(yaml.safe_dump(artefact.config, sort_keys=False)))
    typer.echo("inputs:" if manifest["inputs"] else "inputs: none")
    for name, entry in manifest["inputs"].items():
        typer.echo(f"  {name}: {entry['path']} {_state(artefact, name)}")
    typer.echo(f"files: {len(manifest['files'])}")
    for name, digest in manifest["files"].items():
        typer.echo(f"  {name} {digest[:12]}")


def _state(artefact, name: str) -> str:
    """Whether an input still lies where it lay, and is still the one that was used."""
    from metarep.artefact import MANIFEST, sha256_of

    manifest = artefact.input_path(name) / MANIFEST
    if not manifest.is_file():
        return "(no longer there)"
    same = sha256_of(manifest) == artefact.manifest["inputs"][name]["manifest_sha256"]
    return "(unchanged)" if same else "(made again since: no longer the one that was used)"


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.rstrip().splitlines())
