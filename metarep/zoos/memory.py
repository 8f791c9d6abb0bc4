"""Networks in no zoo on disk: files and state dicts, read as an import reads them, as a zoo in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.formats.contents import Checkpoint
from metarep.formats.readers import read_checkpoint
from metarep.networks.architecture import Architecture
from metarep.zoos.columns import Contents
from metarep.zoos.parameters import InMemory
from metarep.zoos.shards import all_finite
from metarep.zoos.zoo import Zoo

Tensors = Mapping[str, torch.Tensor]


def zoo_of(networks: Sequence[Path | str | Tensors], names: Sequence[str] | None = None, *, like: Zoo | None = None) -> Zoo:
    """A zoo of files of one network each, or of state dicts by name; an architecture that `like` has is read as there.

    Raises MetarepError for files that cannot be read or hold several networks.
    """
    held = [read_checkpoint(Path(one)) if isinstance(one, Path | str) else Checkpoint(dict(one)) for one in networks]
    names = list(names or (str(one) if isinstance(one, Path | str) else str(i) for i, one in enumerate(networks)))
    if not held:
        raise MetarepError("no network", expected="a list of files or of state dicts")
    known: dict[Architecture, int] = {}
    own = [_as_in(like, checkpoint) for checkpoint in held]
    numbers = [known.setdefault(architecture, len(known)) for architecture in own]
    finite = [all_finite(architecture, one.tensors) for architecture, one in zip(own, held, strict=True)]
    activation = None if like is None else like.activation
    outputs = tuple(_output(like, architecture) for architecture in known)
    texts = {"network_id": names, "run_id": names, "split": ["test"] * len(names), "snapshot_of": [""] * len(names)}
    columns = {name: np.array(values, dtype=object) for name, values in texts.items()}
    columns |= {"finite": np.array(finite), "architecture": np.array(numbers), "row": np.arange(len(names))}
    stored = InMemory(tuple(one.tensors for one in held), tuple(known), activation, outputs)
    return Zoo(columns, contents=Contents(), stored=stored)


def _as_in(like: Zoo | None, checkpoint: Checkpoint) -> Architecture:
    """The architecture of `like` whose tensors have the same names and shapes, or else what names and shapes say."""
    named = {name: shape for name, shape, _ in checkpoint.named}
    for architecture in like.architectures if like is not None else ():
        if {tensor.name: tensor.shape for tensor in architecture.tensors} == named:
            return architecture
    return checkpoint.architecture


def _output(like: Zoo | None, architecture: Architecture) -> str:
    known = dict(zip(like.architectures, like.output_activations, strict=True)) if like is not None else {}
    return known.get(architecture, "identity")
