"""Planted: networks built of 2-2-1 networks side by side; which of these a model of 2-2-1 networks finds and names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from metarep.report.wording import listed, num
from metarep.studies.drawing import lines_figure, series_of
from metarep.studies.multipliers import pretrained
from metarep.studies.planted.planting import CLOZE, CONNECTIVITY, METHODS, UNTRAINED, Setting, outcomes, prepared, summarised
from metarep.studies.rows import Rows, by, values, where
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.studies.words import grouped, relation, spoken

TITLES = {CLOZE: "the model", CONNECTIVITY: "connectivity alone", UNTRAINED: "an untrained model"}


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
    panels = {f"{k} blocks": ("sigma", series_of(where(rows, blocks="zoo", k=k), "method", TITLES, of="found")) for k in ks}
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
