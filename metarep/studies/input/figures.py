"""The figures of question 3: designs of the input side by side; what is found where inside the model."""

from __future__ import annotations

from collections.abc import Mapping

from metarep.report.style import INK, PALETTE
from metarep.studies.drawing import MARKERS, Series, dots_figure, lines_figure, series_of
from metarep.studies.rows import Rows, values, where
from metarep.studies.study import Figure

PANELS = {
    "mode": "mode: balanced\naccuracy",
    "unit_area": "a unit's\nactive area: R²",
    "error": "log error: R²",
    "masked_r2": "masked R²,\nits own tokens",
    "moved_by_order": "moved by\nunit order",
    "moved_by_scale": "moved by\nunit scale",
}
NULL = "A grey tick is the 95th percentile when predictions are permuted among networks; it is left out where it lies below."


def figures(designs: Rows, titles: Mapping[str, str], depth: Rows, knockouts: Rows) -> dict[str, Figure]:
    read = {title: [Series("", where(designs, metric=name), PALETTE[0], null="null")] for name, title in PANELS.items()}
    floors = {title: min(row["value"] for row in one.rows) - 0.1 for title, (one,) in read.items()}
    blocks = {}
    for level in values(depth, "level"):
        trained, untrained = (where(depth, level=level, model=model) for model in ("trained", "untrained"))
        facts = {fact: fact for fact in values(trained, "fact")}
        dashed = [Series("", one.rows, one.colour, dashed=True) for one in series_of(untrained, "fact", facts)]
        blocks[f"Read off the states of a {level}"] = ("block", [*series_of(trained, "fact", facts), *dashed])
    looks = zip(values(knockouts, "cut"), (INK, *PALETTE), MARKERS, strict=False)
    cuts = [Series(f"cut: {cut}", where(knockouts, cut=cut), *look, null="null") for cut, *look in looks]
    return {
        "designs": Figure(
            dots_figure(read, "design", titles, width=12.5, floor=floors),
            f"What each design of the input gives. Bars are 95 % bootstrap intervals over test networks. {NULL} The two panels "
            "on the right say how far the states move when a network is written down differently, in distances between two "
            "networks.",
        ),
        "depth": Figure(
            lines_figure(blocks, xlabel="behind block (0: before the first)", ylim=(-0.05, 1.08)),
            "What a linear probe reads off the stream behind each block, R² or balanced accuracy of the mode: of the trained "
            "model (lines) and of an untrained one of the same shape (dashes).",
        ),
        "knockouts": Figure(
            dots_figure({"Masked R²": cuts}, "kind", {kind: kind for kind in values(knockouts, "kind")}, floor=-0.5),
            "Masked R² when attention may not pass between tokens of one kind of pair, by what they share, for each kind of "
            f"masked parameter; arrows at the margin lie beyond it. {NULL}",
        ),
    }
