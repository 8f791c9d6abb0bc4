"""The stage that embeds networks of any size, and their parts. Nothing is masked at random here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from metarep.artefact import Artefact, open_artefact, write_whole, writing
from metarep.devices import is_gpu
from metarep.embeddings.readout import Readout, read_networks
from metarep.embeddings.registry import Kind, kind_named
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.store import FILE, KIND, EmbeddingWriter, PartRows
from metarep.errors import MetarepError
from metarep.model.augment import draw_further, permute_units, scale_units
from metarep.model.behaviour import ProbeSpace, space_name
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.model.windows import Plan
from metarep.networks.chain_forward import input_and_output_widths
from metarep.networks.symmetry_groups import Symmetries
from metarep.networks.tensor_symmetry import canonical_form
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.work import is_on_cluster, spread, worker_device
from metarep.zoos.zoo import Zoo, open_zoo, say_left_out


@dataclass(frozen=True)
class Embedded:
    """Some networks of one architecture, by their rows in the zoo, with what the model makes of them.

    `orders` (B, n) says for each group of their units, by its number, as which unit each was saved; none for those that
    keep their order.
    """

    rows: np.ndarray
    readout: Readout
    orders: dict[int, torch.Tensor]


def embed(
    config: EmbedConfig,
    model: Path | str,
    zoo: Path | str,
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Embeds the finite networks of a zoo, snapshots too, and the parts that are asked for, into the folder `out` and
    returns it.

    Raises MetarepError for a kind that the model or the networks do not allow.
    """
    progress, folders = progress or Progress(), (Path(model), Path(zoo))
    inputs = {"model": open_artefact(model, "model"), "zoo": open_artefact(zoo, "zoo")}
    work = EmbedWork(config, *folders, tuple(one.digest for one in inputs.values()), worker_device(device))
    try:
        return _embed(work, inputs, Path(out), overwrite, progress, n_gpus=int(is_gpu(device)))
    finally:
        reader_of.cache_clear()


