"""The sections of a hidden layer, found by a cloze model that was pretrained on 2-2-1 networks alone.

The model's own architecture slides over the network as a window: every two hidden units, with every two inputs and every
output. In a window each parameter of the two units is masked in turn. How much likelier its true value is to the model than by
chance, summed over the eight, is the evidence, in nats, that the window is one network of the zoo: a pseudo-likelihood (Besag,
"Statistical analysis of non-lattice data", 1975) over what it would be if every parameter were drawn for itself from its
kind's distribution. The affinity of two units is the logarithm of the likelihood ratio, averaged over their windows, so that
a pair that has more windows to choose from gains nothing by it. It is above 0 where chance explains the units worse, so nobody
has to say how many sections there are: they are the matching of units with the largest sum of affinities (Edmonds, "Paths,
trees, and flowers", 1965), and a unit that is in none stays alone.

- The model is not invariant to the scale of units, since its zoo is not: in each window both units are scaled so that
  the norm of what comes in stands to the outgoing weight as it does in the median unit of the zoo.
- An output's offset belongs to all that feed it. It is masked where outputs are too few for each pair of units to have its own.
- Windows count by the share of both units' weights that they hold: what a window leaves out it does not explain.
- Half the parameters are masked at a time to find the windows worth reading, one at a time in those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx
import numpy as np
import torch
from scipy.spatial.distance import squareform
from scipy.special import logsumexp

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.sections.one_hidden import OneHidden, Windows, all_pairs, balanced, cut_windows, shares
from metarep.embeddings.specs import embed_params, plan_of_spec, segment_of
from metarep.errors import MetarepError
from metarep.evaluation.probes import linear_classifier
from metarep.model.batches import Segment
from metarep.model.layout import Layout
from metarep.model.transformer import ClozeModel
from metarep.networks.symmetry import canonical_order

N_LOOKED_AT, N_READ = 128, 8
"""Windows of each pair whose parameters are masked by halves; of these the best, in which they are masked one by one."""

KINDS = ("activity", "patterns")
"""Embeddings from which the mode of a section is read: what the model predicts of the behaviour."""

BATCH = 4096
LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Sections:
    """Pairs of units that belong together, the surest first.

    units (K, 2), inputs (K, 2), output (K,), params (K, 9) balanced, affinity (K,).

    n_units is the number of all units, in sections or alone.
    """

    units: np.ndarray
    inputs: np.ndarray
    output: np.ndarray
    params: np.ndarray
    affinity: np.ndarray
    n_units: int

    @property
    def labels(self) -> np.ndarray:
        """(H,): the section's number of each unit; units that are alone have numbers of their own."""
        labels = len(self.units) + np.arange(self.n_units)
        labels[self.units] = np.arange(len(self.units))[:, None]
        return labels


@dataclass(frozen=True)
class Affinities:
    """What a model says of every two units: affinity (M,), which is the logarithm of the odds that they belong together, −inf
    where no window holds both; and the row of the best window (M,).
    """

    windows: Windows
    affinity: np.ndarray
    best: np.ndarray
    n_units: int

    def matrix(self) -> np.ndarray:
        """(H, H), symmetric; the diagonal is 0."""
        return squareform(self.affinity)


def find_sections(network: OneHidden, model: ClozeModel, ratio: float) -> Sections:
    """The sections of a network. ratio: as `usual_ratio` of the networks that the model was pretrained on."""
    return matched(affinities(network, model, ratio))


def matched(found: Affinities) -> Sections:
    """The matching of units with the largest sum of affinities."""
    windows, units = found.windows, matching(found.windows.pairs, found.affinity)
    rows = np.array([np.flatnonzero((windows.pairs == pair).all(axis=1))[0] for pair in units], dtype=int)
    order = np.argsort(-found.affinity[rows], kind="stable")
    rows, units = rows[order], units[order]
    parts = (part[found.best[rows]] for part in (windows.inputs, windows.output, windows.params))
    return Sections(units, *parts, found.affinity[rows], found.n_units)


