"""Charts: what they show is what the tables hold, and no two labels lie on each other."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from synthetic_run import cluster_tables, masked_rows, scan_tables, transfer_rows

from metarep.domains.multiplier.figures import scan_figures, scans
from metarep.evaluation.resampling import wilson
from metarep.report import figures, maps
from metarep.report.figures import spread_labels

RNG = np.random.default_rng(0)
MODE = RNG.choice(["1", "2", "3"], 300)
CLUSTER = RNG.integers(0, 3, 300)
NAMES = np.array([f"n{i}" for i in range(300)])
ARI = {
    name: value
    for name, value in zip(
        ("profile", "pooled", "certainty", "untrained_profile", "raw", "canonical", "pca", "loss", "outputs", "oracle"),
        (0.31, 0.3, 0.305, 0.302, 0.1, 0.101, 0.099, 0.1, 0.3, 0.7),
        strict=True,
    )
}
TABLES = cluster_tables(NAMES, MODE, ARI, 0.01)
ROWS = [r for r in TABLES["agreement.csv"] if r["clusterer"] == "kmeans"]
CHOSEN = {r["representation"]: r for r in ROWS if r["k"] == 3}
SCANS = scan_tables(NAMES, MODE, 0.7)
CURVES = {name: [(r["k"], r["ari"]) for r in ROWS if r["representation"] == name] for name in ARI}


def scan_figure():
    scores, curves, rows = (
        [row for row in SCANS[name] if row["scan"] == "published"] for name in ("scores.csv", "roc.csv", "scan.csv")
    )
    return figures.scan_figure(scores, scans.on_most_networks(curves), scans.on_most_networks(rows))


def zoo_figure():
    rows = [
        {"mode": m, "n": 100, "share": s, "low": s - 0.02, "high": s + 0.02} for m, s in (("1", 0.1), ("2", 0.6), ("3", 0.3))
    ]
    return figures.zoo_figure(rows, MODE, 10 ** RNG.normal(-2.5, 0.3, 300))


def probes():
    rows = [r for r in TABLES["probes.csv"] if r["metric"] == "linear_balanced_accuracy"]
    return [("linear probe for the mode", {r["representation"]: r for r in rows})]


MAKERS = {
    "zoo": zoo_figure,
    "masked": lambda: figures.masked_figure([r for r in masked_rows() if r["masking"] == "random"]),
    "comparison": lambda: figures.comparison_figure(CHOSEN, probes()),
    "by_k": lambda: figures.k_figure(CURVES, CHOSEN, 5),
    "scan": scan_figure,
    "scan_roc": lambda: scan_figures.roc_figure(SCANS["roc.csv"], SCANS["scan.csv"]),
    "scan_table": lambda: scan_figures.heat_figure(SCANS["scan.csv"]),
    "scan_margin": lambda: scan_figures.margin_figure(SCANS["margin.csv"]),
    "transfer": lambda: figures.transfer_figure(
        transfer_rows(),
        {
            "unseen_seeds": "unseen seeds, 50",
            "e07": "e07 networks, 50",
            "random_initialisations": "random starts, 50\n(control)",
        },
        {"masked_r2": "masked R²", "linear_balanced_accuracy": "mode, linear probe:\nbalanced accuracy"},
    ),
    "umap": lambda: maps.umap_figure(
        np.stack([RNG.normal(size=300), 5 * CLUSTER], axis=1), MODE, CLUSTER, 10 ** RNG.normal(-2, 1, 300)
    ),
    "contingency": lambda: maps.contingency_figure(
        {
            name: [{"cluster": c, "modes": {"1": 1200, "2": 5}} for c in range(12)]
            for name in ("pooled", "profile", "certainty")
        },
        ["1", "2", "2.5", "3", "4"],
    ),
}


def undrawn(figure):
    """Tick labels that are in the tree and not drawn, by id: those outside an axis' limits and the hidden ones."""
    hidden = set()
    for ax in figure.findobj(Axes):  # inset axes are not among figure.axes
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9 or not axis.get_visible():
                    hidden |= {id(tick.label1), id(tick.label2)}
                if not tick.label1.get_visible():
                    hidden.add(id(tick.label1))
    return hidden


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_no_label_lies_on_another_or_is_cut_off(make):
    figure = make()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden, renderer = undrawn(figure), canvas.get_renderer()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in hidden]
    texts = [t for t in texts if t.axes is None or t.axes.axison]
    boxes = [(t.get_text(), Text.get_window_extent(t, renderer)) for t in texts]  # an annotation's own box holds its arrow
    for name, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{name!r} is cut off"
    for (a, first), (b, second) in combinations(boxes, 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert min(wide, high) < 2, f"{a!r} lies on {b!r}"


def test_the_comparison_is_sorted_and_says_each_k():
    figure = figures.comparison_figure(CHOSEN, [])
    texts = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert texts[0] == "oracle (active areas),  k = 3"
    assert len(texts) == len(ARI)


def test_labels_are_spread_no_more_than_needed():
    assert spread_labels([0.0, 1.0, 2.0], 0.5) == [0.0, 1.0, 2.0]
    placed = spread_labels([0.3, 0.1, 0.1, 0.11, 5.0], 0.2)
    assert np.diff(np.sort(placed)).min() >= 0.2 - 1e-9
    assert placed[4] == 5.0
    assert np.argsort(placed, kind="stable").tolist() == [1, 2, 3, 0, 4]


def test_wilson_is_the_inverse_of_the_score_test():
    for count, n in ((1, 10), (30, 100), (99, 100)):
        for bound in wilson(count, n):
            assert abs(count / n - bound) / np.sqrt(bound * (1 - bound) / n) == pytest.approx(1.96, abs=1e-3)
    assert (wilson(0, 10)[0], wilson(10, 10)[1]) == pytest.approx((0, 1))
    assert wilson(0, 0) == (0, 1)
