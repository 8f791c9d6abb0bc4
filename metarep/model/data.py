"""What a model learns from: the networks of some zoos as segments of windows, drawn by (seed, step) alone.

Networks that fit into one window are held as they are and drawn anew at each step, in another order of units. Of larger ones
windows are cut, evenly from the networks, and held in memory. Once about as many have been shown as are held, others are
cut: from other places and networks where there are more, and from other orders of units. So a training that is long enough
sees all of a zoo of any size in the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch

from metarep.errors import MetarepError
from metarep.model.augment import draw_further, jitter, permute_units, scale_units
from metarep.model.batches import Segment
from metarep.model.behaviour import Behaviour, Probes, ProbeSpace, space_name
from metarep.model.layout import Layout
from metarep.model.settings import PretrainConfig
from metarep.model.windows import Plan, Shape, plan_of
from metarep.networks.architecture import Architecture
from metarep.networks.chain_forward import stated_chain
from metarep.networks.check import stated_of
from metarep.networks.forward_passes import Behaving, forward_pass
from metarep.networks.symmetry_groups import Symmetries
from metarep.progress import Progress
from metarep.zoos.domain import domains, inputs_of
from metarep.zoos.zoo import Zoo

MAX_POOL = 1024
"""Probe inputs of a file that a model keeps."""
MAX_SEGMENTS = 8
N_POOL_PROBES = 64
"""Probes at which the behaviour of windows of large networks is computed once."""


@dataclass(eq=False)
class WholeNetworks:
    """N networks of one architecture that are one window each: tensors (N, *shape)."""

    tensors: dict[str, torch.Tensor]
    plan: Plan
    symmetries: Symmetries
    forward: Behaving | None

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    @property
    def shape(self) -> Shape:
        return self.plan.shapes[0]

    @cached_property
    def spread(self) -> dict[str, torch.Tensor]:
        """(*shape) of each tensor: the standard deviation of every value among networks whose units are in random orders."""
        shuffled = permute_units(self.tensors, self.symmetries, generator=torch.Generator().manual_seed(0))
        return {name: value.std(dim=0, correction=0) for name, value in shuffled.items()}

    def segment(self, tensors: dict[str, torch.Tensor]) -> Segment:
        """Networks (B, *shape) as windows."""
        values = self.plan.whole_values(tensors)
        return Segment(self.shape.layout, values, torch.zeros(len(values), dtype=torch.int64), tensors=tensors)

    def segments(self, rows: torch.Tensor, config: PretrainConfig, *, generator: torch.Generator | None) -> list[Segment]:
        """Some of the networks as windows; augmented as the config wants it where there is a generator."""
        tensors = {name: value[rows] for name, value in self.tensors.items()}
        if generator is not None and config.units == "shuffled":
            tensors = permute_units(tensors, self.symmetries, generator=generator)
            if config.further_symmetries:
                tensors = draw_further(tensors, self.symmetries, config.scale_units, generator=generator)
        if generator is not None and config.scale_units > 0:
            tensors = scale_units(tensors, self.symmetries, config.scale_units, generator=generator)
        return [self.segment(tensors)]

    def jittered(self, segment: Segment, rows: torch.Tensor, most: float, *, generator: torch.Generator) -> Segment:
        """The segment with noise on the networks in some rows (B,) bool."""
        if not bool(rows.any()):
            return segment
        noisy = jitter({name: value[rows] for name, value in segment.tensors.items()}, self.spread, most, generator=generator)
        tensors = {name: value.clone() for name, value in segment.tensors.items()}
        for name, value in noisy.items():
            tensors[name][rows] = value
        return self.segment(tensors)

    def behave(self, segment: Segment, probes: Probes) -> Segment:
        """The segment with what its units contribute at some probes."""
        return replace(segment, behaviour=behaviour_of(self.plan, self.forward, segment.tensors, probes))


@dataclass(eq=False)
class CutWindows:
    """Windows of one shape, cut from larger networks: values (M, T, C), first units (M,), contributions (M, U, S) at
    `probes`.
    """

    shape: Shape
    values: torch.Tensor
    firsts: torch.Tensor
    contributions: torch.Tensor | None = None
    probes: Probes | None = None

    def __len__(self) -> int:
        return len(self.values)

    def segments(self, rows: torch.Tensor, config: PretrainConfig, *, generator: torch.Generator | None) -> list[Segment]:
        """Some of the windows; which probes are asked for is drawn where there is a generator."""
        behaviour = None
        if self.contributions is not None:
            n = min(config.n_probes, len(self.probes))
            chosen = torch.arange(n) if generator is None else torch.randperm(len(self.probes), generator=generator)[:n]
            behaviour = Behaviour(self.probes.take(chosen), self.contributions[rows][:, :, chosen])
        return [Segment(self.shape.layout, self.values[rows], self.firsts[rows], behaviour)]


Source = WholeNetworks | CutWindows


def behaviour_of(plan: Plan, forward: Behaving, tensors: dict[str, torch.Tensor], probes: Probes) -> Behaviour | None:
    """What the hidden units of whole networks (B, *shape) contribute, in the order of the layout's units; None where there are
    none.
    """
    groups = [plan.views[s.view].group for s in plan.shapes[0].stretches if plan.views[s.view].is_hidden]
    if not groups:
        return None
    found = forward.contributions(tensors, probes.inputs, probes.outputs)
    return Behaviour(probes, torch.cat([found[group] for group in groups], dim=1))


@dataclass
class TrainingData:
    """The windows of one split of some zoos."""

    sources: list[Source]

    def __len__(self) -> int:
        return sum(len(source) for source in self.sources)

    @property
    def layouts(self) -> list[Layout]:
        """Those of all windows."""
        return [source.shape.layout for source in self.sources]

    def at(self, step: int, config: PretrainConfig) -> TrainingData:
        """What a step draws from."""
        del step, config
        return self

    def draw(self, n: int, generator: torch.Generator) -> list[tuple[Source, torch.Tensor]]:
        """n windows as rows of their sources, each as likely; of at most MAX_SEGMENTS sources, so that many of a layout are
        read at once.
        """
        if len(self.sources) > MAX_SEGMENTS:
            sizes = torch.tensor([float(len(source)) for source in self.sources])
            chosen = torch.multinomial(sizes, MAX_SEGMENTS, replacement=True, generator=generator)
            share = torch.full((MAX_SEGMENTS,), n // MAX_SEGMENTS) + (torch.arange(MAX_SEGMENTS) < n % MAX_SEGMENTS)
            found: dict[int, list[torch.Tensor]] = {}
            for number, m in zip(chosen.tolist(), share.tolist(), strict=True):
                found.setdefault(number, []).append(torch.randint(len(self.sources[number]), (m,), generator=generator))
            return [(self.sources[number], torch.cat(rows)) for number, rows in sorted(found.items()) if len(torch.cat(rows))]
        drawn = torch.randint(len(self), (n,), generator=generator).sort().values
        return self._by_source(drawn)

    def everything(self, n: int) -> list[list[tuple[Source, torch.Tensor]]]:
        """All windows in order, in batches of n."""
        return [self._by_source(torch.arange(at, min(at + n, len(self)))) for at in range(0, len(self), n)]

    def _by_source(self, drawn: torch.Tensor) -> list[tuple[Source, torch.Tensor]]:
        found, start = [], 0
        for source in self.sources:
            inside = drawn[(drawn >= start) & (drawn < start + len(source))] - start
            if len(inside):
                found.append((source, inside))
            start += len(source)
        return found


class RenewedData(TrainingData):
    """Training windows of which those that are cut change from round to round, by (seed, round) alone; `cut` makes them.

    A round lasts until about as many windows were shown as the first one holds. A thread cuts the next one that steps will
    come to meanwhile; `sources` are those of the round that was asked for last.
    """

    def __init__(self, whole: list[WholeNetworks], shapes: Sequence[Shape], cut: Callable[[int], list[CutWindows]]):
        self.whole, self.shapes, self.cut = whole, shapes, cut
        super().__init__(self._made(0))
        self.n_shown = len(self)
        self._rounds: dict[int, Future[list[Source]]] = {0: Future()}
        self._rounds[0].set_result(self.sources)

    @property
    def layouts(self) -> list[Layout]:
        return [source.shape.layout for source in self.whole] + [shape.layout for shape in self.shapes]

    def at(self, step: int, config: PretrainConfig) -> TrainingData:
        now, then = (one * config.batch_size // self.n_shown for one in (step, step + 1))
        wanted = [now, max(now + 1, then)]
        if config.n_steps is not None and wanted[1] > (config.n_steps - 1) * config.batch_size // self.n_shown:
            wanted = [now]  # the last one
        self._rounds = {number: self._rounds.get(number) or self._begun(number) for number in wanted}
        self.sources = self._rounds[now].result()
        return TrainingData(self.sources)

    def _begun(self, number: int) -> Future[list[Source]]:
        return ThreadPoolExecutor(1).submit(self._made, number)

    def _made(self, number: int) -> list[Source]:
        return [*self.whole, *self.cut(number)]


@dataclass(frozen=True)
class Cohort:
    """The networks of one architecture in one zoo: rows of `subjects`, how they are read, and how they run, where that is
    known.
    """

    subjects: Zoo
    rows: np.ndarray
    plan: Plan
    forward: Behaving | None

    @property
    def architecture(self) -> Architecture:
        return self.subjects.architecture_of(int(self.rows[0]))

    @property
    def symmetries(self) -> Symmetries:
        return self.subjects.symmetries[self.subjects.architecture[self.rows[0]]]


def cohorts_of(zoos: Sequence[Zoo], split: str, config: PretrainConfig, chunk: int) -> list[Cohort]:
    """The finished networks of a split, by zoo and architecture."""
    found = []
    for subjects in zoos:
        chosen = np.flatnonzero((subjects.split == split) & subjects.is_final)
        if split == "train" and config.max_train_networks is not None:
            chosen = chosen[: config.max_train_networks]
        for number in np.unique(subjects.architecture[chosen]):
            rows = chosen[subjects.architecture[chosen] == number]
            architecture, symmetries = subjects.architectures[number], subjects.symmetries[number]
            how = {"chunk": chunk, "context": config.context, "overlap": config.overlap}
            plan = plan_of(architecture, symmetries, **how, indexed=config.positions == "indexed")
            found.append(Cohort(subjects, rows, plan, forward_of(subjects, int(number), config)))
    return found


def forward_of(subjects: Zoo, number: int, config: PretrainConfig) -> Behaving | None:
    """How networks of an architecture, given by its number in the zoo, are run; None where that is neither known nor stated.

    Raises MetarepError where behaviour is asked for and more has to be stated of a plain chain.
    """
    architecture, symmetries = subjects.architectures[number], subjects.symmetries[number]
    stated = stated_of(architecture, subjects.activation or config.activation, subjects.output_activations[number])
    if config.probes is not None:
        stated = stated.model_copy(update={"input_shape": read_probes(config).shape[1:]})
    found = forward_pass(architecture, symmetries, stated)
    if found is None and stated.activation is not None and config.behaviour_weight:
        return stated_chain(architecture, symmetries, stated, strict=True)  # which says what is missing
    return None if found is None else found.behaving


def read_probes(config: PretrainConfig) -> np.ndarray:
    """The probe inputs of the file or the domain that the config names, (n, *input shape) float32. Raises MetarepError for
    anything else.
    """
    if (inputs := inputs_of(str(config.probes))) is not None:
        return inputs[:MAX_POOL].astype(np.float32)
    try:
        found = np.load(config.probes, allow_pickle=False)
    except (OSError, ValueError) as error:
        named = ", ".join(one.name for one in domains() if inputs_of(one.name) is not None)
        expected = f"a .npy file (n, *input shape), or a domain that has inputs: {named}"
        raise MetarepError(f"{config.probes} holds no probe inputs", met=error, expected=expected) from error
    if found.ndim < 2 or not np.isfinite(found).all():
        met = f"shape {found.shape}" if found.ndim < 2 else "NaN or infinity"
        raise MetarepError(f"{config.probes} holds no probe inputs", met=met, expected="finite numbers (n, *input shape)")
    return found[:MAX_POOL].astype(np.float32)


def training_data(
    cohorts: Sequence[Cohort], config: PretrainConfig, *, split: str, spaces: dict[str, ProbeSpace], progress: Progress
) -> TrainingData:
    """The windows of one split; training ones as the config wants them, others as stored or in canonical order."""
    whole = [one for one in cohorts if one.plan.whole]
    sources: list[Source] = []
    for one in whole:
        rows = one.rows if split == "train" else one.rows[: config.max_valid_networks]
        tensors = one.subjects.stacked(rows, canonical=config.units == "canonical")
        sources.append(WholeNetworks(tensors, one.plan, one.symmetries, one.forward))
    large = [one for one in cohorts if not one.plan.whole]
    cut = partial(cut_windows, large, config, split=split, spaces=spaces)
    most = max((sum(int(speaks.sum()) for speaks in one.plan.speaking) for one in large), default=0)
    all_held = most * sum(len(one.rows) for one in large) <= config.max_windows
    if split != "train" or not large or (all_held and config.units != "shuffled"):
        return TrainingData(sources + cut(progress=progress))
    shapes = [shape for plan in dict.fromkeys(one.plan for one in large) for shape in plan.shapes]
    return RenewedData(sources, shapes, lambda number: cut(progress=Progress() if number else progress, number=number))


def cut_windows(
    cohorts: Sequence[Cohort],
    config: PretrainConfig,
    *,
    split: str,
    spaces: dict[str, ProbeSpace],
    progress: Progress,
    number: int = 0,
) -> list[CutWindows]:
    """Windows of networks that are larger than one, of those that speak for some parameter as many from each network as it
    has or as its share is.

    In training each network is shown in a random order of its units, or in the one that the config says. Where there are more
    networks than windows, as many networks are drawn. Everything is drawn by the seed, the split and a number.
    """
    if not cohorts:
        return []
    train, most = split == "train", config.max_windows if split == "train" else config.max_valid_windows
    networks = [(one, int(row)) for one in cohorts for row in one.rows]
    rng = np.random.default_rng([config.seed, len(split), number])
    generator = torch.Generator().manual_seed(config.seed + 1_000_003 * number)
    if len(networks) > most:
        networks = [networks[i] for i in np.sort(rng.permutation(len(networks))[:most])]
    share = max(1, most // len(networks)) if networks else 0
    found: dict[Shape, list[CutWindows]] = {}
    with progress.task(f"read {split}", len(networks), "networks") as task:
        for one, row in networks:
            tensors = _ordered(one, row, config, train, generator)
            for windows in _windows_of(one, tensors, share, rng, spaces):
                found.setdefault(windows.shape, []).append(windows)
            task.advance(1)
    return [_joined(parts) for parts in found.values()]


def _ordered(one: Cohort, row: int, config: PretrainConfig, train: bool, generator: torch.Generator) -> dict[str, torch.Tensor]:
    if train and config.units == "shuffled":
        how = {"log_scale_std": config.scale_units, "further": config.further_symmetries}
        return one.subjects.shuffled_tensors(row, **how, generator=generator)
    return one.subjects.raw_tensors(row) if config.units == "raw" else one.subjects.tensors(row)


def _windows_of(
    one: Cohort, tensors: dict[str, torch.Tensor], share: int, rng: np.random.Generator, spaces: dict[str, ProbeSpace]
) -> Iterator[CutWindows]:
    """Up to `share` windows of one network, shape by shape."""
    values = one.plan.view_values(tensors)
    which = [np.flatnonzero(speaks) for speaks in one.plan.speaking]
    shapes, which = np.repeat(np.arange(len(which)), [len(windows) for windows in which]), np.concatenate(which)
    chosen = np.sort(rng.permutation(len(shapes))[:share])
    known, probes = _contributions(one, tensors, spaces)
    for number in np.unique(shapes[chosen]):
        shape = one.plan.shapes[number]
        firsts = shape.firsts[which[chosen[shapes[chosen] == number]]]
        (s,) = shape.stretches
        view = one.plan.views[s.view]
        shown = one.plan.window_values(shape, values, firsts).clone()
        found = CutWindows(shape, shown, torch.from_numpy(firsts), probes=probes)
        if view.is_hidden and view.group in known:
            found.contributions = known[view.group][torch.from_numpy(firsts[:, None] + np.arange(s.n_units))]
        yield found


def _contributions(one: Cohort, tensors: dict[str, torch.Tensor], spaces: dict[str, ProbeSpace]):
    """What each group's units contribute, (n, S) by group, and the probes; ({}, None) where that is not asked for or not
    known.
    """
    if one.forward is None or not spaces:
        return {}, None
    probes = spaces[space_name(one.forward.n_inputs, one.forward.n_outputs)].fixed(N_POOL_PROBES)
    batched = {name: value.unsqueeze(0) for name, value in tensors.items()}
    found = one.forward.contributions(batched, probes.inputs, probes.outputs)
    return {group: value[0] for group, value in found.items()}, probes


def _joined(parts: Sequence[CutWindows]) -> CutWindows:
    values, firsts = torch.cat([one.values for one in parts]), torch.cat([one.firsts for one in parts])
    known = None if parts[0].contributions is None else torch.cat([one.contributions for one in parts])
    return replace(parts[0], values=values, firsts=firsts, contributions=known)
