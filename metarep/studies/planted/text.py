"""What was found of planted blocks, in claims and sentences; each is computed, and is worded by what the numbers are."""

from __future__ import annotations

from metarep.report.wording import listed, num
from metarep.studies.planted.planting import CLOZE, CONNECTIVITY, RANDOM, UNTRAINED
from metarep.studies.rows import Row, Rows, by, values, where
from metarep.studies.study import Claim
from metarep.studies.words import grouped, relation, spoken

ASKED_ARI = 0.9
"""So much agreement was asked for without noise."""

TITLES = {CLOZE: "the model", CONNECTIVITY: "connectivity alone", UNTRAINED: "an untrained model", RANDOM: "random pairs"}


def picked(rows: Rows, connections: str = "apart", blocks: str = "zoo") -> list[Row]:
    """The rows of one kind of connections and one kind of blocks."""
    return where(rows, connections=connections, blocks=blocks)


def each(rows: Rows, method: str, name: str = "found") -> str:
    """A method's metric for each number of blocks; of the model with intervals."""
    own = where(rows, method=method)
    if method == CLOZE:
        return listed([f"{spoken(row, name)} of {row['k']} blocks" for row in own])
    return f"{TITLES[method]} {listed([num(row[name]) for row in own])}"


def claims(rows: Rows) -> tuple[Claim, ...]:
    """Found, grouped and named without noise; then what remains of it at the largest noise, beside connectivity."""
    about = {"decimals": 2, "over": "networks", "best": 1.0}
    found = by(picked(rows), "k", "sigma", "method")
    sigmas, ks = (sorted(values(picked(rows), name)) for name in ("sigma", "k"))
    made = []
    for k in ks:
        for name, title in (
            ("ari", f"ARI of sections with {k} blocks, noise {sigmas[0]:g} (at least {ASKED_ARI} was asked for)"),
            ("found", f"share of {k} blocks found, noise {sigmas[0]:g}"),
            ("named_of_found", f"of those found, mode named rightly, {k} blocks, noise {sigmas[0]:g}"),
        ):
            made.append(Claim.of(title, found[k, sigmas[0], CLOZE], name, **about))
    for method in (CLOZE, CONNECTIVITY):
        title = f"share of {ks[-1]} blocks found at noise {sigmas[-1]:g}: {TITLES[method]}"
        made.append(Claim.of(title, found[ks[-1], sigmas[-1], method], "found", **about))
    return tuple(made)


def sentences(rows: Rows, modes: Rows, alone: float) -> tuple[str, ...]:
    least = min(values(picked(rows), "sigma"))
    clean, shared = where(picked(rows), sigma=least), picked(rows, "shared")
    commonest = max(row["n_blocks"] for row in modes) / sum(row["n_blocks"] for row in modes)
    beyond = all(clearly_more(shared, method) for method in (CONNECTIVITY, RANDOM))
    return (
        grouping(clean, least),
        f"Of the blocks found, {each(clean, CLOZE, 'named_of_found')} are given their right mode by a probe that was fitted "
        f"on 2-2-1 networks, on which its balanced accuracy is {num(alone)} ({num(commonest)} of all blocks are of the "
        "commonest mode).",
        noise(picked(rows)),
        f"Where all blocks read the same two inputs and feed one output, the model finds {each(shared, CLOZE)} "
        f"({each(shared, CONNECTIVITY)}, {each(shared, RANDOM)}): "
        f"{'parameters tell who belongs together' if beyond else 'this is not clearly more than chance everywhere'}.",
        control(picked(rows, blocks="mixed"), clean, "units of two different networks"),
        control(picked(rows, blocks="initial"), clean, "networks at their initialisation"),
    )


def clearly_more(rows: Rows, than: str) -> bool:
    """Whether the model finds clearly more blocks than another method, for each number of them."""
    pairs = zip(where(rows, method=CLOZE), where(rows, method=than), strict=True)
    return all(relation(own, other, "found") == "clearly above" for own, other in pairs)


def grouping(clean: Rows, sigma: float) -> str:
    """How well units are grouped with the least noise."""
    own = where(clean, method=CLOZE)
    kept = all(row["ari"] >= ASKED_ARI for row in own)
    sure = "" if not kept or all(row["ari_low"] >= ASKED_ARI for row in own) else ", though not by every interval's lower end"
    others = "; ".join(each(clean, method, "ari") for method in (RANDOM, CONNECTIVITY, UNTRAINED))
    return (
        f"With noise {sigma:g} between blocks the model finds these shares of them: {each(clean, CLOZE)}; and the ARI of "
        f"{ASKED_ARI} that was asked for is {'reached' if kept else 'not reached everywhere'}{sure}: "
        f"{each(clean, CLOZE, 'ari')} ({others})."
    )


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


def control(rows: Rows, clean: Rows, title: str) -> str:
    """Blocks that are none: units of different networks, or of initialisations."""
    pairs = zip(where(rows, method=CLOZE), where(clean, method=CLOZE), strict=True)
    breaks = all(relation(own, real, "found") == "clearly below" for own, real in pairs)
    return (
        f"Connected as blocks but made of {title}, the model takes {each(rows, CLOZE)} for sections, "
        f"{each(rows, CONNECTIVITY)}: the control {'breaks as it must' if breaks else 'does not break everywhere'}."
    )
