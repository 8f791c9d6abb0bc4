"""Planted networks, and how much of them each method finds: a setting at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.sections.one_hidden import OneHidden, all_pairs, cut_windows, usual_ratio
from metarep.domains.multiplier.sections.sections import (
    ModeProbe,
    connectivity,
    find_sections,
    fit_mode_probe,
    matching,
)
from metarep.evaluation.resampling import resamples
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.studies.rows import columns
from metarep.zoos.zoo import Zoo

SCALE_STD = 1.0
"""Standard deviation of the logarithm of a unit's random scale."""

Kind = Literal["zoo", "mixed"]
CLOZE, UNTRAINED, CONNECTIVITY = METHODS = ("cloze", "untrained", "connectivity")


@dataclass(frozen=True)
class Planted:
    """A network of K blocks. block (2 K,) says of each hidden unit to which it belongs; params (K, 9) is each one alone."""

    network: OneHidden
    block: np.ndarray
    params: np.ndarray


@dataclass(frozen=True)
class Setting:
    """How networks are planted: k blocks, networks of the zoo or units of different ones (mixed), and noise between them."""

    kind: Kind
    k: int
    sigma: float


@dataclass(frozen=True)
class Known:
    """What sections are found and named with: both models, the zoo's usual ratio, the probe for modes, test networks."""

    model: ClozeModel
    untrained: ClozeModel
    ratio: float
    probe: ModeProbe
    params: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What a method found in one network: of each block (K,) whether it was found, and whether also named rightly."""

    found: np.ndarray
    named: np.ndarray


def plant(params: np.ndarray, *, sigma: float = 0.0, rng: np.random.Generator) -> Planted:
    """2-2-1 networks params (K, 9) as blocks of one network, units in a random order and scale.

    sigma is the standard deviation of the weights between blocks, as a share of the root mean square of those within
    them, layer by layer and before units are scaled.
    """
    params = np.asarray(params, dtype=np.float64)
    k = len(params)
    (weight, bias), (readout, offset) = MULTIPLIER.unpack(params)
    weight, readout, offset = between_blocks(weight, sigma, rng), between_blocks(readout, sigma, rng), offset.ravel()
    order = rng.permutation(2 * k)
    scale = np.exp(SCALE_STD * rng.standard_normal(2 * k))
    inputs, outputs = rng.permutation(weight.shape[1]), rng.permutation(len(offset))
    network = OneHidden(
        (weight * scale[:, None])[order][:, inputs],
        (bias.ravel() * scale)[order],
        (readout / scale)[:, order][outputs],
        offset[outputs],
    )
    return Planted(network, np.repeat(np.arange(k), 2)[order], params)


def between_blocks(blocks: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """(K A, K B): matrices (K, A, B) along the diagonal, Gaussian noise of sigma times their root mean square elsewhere."""
    k, rows, columns = blocks.shape
    noise = sigma * np.sqrt(np.square(blocks).mean()) * rng.standard_normal((k, rows, k, columns))
    noise[np.arange(k), :, np.arange(k), :] = blocks
    return noise.reshape(k * rows, k * columns)


def mixed_units(params: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(K, 9): 2-2-1 networks params whose second unit is that of others (K, 9): real units that do not belong together."""
    (weight, bias), (readout, offset) = MULTIPLIER.unpack(params.copy())
    (other_weight, other_bias), (other_readout, _) = MULTIPLIER.unpack(others)
    weight[:, 1], bias[:, 1], readout[:, :, 1] = other_weight[:, 1], other_bias[:, 1], other_readout[:, :, 1]
    return MULTIPLIER.pack([(weight, bias), (readout, offset)])


def prepared(model: ClozeModel, zoo: Zoo, *, max_fit: int, seed: int) -> Known:
    """Everything that is fitted, on training networks alone."""
    train, test = zoo.where(split="train"), zoo.where(split="test")
    ratio = usual_ratio(train.params)
    probe = fit_mode_probe(model, train.params[:max_fit], train["mode"][:max_fit], ratio)
    return Known(model, untrained_like(model, seed=seed), ratio, probe, test.params)


def outcomes(known: Known, setting: Setting, n_networks: int, seed: int) -> dict[str, list[Outcome]]:
    """What each method finds in so many networks of one setting, planted of test networks, each once in a network at most."""
    found: dict[str, list[Outcome]] = {method: [] for method in METHODS}
    for number in range(n_networks):
        rng = np.random.default_rng([seed, setting.k, number])  # the same blocks at every noise
        rows = rng.choice(len(known.params), 2 * setting.k, replace=len(known.params) < 2 * setting.k)
        blocks, others = known.params[rows[: setting.k]], known.params[rows[setting.k :]]
        planted = plant(mixed_units(blocks, others) if setting.kind == "mixed" else blocks, sigma=setting.sigma, rng=rng)
        for method, own in found.items():
            own.append(judged(planted, *sections_by(method, planted.network, known), known.probe))
    return found


def sections_by(method: str, network: OneHidden, known: Known) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units (K, 2) of the sections that a method finds; windows (W, 9) on them, and each one's section (W,)."""
    if method == CONNECTIVITY:
        units = matching(all_pairs(network.n_units), connectivity(network))
        windows = cut_windows(network, units, known.ratio, 1)
        return units, windows.params, windows.pair
    sections = find_sections(network, known.model if method == CLOZE else known.untrained, known.ratio)
    return sections.units, sections.params, np.arange(len(sections.units))


def judged(planted: Planted, units: np.ndarray, params: np.ndarray, section: np.ndarray, probe: ModeProbe) -> Outcome:
    """Sections held against the truth."""
    truth = label_modes(MULTIPLIER, planted.params).mode.astype(str)
    names = np.full(len(units), "", dtype=object)
    names[section] = probe.modes(params)
    one, other = planted.block[units].T
    found, named = (np.zeros(len(truth), dtype=bool) for _ in range(2))
    found[one[one == other]] = True
    named[one[(one == other) & (names == truth[one])]] = True
    return Outcome(found, named)


def summarised(setting: Setting, method: str, own: list[Outcome], *, n_bootstraps: int, seed: int) -> dict[str, Any]:
    """A row of the table: shares of blocks, with bootstrap intervals over networks."""
    weights = resamples(n_bootstraps, len(own), seed=seed)
    counts = [[len(one.found), one.found.sum(), one.named.sum()] for one in own]
    blocks, found, named = (weights @ np.array(counts, float)).T
    row = {"blocks": setting.kind, "k": setting.k, "sigma": setting.sigma, "method": method, "n_blocks": int(blocks[0])}
    with np.errstate(invalid="ignore", divide="ignore"):
        return row | columns("found", found / blocks) | columns("named_of_found", named / found)
