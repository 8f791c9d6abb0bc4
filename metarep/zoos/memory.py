"""Networks in no zoo on disk: files and state dicts, read as an import reads them, as a zoo in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.formats.contents import Checkpoint
from metarep.formats.readers import read_checkpoint
from metarep.networks.architecture import Architecture, bare_names
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
    own, held = zip(*(_as_in(like, checkpoint) for checkpoint in held), strict=True)
    numbers = [known.setdefault(architecture, len(known)) for architecture in own]
    finite = [all_finite(architecture, tensors) for architecture, tensors in zip(own, held, strict=True)]
    activation = None if like is None else like.activation
    outputs = tuple(_output(like, architecture) for architecture in known)
    texts = {"network_id": names, "run_id": names, "split": ["test"] * len(names), "snapshot_of": [""] * len(names)}
    columns = {name: np.array(values, dtype=object) for name, values in texts.items()}
    columns |= {"finite": np.array(finite), "architecture": np.array(numbers), "row": np.arange(len(names))}
    stored = InMemory(held, tuple(known), activation, outputs)
    return Zoo(columns, contents=Contents(), stored=stored)


def _as_in(like: Zoo | None, checkpoint: Checkpoint) -> tuple[Architecture, dict[str, torch.Tensor]]:
    """The architecture of `like` whose tensors have the same names, but for what all begin with, and shapes, or else what names
    and shapes say; and the tensors under its names.
    """
    bare = bare_names(checkpoint.tensors)
    tensors = {bare[name]: value for name, value in checkpoint.tensors.items()}
    for architecture in like.architectures if like is not None else ():
        names = bare_names(tensor.name for tensor in architecture.tensors)
        if {names[one.name]: one.shape for one in architecture.tensors} == {name: v.shape for name, v in tensors.items()}:
            return architecture, {name: tensors[names[name]] for name in names}
    return checkpoint.architecture, checkpoint.tensors


def _output(like: Zoo | None, architecture: Architecture) -> str:
    known = dict(zip(like.architectures, like.output_activations, strict=True)) if like is not None else {}
    return known.get(architecture, "identity")
