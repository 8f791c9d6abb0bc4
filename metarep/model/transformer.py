"""The cloze transformer: it reads windows of any network, some values masked, and predicts the masked ones.

Choices:
- a token is a run of `chunk` values of one tensor, each with a bit that says whether it is seen; what is masked are tokens,
  single values or whole units, and every masked value gets a distribution;
- learned vectors say of a token its kind, role, side and depth, and *which* position of each fixed axis it stands at (inputs,
  outputs, pixels, kernel offsets); positions of axes that the model was not pretrained on are told by Fourier features;
- each slot has a vector that multiplies its values on the way in, and one that reads its predictions off on the way out: so a
  linear map of all values of a unit is a sum over tokens. With added vectors alone the MLPs would have to learn the product of
  value and position;
- units of an interchangeable axis have no identity: attention adds a learned bias for what two tokens share, so the model is
  equivariant under the order of units by construction. positions="indexed" numbers them in place of that;
- windows of one layout lie side by side in a segment, segments are packed one behind the other: no padding, one matrix of
  biases a segment, and every linear layer sees all tokens at once;
- values are standardised by slot (the same position of the same tensor in many networks), or else multiplied by √(fan-in),
  standardised by kind and role and compressed by asinh; both with statistics of the training networks, kept in the weights;
- with mixtures over the values of units (`metarep.model.mixture`), fitted before the first step, tokens show what these say of
  their masked values, and a prediction is what they say and a correction;
- pre-norm blocks, GELU, no dropout (a zoo is large beside the model).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn
from torch.nn import functional as F

from metarep.model.batches import Batch, Segment
from metarep.model.behaviour import BehaviourDecoder
from metarep.model.block import Block
from metarep.model.heads import HEADS, Prediction, perceptron
from metarep.model.layout import COORDINATES, MAX_DEPTH, N_RELATIONS, NUMBERS, ROLES, SIDES, Layout
from metarep.model.mixture import UnitMixture, unitwise
from metarep.model.waves import N_FREQUENCIES, moved_waves, waves_at
from metarep.model.windows import Plan, plan_of
from metarep.networks.architecture import KINDS, Architecture
from metarep.networks.symmetry_groups import Symmetries

POSITION_STD = 0.1
"""Learned vectors of where a token stands begin this small, so that they do not drown what it holds."""
SLOT_STD = 0.3
"""Vectors that multiply values begin this large, divided by the root of how many numbers they are summed over."""
N_ROLE_CLASSES = len(KINDS) * len(ROLES)


class Placement(NamedTuple):
    """What a model knows of a layout.

    value_class (T, C) is the class by which each value is standardised and `by_role` (T, 1) whether it is one of kind and role;
    labels (4, T) are kind, role, side and depth, numbers (T, F) and scale (T, 1) those of the layout, present (T, C) too.
    rows (5, T) point into the table of positions, 0 for none, and fourier (T, G) describes those that have no row.
    class_stride and row_stride (T,) say by how much class and first row grow with the first unit of a window, fourier_stride
    (T,) by which share of its axis the first of the Fourier features moves. relation (R, T · T) is one-hot, units (U, T) are
    the tokens of each unit. unit_values (U, L) says where of T · C the values of each unit stand, for the mixture of this
    number (−1: there is none). rows_move and waves_move say whether any of the strides is not 0.
    """

    value_class: torch.Tensor
    class_stride: torch.Tensor
    by_role: torch.Tensor
    labels: torch.Tensor
    numbers: torch.Tensor
    scale: torch.Tensor
    present: torch.Tensor
    rows: torch.Tensor
    row_stride: torch.Tensor
    fourier: torch.Tensor
    fourier_stride: torch.Tensor
    relation: torch.Tensor
    units: torch.Tensor
    unit_values: torch.Tensor
    mixture: int
    rows_move: bool
    waves_move: bool

    def to(self, device: torch.device) -> Placement:
        """On another device."""
        return Placement(*(part.to(device) if isinstance(part, torch.Tensor) else part for part in self))


class ClozeModel(nn.Module, PyTorchModelHubMixin, library_name="metarep"):
    """See the head of this file. Saves and loads in the Hub's way: `config.json` and `model.safetensors`.

    `axes` are the fixed axes whose positions are learned, with their lengths; `slots` those that are standardised slot by slot,
    with their numbers; `spaces` the spaces of probes (`ProbeSpace`). `mixed` are the units that have a mixture of `n_gaussians`
    of a rank, by the name that `unitwise` gives them, with the number of their values. With a `bottleneck` it decodes whole
    networks of `n_decoded` values (`metarep.model.reconstruction`).
    """

    def __init__(
        self,
        chunk: int = 4,
        context: int = 128,
        overlap: float = 0.25,
        d_model: int = 64,
        n_layers: int = 4,
        n_heads: int = 4,
        head: str = "mixture",
        n_components: int = 4,
        positions: str = "relational",
        slot_vectors: bool = False,
        predicts: bool = True,
        bottleneck: int = 0,
        n_decoded: int = 0,
        axes: dict[str, int] | None = None,
        slots: dict[str, int] | None = None,
        spaces: dict[str, dict[str, float]] | None = None,
        mixed: dict[str, int] | None = None,
        n_gaussians: int = 0,
        gaussian_rank: int = 0,
    ):
        super().__init__()
        self.chunk, self.context, self.overlap, self.d_model = chunk, context, overlap, d_model
        self.relational, self.settings = positions == "relational", dict(self._hub_mixin_config)
        self.first_row = _offsets(axes or {}, start=1)
        self.first_class = _offsets(slots or {}, start=N_ROLE_CLASSES)
        n_classes = N_ROLE_CLASSES + sum((slots or {}).values())
        self.value_in, self.value_out = nn.Linear(2 * chunk, d_model), nn.Linear(d_model, d_model)
        self.slot_in = nn.Embedding(n_classes, d_model) if slot_vectors else None
        self.tables = nn.ModuleList(nn.Embedding(n, d_model) for n in (len(KINDS), len(ROLES), len(SIDES), MAX_DEPTH))
        self.number_in, self.number_out = nn.Linear(len(NUMBERS), d_model), nn.Linear(d_model, d_model)
        self.positions = nn.Embedding(1 + sum((axes or {}).values()), d_model, padding_idx=0)
        self.fourier = nn.Linear(len(COORDINATES) * 2 * N_FREQUENCIES, d_model, bias=False)
        self.blocks = nn.ModuleList(Block(d_model, n_heads) for _ in range(n_layers))
        for table in (*self.tables, self.positions):
            nn.init.normal_(table.weight, std=POSITION_STD)
        nn.init.zeros_(self.positions.weight[0])
        self.relation_bias = nn.Parameter(torch.zeros(n_layers * n_heads, N_RELATIONS))
        self.norm = nn.LayerNorm(d_model)
        self.head = HEADS[head](d_model, n_components, chunk) if predicts else None
        self.slot_out = nn.Embedding(n_classes, d_model) if slot_vectors and predicts else None
        for table, n_summed in ((self.slot_in, chunk), (self.slot_out, d_model)):
            if table is not None:
                nn.init.normal_(table.weight, std=SLOT_STD / math.sqrt(n_summed))
        self.bottleneck = nn.Linear(d_model, bottleneck) if bottleneck else None
        self.decoder = BehaviourDecoder(d_model, spaces, n_components) if spaces else None
        self.rebuilder = perceptron(bottleneck, 4 * d_model, n_decoded, n_hidden=2) if bottleneck else None
        self.n_gaussians = n_gaussians
        self.mixture_of = {name: number for number, name in enumerate(sorted(mixed or {}))}
        self.mixtures = nn.ModuleList(UnitMixture(mixed[name], n_gaussians, gaussian_rank) for name in self.mixture_of)
        self.register_buffer("class_mean", torch.zeros(n_classes))
        self.register_buffer("class_std", torch.ones(n_classes))
        self._placements: WeakKeyDictionary[Layout, Placement] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, object]:
        """What a copy of it in another process needs; placements are worked out anew there."""
        return {name: value for name, value in self.__dict__.items() if name != "_placements"}

    def __setstate__(self, state: dict[str, object]) -> None:
        super().__setstate__(state)
        self._placements = WeakKeyDictionary()

    @property
    def device(self) -> torch.device:
        return self.class_mean.device

    def plan_of(self, architecture: Architecture, symmetries: Symmetries, *, context: int | None = None) -> Plan:
        """How it reads networks of an architecture, in windows as large as those that it was pretrained on by default."""
        how = {"chunk": self.chunk, "context": context or self.context, "overlap": self.overlap}
        return plan_of(architecture, symmetries, **how, indexed=not self.relational)

    def place(self, layout: Layout) -> Placement:
        """What the model knows of a layout, worked out once."""
        found = self._placements.get(layout)
        if found is None or found.relation.device != self.device:
            found = self._place(layout).to(self.device)
            self._placements[layout] = found
        return found

    def _place(self, layout: Layout) -> Placement:
        role_class = (layout.kind * len(ROLES) + layout.role).unsqueeze(1)
        known = torch.tensor([self.first_class.get(slots.key, -1) for slots in layout.slots])[layout.slot_block].unsqueeze(1)
        by_role = known < 0
        value_class = torch.where(by_role, role_class, known + layout.slot)
        first = torch.tensor([self.first_row.get(str(axis), 0) for axis in layout.axes] + [0])[layout.coordinate_axis]
        rows = torch.where(first > 0, first + layout.coordinate_index, 0)
        lengths = torch.tensor([axis.length for axis in layout.axes] + [1])[layout.coordinate_axis]
        waving = (first == 0) & (layout.coordinate_axis >= 0)
        waves = torch.where(waving.unsqueeze(-1), waves_at(layout.coordinate_index / lengths), 0.0)
        read = unitwise(layout)
        mixture = -1 if read is None else self.mixture_of.get(read.name, -1)
        row_stride, fourier_stride = (rows[0] > 0).long(), torch.where(waving[0], 1 / lengths[0], 0.0)
        return Placement(
            value_class=value_class,
            class_stride=torch.where(by_role.squeeze(1), 0, layout.own_stride),
            by_role=by_role,
            labels=torch.stack([layout.kind, layout.role, layout.side, layout.depth]),
            numbers=layout.numbers,
            scale=layout.scale.unsqueeze(1),
            present=layout.present,
            rows=rows,
            row_stride=row_stride,
            fourier=waves.permute(1, 0, 2).flatten(1),
            fourier_stride=fourier_stride,
            relation=F.one_hot(layout.relation.flatten(), N_RELATIONS).T.float().contiguous(),
            units=layout.units,
            unit_values=torch.zeros(0, 0, dtype=torch.int64) if mixture < 0 else read.index,
            mixture=mixture,
            rows_move=bool(row_stride.any()),
            waves_move=bool(fourier_stride.any()),
        )

    def classes(self, segment: Segment) -> torch.Tensor:
        """(B or 1, T, C): the class by which each value is standardised."""
        at = self.place(segment.layout)
        if not segment.moved:
            return at.value_class.unsqueeze(0)
        return at.value_class + (segment.firsts[:, None] * at.class_stride).unsqueeze(-1)

    def normalise(self, segment: Segment) -> torch.Tensor:
        """(B, T, C): the values as the model sees and predicts them; 0 where none is present."""
        number, at = self.classes(segment), self.place(segment.layout)
        scaled = torch.where(at.by_role, segment.values * at.scale, segment.values)
        z = (scaled - self.class_mean[number]) / self.class_std[number]
        return torch.where(at.present, torch.where(at.by_role, torch.asinh(z), z), 0.0)

    def denormalise(self, z: torch.Tensor, segment: Segment) -> torch.Tensor:
        """The inverse of `normalise`: values as they stand in networks."""
        number, at = self.classes(segment), self.place(segment.layout)
        scaled = torch.where(at.by_role, torch.sinh(z), z) * self.class_std[number] + self.class_mean[number]
        return torch.where(at.present, torch.where(at.by_role, scaled / at.scale, scaled), 0.0)

    def fit_normalisation(self, batch: Batch) -> None:
        """Sets mean and standard deviation of each class from training windows; a class that is not there gets all others'."""
        sums = torch.zeros(3, len(self.class_mean), dtype=torch.float64)
        for segment in batch:
            layout, at = segment.layout, self.place(segment.layout)
            present = layout.present.expand(segment.values.shape)
            slot = self.classes(segment).expand_as(present)[present]
            role = (layout.kind * len(ROLES) + layout.role)[:, None].expand_as(present)[present]
            raw, scaled = segment.values.double(), (segment.values * layout.scale.unsqueeze(-1)).double()
            by_slot = ~at.by_role.expand_as(present)[present]
            for power in range(3):
                sums[power].index_add_(0, role, scaled[present] ** power)
                sums[power].index_add_(0, slot[by_slot], raw[present][by_slot] ** power)
        total = sums[:, :N_ROLE_CLASSES].sum(dim=1, keepdim=True)
        count, first, second = torch.where(sums[0] > 1, sums, total)
        mean = first / count
        self.class_mean.copy_(mean)
        self.class_std.copy_((second / count - mean.square()).clamp_min(1e-12).sqrt().clamp_min(1e-6))

    def embed_tokens(self, batch: Batch, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """(N, D): the tokens of all segments with what they hold, where it is seen, and where they stand."""
        held, by_slot = [], []
        for segment, mask in zip(batch, masks, strict=True):
            seen = self.place(segment.layout).present & ~mask
            values = torch.where(seen, self.normalise(segment), 0.0 if segment.guess is None else segment.guess)
            held.append(torch.cat([values, seen.float()], dim=-1).flatten(0, 1))
            if self.slot_in is not None:
                by_slot.append(_product(values, self.slot_in(self.classes(segment)), "btc,{}tcd->btd").flatten(0, 1))
        x = self.value_out(F.gelu(self.value_in(torch.cat(held)))) + torch.cat(self._where(batch))
        return x + torch.cat(by_slot) if by_slot else x

    def _where(self, batch: Batch) -> list[torch.Tensor]:
        """(B · T, D) a segment: where its tokens stand. Looked up once for all windows of a layout."""
        at = [self.place(segment.layout) for segment in batch]
        labels = torch.cat([one.labels for one in at], dim=1)
        rows = torch.cat([one.rows for one in at], dim=1)
        where = sum(table(label) for table, label in zip(self.tables, labels, strict=True))
        where = where + self.number_out(F.gelu(self.number_in(torch.cat([one.numbers for one in at]))))
        where = where + self.fourier(torch.cat([one.fourier for one in at])) + self.positions(rows[1:]).sum(dim=0)
        own = self.positions(rows[0])
        found, start = [], 0
        for one, segment in zip(at, batch, strict=True):
            span = slice(start, start + segment.layout.n_tokens)
            here = where[span] + own[span]
            if segment.moved and one.rows_move:
                here = where[span] + self.positions(one.rows[0] + segment.firsts[:, None] * one.row_stride)
            if segment.moved and one.waves_move:
                waves = one.fourier[:, : 2 * N_FREQUENCIES]
                moved = moved_waves(waves, segment.firsts[:, None] * one.fourier_stride)
                here = here + (moved - waves) @ self.fourier.weight[:, : 2 * N_FREQUENCIES].T
            found.append(here.expand(len(segment), -1, -1).flatten(0, 1))
            start = span.stop
        return found

    def _biases(self, layout: Layout) -> Sequence[torch.Tensor | None]:
        """What is added to the attention of each block: (heads, T, T), or nothing."""
        if not self.relational:
            return [None] * len(self.blocks)
        t = layout.n_tokens
        return (self.relation_bias @ self.place(layout).relation).view(len(self.blocks), -1, t, t)

    def encode(self, batch: Batch, masks: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The states (B, T, D) of each segment's tokens; masks (B, T, C) bool, True masked."""
        return unpacked(self.encode_packed(batch, masks), batch)

    def encode_packed(self, batch: Batch, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """The same as one matrix (N, D), segment behind segment, window behind window."""
        shapes = [(len(segment), segment.layout.n_tokens) for segment in batch]
        biases = [self._biases(segment.layout) for segment in batch]
        stream = self.embed_tokens(batch, masks)
        for number, block in enumerate(self.blocks):
            stream = block(stream, shapes, [one[number] for one in biases])
        return self.norm(stream)

    def unit_values(self, segment: Segment) -> torch.Tensor | None:
        """(B · U, L): the values of the units of each window, as the model sees them; None without a mixture for them."""
        at = self.place(segment.layout)
        return None if at.mixture < 0 else self.normalise(segment).flatten(1)[:, at.unit_values].flatten(0, 1)

    def guessed(self, segment: Segment, mask: torch.Tensor) -> Segment:
        """The segment with what its mixture takes the values of a mask (B, T, C) to be; as it is without a mixture."""
        units, at = self.unit_values(segment), self.place(segment.layout)
        if units is None:
            return segment
        masked = mask.flatten(1)[:, at.unit_values].flatten(0, 1)
        said = torch.where(masked, self.mixtures[at.mixture].complete(units, ~masked), 0.0)
        guess = torch.zeros_like(segment.values).flatten(1)
        guess[:, at.unit_values.flatten()] = said.view(len(segment), -1)
        return replace(segment, guess=guess.view(segment.values.shape))

    def states(self, segment: Segment) -> torch.Tensor:
        """The states (B, T, D) of one segment of which nothing is masked."""
        return self.encode([segment], [segment.no_mask])[0]

    def forward(self, segment: Segment, mask: torch.Tensor) -> Prediction:
        """The predicted distribution of every value (B, T, C), from those that the mask leaves visible."""
        segment = self.guessed(segment, mask)
        return self.predicted(self.encode([segment], [mask])[0], segment)

    def predicted(self, states: torch.Tensor, segment: Segment, at=...) -> Prediction:
        """What the states (B, T, D) of a segment predict of every value, or of the tokens `at`, an index of (B, T)."""
        shift = self.shifts(states.flatten(0, 1), [segment])
        return self.head(states[at], None if shift is None else shift.unflatten(0, states.shape[:2])[at])

    def shifts(self, packed: torch.Tensor, batch: Batch) -> torch.Tensor | None:
        """What the heads add to every mean, (N, C): what slots read off packed states (N, D), and what mixtures say."""
        if self.slot_out is None and not self.mixtures:
            return None
        found = []
        for states, segment in zip(unpacked(packed, batch), batch, strict=True):
            said = segment.guess
            if self.slot_out is not None:
                read = _product(states, self.slot_out(self.classes(segment)), "btd,{}tcd->btc")
                said = read if said is None else read + said
            found.append((torch.zeros_like(segment.values) if said is None else said).flatten(0, 1))
        return torch.cat(found)

    def pool(self, states: torch.Tensor) -> torch.Tensor:
        """States (B, T, D) -> their mean (B, D), through the bottleneck where there is one."""
        mean = states.mean(dim=1)
        return mean if self.bottleneck is None else self.bottleneck(mean)


def _product(one: torch.Tensor, vectors: torch.Tensor, formula: str) -> torch.Tensor:
    """An einsum with the vectors (B or 1, T, C, D) of slots; {} in the formula stands for their B, where they have one."""
    alone = len(vectors) == 1
    return torch.einsum(formula.format("" if alone else "b"), one, vectors[0] if alone else vectors)


def unpacked(packed: torch.Tensor, batch: Batch) -> list[torch.Tensor]:
    """Packed (N, D) as (B, T, D) a segment."""
    parts = packed.split([segment.n_tokens for segment in batch])
    return [part.view(len(segment), segment.layout.n_tokens, -1) for part, segment in zip(parts, batch, strict=True)]


def unit_states(states: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    """States (B, T, D) and the tokens of units (U, T) bool -> the mean over each unit's tokens (B, U, D)."""
    weights = units.to(states.dtype).to(states.device)
    return (weights / weights.sum(dim=1, keepdim=True).clamp_min(1)) @ states


def untrained_like(model: ClozeModel, *, seed: int) -> ClozeModel:
    """A freshly initialised model of the same shape with the same normalisation and mixtures: the control."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = ClozeModel(**model.settings)
    fresh.class_mean.copy_(model.class_mean)
    fresh.class_std.copy_(model.class_std)
    fresh.mixtures.load_state_dict(model.mixtures.state_dict())
    return fresh.to(model.device).eval()


def _offsets(sizes: dict[str, int], *, start: int) -> dict[str, int]:
    found = {}
    for name, size in sorted(sizes.items()):  # a saved config comes back sorted
        found[name] = start
        start += size
    return found
