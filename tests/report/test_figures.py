"""Charts: what they show is what the tables hold, and no two labels lie on each other."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from synthetic_run import UNTRAINED, cluster_tables, description_tables, masked_rows, scan_tables, unexplained_rows

from metarep.domains.multiplier.domain import MODE_COLOURS
from metarep.domains.multiplier.figures import scans as scan_figures
from metarep.evaluation.resampling import wilson
from metarep.report import descriptions, figures, maps
from metarep.report.comparison_section import comparison_figure_of
from metarep.report.dots import LEAST_SHOWN, Panel, Series, dots_figure
from metarep.report.model_section import panel_of
from metarep.report.representations import LOOKS, PREDICTORS, key_of, representation_of
from metarep.report.style import colours_of, spread_apart
from metarep.report.wording import Score, score_of

RNG = np.random.default_rng(0)
MODE = RNG.choice(["1", "2", "3"], 300)
LABEL = RNG.choice(["a long label", "another long one", "short"], 300)
CLUSTER = RNG.integers(0, 3, 300)
NAMES = np.array([f"n{i}" for i in range(300)])
ARI = {
    name: value
    for name, value in zip(
        ("profile", "pooled", "certainty", UNTRAINED, "raw", "canonical", "pca", "loss", "outputs", "oracle"),
        (0.31, 0.3, 0.305, 0.302, 0.1, 0.101, 0.099, 0.1, 0.3, 0.7),
        strict=True,
    )
}
TABLES = cluster_tables(NAMES, MODE, ARI, 0.01)
KNOWN = {key_of(row): representation_of(row, {}) for row in TABLES["representations.csv"]}
TITLES = {name: one.title for name, one in KNOWN.items()}
ROWS = [r for r in TABLES["agreement.csv"] if (r["clusterer"], r["label"], r["metric"]) == ("kmeans", "mode", "ari")]
CHOSEN = {key_of(row): score_of(row) for row in ROWS if row["chosen"]}
PROBED = {key_of(r): score_of(r) for r in TABLES["probes.csv"] if (r["target"], r["probe"]) == ("mode", "linear")}
SCANS = scan_tables(0.7)


def curves(n_values=3):
    lines = {one.title: sorted((r["k"], r["value"]) for r in ROWS if key_of(r) == name) for name, one in KNOWN.items()}
    looks = {KNOWN[name].title: LOOKS[KNOWN[name].group] for name in (*list(KNOWN)[:1], *list(KNOWN)[3:5], *list(KNOWN)[-1:])}
    return figures.k_figure(lines, dict.fromkeys(lines, 3), looks, n_values=n_values, label="mode")


def label_figure():
    rows = [
        {"value": m, "n": 100, "share": s, "low": s - 0.02, "high": s + 0.02}
        for m, s in zip("123", (0.1, 0.6, 0.3), strict=True)
    ]
    numbers = {value: RNG.normal(-2.5, 0.3, 100) for value in "123"}
    return figures.label_figure("mode", rows, MODE_COLOURS, numbers, "log error")


def comparison():
    results = SimpleNamespace(title=TITLES.get, group=lambda name: KNOWN[name].group)
    panels = [("k-means, mode", "adjusted Rand index", CHOSEN), ("linear probe, mode", "balanced accuracy", PROBED)]
    return comparison_figure_of(results, panels)


def masked(below=0.0):
    """With all but the cloze model `below` what it is otherwise: beyond the margin, side by side."""
    rows = [row | {"value": row["value"] - below * (row["predictor"] != "cloze")} for row in masked_rows()]
    return dots_figure([panel_of("By group of parameters", rows), panel_of("By label", rows[-8:])], apart=0)


def transfer():
    scores = {"a": CHOSEN[next(iter(KNOWN))], "b": Score(-3, -3.2, -2.9, -3)}
    series = [Series("cloze model", scores, *PREDICTORS["cloze"][1:])]
    targets = {"a": "unseen seeds, 50", "b": "random starts, 50\n(negative control)"}
    titles = ("masked R²", "mode, linear probe:\nbalanced accuracy")
    panels = [Panel(title, series, floor=LEAST_SHOWN, zero=True) for title in titles]
    return dots_figure(panels, targets, width=11, widest=0.45, chance="permuted predictions, 95th percentile")


def umap():
    xy = np.stack([RNG.normal(size=300), 5 * CLUSTER], axis=1)
    labels = {"mode": MODE, "animal": LABEL}
    colours = {name: colours_of(sorted(set(values)), {}) for name, values in labels.items()}
    return maps.map_figure(xy, CLUSTER, labels, {"log error": RNG.normal(size=300)}, colours)


def umap_of(values):
    xy, colours = np.stack([RNG.normal(size=300), 5 * CLUSTER], axis=1), colours_of(sorted(set(values)), {})
    return maps.map_figure(xy, CLUSTER, {"quadrant code": values}, {}, {"quadrant code": colours})


def contingency(values, label):
    counts = {c: {value: 1200 if i == 0 else 5 for i, value in enumerate(values)} for c in range(12)}
    return maps.contingency_figure({name: counts for name in ("cloze pooled", "cloze profile")}, values, label)


MAKERS = {
    "label": label_figure,
    "masked": masked,
    "masked_below": lambda: masked(below=2.1),
    "comparison": comparison,
    "by_k": curves,
    "by_k_of_many_values": lambda: curves(n_values=200),
    "scan_roc": lambda: scan_figures.roc_figure(SCANS["roc.csv"], SCANS["scan.csv"]),
    "scan_table": lambda: scan_figures.heat_figure(SCANS["scan.csv"]),
    "transfer": transfer,
    "umap": umap,
    "umap_of_many_values": lambda: umap_of(np.array([f"code {i}" for i in RNG.integers(0, 15, 300)])),
    "contingency": lambda: contingency(["1", "2", "2.5", "3", "4"], "mode"),
    "contingency_of_texts": lambda: contingency(sorted(set(LABEL)), "animal"),
    "effects": lambda: descriptions.effects_figure(description_tables(range(3))["descriptions.csv"], {0: "90% 3"}),
    "unexplained": lambda: descriptions.unexplained_figure(unexplained_rows()),
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


def test_labels_are_spread_no_more_than_needed():
    np.testing.assert_allclose(spread_apart([0.0, 1.0, 2.0], 0.5, -1, 3), [0.0, 1.0, 2.0])
    placed = spread_apart([0.3, 0.1, 0.1, 0.11, 5.0], 0.2, 0, 6)
    assert np.diff(np.sort(placed)).min() >= 0.2 - 1e-9
    assert placed[4] == 5.0
    assert np.argsort(placed, kind="stable").tolist() == [1, 2, 3, 0, 4]


def test_wilson_is_the_inverse_of_the_score_test():
    for count, n in ((1, 10), (30, 100), (99, 100)):
        for bound in wilson(count, n):
            assert abs(count / n - bound) / np.sqrt(bound * (1 - bound) / n) == pytest.approx(1.96, abs=1e-3)
    assert (wilson(0, 10)[0], wilson(10, 10)[1]) == pytest.approx((0, 1))
    assert wilson(0, 0) == (0, 1)
