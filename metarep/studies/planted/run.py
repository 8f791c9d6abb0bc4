"""Planted: networks built of 2-2-1 networks side by side; which of these a model of 2-2-1 networks finds and names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.sections.one_hidden import OneHidden, all_pairs, cut_windows, usual_ratio
from metarep.domains.multiplier.sections.sections import ModeProbe, connectivity, find_sections, fit_mode_probe, matching
from metarep.evaluation.resampling import resamples
from metarep.model.transformer import ClozeModel, untrained_like
from metarep.report.dots import lines_figure, series_of
from metarep.report.wording import listed, num
from metarep.studies.multipliers import pretrained
from metarep.studies.rows import Rows, by, columns, grouped, relation, spoken, values, where
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.zoos.zoo import Zoo

SCALE_STD = 1.0
"""Standard deviation of the logarithm of a unit's random scale."""

Kind = Literal["zoo", "mixed"]
CLOZE, UNTRAINED, CONNECTIVITY = METHODS = ("cloze", "untrained", "connectivity")
TITLES = {CLOZE: "the model", CONNECTIVITY: "connectivity alone", UNTRAINED: "an untrained model"}


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
class Judged:
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


def outcomes(known: Known, setting: Setting, n_networks: int, seed: int) -> dict[str, list[Judged]]:
    """What each method finds in so many networks of one setting, planted of test networks, each once in a network at most."""
    found: dict[str, list[Judged]] = {method: [] for method in METHODS}
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


def judged(planted: Planted, units: np.ndarray, params: np.ndarray, section: np.ndarray, probe: ModeProbe) -> Judged:
    """Sections held against the truth."""
    truth = label_modes(MULTIPLIER, planted.params).mode.astype(str)
    names = np.full(len(units), "", dtype=object)
    names[section] = probe.modes(params)
    one, other = planted.block[units].T
    found, named = (np.zeros(len(truth), dtype=bool) for _ in range(2))
    found[one[one == other]] = True
    named[one[(one == other) & (names == truth[one])]] = True
    return Judged(found, named)


def summarised(setting: Setting, method: str, own: list[Judged], *, n_bootstraps: int, seed: int) -> dict[str, Any]:
    """A row of the table: shares of blocks, with bootstrap intervals over networks."""
    weights = resamples(n_bootstraps, len(own), seed=seed)
    counts = [[len(one.found), one.found.sum(), one.named.sum()] for one in own]
    blocks, found, named = (weights @ np.array(counts, float)).T
    row = {"blocks": setting.kind, "k": setting.k, "sigma": setting.sigma, "method": method, "n_blocks": int(blocks[0])}
    with np.errstate(invalid="ignore", divide="ignore"):
        return row | columns("found", found / blocks) | columns("named_of_found", named / found)


def run(context: Context) -> Result:
    """Every setting by every method."""
    config, seed = context.config.planted, context.config.seed
    model, zoo = pretrained(context)
    known = prepared(model, zoo, max_fit=config.max_fit_networks, seed=seed)
    settings = [Setting("zoo", k, sigma) for k in config.blocks for sigma in config.sigmas]
    settings += [Setting("mixed", k, 0.0) for k in config.blocks]
    jobs = {f"{one}": partial(outcomes, known, one, max(2, config.n_blocks // one.k), seed) for one in settings}
    found = dict(zip(settings, context.side_by_side("planted", jobs), strict=True))
    draws = {"n_bootstraps": context.config.n_bootstraps, "seed": seed}
    rows = [summarised(setting, method, found[setting][method], **draws) for setting in settings for method in METHODS]
    return Result(claims(rows), tuple(sentences(rows)), tables={"planted": rows}, figures={"found": figure(rows)})


def figure(rows: Rows) -> Figure:
    """Blocks found by noise, a panel for each number of blocks."""
    ks = sorted(values(rows, "k"))
    real = where(rows, blocks="zoo")
    panels = {f"{k} blocks": ("sigma", series_of(where(real, k=k), "method", TITLES, "sigma", "found")) for k in ks}
    return Figure(
        lines_figure(panels, across=len(ks), xlabel="noise between blocks", ylim=(-0.03, 1.03)),
        "The share of planted blocks that are found as sections, by the noise on the weights between blocks as a share of "
        "those within. 95 % bootstrap intervals over networks.",
    )


def claims(rows: Rows) -> tuple[Claim, ...]:
    """Found and named without noise; then what remains of it at the largest noise; all with the most blocks."""
    found, about = by(where(rows, blocks="zoo"), "k", "sigma", "method"), {"decimals": 2, "over": "networks"}
    k, least, most = max(values(rows, "k")), min(values(rows, "sigma")), max(values(rows, "sigma"))
    clean, noisy, other = found[k, least, CLOZE], found[k, most, CLOZE], found[k, most, CONNECTIVITY]
    return (
        Claim.of(f"share of {k} blocks found without noise", clean, "found", best=1.0, **about),
        Claim.of("of those found, mode named rightly", clean, "named_of_found", best=1.0, **about),
        Claim.of(
            f"share of {k} blocks found at noise {most:g}; connectivity last", noisy, "found", best=other["found"], **about
        ),
    )


def each(rows: Rows, method: str, name: str = "found") -> str:
    """A method's metric for each number of blocks."""
    return listed([f"{spoken(row, name)} of {row['k']} blocks" for row in where(rows, method=method)])


def sentences(rows: Rows) -> Iterator[str]:
    """How many planted networks are found, in words."""
    clean = where(rows, blocks="zoo", sigma=min(values(rows, "sigma")))
    others = "; ".join(f"{TITLES[m]} {listed([num(r['found']) for r in where(clean, method=m)])}" for m in METHODS[1:])
    yield (
        f"Without noise between them the model finds {each(clean, CLOZE)} ({others}). Of those found "
        f"{each(clean, CLOZE, 'named_of_found')} are given their right mode by a probe that was fitted on 2-2-1 networks."
    )
    yield noise(where(rows, blocks="zoo"))
    yield control(where(rows, blocks="mixed"), clean)


def noise(rows: Rows) -> str:
    """Up to which noise the model is ahead."""
    found, sigmas, parts = by(rows, "k", "sigma", "method"), sorted(values(rows, "sigma")), []
    words = {"clearly above": "ahead", "clearly below": "behind"}
    for k in sorted(values(rows, "k")):
        pairs = {sigma: (found[k, sigma, CLOZE], found[k, sigma, CONNECTIVITY]) for sigma in sigmas}
        lies = {f"{sigma:g}": words.get(relation(*pair, "found"), "") for sigma, pair in pairs.items()}
        last = " against ".join(spoken(row, "found") for row in pairs[sigmas[-1]])
        clear = grouped(lies, "{} at {}") or "nowhere clearly apart"
        parts.append(f"with {k} blocks {clear} ({last} found at {sigmas[-1]:g})")
    return (
        f"Over noise of {sigmas[0]:g} to {sigmas[-1]:g} the model is, by intervals that do not overlap, ahead of or behind "
        f"connectivity alone: {'; '.join(parts)}."
    )


def control(rows: Rows, clean: Rows) -> str:
    """Blocks that are none: units of different networks."""
    pairs = zip(where(rows, method=CLOZE), where(clean, method=CLOZE), strict=True)
    breaks = all(relation(own, real, "found") == "clearly below" for own, real in pairs)
    return (
        f"Connected as blocks but made of units of two different networks, the model takes {each(rows, CLOZE)} for sections, "
        f"connectivity {each(rows, CONNECTIVITY)}: the control "
        f"{'breaks as it must' if breaks else 'does not break everywhere'}."
    )
