"""Windows to train on, held in memory: drawn evenly from the networks of some zoos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from metarep.networks.architecture import Architecture
from metarep.networks.symmetry_groups import Symmetries
from metarep.progress import Progress
from metarep.windows.model import Batch, collate
from metarep.windows.plan import Plan, Window, build_plan
from metarep.windows.settings import WindowPretrainConfig
from metarep.windows.tokens import Places
from metarep.zoos.zoo import Zoo


@dataclass(frozen=True)
class Shown:
    """A window of a network: its values (T, C), and the plan that knows where they stand."""

    values: torch.Tensor
    plan: Plan
    window: Window

    @property
    def places(self) -> Places:
        """Where its tokens stand."""
        return _places(self.plan, self.window)


class Choice(NamedTuple):
    """A network of one of the zoos."""

    subjects: Zoo
    index: int


@lru_cache(maxsize=4096)
def _places(plan: Plan, window: Window) -> Places:
    return plan.places(window)


@lru_cache(maxsize=512)
def plan_of(architecture: Architecture, symmetries: Symmetries, chunk: int, context: int, overlap: float) -> Plan:
    """The plan of an architecture, made once."""
    return build_plan(architecture, symmetries, chunk=chunk, context=context, overlap=overlap)


def final_networks(zoos: Sequence[Zoo], split: str) -> list[Choice]:
    """The finished networks of a split, zoo by zoo."""
    return [Choice(zoo, int(i)) for zoo in zoos for i in np.flatnonzero((zoo.split == split) & zoo.is_final)]


def draw_windows(
    networks: Sequence[Choice],
    config: WindowPretrainConfig,
    most: int,
    *,
    seed: int,
    shuffled: bool,
    progress: Progress,
    name: str,
) -> list[Shown]:
    """`most` windows at most, as many from each network as it has or as its share is, of each window size alike.

    With `shuffled` each network is shown in `n_copies` random unit orders in place of the canonical one. Where there
    are more networks than windows, as many networks are drawn.
    """
    rng = np.random.default_rng([seed, len(name)])
    generator = torch.Generator().manual_seed(seed)
    n_copies = config.n_copies if shuffled else 1
    if len(networks) * n_copies * len(config.contexts) > most:
        chosen = np.sort(rng.permutation(len(networks))[: max(2, most // (n_copies * len(config.contexts)))])
        networks = [networks[i] for i in chosen]
    share = max(1, most // (len(networks) * n_copies * len(config.contexts)))
    found: list[Shown] = []
    with progress.task(name, len(networks), "networks") as task:
        for network in networks:
            for tensors in _copies(network, config, n_copies, shuffled, generator):
                for context in config.contexts:
                    found += _windows_of(network, tensors, config, context, share, rng)
            task.advance(1)
    return found


def _copies(
    network: Choice, config: WindowPretrainConfig, n: int, shuffled: bool, generator: torch.Generator
) -> Iterator[dict]:
    if not shuffled:
        yield network.subjects.tensors(network.index)
        return
    for _ in range(n):
        yield network.subjects.shuffled_tensors(network.index, log_scale_std=config.scale_units, generator=generator)


def _windows_of(network: Choice, tensors, config, context: int, share: int, rng: np.random.Generator) -> list[Shown]:
    subjects, index = network
    symmetries = subjects.symmetries[subjects.architecture[index]]
    plan = plan_of(subjects.architecture_of(index), symmetries, config.chunk, context, config.overlap)
    values = plan.values(tensors)
    chosen = rng.permutation(len(plan.windows))[:share]
    return [Shown(plan.window_values(plan.windows[i], values).clone(), plan, plan.windows[i]) for i in chosen]


def batch_of(shown: Sequence[Shown]) -> Batch:
    """Windows side by side, padded to the longest."""
    return collate([one.values for one in shown], [one.places for one in shown])


def random_masks(batch: Batch, *, ratio: tuple[float, float], unit_share: float, generator: torch.Generator) -> torch.Tensor:
    """(B, T) bool, True hidden: a random share of each window's tokens, or of some windows all that one unit is made of.

    Every window hides at least one token and shows at least one; padding is never hidden.
    """
    b, t = batch.real.shape
    n_real = batch.real.sum(dim=1, keepdim=True)
    share = ratio[0] + (ratio[1] - ratio[0]) * torch.rand(b, 1, generator=generator)
    draw = torch.rand(b, t, generator=generator).masked_fill(~batch.real, 2.0)
    n_hidden = (share * n_real).round().long().clamp(min=1).minimum((n_real - 1).clamp(min=1))
    masks = draw.argsort(dim=1).argsort(dim=1) < n_hidden
    if unit_share > 0:
        drawn = draw.argmin(dim=1)
        feeds, reads = (part.gather(1, drawn[:, None, None].expand(b, 1, 3)) for part in (batch.feeds, batch.reads))
        own = torch.where((batch.ids[..., 2].gather(1, drawn[:, None]) == 2).unsqueeze(-1), reads, feeds)
        whole = ((batch.feeds == own).all(-1) | (batch.reads == own).all(-1)) & batch.real & (own[..., 0] >= 0)
        usable = (whole.sum(dim=1) > 0) & (whole.sum(dim=1) < n_real.squeeze(1))
        use = usable & (torch.rand(b, generator=generator) < unit_share)
        masks = torch.where(use[:, None], whole, masks)
    return masks & batch.real
