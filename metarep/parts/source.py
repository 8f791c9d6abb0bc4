"""The network that is taken apart: out of a checkpoint file or a zoo, and what its tensors are, as importing reads both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from metarep.artefact import MANIFEST, Artefact
from metarep.errors import MetarepError
from metarep.formats.described import read_description
from metarep.networks.architecture import Architecture
from metarep.zoos.account import Account
from metarep.zoos.layouts import find_networks
from metarep.zoos.reader import Reader
from metarep.zoos.zoo import open_zoo


@dataclass(frozen=True)
class Subject:
    """A network to take apart, and the zoo that it came from, if one; `settings` say which network it was."""

    name: str
    architecture: Architecture
    tensors: Mapping[str, torch.Tensor]
    zoo: Artefact | None
    relu: bool
    settings: Mapping[str, Any]

    @property
    def inputs(self) -> dict[str, Artefact]:
        """The zoo as an input of what is made of the network; nothing for a file."""
        return {"zoo": self.zoo} if self.zoo else {}


def open_source(path: Path | str, network_id: str | None = None, *, architecture: Path | str | None = None) -> Subject:
    """A network from a checkpoint file, or one of a zoo by its id; what its tensors are is read as importing reads it.

    `architecture` is a YAML that says of a file's tensors what their names do not. Raises MetarepError for anything else.
    """
    path = Path(path)
    if (path / MANIFEST).is_file():
        return _of_zoo(path, network_id, architecture)
    if network_id is not None and path.exists():
        fix = "leave --network out, or name the zoo"
        raise MetarepError(f"{path} is no zoo", met=f"--network {network_id}", expected="a zoo's folder", fix=fix)
    return _of_file(path, architecture)


def _of_zoo(path: Path, network_id: str | None, architecture: Path | str | None) -> Subject:
    zoo = open_zoo(path)
    if network_id is None:
        raise MetarepError(f"{path} is a zoo", fix="say which network of it: metarep parts MODEL ZOO --network ID")
    if architecture is not None:
        fix = "import the files again with it"
        raise MetarepError(f"{path} is a zoo, which knows what its tensors are", met="--architecture", fix=fix)
    tensors, architecture = zoo.network(network_id), zoo.architecture_of(zoo.row_of(network_id))
    return Subject(network_id, architecture, tensors, zoo.artefact, zoo.activation == "relu", {"network": network_id})


def _of_file(path: Path, architecture: Path | str | None) -> Subject:
    described = read_description(architecture) if architecture is not None else None
    account = Account()
    found = find_networks([path], account)
    account.require_whole(0)
    if len(found) > 1:
        fix = "name one file; or import them, and name the zoo with --network"
        raise MetarepError(f"{path} holds several networks", met=len(found), expected="one", fix=fix)
    reader = Reader(described)
    checkpoint = reader.checkpoint(found[0])
    known = reader.architecture(checkpoint)
    reader.descriptions.require_all_used()
    settings = {"network": found[0].file, "sha256": reader.sha256(found[0])}
    if described is not None:
        settings |= {"architecture": described.resolved()}
    return Subject(found[0].file, known, checkpoint.tensors, None, False, settings)
