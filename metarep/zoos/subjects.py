"""The networks of any zoo, built or imported, as named tensors with their architecture and symmetries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from metarep.artefact import Artefact, open_artefact
from metarep.errors import MetarepError
from metarep.networks.architecture import Architecture, read_architecture, readable_tensors
from metarep.networks.inference import symmetries_of
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry_groups import Symmetries
from metarep.networks.tensor_symmetry import canonical as canonical_form
from metarep.networks.tensor_symmetry import canonical_orders, permuted, random_symmetry
from metarep.progress import Progress
from metarep.zoos.exporting import as_sequential
from metarep.zoos.imported import KIND, ImportedZoo, load_imported
from metarep.zoos.store import Zoo, load_zoo


@dataclass(frozen=True)
class Subjects:
    """N networks of one zoo: network_id, run_id and split (N,) text, architecture (N,) int64, final (N,) bool — no snapshot.

    `activation` stands behind the hidden layers of all of them and `output_activations` behind the outputs of each
    architecture, where that is known. `n_left_out` of the zoo's networks are not among them, since they hold NaN or
    infinity.
    """

    artefact: Artefact
    network_id: np.ndarray
    run_id: np.ndarray
    split: np.ndarray
    final: np.ndarray
    architecture: np.ndarray
    architectures: tuple[Architecture, ...]
    activation: str | None
    output_activations: tuple[str, ...]
    n_left_out: int
    _zoo: Zoo | ImportedZoo = field(repr=False)

    def __len__(self) -> int:
        return len(self.network_id)

    @cached_property
    def symmetries(self) -> tuple[Symmetries, ...]:
        """The symmetries of each architecture."""
        return tuple(symmetries_of(architecture, relu=self.activation == "relu") for architecture in self.architectures)

    def architecture_of(self, index: int) -> Architecture:
        """The architecture of one network."""
        return self.architectures[self.architecture[index]]

    def tensors(self, index: int) -> dict[str, torch.Tensor]:
        """The weights of one network as float32, units in canonical order. Raises MetarepError for NaN and infinity."""
        return self.ordered(index)[0]

    def ordered(self, index: int) -> tuple[dict[str, torch.Tensor], list[torch.Tensor | None]]:
        """The same, and for each symmetry group the order (n,) that its units were brought into; None for no other one."""
        found, symmetries = self.raw_tensors(index), self.symmetries[self.architecture[index]]
        orders = canonical_orders(found, symmetries)
        return permuted(found, symmetries, orders), orders

    def stacked(self, rows: np.ndarray, *, canonical: bool = False) -> dict[str, torch.Tensor]:
        """The weights of networks (N,) of one architecture side by side, (N, *shape) float32, in canonical order or as
        stored.
        """
        number = int(self.architecture[rows[0]])
        if isinstance(self._zoo, ImportedZoo):
            each = [self.raw_tensors(int(row)) for row in rows]
            found = {name: torch.stack([one[name] for one in each]) for name in each[0]}
        else:
            at = self._rows[rows]
            params = np.stack(self._zoo["params"][at]).astype(np.float32)
            found = as_sequential(NetworkSpec.parse(self._zoo["spec"][at[0]]), params)
        return canonical_form(found, self.symmetries[number], n_lead=1) if canonical else found

    def shuffled_tensors(self, index: int, *, log_scale_std: float, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """The same network with its interchangeable units in a random order, ReLU units scaled at random too."""
        symmetries = self.symmetries[self.architecture[index]]
        return random_symmetry(self.raw_tensors(index), symmetries, generator=generator, log_scale_std=log_scale_std)

    def raw_tensors(self, index: int) -> dict[str, torch.Tensor]:
        """The weights of one network as float32, as stored. Raises MetarepError for NaN and infinity."""
        name = str(self.network_id[index])
        if isinstance(self._zoo, ImportedZoo):
            tensors: Mapping[str, torch.Tensor] = self._zoo.network(name)
        else:
            row = self._rows[index]
            tensors = as_sequential(NetworkSpec.parse(self._zoo["spec"][row]), np.asarray(self._zoo["params"][row]))
        return readable_tensors(self.architecture_of(index), tensors, where=f"network {name}")

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.flatnonzero(~self._zoo["diverged"])


def open_subjects(path: Path | str) -> Subjects:
    """The finite networks of a zoo. Raises MetarepError for anything else, and where an imported zoo has none."""
    artefact = open_artefact(path)
    if artefact.kind == KIND:
        return _imported(load_imported(path))
    if artefact.kind != "zoo":
        fix = "name a folder that `build-zoo`, `build-digits` or `import` wrote"
        raise MetarepError(f"{path} is of another kind", met=artefact.kind, expected="a zoo", fix=fix)
    return _built(load_zoo(path))


def say_left_out(subjects: Subjects, progress: Progress) -> None:
    """Says how many networks of a zoo are left out, if any."""
    if subjects.n_left_out:
        progress.say(f"{subjects.artefact.path}: {subjects.n_left_out:,} networks with NaN or infinity are left out")


def _imported(whole: ImportedZoo) -> Subjects:
    zoo = whole.finite_only()
    columns = {name: np.array(zoo[name], dtype=object) for name in ("network_id", "run_id", "split")}
    architecture = np.array(zoo["architecture"], dtype=np.int64)
    final = np.ones(len(zoo), dtype=bool)
    unknown = {"activation": None, "output_activations": ("identity",) * len(zoo.architectures)}
    shared = {"architectures": zoo.architectures, **unknown, "n_left_out": whole.n_not_finite, "_zoo": zoo}
    return Subjects(zoo.artefact, **columns, final=final, architecture=architecture, **shared)


def _built(zoo: Zoo) -> Subjects:
    finite = zoo.select(~zoo["diverged"])
    specs, number = np.unique(finite["spec"].astype(str), return_inverse=True)
    columns = {name: finite[name] for name in ("network_id", "run_id", "split")}
    final = np.isin(finite["network_id"].astype(str), zoo.final()["network_id"].astype(str))
    known = tuple(architecture_of_spec(NetworkSpec.parse(spec)) for spec in specs)
    ends = tuple("relu" if NetworkSpec.parse(spec).output_relu else "identity" for spec in specs)
    runs = {"activation": "relu", "output_activations": ends}
    shared = {"architectures": known, **runs, "n_left_out": int(zoo["diverged"].sum()), "_zoo": zoo}
    return Subjects(zoo.artefact, **columns, final=final, architecture=number.astype(np.int64), **shared)


def architecture_of_spec(spec: NetworkSpec) -> Architecture:
    """The tensors of a fully connected network, named as `export` names them."""
    tensors = as_sequential(spec, np.zeros(spec.n_params, np.float32))
    return read_architecture([(name, tuple(value.shape), "float32") for name, value in tensors.items()])
