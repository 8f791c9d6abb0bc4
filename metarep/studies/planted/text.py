"""What was found of planted blocks, in claims and sentences; each is computed, and is worded by what the numbers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metarep.report.wording import listed, num
from metarep.studies.planted.planting import CLOZE, CONNECTIVITY, RANDOM, UNTRAINED
from metarep.studies.study import Claim
from metarep.studies.words import named, spoken

Row = Mapping[str, Any]

ASKED_ARI = 0.9
"""So much agreement was asked for without noise."""

ABOUT = {"decimals": 2, "over": "networks", "best": 1.0}
TITLES = {CLOZE: "the model", CONNECTIVITY: "connectivity alone", UNTRAINED: "an untrained model", RANDOM: "random pairs"}


def picked(rows: Sequence[Row], connections: str = "apart", blocks: str = "zoo") -> list[Row]:
    """The rows of one kind of connections and one kind of blocks."""
    return [row for row in rows if (row["connections"], row["blocks"]) == (connections, blocks)]


def indexed(rows: Sequence[Row]) -> dict[tuple[int, float, str], Row]:
    """Rows by k, sigma and method."""
    return {(row["k"], row["sigma"], row["method"]): row for row in rows}


def by_blocks(rows: Sequence[Row], name: str) -> str:
    """A figure for each number of blocks."""
    return listed([f"{spoken(row, name)} of {row['k']} blocks" for row in rows])


def claims(rows: Sequence[Row]) -> tuple[Claim, ...]:
    """Found, grouped and named without noise; then what remains of it at the largest noise, beside connectivity."""
    by = indexed(picked(rows))
    sigmas, ks = sorted({sigma for _, sigma, _ in by}), sorted({k for k, _, _ in by})
    made = []
    for k in ks:
        clean = by[k, sigmas[0], CLOZE]
        for name, title in (
            ("ari", f"ARI of sections with {k} blocks, noise {sigmas[0]:g} (at least {ASKED_ARI} was asked for)"),
            ("found", f"share of {k} blocks found, noise {sigmas[0]:g}"),
            ("named_of_found", f"of those found, mode named rightly, {k} blocks, noise {sigmas[0]:g}"),
        ):
            made.append(Claim.of(title, clean, name, **ABOUT))
    for method in (CLOZE, CONNECTIVITY):
        title = f"share of {ks[-1]} blocks found at noise {sigmas[-1]:g}: {TITLES[method]}"
        made.append(Claim.of(title, by[ks[-1], sigmas[-1], method], "found", **ABOUT))
    return tuple(made)


def sentences(rows: Sequence[Row], modes: Sequence[Row], alone: float) -> tuple[str, ...]:
    """Everything that was found, a sentence or two a subject."""
    apart = picked(rows)
    least = min(row["sigma"] for row in apart)
    clean = [row for row in apart if row["sigma"] == least]
    return (
        grouping(clean, least),
        naming(clean, modes, alone),
        noise(apart),
        sharing(picked(rows, "shared")),
        *(control(picked(rows, blocks=kind), clean, kind) for kind in ("mixed", "initial")),
    )


def of_method(rows: Sequence[Row], method: str) -> list[Row]:
    """The rows of one method."""
    return [row for row in rows if row["method"] == method]


def grouping(clean: Sequence[Row], sigma: float) -> str:
    """How well units are grouped with the least noise."""
    own, random = of_method(clean, CLOZE), of_method(clean, RANDOM)
    kept = all(row["ari"] >= ASKED_ARI for row in own)
    sure = all(row["ari_low"] >= ASKED_ARI for row in own)
    verdict = f"the ARI of {ASKED_ARI} that was asked for is {'reached' if kept else 'not reached everywhere'}"
    if kept and not sure:
        verdict += ", though not by every interval's lower end"
    return (
        f"With noise {sigma:g} between blocks the model finds these shares of them: {by_blocks(own, 'found')}; and {verdict}: "
        f"{by_blocks(own, 'ari')} (random pairs {listed([num(row['ari']) for row in random])}; connectivity alone "
        f"{listed([num(row['ari']) for row in of_method(clean, CONNECTIVITY)])}; an untrained model "
        f"{listed([num(row['ari']) for row in of_method(clean, UNTRAINED)])})."
    )


def naming(clean: Sequence[Row], modes: Sequence[Row], alone: float) -> str:
    """How often a found block is called by its mode, and which modes are missed."""
    own = of_method(clean, CLOZE)
    commonest = max(row["n_blocks"] for row in modes) / sum(row["n_blocks"] for row in modes)
    return (
        f"Of the blocks found, {by_blocks(own, 'named_of_found')} are given their right mode by a probe that was fitted on "
        f"2-2-1 networks, on which its balanced accuracy is {num(alone)} ({num(commonest)} of all blocks are of the "
        "commonest mode)."
    )


def noise(rows: Sequence[Row]) -> str:
    """Up to which noise each method is ahead."""
    by = indexed(rows)
    sigmas = sorted({sigma for _, sigma, _ in by})
    parts = []
    for k in sorted({k for k, _, _ in by}):
        ahead = [s for s in sigmas if by[k, s, CLOZE]["found_low"] > by[k, s, CONNECTIVITY]["found_high"]]
        behind = [s for s in sigmas if by[k, s, CLOZE]["found_high"] < by[k, s, CONNECTIVITY]["found_low"]]
        last = f"{spoken(by[k, sigmas[-1], CLOZE], 'found')} against {spoken(by[k, sigmas[-1], CONNECTIVITY], 'found')}"
        words = named({"ahead": [f"{s:g}" for s in ahead], "behind": [f"{s:g}" for s in behind]}, "{} at {}")
        clear = " and ".join(words) or "nowhere clearly apart"
        parts.append(f"with {k} blocks {clear} ({last} found at {sigmas[-1]:g})")
    return (
        f"Over noise of {sigmas[0]:g} to {sigmas[-1]:g} the model is, by intervals that do not overlap, ahead of or behind "
        f"connectivity alone: {'; '.join(parts)}."
    )


def sharing(rows: Sequence[Row]) -> str:
    """Blocks that connections cannot tell apart."""
    triples = list(zip(*(of_method(rows, method) for method in (CLOZE, CONNECTIVITY, RANDOM)), strict=True))
    parts = [
        f"{spoken(own, 'found')} of {own['k']} blocks (connectivity alone {num(other['found'])}, random pairs "
        f"{num(random['found'])})"
        for own, other, random in triples
    ]
    beyond = all(own["found_low"] > max(other["found_high"], random["found_high"]) for own, other, random in triples)
    verdict = "parameters tell who belongs together" if beyond else "this is not clearly more than chance everywhere"
    return f"Where all blocks read the same two inputs and feed one output, the model finds {listed(parts)}: {verdict}."


def control(rows: Sequence[Row], clean: Sequence[Row], kind: str) -> str:
    """Blocks that are none: units of different networks, or of initialisations."""
    title = {"mixed": "units of two different networks", "initial": "networks at their initialisation"}[kind]
    own, real = of_method(rows, CLOZE), of_method(clean, CLOZE)
    breaks = all(a["found_high"] < b["found_low"] for a, b in zip(own, real, strict=True))
    return (
        f"Connected as blocks but made of {title}, the model takes {by_blocks(own, 'found')} for sections, connectivity alone "
        f"{listed([num(row['found']) for row in of_method(rows, CONNECTIVITY)])}: the control "
        f"{'breaks as it must' if breaks else 'does not break everywhere'}."
    )
