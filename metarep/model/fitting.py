"""What a model takes from training windows before its first step: normalisation, mixtures over units, scales of behaviour."""

from __future__ import annotations

import torch

from metarep.errors import MetarepError
from metarep.model.batches import Batch, Segment
from metarep.model.behaviour import space_name
from metarep.model.data import Source, TrainingData, WholeNetworks, read_probes
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel

MAX_FIT_WINDOWS = 20_000
"""Normalisation and mixtures are fitted on so many training windows at most."""


def fit_statistics(config: PretrainConfig, model: ClozeModel, train: TrainingData) -> None:
    """Normalisation, mixtures over units and scales of behaviour, from training windows."""
    generator = torch.Generator().manual_seed(config.seed)
    share = min(1.0, MAX_FIT_WINDOWS / max(1, len(train)))
    rows = {source: torch.arange(max(1, round(share * len(source)))) for source in train.sources}
    windows = [one for source in rows for one in source.segments(rows[source], config, generator=None)]
    model.fit_normalisation(windows)
    fit_mixtures(model, windows, seed=config.seed)
    if model.decoder is None:
        return
    asked = [
        ask_behaviour(config, model, source, segment, torch.zeros(0), generator).behaviour
        for source in train.sources
        for segment in source.segments(torch.arange(min(len(source), 2000)), config, generator=None)
    ]
    model.decoder.fit_scale([one for one in asked if one is not None])


def fill_pools(config: PretrainConfig, model: ClozeModel) -> None:
    """Gives the spaces of probes the inputs that the config names, if any. Raises MetarepError where they do not fit."""
    if model.decoder is None or config.probes is None:
        return
    pool = torch.from_numpy(read_probes(config)).flatten(1)
    for space in model.decoder.spaces.values():
        if pool.shape[1] != space.n_inputs:
            met, expected = f"{pool.shape[1]} numbers a row", f"{space.n_inputs}"
            raise MetarepError(f"{config.probes} does not fit the networks", met=met, expected=expected)
        space.pool.copy_(pool)


def fit_mixtures(model: ClozeModel, windows: Batch, *, seed: int) -> None:
    """The mixtures over units, from the units of windows."""
    units: dict[int, list[torch.Tensor]] = {}
    for segment in windows:
        if (own := model.unit_values(segment)) is not None:
            units.setdefault(model.place(segment.layout).mixture, []).append(own)
    for number, parts in units.items():
        model.mixtures[number].fit(torch.cat(parts).numpy(), seed=seed)


def ask_behaviour(
    config: PretrainConfig, model: ClozeModel, source: Source, segment: Segment, noisy: torch.Tensor, generator: torch.Generator
) -> Segment:
    """The segment with its behaviour, where it is asked for and known; whole networks in rows `noisy` (B,) are jittered
    first.
    """
    if model.decoder is None or not isinstance(source, WholeNetworks) or source.forward is None:
        return segment
    if config.jitter > 0 and len(noisy):
        segment = source.jittered(segment, noisy, config.jitter, generator=generator)
    space = model.decoder.spaces[space_name(source.forward.n_inputs, source.forward.n_outputs)]
    return source.behave(segment, space.random(config.n_probes, generator=generator))
