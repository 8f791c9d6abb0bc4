"""Where the parameters of a zoo lie: in a column, for fully connected networks, in safetensors shards, or in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.formats.contents import dtype_of
from metarep.formats.safetensors_files import DTYPES, read_safetensors
from metarep.networks.architecture import Architecture, read_architecture
from metarep.networks.spec import NetworkSpec

ARCHITECTURES = "architectures.json"
Columns = Mapping[str, np.ndarray]


def shard_name(index: int) -> str:
    """The file name of one shard."""
    return f"shard-{index:05d}.safetensors"


@dataclass(frozen=True)
class InColumns:
    """Parameters (N, P) in the column `params`, of networks whose architecture the column `spec` says.

    `activation` stands behind the hidden layers of all networks, `output_activations` behind the outputs of each architecture.
    """

    specs: tuple[str, ...]
    activation: str | None = "relu"

    @cached_property
    def architectures(self) -> tuple[Architecture, ...]:
        """One for each spec."""
        return tuple(architecture_of_spec(NetworkSpec.parse(spec)) for spec in self.specs)

    @property
    def output_activations(self) -> tuple[str, ...]:
        """The ReLU of specs that end in one."""
        return tuple("relu" if NetworkSpec.parse(spec).output_relu else "identity" for spec in self.specs)

    def numbers(self, columns: Columns) -> np.ndarray:
        """(N,) int64: which of the architectures each network has."""
        return np.searchsorted(np.array(self.specs, dtype=str), columns["spec"].astype(str)).astype(np.int64)

    def tensors(self, columns: Columns, row: int) -> dict[str, torch.Tensor]:
        """The tensors of the network in one row by name, in order, bit for bit."""
        return as_sequential(NetworkSpec.parse(columns["spec"][row]), np.asarray(columns["params"][row]))

    def stacked(self, columns: Columns, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """The tensors of networks (N,) of one architecture side by side, (N, *shape)."""
        return as_sequential(NetworkSpec.parse(columns["spec"][rows[0]]), np.stack(list(columns["params"][rows])))


class OneByOne:
    """What is read network by network; the column `architecture` says which of the architectures each has."""

    def numbers(self, columns: Columns) -> np.ndarray:
        """See `InColumns.numbers`."""
        return columns["architecture"].astype(np.int64)

    def stacked(self, columns: Columns, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """See `InColumns.stacked`."""
        networks = [self.tensors(columns, int(row)) for row in rows]
        return {name: torch.stack([one[name] for one in networks]) for name in networks[0]}


@dataclass(frozen=True)
class InShards(OneByOne):
    """Tensors (n, *shape) of some networks in each safetensors file; columns `architecture`, `shard` and `row` say where."""

    folder: Path
    architectures: tuple[Architecture, ...]
    activation: str | None = None

    @classmethod
    def in_folder(cls, folder: Path) -> InShards:
        """Those of a zoo. Raises MetarepError where its architectures cannot be read."""
        try:
            known = json.loads((folder / ARCHITECTURES).read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise MetarepError(f"{folder / ARCHITECTURES} cannot be read", met=error, fix="import the zoo again") from error
        return cls(folder, tuple(Architecture.from_json(entry) for entry in known))

    @property
    def output_activations(self) -> tuple[str, ...]:
        """Nothing behind the outputs, as far as is known."""
        return ("identity",) * len(self.architectures)

    def tensors(self, columns: Columns, row: int) -> dict[str, torch.Tensor]:
        """See `InColumns.tensors`."""
        architecture = self.architectures[columns["architecture"][row]]
        stacked, _ = read_safetensors(self.folder / shard_name(columns["shard"][row]))
        at = int(columns["row"][row])
        return {tensor.name: _row(stacked[tensor.name], at, tensor.dtype, tensor.shape) for tensor in architecture.tensors}


@dataclass(frozen=True)
class InMemory(OneByOne):
    """The tensors of each network; the columns `architecture` and `row` say where. See `InColumns`."""

    networks: tuple[Mapping[str, torch.Tensor], ...]
    architectures: tuple[Architecture, ...]
    activation: str | None = None
    output_activations: tuple[str, ...] = ()

    def tensors(self, columns: Columns, row: int) -> dict[str, torch.Tensor]:
        """See `InColumns.tensors`."""
        return dict(self.networks[columns["row"][row]])


Parameters = InColumns | InShards | InMemory


def _row(stacked: torch.Tensor, row: int, dtype: str, shape: tuple[int, ...]) -> torch.Tensor:
    """One network's tensor out of (n, *shape), as a copy of its own."""
    return as_typed(stacked[row].clone(), dtype, shape)


def as_typed(values: torch.Tensor, dtype: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor as it was before `write_safetensors` made bytes of a dtype that the format does not know.

    Bytes are copied: in a mapped file they may lie where numbers must not.
    """
    wanted = dtype_of(dtype)
    if wanted in DTYPES:
        return values
    return values.reshape(-1).clone().view(wanted).reshape(shape) if values.numel() else torch.empty(tuple(shape), dtype=wanted)


def as_sequential(spec: NetworkSpec, params: np.ndarray) -> dict[str, torch.Tensor]:
    """Parameters (…, P) as the float32 state dict of nn.Sequential(Linear, ReLU, …): "0.weight", "0.bias", "2.weight"."""
    tensors: dict[str, torch.Tensor] = {}
    for layer, (weight, bias) in enumerate(spec.unpack(np.asarray(params, dtype=np.float32))):
        tensors[f"{2 * layer}.weight"] = torch.tensor(weight)
        tensors[f"{2 * layer}.bias"] = torch.tensor(bias)
    return tensors


def architecture_of_spec(spec: NetworkSpec) -> Architecture:
    """The tensors of a fully connected network, named as `export` names them."""
    tensors = as_sequential(spec, np.zeros(spec.n_params, np.float32))
    return read_architecture([(name, tuple(value.shape), "float32") for name, value in tensors.items()])