def _embed(work: EmbedWork, inputs: dict[str, Artefact], out: Path, overwrite: bool, progress: Progress, n_gpus: int) -> Path:
    config = work.config
    reader = reader_of(replace(work, device="cpu") if is_on_cluster() else work)
    subjects = reader.subjects
    say_left_out(subjects, progress)
    batches = list(reader.batches(chosen_rows(subjects, config.max_per_split)))
    n_params = [len(rows) * subjects.architecture_of(int(rows[0])).n_params for rows in batches]
    how = {"n_networks": math.inf if is_on_cluster() else 0, "n_gpus": n_gpus}
    with writing(out, KIND, config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        with (
            EmbeddingWriter(folder / FILE, config.kind) as writer,
            progress.task(f"embed ({config.kind})", sum(n_params), "parameters") as task,
        ):
            for rows, n in zip(spread(embed_batch, batches, work, **how), n_params, strict=True):
                rows.write(writer)
                task.advance(n)
        counts = [{"network_id": one, "part": part, "n_vectors": n} for (one, part), n in writer.counts.items()]
        write_whole(folder / "parts.csv", to_csv(counts))
    return out


@dataclass(frozen=True)
class EmbedWork:
    """What is embedded with which model; each process opens the two folders once, which the digests of their manifests name."""

    config: EmbedConfig
    model: Path
    zoo: Path
    digests: tuple[str, ...]
    device: str


@lru_cache(maxsize=1)
def reader_of(work: EmbedWork) -> ZooReader:
    """Opens the model and the finite networks of the zoo. Raises MetarepError where they are not those of the work."""
    if tuple(open_artefact(one).digest for one in (work.model, work.zoo)) != work.digests:
        raise MetarepError("the model or the zoo has changed", met=work.zoo, fix="embed again")
    subjects, model = open_zoo(work.zoo).finite(), load_model(work.model, device=work.device)
    if work.config.untrained:
        model = untrained_like(model, seed=work.config.seed)
    return ZooReader(model, subjects, work.config)


def embed_batch(rows: np.ndarray, work: EmbedWork) -> PartRows:
    """The vectors of the parts that are asked for, of networks of one architecture given by their rows."""
    reader, found, kind = reader_of(work), PartRows(), kind_named(work.config.kind)
    some = reader.read(rows)
    write_parts(found, reader.subjects, some, kind, network_vectors(kind, some.readout, work.config), work.config)
    return found


def embed_networks(model: ClozeModel, subjects: Zoo, rows: np.ndarray, config: EmbedConfig) -> np.ndarray:
    """The vectors (N, V) float32 of networks given by their rows, of one kind. Raises MetarepError where their lengths
    differ.
    """
    kind, found = kind_named(config.kind), {}
    for some in read_zoo(model, subjects, rows, config):
        for row, vector in zip(some.rows, network_vectors(kind, some.readout, config), strict=True):
            found[int(row)] = vector
    if len({len(vector) for vector in found.values()}) > 1:
        raise MetarepError("networks of several architectures have vectors of different lengths", fix="embed kind=layers")
    return np.stack([found[int(row)] for row in rows])


def embed_tensors(
    model: ClozeModel, plan: Plan, tensors: dict[str, torch.Tensor], symmetries: Symmetries, kind: str, **settings: object
) -> np.ndarray:
    """The vectors (B, V) of networks (B, *shape) that are in no zoo, units in any order; settings as those of `EmbedConfig`.

    Raises MetarepError for a kind that the model or the networks do not allow.
    """
    config = EmbedConfig(kind=kind, **settings)
    check_needs(kind_named(kind), model, plan, plan.views[0].architecture.n_params)
    placed, _ = _placed(model, tensors, symmetries)
    readout = _read(model, plan, placed, kind_named(kind), config)
    return network_vectors(kind_named(kind), averaged(readout, placed, symmetries, kind_named(kind), config), config)


def chosen_rows(subjects: Zoo, max_per_split: int | None) -> np.ndarray:
    """All networks, snapshots too, or the first finished ones of each split."""
    if max_per_split is None:
        return np.arange(len(subjects))
    split = [
        np.flatnonzero((subjects.split == name) & subjects.is_final)[:max_per_split] for name in ("train", "valid", "test")
    ]
    return np.sort(np.concatenate(split))


def read_zoo(model: ClozeModel, subjects: Zoo, rows: np.ndarray, config: EmbedConfig) -> Iterator[Embedded]:
    """The networks of some rows as the model sees them, architecture by architecture, several at once where they are small."""
    reader = ZooReader(model, subjects, config)
    return map(reader.read, reader.batches(rows))


class ZooReader:
    """Reads networks of a zoo, some of one architecture at once, and remembers how those of each architecture are read."""

    def __init__(self, model: ClozeModel, subjects: Zoo, config: EmbedConfig):
        self.model, self.subjects, self.config, self.kind = model, subjects, config, kind_named(config.kind)
        self._plans: dict[int, Plan] = {}

    def batches(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Rows of networks that are read at once. Raises MetarepError for a kind that the model or networks do not allow."""
        for number in dict.fromkeys(self.subjects.architecture[rows].tolist()):
            same = rows[self.subjects.architecture[rows] == number]
            n_tokens = sum(shape.n_windows * shape.layout.n_tokens for shape in self.plan(number).shapes)
            size = max(1, 4 * self.config.tokens_per_batch // n_tokens)
            for at in range(0, len(same), size):
                yield same[at : at + size]

    def plan(self, number: int) -> Plan:
        """How networks of an architecture, given by its number, are read."""
        if number not in self._plans:
            self._plans[number] = model_plan(self.model, self.subjects, number)
            check_needs(self.kind, self.model, self._plans[number], self.subjects.architectures[number].n_params)
        return self._plans[number]

    def read(self, rows: np.ndarray) -> Embedded:
        """The networks of some rows, which have one architecture, as the model sees them."""
        number = int(self.subjects.architecture[rows[0]])
        plan, symmetries = self.plan(number), self.subjects.symmetries[number]
        placed, orders = _placed(self.model, self.subjects.stacked(rows), symmetries)
        known = {group: order.cpu() for group, order in enumerate(orders) if order is not None}
        readout = _read(self.model, plan, placed, self.kind, self.config)
        return Embedded(rows, averaged(readout, placed, symmetries, self.kind, self.config), known)


def _placed(
    model: ClozeModel, tensors: dict[str, torch.Tensor], symmetries: Symmetries
) -> tuple[dict[str, torch.Tensor], list[torch.Tensor | None]]:
    """Networks on the model's device in canonical form, and the orders of their units that led there."""
    return canonical_form({name: value.to(model.device) for name, value in tensors.items()}, symmetries, n_lead=1)


def _read(model: ClozeModel, plan: Plan, tensors: dict[str, torch.Tensor], kind: Kind, config: EmbedConfig) -> Readout:
    wanted = {"with_units": "unit" in config.parts or "hidden units" in kind.needs, "with_windows": "window" in config.parts}
    space = probe_space(model, plan)
    return read_networks(
        model, plan, tensors, tokens=kind.tokens, tokens_per_batch=config.tokens_per_batch, space=space, **wanted
    )


def averaged(
    readout: Readout, tensors: dict[str, torch.Tensor], symmetries: Symmetries, kind: Kind, config: EmbedConfig
) -> Readout:
    """The readout with the readouts of random symmetric copies of the networks beside it, where copies are asked for."""
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(config.n_copies):
        copy = scale_units(tensors, symmetries, config.copy_scale, generator=generator)
        copy = draw_further(copy, symmetries, config.copy_scale, generator=generator)
        copy = permute_units(copy, symmetries, generator=generator)
        readout.copies.append(_read(readout.model, readout.plan, copy, kind, config))
    return readout


def network_vectors(kind: Kind, readout: Readout, config: EmbedConfig) -> np.ndarray:
    """(B, V) float32: of the networks as they are, or the mean over their copies."""
    found = [kind.network(one) for one in (readout.copies or [readout])]
    return torch.stack(found).mean(dim=0).float().numpy()


def write_parts(
    writer: EmbeddingWriter | PartRows, subjects: Zoo, some: Embedded, kind: Kind, vectors: np.ndarray, config: EmbedConfig
) -> None:
    """Rows of every part that was asked for, network by network."""
    readout = some.readout
    units = {one: _unit_vectors(kind, readout, one.group) for one in readout.groups} if "unit" in config.parts else {}
    layers = readout.layer_states.float().numpy()
    for b, row in enumerate(some.rows):
        name = str(subjects.network_id[row])
        if "network" in config.parts:
            writer.add(name, "network", vectors[b : b + 1])
        if "layer" in config.parts:
            writer.add(name, "layer", layers[b])
        for one, found in units.items():
            order = some.orders.get(one.group)
            writer.add(name, "unit", found[b], group=one.name, index=None if order is None else order[b].numpy())
        if "window" in config.parts:
            writer.add(name, "window", readout.windows[b].float().numpy())


def _unit_vectors(kind: Kind, readout: Readout, group: int) -> np.ndarray:
    if kind.unit is None:
        raise MetarepError(
            f"{kind.name} has no vectors of units", fix="embed kind=states, activity or contributions, or other parts"
        )
    return kind.unit(readout, group).float().numpy()


def model_plan(model: ClozeModel, subjects: Zoo, number: int) -> Plan:
    """How a model reads the networks of an architecture, which is given by its number in the zoo."""
    return model.plan_of(subjects.architectures[number], subjects.symmetries[number])


def check_needs(kind: Kind, model: ClozeModel, plan: Plan, n_params: int) -> None:
    """Raises MetarepError where a kind needs what the model was not trained for, or one window where networks are larger."""
    if "predictions" in kind.needs and model.head is None:
        fix = "embed kind=states or layers, or pretrain with objective=cloze"
        raise MetarepError(f"{kind.name} is made of predicted values, which this model was not trained to make", fix=fix)
    if "behaviour" in kind.needs and model.decoder is None:
        fix = "pretrain with behaviour_weight=1"
        raise MetarepError(f"the model was not trained to predict behaviour, which {kind.name} needs", fix=fix)
    if "a mixture" in kind.needs and not model.mixtures:
        fix = "pretrain with n_gaussians=32, on networks larger than one window"
        raise MetarepError(f"the model has no mixture over the values of units, which {kind.name} needs", fix=fix)
    if "a token a value" in kind.needs and model.chunk > 1:
        fix = "embed kind=predictability or layers, or pretrain with chunk=1"
        raise MetarepError(f"{kind.name} needs a token a value", met=f"chunk={model.chunk}", expected="chunk=1", fix=fix)
    if "one window" in kind.needs and not plan.whole:
        met, expected = f"{n_params:,} parameters", f"networks of at most {model.context * model.chunk} parameters"
        raise MetarepError(
            f"{kind.name} masks each token alone", met=met, expected=expected, fix="embed kind=predictability or layers"
        )


def probe_space(model: ClozeModel, plan: Plan) -> ProbeSpace | None:
    """The space of probes of networks, where the model was asked about such."""
    if model.decoder is None:
        return None
    ends = input_and_output_widths(plan.views[0].architecture)
    name = space_name(*ends) if ends else ""
    return model.decoder.spaces[name] if name in model.decoder.spaces else None  # noqa: SIM401
