"""Every result on disk is an artefact: a folder with a `manifest.json`.

The manifest holds the format version, the kind, the resolved config, the seed, the
version of the code, the sha256 of every file and of each manifest it was made from.
It holds no clock time, so the same config and seed give the same bytes. A folder
appears whole or not at all: it is written aside as `<name>.partial` and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metarep.errors import MetarepError
from metarep.lock import locked

FORMAT_VERSION = 2
MANIFEST = "manifest.json"
PLAN = "plan.json"


@dataclass(frozen=True, repr=False)
class Artefact:
    """A finished folder and its manifest."""

    path: Path
    manifest: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.manifest["kind"]

    @property
    def config(self) -> dict[str, Any]:
        return self.manifest["config"]

    def __repr__(self) -> str:
        return (
            f"{self.kind} at {self.path} ({len(self.manifest['files'])} files, made by metarep {self.manifest['code_version']})"
        )

    @property
    def digest(self) -> str:
        """The sha256 of the manifest, which stands for everything in the folder."""
        return sha256_of(self.path / MANIFEST)

    def input_path(self, name: str) -> Path:
        """Where the input `name` lay when this was made, relative to this folder."""
        inputs = self.manifest["inputs"]
        if name not in inputs:
            raise MetarepError(f"{self.path} has no input called {name!r}", expected=sorted(inputs))
        return Path(os.path.normpath(self.path / inputs[name]["path"]))

    def require_input(self, name: str, other: Artefact) -> None:
        """Raises MetarepError unless `other` is the input `name` that this was made from."""
        met = self.manifest["inputs"].get(name, {}).get("manifest_sha256")
        if met != other.digest:
            raise MetarepError(
                f"{self.path} was not made from {other.path}",
                met=f"{name} {str(met)[:12]}",
                expected=other.digest[:12],
                fix=f"make it again from this {name}, or name the {name} it was made from",
            )


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no free choices: equal values give equal text."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False)


def open_artefact(path: Path | str, kind: str | None = None, *, check_hashes: bool = False) -> Artefact:
    """Opens a finished artefact.

    With `kind` it must be of that kind; with `check_hashes` every file must still have the
    bytes that the manifest says. Raises MetarepError for a missing folder, a foreign one,
    another format version, a missing file and an altered one.
    """
    path = Path(path)
    if not path.is_dir():
        hint = " (a partial one lies beside it: run its command again)" if partial_path(path).is_dir() else ""
        raise MetarepError(f"no folder {path}{hint}", expected=f"a metarep {kind or 'artefact'}", fix="check the path")
    manifest_path = path / MANIFEST
    if not manifest_path.is_file():
        raise MetarepError(
            f"{path} has no {MANIFEST}", expected=f"a metarep {kind or 'artefact'}", fix="name a folder that metarep wrote"
        )
    try:
        manifest = json.loads(manifest_path.read_text())
        version, found_kind = manifest["format_version"], manifest["kind"]
        files = dict(manifest["files"])
        dict(manifest["inputs"]), dict(manifest["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise MetarepError(
            f"{manifest_path} is not a metarep manifest", met=repr(error), fix="make the artefact again"
        ) from error
    if version != FORMAT_VERSION:
        raise MetarepError(
            f"{manifest_path}: format_version",
            met=version,
            expected=FORMAT_VERSION,
            fix="make it again, or use the version of metarep that wrote it",
        )
    if kind is not None and found_kind != kind:
        raise MetarepError(
            f"{path} holds something else", met=f"a {found_kind}", expected=f"a {kind}", fix=f"name a folder with a {kind}"
        )
    for name, digest in files.items():
        file = path / name
        if not file.is_file():
            raise MetarepError(f"{file} is missing", expected=f"sha256 {digest[:12]}", fix="make the artefact again")
        if check_hashes and sha256_of(file) != digest:
            raise MetarepError(
                f"{file} is truncated or altered",
                met=f"sha256 {sha256_of(file)[:12]}",
                expected=digest[:12],
                fix="restore the file or make the artefact again",
            )
    return Artefact(path, manifest)


def partial_path(path: Path) -> Path:
    """Where an artefact is written before it is whole."""
    return path.with_name(path.name + ".partial")


@contextmanager
def writing(
    path: Path | str,
    kind: str,
    *,
    config: Mapping[str, Any],
    seed: int | None,
    inputs: Mapping[str, Artefact] | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> Iterator[Path]:
    """A folder to write in, which becomes the artefact `path` when the block ends well.

    With `resume` an unfinished folder of the same config and inputs is handed out again
    with what it holds, and stays when the block is broken off; otherwise it starts and
    ends empty. Raises MetarepError before anything changes where `path` holds a
    finished artefact (or anything else) and `overwrite` is False.
    """
    path, inputs = Path(path), dict(inputs or {})
    plan = canonical_json({"kind": kind, "config": config, "inputs": {k: v.digest for k, v in inputs.items()}})
    with locked(path):
        refuse_to_overwrite(path, overwrite)
        partial = _started(path, plan, resume)
        try:
            yield partial
        except BaseException:
            if not resume:
                shutil.rmtree(partial, ignore_errors=True)
            raise
        (partial / PLAN).unlink()
        _write_manifest(partial, path, kind, config, seed, inputs)
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)


def _started(path: Path, plan: str, resume: bool) -> Path:
    """The partial folder, with what it holds where the same plan is resumed."""
    partial = partial_path(path)
    plan_file = partial / PLAN
    if not (resume and plan_file.is_file() and plan_file.read_text() == plan):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        plan_file.write_text(plan)
    return partial


def refuse_to_overwrite(path: Path, overwrite: bool) -> None:
    """Raises MetarepError when something lies at `path`, unless it is a metarep artefact and `overwrite`."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / MANIFEST).is_file():
        raise MetarepError(f"{path} exists and is no metarep artefact", fix="choose another --out")
    if not overwrite:
        raise MetarepError(f"{path} is already finished", fix="pass --overwrite, or choose another --out")


def refuse_to_replace(file: Path | None, overwrite: bool) -> None:
    """Raises MetarepError where a single file that is to be written exists, unless `overwrite`, or is a folder."""
    if file is not None and file.exists() and (file.is_dir() or not overwrite):
        fix = "choose another --out" if file.is_dir() else "pass --overwrite, or choose another --out"
        raise MetarepError(f"{file} exists", fix=fix)


def _write_manifest(folder: Path, final: Path, kind: str, config, seed, inputs: Mapping[str, Artefact]) -> None:
    from metarep import __version__

    files = {file.relative_to(folder).as_posix(): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()}
    manifest = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "code_version": __version__,
        "seed": seed,
        "config": config,
        "inputs": {
            name: {"path": os.path.relpath(value.path, final), "manifest_sha256": value.digest}
            for name, value in inputs.items()
        },
        "files": files,
    }
    write_whole(folder / MANIFEST, canonical_json(manifest) + "\n")


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that it appears whole or not at all, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    aside.rename(path)