def matching(pairs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(K, 2): the pairs of units, each unit in one at most, with the largest sum of weights (M,); only positive ones count."""
    graph = nx.Graph()
    graph.add_weighted_edges_from((int(a), int(b), float(w)) for (a, b), w in zip(pairs, weight, strict=True) if w > 0)
    chosen = sorted(tuple(sorted(pair)) for pair in nx.max_weight_matching(graph))
    return np.array(chosen, dtype=np.int64).reshape(-1, 2)


def affinities(network: OneHidden, model: ClozeModel, ratio: float) -> Affinities:
    """The affinity of every two units; see the head of this file.

    Raises MetarepError for a model that does not predict the parameters of 2-2-1 networks.
    """
    if not knows_multipliers(model):
        expected = "objective=cloze, chunk=1, pretrained on 2-2-1 networks"
        raise MetarepError("this model does not predict the parameters of 2-2-1 networks", expected=expected)
    layout = plan_of_spec(model, MULTIPLIER)[0].shapes[0].layout
    pairs = all_pairs(network.n_units)
    windows = cut_windows(network, pairs, ratio, N_LOOKED_AT)
    seen = 2 * network.n_outputs >= network.n_units
    at_once = windows.held + evidence(model, windows.params, half_masks(layout), offset_seen=seen)
    rows = np.concatenate([own[np.argsort(-at_once[own], kind="stable")[:N_READ]] for own in grouped(windows.pair)])
    nats = windows.held[rows] + evidence(model, windows.params[rows], single_masks(layout), offset_seen=seen)
    affinity, best = np.full(len(pairs), -np.inf), np.zeros(len(pairs), dtype=np.int64)
    for own in grouped(windows.pair[rows]):
        number = windows.pair[rows[own[0]]]
        affinity[number] = logsumexp(nats[own])
        best[number] = rows[own[nats[own].argmax()]]
    return Affinities(windows, affinity, best, network.n_units)


def grouped(numbers: np.ndarray) -> list[np.ndarray]:
    """For each number in numbers (N,), ascending, where it stands; equal ones stand together."""
    return np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(numbers)) + 1) if len(numbers) else []


def half_masks(layout: Layout) -> np.ndarray:
    """(2, T): every other parameter of the one unit masked and the others of the other, then the rest."""
    first, second = (np.flatnonzero(unit) for unit in layout.units.numpy())
    masks = np.zeros((2, layout.n_tokens), dtype=bool)
    masks[0, [*first[::2], *second[1::2]]] = masks[1, [*first[1::2], *second[::2]]] = True
    return masks


def single_masks(layout: Layout) -> np.ndarray:
    """(8, T): each parameter of the two units masked in turn."""
    return np.eye(layout.n_tokens, dtype=bool)[layout.units.any(dim=0).numpy()]


def knows_multipliers(model: ClozeModel) -> bool:
    """Whether a model predicts every parameter of 2-2-1 networks, in units of that parameter's own spread."""
    if model.head is None or model.chunk != 1 or model.context < MULTIPLIER.n_params:
        return False
    layout = plan_of_spec(model, MULTIPLIER)[0].shapes[0].layout
    return all(slots.key in model.first_class for slots in layout.slots)


def evidence(model: ClozeModel, params: np.ndarray, masks: np.ndarray, *, offset_seen: bool) -> np.ndarray:
    """(M,) nats: log p of what masks (G, T) mask of networks (M, 9), given the rest, over its log p by chance.

    By chance each parameter is drawn for itself from a Gaussian with its slot's mean and standard deviation. Without
    `offset_seen` the output's bias is masked everywhere and counts for nothing.
    """
    ordered = canonical_order(MULTIPLIER, np.asarray(params, dtype=np.float32))
    segment = segment_of(plan_of_spec(model, MULTIPLIER)[0], MULTIPLIER, ordered)
    counts = torch.from_numpy(masks)
    masked = counts if offset_seen else counts | ~segment.layout.units.any(dim=0)
    with torch.no_grad():
        pieces = segment.to(model.device).split(BATCH // len(masks))
        parts = [_evidence(model, piece, masked.to(model.device), counts.to(model.device)) for piece in pieces]
    return torch.cat([torch.zeros(0, device=model.device), *parts]).double().cpu().numpy()


def _evidence(model: ClozeModel, segment: Segment, masked: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    n, g = len(segment), len(masked)
    repeated = segment.take(torch.arange(n, device=model.device).repeat_interleave(g))
    states = model.encode([repeated], [masked.repeat(n, 1).unsqueeze(-1)])[0]
    row, token = counts.repeat(n, 1).nonzero(as_tuple=True)
    value = model.normalise(repeated)[row, token]
    gained = model.predicted(states, repeated, at=(row, token)).log_density(value) + 0.5 * (value.square() + LOG_2PI)
    return gained.view(n, int(counts.sum())).sum(dim=1)


def connectivity(network: OneHidden) -> np.ndarray:
    """(M,): how alike every two units are connected, beyond chance: the baseline that reads no model.

    The cosine of the absolute values of their weights, units brought to one norm on either side, less its mean where each
    unit's weights are shuffled among inputs and among outputs.
    """
    pairs = all_pairs(network.n_units)
    alike, chance = 0.0, 0.0
    for weights in (network.weight, network.readout.T):
        sizes = np.sqrt(shares(weights))
        alike = alike + (sizes @ sizes.T)[pairs[:, 0], pairs[:, 1]] / 2
        mean = sizes.mean(axis=1)
        chance = chance + sizes.shape[1] * (mean[:, None] * mean[None, :])[pairs[:, 0], pairs[:, 1]] / 2
    return alike - chance


@dataclass(frozen=True)
class ModeProbe:
    """A fitted probe; `predict` maps embeddings (N, D) to modes (N,)."""

    model: ClozeModel
    predict: Callable[[np.ndarray], np.ndarray]

    def modes(self, params: np.ndarray) -> np.ndarray:
        """(N,) text: the modes of windows params (N, 9), balanced as those that the probe was fitted on."""
        return self.predict(section_embedding(self.model, params)) if len(params) else np.array([], dtype=str)


def section_embedding(model: ClozeModel, params: np.ndarray) -> np.ndarray:
    """(N, D) float32 of windows params (N, 9), balanced. Raises MetarepError for a model that was not asked for behaviour."""
    params = np.asarray(params, dtype=np.float32)
    return np.concatenate([embed_params(model, MULTIPLIER, params, kind) for kind in KINDS], axis=1)


def fit_mode_probe(model: ClozeModel, params: np.ndarray, modes: np.ndarray, ratio: float) -> ModeProbe:
    """The probe for modes (N,), fitted on networks params (N, 9) once these are balanced by `ratio`."""
    probe = linear_classifier().fit(section_embedding(model, balanced(params, ratio)), np.asarray(modes).astype(str))
    return ModeProbe(model, probe.predict)
