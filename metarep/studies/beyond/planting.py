"""Planted networks, and how much of them each method finds: a setting at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.metrics import adjusted_rand_score

from metarep.cloze.embed import untrained_like
from metarep.cloze.model import ClozeModel
from metarep.cloze.r2_draws import figure, resamples
from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.sections.naming import ModeReader, fit_mode_reader
from metarep.domains.multiplier.sections.one_hidden import OneHidden, all_pairs, cut_windows, usual_ratio
from metarep.domains.multiplier.sections.sections import connectivity, find_sections, matching, section_labels
from metarep.studies.beyond.planted_blocks import Planted, Wiring, plant, strangers
from metarep.zoos.zoo import Zoo

Kind = Literal["zoo", "strangers", "initial"]
CLOZE, UNTRAINED, CONNECTIVITY, RANDOM = METHODS = ("cloze", "untrained", "connectivity", "random")
FIGURES = ("found", "ari", "named", "named_of_found")


@dataclass(frozen=True)
class Setting:
    """How networks are planted: blocks are networks of the zoo, units of different ones (strangers), or initialisations."""

    wiring: Wiring
    kind: Kind
    k: int
    sigma: float


@dataclass(frozen=True)
class Reading:
    """What sections are found and named with: both models, the zoo's usual ratio, the probe for modes, test networks."""

    model: ClozeModel
    untrained: ClozeModel
    ratio: float
    reader: ModeReader
    params: np.ndarray
    initial: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What a method found in one network: mode (K,) of each block, whether it was found, whether also named rightly."""

    mode: np.ndarray
    found: np.ndarray
    named: np.ndarray
    ari: float
    n_sections: int


def prepared(model: ClozeModel, zoo: Zoo, *, max_fit: int, seed: int) -> Reading:
    """Everything that is fitted, on training networks alone."""
    train, test = zoo.where(split="train"), zoo.where(split="test")
    ratio = usual_ratio(train.params)
    reader = fit_mode_reader(model, train.params[:max_fit], train["mode"][:max_fit], ratio)
    return Reading(model, untrained_like(model, seed=seed), ratio, reader, test.params, test.init_params)


def draw(reading: Reading, setting: Setting, rng: np.random.Generator) -> Planted:
    """One planted network of test networks, each of which is in it at most once."""
    rows = rng.choice(len(reading.params), 2 * setting.k, replace=len(reading.params) < 2 * setting.k)
    source = reading.initial if setting.kind == "initial" else reading.params
    blocks = source[rows[: setting.k]]
    if setting.kind == "strangers":
        blocks = strangers(blocks, source[rows[setting.k :]])
    return plant(blocks, sigma=setting.sigma, wiring=setting.wiring, rng=rng)


def outcomes(reading: Reading, setting: Setting, n_networks: int, seed: int) -> dict[str, list[Outcome]]:
    """What each method finds in so many networks of one setting."""
    found: dict[str, list[Outcome]] = {method: [] for method in METHODS}
    for number in range(n_networks):
        rng = np.random.default_rng([seed, setting.k, number])  # the same blocks at every noise
        planted = draw(reading, setting, rng)
        for method, own in found.items():
            own.append(judged(planted, *sections_by(method, planted.network, reading, rng), reading.reader))
    return found


def sections_by(
    method: str, network: OneHidden, reading: Reading, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units (K, 2) of the sections that a method finds; windows (W, 9) on them, and each one's section (W,)."""
    if method in (CLOZE, UNTRAINED):
        sections = find_sections(network, reading.model if method == CLOZE else reading.untrained, reading.ratio)
        return sections.units, sections.params, np.arange(len(sections.units))
    if method == CONNECTIVITY:
        units = matching(all_pairs(network.n_units), connectivity(network))
    else:
        units = rng.permutation(network.n_units)[: network.n_units // 2 * 2].reshape(-1, 2)
    windows = cut_windows(network, units, reading.ratio, 1)
    return units, windows.params, windows.pair


def judged(planted: Planted, units: np.ndarray, params: np.ndarray, section: np.ndarray, reader: ModeReader) -> Outcome:
    """Sections held against the truth."""
    truth = label_modes(MULTIPLIER, planted.params).mode.astype(str)
    names = np.full(len(units), "", dtype=object)
    names[section] = reader.modes(params)
    found, named = (np.zeros(len(truth), dtype=bool) for _ in range(2))
    for pair, name in zip(planted.block[units], names, strict=True):
        if pair[0] == pair[1]:
            found[pair[0]], named[pair[0]] = True, name == truth[pair[0]]
    ari = adjusted_rand_score(planted.block, section_labels(units, len(planted.block)))
    return Outcome(truth, found, named, float(ari), len(units))


def summarised(setting: Setting, method: str, own: list[Outcome], *, n_bootstraps: int, seed: int) -> dict[str, Any]:
    """A row of the table: shares of blocks and the mean ARI, with bootstrap intervals over networks."""
    weights = resamples(n_bootstraps, len(own), seed=seed)
    blocks, found, named = (
        weights @ np.array([float(count) for count in counts])
        for counts in ([len(o.mode) for o in own], [o.found.sum() for o in own], [o.named.sum() for o in own])
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = {
            "found": found / blocks,
            "ari": weights @ np.array([o.ari for o in own]) / weights.sum(axis=1),
            "named": named / blocks,
            "named_of_found": named / found,
        }
    row = {"wiring": setting.wiring, "blocks": setting.kind, "k": setting.k, "sigma": setting.sigma, "method": method}
    row |= {"n_networks": len(own), "n_blocks": int(blocks[0]), "sections": sum(o.n_sections for o in own) / float(blocks[0])}
    for name in FIGURES:
        row |= figure(name, draws[name])
    return row
