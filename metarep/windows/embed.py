"""The stage that embeds networks of any size, and their parts, with a window model. Nothing is hidden at random here.

Each window is read whole; the states of the tokens that it speaks for are averaged, so that every parameter counts once:
- "layers": over each third of the depth the mean state and its spread over tokens (standard deviation), six vectors in all;
- "pooled": over the network the mean and the spread;
- "surprisal": every token is hidden once, one in eight at a time; over each third of the depth mean and spread of −log p of the
  true values in nats, and of the entropy: what the model did not expect, and what it is not sure of.
A layer is one operation, a unit one index of a group with all that feeds and reads it, a window what the model sees at
once; their vectors are mean states. Units stand in canonical order before they are read, so no vector depends on the
order that the network was saved in. Memory holds the sums, not the states: it grows with the parts asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from metarep.artefact import open_artefact, writing
from metarep.cloze.embed import NETWORK
from metarep.networks.symmetry_groups import Symmetries
from metarep.progress import Progress
from metarep.windows.bank import Shown, batch_of, plan_of
from metarep.windows.model import Batch, WindowModel
from metarep.windows.plan import Plan, Window
from metarep.windows.pretrain import hidden_states, load_window_model
from metarep.windows.settings import WindowEmbedConfig
from metarep.zoos.zoo import Zoo, open_zoo, say_left_out

N_THIRDS = 3


class Moments:
    """Sums, sums of squares and counts of vectors (D,) by bin: what means and spreads are made from."""

    def __init__(self, n_bins: int, width: int):
        self.count, self.total, self.square = np.zeros(n_bins), np.zeros((n_bins, width)), np.zeros((n_bins, width))

    def add(self, bins: np.ndarray, vectors: np.ndarray) -> None:
        """Adds vectors (M, D) to bins (M,)."""
        order = np.argsort(bins, kind="stable")
        found, first, count = np.unique(bins[order], return_index=True, return_counts=True)
        if len(found):
            sorted_vectors = vectors[order].astype(np.float64)
            self.count[found] += count
            self.total[found] += np.add.reduceat(sorted_vectors, first)
            self.square[found] += np.add.reduceat(np.square(sorted_vectors), first)

    def merged(self) -> Moments:
        """All bins as one."""
        whole = Moments(1, self.total.shape[1])
        whole.count, whole.total, whole.square = (part.sum(0, keepdims=True) for part in (self.count, self.total, self.square))
        return whole

    @property
    def mean(self) -> np.ndarray:
        """(bins, D) float32; 0 for an empty bin."""
        return (self.total / np.maximum(self.count, 1)[:, None]).astype(np.float32)

    @property
    def spread(self) -> np.ndarray:
        """(bins, D) float32: the standard deviation; 0 for an empty bin."""
        n = np.maximum(self.count, 1)[:, None]
        return np.sqrt(np.maximum(self.square / n - np.square(self.total / n), 0)).astype(np.float32)


@dataclass(frozen=True)
class Reading:
    """What a model makes of one network, (…, D) float32: the network, its layers, its units by view, its windows."""

    network: np.ndarray
    layers: np.ndarray
    units: tuple[np.ndarray, ...]
    windows: np.ndarray


class Network:
    """One network while it is read: its plan, its values by view, and the sums that its vectors are made from."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        tensors: Mapping[str, torch.Tensor],
        unit_names: list[str],
        n_layers: int,
        width: int,
        config,
    ):
        self.name, self.plan, self.unit_names, self.n_layers, self.config = name, plan, unit_names, n_layers, config
        self.values = plan.values(tensors)
        self.n_params = sum(value.numel() for value in tensors.values())
        self._thirds, self._layers = Moments(N_THIRDS, width), Moments(n_layers, width)
        self._units = [Moments(view.n_units if "unit" in config.parts else 0, width) for view in plan.views]
        self._windows = Moments(len(plan.windows) if "window" in config.parts else 0, width)

    def shown(self, number: int) -> Shown:
        """One of its windows."""
        window = self.plan.windows[number]
        return Shown(self.plan.window_values(window, self.values), self.plan, window)

    def params_until(self, number: int) -> int:
        """Parameters that count as read before a window: windows count alike."""
        return self.n_params * number // len(self.plan.windows)

    def add(self, number: int, states: np.ndarray) -> None:
        """Takes in the vectors (T, D) of a window's tokens."""
        window = self.plan.windows[number]
        counted = self.plan.counted(window)
        layer = self.plan.layer_of_token(window)[counted]
        self._layers.add(layer, states[counted])
        self._thirds.add(np.minimum(layer * N_THIRDS // self.n_layers, N_THIRDS - 1), states[counted])
        if "unit" in self.config.parts:
            self._add_units(window, states)
        if "window" in self.config.parts:
            self._windows.add(np.full(len(states), number), states)

    def _add_units(self, window: Window, states: np.ndarray) -> None:
        central = self.plan.central(window)
        view, unit = self.plan.unit_of_token(window)
        for one in np.unique(view):
            some = central & (view == one)
            self._units[one].add(unit[some], states[some])

    def reading(self) -> Reading:
        """The vectors, when every window is in."""
        network = self._thirds.merged() if self.config.kind == "pooled" else self._thirds
        whole = np.concatenate([network.mean.ravel(), network.spread.ravel()])
        return Reading(whole, self._layers.mean, tuple(moments.mean for moments in self._units), self._windows.mean)


def embed_windows(
    config: WindowEmbedConfig,
    model: Path | str,
    zoo: Path | str,
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Embeds every finite network of a zoo, built or imported, into the folder `out` and returns it.

    Parts are named "network", "layer 3", "unit units of fc1:17" and "window 5". Raises MetarepError where no network is finite,
    and for NaN in a zoo from before imports noted it.
    """
    progress = progress or Progress()
    subjects = open_zoo(zoo).finite()
    say_left_out(subjects, progress)
    window_model = load_window_model(model, device=device)
    if config.untrained:
        window_model = untrained_like(window_model, seed=config.seed)
    inputs = {"model": open_artefact(model, "window-model"), "zoo": subjects.artefact}
    with writing(out, "embeddings", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        writer = RowWriter(folder / "embeddings.parquet")
        total = sum(subjects.architectures[i].n_params for i in subjects.architecture)
        with writer, progress.task(f"embed ({config.kind})", total, "parameters") as task:
            for network, reading in read_networks(window_model, subjects, config, advance=task.advance):
                for part, vector in named_parts(reading, network, config.parts):
                    writer.add(network.name, part, vector)
    return Path(out)


def read_networks(
    model: WindowModel, subjects: Zoo, config: WindowEmbedConfig, *, advance: Callable[[int], object] = lambda n: None
) -> Iterator[tuple[Network, Reading]]:
    """The networks of a zoo, read in windows; small ones several at once. `advance` is told of parameters that are read."""
    waiting: list[Network] = []
    n_windows = 0
    for index in range(len(subjects)):
        waiting.append(load_network(model, subjects, index, config))
        n_windows += len(waiting[-1].plan.windows)
        if n_windows * (config.context or model.context) >= config.tokens_per_batch or index == len(subjects) - 1:
            read_windows(model, waiting, config, advance)
            yield from ((network, network.reading()) for network in waiting)
            waiting, n_windows = [], 0


def load_network(model: WindowModel, subjects: Zoo, index: int, config: WindowEmbedConfig) -> Network:
    """One network of a zoo, ready to be read."""
    architecture, symmetries = subjects.architecture_of(index), subjects.symmetries[subjects.architecture[index]]
    plan = plan_of(architecture, symmetries, model.chunk, config.context or model.context, model.overlap)
    tensors, orders = subjects.ordered(index)
    names = names_of_units(plan, symmetries, orders)
    width = vector_width(model, config.kind)
    return Network(str(subjects.network_id[index]), plan, tensors, names, architecture.n_layers, width, config)


def names_of_units(plan: Plan, symmetries: Symmetries, orders: Sequence[np.ndarray | None]) -> list[str]:
    """Of the units of all views, one behind the other, such as "units of fc1:17": the number is that in the network as it was
    saved, wherever the canonical order has put the unit.
    """
    order_of = {units.name: order for units, order in zip(symmetries.groups, orders, strict=True)}
    found = []
    for view in plan.views:
        order = order_of.get(view.units.name)
        found += [f"{view.units.name}:{number}" for number in (range(view.n_units) if order is None else order.tolist())]
    return found


def vector_width(model: WindowModel, kind: str) -> int:
    """The length of a token's vector."""
    return 2 if kind == "surprisal" else model.norm.normalized_shape[0]


def read_windows(
    model: WindowModel, networks: Sequence[Network], config: WindowEmbedConfig, advance: Callable[[int], object]
) -> None:
    """Every window of some networks, in batches of about `tokens_per_batch` tokens, into their sums."""
    todo = [(network, number) for network in networks for number in range(len(network.plan.windows))]
    size = max(1, config.tokens_per_batch // (config.context or model.context))
    with torch.no_grad():
        for at in range(0, len(todo), size):
            some = todo[at : at + size]
            batch = batch_of([network.shown(number) for network, number in some]).to(model.class_mean.device)
            vectors = token_vectors(model, batch, config.kind).cpu().numpy()
            lengths = batch.real.sum(dim=1).tolist()
            for row, (network, number) in enumerate(some):
                network.add(number, vectors[row, : lengths[row]])
                advance(network.params_until(number + 1) - network.params_until(number))


def token_vectors(model: WindowModel, batch: Batch, kind: str) -> torch.Tensor:
    """(B, T, D): the hidden states of unmasked windows; for "surprisal" (B, T, 2): mean −log p and entropy of each token's
    values when it is hidden."""
    if kind != "surprisal":
        return model.encode(batch, torch.zeros_like(batch.real))
    z, present = model.normalise(batch), batch.present.float()
    predicted = model.predict(hidden_states(model, batch))
    both = torch.stack([-predicted.log_density(z), predicted.entropy()], dim=-1)
    return (both * present.unsqueeze(-1)).sum(2) / present.sum(2, keepdim=True).clamp_min(1)


def named_parts(reading: Reading, network: Network, parts: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """The parts that were asked for, each with its name."""
    if "network" in parts:
        yield NETWORK, reading.network
    if "layer" in parts:
        yield from ((f"layer {number}", vector) for number, vector in enumerate(reading.layers))
    if "unit" in parts:
        vectors = (vector for view in reading.units for vector in view)
        yield from ((f"unit {name}", vector) for name, vector in zip(network.unit_names, vectors, strict=True))
    if "window" in parts:
        yield from ((f"window {number}", vector) for number, vector in enumerate(reading.windows))


def untrained_like(model: WindowModel, *, seed: int) -> WindowModel:
    """A freshly initialised model of the same shape with the same normalisation: the control."""
    device = model.class_mean.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = WindowModel(**model._hub_mixin_config)
    fresh.class_mean.copy_(model.class_mean)
    fresh.class_std.copy_(model.class_std)
    return fresh.to(device).eval()


class RowWriter:
    """Writes rows (network_id, part, embedding) to Parquet, some thousand at a time."""

    SCHEMA = pa.schema([("network_id", pa.string()), ("part", pa.string()), ("embedding", pa.list_(pa.float32()))])
    N_ROWS = 4096

    def __init__(self, path: Path):
        self._writer = pq.ParquetWriter(path, self.SCHEMA, compression="zstd")
        self._rows: list[tuple[str, str, np.ndarray]] = []

    def add(self, network_id: str, part: str, vector: np.ndarray) -> None:
        """One row."""
        self._rows.append((network_id, part, vector))
        if len(self._rows) >= self.N_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            ids, parts, vectors = zip(*self._rows, strict=True)
            self._writer.write_table(pa.table([list(ids), list(parts), list(vectors)], schema=self.SCHEMA))
            self._rows = []

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *_) -> None:
        self._flush()
        self._writer.close()
