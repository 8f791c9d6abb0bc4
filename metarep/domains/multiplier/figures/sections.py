"""What a report on multipliers shows besides: the modes, each with a typical network, and the scans."""

from __future__ import annotations

from functools import partial

import numpy as np

from metarep.domains.multiplier.figures import scans
from metarep.domains.multiplier.figures.square import draw_small
from metarep.domains.multiplier.modes import MAINLY_ON, MODE_NAMES, TOLERANCE
from metarep.report.blocks import Block, Card, Cards, Drawing, Section, Table, Text, absent
from metarep.report.maps import small_figure
from metarep.report.results import Results
from metarep.report.wording import capital

MODE_RULES = {
    "1": f"both units are on over less than {TOLERANCE:.0%} of the square",
    "2": f"one unit is on over less than {TOLERANCE:.0%} of the square, the other over more",
    "2.5": f"both are on over more than {1 - TOLERANCE:.0%}",
    "3": f"one is partly on, the other over more than {MAINLY_ON:.0%}",
    "4": f"both are partly on, neither over more than {MAINLY_ON:.0%}",
}


def sections_of(results: Results) -> list[Section]:
    """The modes, where the zoo's networks have some, and the scans."""
    return [*([modes_section(results)] if "mode" in results.labels else []), scan_section(results)]


def modes_section(results: Results) -> Section:
    """The rule of each mode and a typical network."""
    final, cards = results.final, []
    for mode in results.values_of("mode"):
        draw = partial(small_figure, draw_small, final.spec, final.params[typical_of_mode(results, mode)])
        drawing = Drawing(f"mode-{mode}", draw, f"output of a typical network of mode {mode}")
        cards.append(Card(f"Mode {mode}", [f"{capital(MODE_NAMES[mode])}.", f"Rule: {MODE_RULES[mode]}."], drawing))
    text = (
        "A network of two inputs, two hidden units and one output is trained to return the product of its inputs. Its active "
        "areas are the exact shares of the unit square on which its hidden units are on; its mode, the algorithm, follows from "
        "them. Colour is the output over the unit square, from 0 (dark) to 1 (bright), with thin contours; those of the true "
        "product would be hyperbolas. A white line is where a hidden unit turns on, its arrow points to the side where it is "
        "on; below is the share of the square on which each unit is on. The active areas of the network shown are nearest to "
        "the medians of its mode."
    )
    return Section("modes", "The modes", [Text(text, small=True), Cards(cards)])


def typical_of_mode(results: Results, mode: str) -> int:
    """The row of the finished network whose active areas, sorted, are nearest to the mode's medians."""
    rows = np.flatnonzero(results.labels["mode"] == mode)
    areas = np.sort(results.final["active_area"][rows], axis=1)
    return int(rows[np.abs(areas - np.median(areas, axis=0)).sum(axis=1).argmin()])


def scan_section(results: Results) -> Section:
    """The published score, then all scans side by side."""
    if not results.has("scan"):
        return absent("scan", "The scan", "scan")
    rows, curves = (results.table(f"scan/{name}") for name in ("scan", "roc"))
    about = results.metrics.get("scan", {})
    blocks: list[Block] = [
        Text(
            "The scan is a score built by hand to find mode 3: how similar a network's parameters are to those of one "
            "hand-crafted multiplier. It was published with an AUC of 1.00, on two networks chosen by hand against 2,000 "
            "random starts; here it meets every network of the zoo. The area under the curve (AUC) is the probability that a "
            "network of mode 3 scores above one of the others: 1 is perfect, 0.5 is chance, and below 0.5 it ranks them the "
            "wrong way round."
        ),
        Text(
            "Is mode 3 hard to find, or was this the wrong score? All scans meet the same test networks; what they were fitted "
            f"on, and the {about.get('n_examples', '')} examples, are training networks."
        ),
        Drawing("scan_table", partial(scans.heat_figure, rows), "AUC of each scan for each mode"),
        scans_table(rows),
    ]
    if scans.on_most_networks(rows):
        draw = partial(scans.roc_figure, curves, rows)
        blocks.append(Drawing("scan_roc", draw, "ROC curves of every scan for mode 3"))
    return Section("scan", "The scan", blocks, scans.findings(rows, about.get("left_out", "")))


def scans_table(rows: list[dict]) -> Table:
    """The AUC of each scan for mode 3, with what the scan is."""
    own = [row for row in scans.side_by_side(rows) if row["positive"] == "3"]
    negatives = list(dict.fromkeys(row["negative"] for row in own))
    cell = {(row["scan"], row["negative"]): scans.auc(row) for row in own}
    names = scans.scans_of(own)
    cells = [[scans.TITLES[name], *(cell.get((name, negative), "") for negative in negatives)] for name in names]
    notes = {i: scans.DESCRIPTIONS[name] for i, name in enumerate(names)}
    return Table(["AUC for mode 3 against", *map(scans.negative_title, negatives)], cells, notes=notes)
