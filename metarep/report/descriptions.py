"""What each cluster does that the others do not, and what no known label explains: sentences and pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from metarep.report.style import DIVERGING, FAINT, INK, MUTED, PALETTE, use_style
from metarep.report.wording import listed, num

N_SAID = 2
"""So many properties a cluster's sentence names."""

LEAST_EFFECT = 0.3
"""A property with a smaller effect on test networks is not said to set a cluster apart."""

LEVEL_OF_P = 0.05


def sentence(rows: Sequence[dict], rule: dict | None) -> str:
    """What sets one cluster apart, from its rows of descriptions.csv (most telling first) and its row of rules.csv."""
    if not rows or not rows[0]["n"]:
        return "No test network falls into it."
    telling = [_said(row) for row in rows if abs(row["effect"]) >= LEAST_EFFECT][:N_SAID]
    text = f"Apart by: {listed(telling)}." if telling else "Nothing that was looked at sets it clearly apart."
    if rule is None:
        return text
    text += f" Rule: {rule['rule']}; it holds for {_percent(rule, 'recall')} of the cluster"
    return f"{text}, and {_percent(rule, 'precision')} of the networks for which it holds are in it."


def _said(row: dict) -> str:
    if row["is_fact"]:
        return f"{row['property']} ({row['inside']:.0%}, of the others {row['outside']:.0%})"
    word = "higher" if row["effect"] > 0 else "lower"
    return f"{row['property']} is {word} (median {row['inside']:.2g}, others {row['outside']:.2g})"


def _percent(rule: dict, name: str) -> str:
    return f"{rule[name]:.0%} ({rule[f'{name}_low']:.0%} to {rule[f'{name}_high']:.0%})"


def effects_figure(rows: Sequence[dict]) -> Figure:
    """Clusters by properties: Cliff's delta on test networks, from −1 (lower than in all others) to 1."""
    clusters = sorted({row["cluster"] for row in rows})
    names = sorted({row["property"] for row in rows}, key=lambda n: -max(abs(r["effect"]) for r in rows if r["property"] == n))
    effect = {(row["cluster"], row["property"]): row["effect"] for row in rows}
    table = np.array([[effect[cluster, name] for cluster in clusters] for name in names], float)
    sizes = {row["cluster"]: row["n"] for row in rows}
    with use_style():
        figure = Figure(figsize=(5.2 + 0.95 * len(clusters), 1.6 + 0.36 * len(names)), layout="constrained")
        ax = figure.subplots()
        image = ax.imshow(table, cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(table):
            if abs(value) >= 0.1:
                ax.text(j, i, f"{value:+.1f}".replace("-", "−"), ha="center", va="center", fontsize=8.5, color=_ink(value))
        ax.set_xticks(range(len(clusters)), [f"{cluster}\nn = {sizes[cluster]:,}" for cluster in clusters])
        ax.set_yticks(range(len(names)), names, fontsize=9.5)
        ax.tick_params(length=0)
        ax.set_xlabel("cluster, with its test networks")
        ax.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=ax, shrink=0.5, pad=0.02)
        bar.set_label("effect (Cliff's δ): inside against outside")
        bar.outline.set_visible(False)
    return figure


def _ink(value: float) -> str:
    return "white" if abs(value) > 0.6 else INK


def unexplained_figure(rows: Sequence[dict]) -> Figure:
    """Eta squared of every number within cells of equal labels, beside what shuffling within cells reaches."""
    numbers = [row for row in rows if row["property"] != "clusters"][::-1]
    places = np.arange(len(numbers))
    with use_style():
        figure = Figure(figsize=(9, 1.5 + 0.42 * len(numbers)), layout="constrained")
        ax = figure.subplots()
        colours = [PALETTE[0] if row["p_holm"] < LEVEL_OF_P else MUTED for row in numbers]
        ax.barh(places, [row["share"] for row in numbers], color=colours, height=0.62)
        nulls = [row["null"] for row in numbers]
        ax.plot(
            nulls, places, ls="", marker="|", ms=16, mew=2, color=PALETTE[1], label="95th percentile, shuffled within labels"
        )
        ax.set_yticks(places, [row["property"] for row in numbers], fontsize=9.5)
        ax.set_xlim(0, 1.15 * max(0.05, *(row["share"] for row in numbers), *nulls))
        ax.set_xlabel("share of the variance that clusters explain among networks of equal labels (η²)")
        ax.grid(axis="x", color=FAINT, lw=0.6)
        ax.set_axisbelow(True)
        ax.legend(loc="lower right", frameon=False, fontsize=9.5)
    return figure


def unexplained_text(rows: Sequence[dict]) -> str:
    """How much of the clusters the known labels leave open, and which number tells most of the rest."""
    whole, numbers = rows[0], rows[1:]
    text = (
        f"Where a network's mode, quadrant code and signs are all known, {whole['share']:.0%} of the information of its cluster"
    )
    text += f" is still open (labels without a say would leave at least {whole['null']:.0%})."
    sure = [row for row in numbers if row["p_holm"] < LEVEL_OF_P]
    if not sure:
        return f"{text} None of {len(numbers)} numbers differs between clusters of equal labels (Holm-corrected, 5 %)."
    first = sure[0]
    text += (
        f" Among networks of equal labels {len(sure)} of {len(numbers)} numbers differ between clusters (Holm-corrected, 5 %),"
    )
    return f"{text} most of all the {first['property']} (η² {num(first['share'])}, shuffled {num(first['null'])})."
