"""`metarep info`: what an artefact is, how it was made, whether its hashes hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command


@command(out_help="a text file to write to, not the terminal", overwrite="replace the file at --out")
def info(
    given: Given,
    path: Annotated[Path, typer.Argument(help="an artefact's folder, or a run's")],
    check: Annotated[bool, typer.Option("--check/--no-check", help="verify the hash of every file")] = True,
) -> None:
    """Say what a folder is, how it was made, and whether its hashes hold.

    Exits with 1 where a hash does not hold; with --quiet that is all it does.

    \b
    Example:
      metarep info results/quickstart/zoo
    """
    from metarep.artefact import refuse_to_replace, write_whole

    out = given.out
    refuse_to_replace(out, given.overwrite)
    said = []
    for line in _lines(path, check):
        said.append(line)
        if out is None and not given.quiet:
            typer.echo(line)
    if out is not None:
        write_whole(out, "\n".join(said) + "\n")


def _lines(path: Path, check_hashes: bool) -> Iterator[str]:
    from metarep.artefact import MANIFEST, open_artefact
    from metarep.runner import artefacts_of

    if (path / MANIFEST).is_file() or not artefacts_of(path):
        yield from _description(open_artefact(path))
        yield from _contents(open_artefact(path, check_hashes=check_hashes))
        yield "hashes: every file is as it was written" if check_hashes else "hashes: not checked"
        return
    yield f"run: {path}"
    for folder in artefacts_of(path):
        artefact = open_artefact(folder, check_hashes=check_hashes)
        state = "hashes hold" if check_hashes else "hashes not checked"
        yield f"{folder.relative_to(path)}: {artefact.kind} {artefact.digest[:12]}, {state}"


def _description(artefact) -> Iterator[str]:
    import yaml

    manifest = artefact.manifest
    yield f"kind: {artefact.kind}\npath: {artefact.path}\nmetarep: {manifest['code_version']}\nseed: {manifest['seed']}"
    yield f"sha256 of the manifest: {artefact.digest}"
    yield "config:\n" + _indented(yaml.safe_dump(artefact.config, sort_keys=False))
    yield "inputs:" if manifest["inputs"] else "inputs: none"
    for name, entry in manifest["inputs"].items():
        yield f"  {name}: {entry['path']} {_state(artefact, name)}"
    yield f"files: {len(manifest['files'])}"
    for name, digest in manifest["files"].items():
        yield f"  {name} {digest[:12]}"


def _contents(artefact) -> Iterator[str]:
    """What is inside, for the kinds of which the config does not say it."""
    if artefact.kind == "zoo":
        from .import_networks import summary_lines

        yield "contents:"
        yield from ("  " + line for line in summary_lines(artefact.path))


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
