"""The flow figure: bars and ribbons as wide as their shares."""

import numpy as np

from metarep.domains.multiplier.modes import MODES
from metarep.studies.dynamics.run import flow_columns, flow_figure

STEP = np.r_[0, np.unique(np.geomspace(1, 4000, 40).round().astype(int))]


def test_columns_begin_at_birth_and_end_at_the_end():
    columns = flow_columns(STEP)
    assert columns[0] == 0
    assert columns[-1] == len(STEP) - 1
    assert (np.diff(columns) > 0).all()
    assert list(flow_columns(np.array([0, 1, 3, 10]))) == [0, 1, 2, 3]


def test_bars_and_ribbons_add_up_to_all_networks():
    rng = np.random.default_rng(0)
    mode = rng.choice(np.array(MODES, dtype=object), (200, len(STEP)))
    (ax,) = flow_figure(mode, STEP).axes
    bars = [patch for patch in ax.patches if hasattr(patch, "get_height")]
    heights = {}
    for bar in bars:
        heights[round(bar.get_x(), 3)] = heights.get(round(bar.get_x(), 3), 0) + bar.get_height()
    np.testing.assert_allclose(list(heights.values()), 1)
    assert len(heights) == len(flow_columns(STEP))
    widths = {}
    for ribbon in ax.collections:  # from its lower left corner along its lower edge, and back along the upper one
        points = ribbon.get_paths()[0].vertices
        left = points[np.isclose(points[:, 0], points[:, 0].min())]
        widths[left[0, 0]] = widths.get(left[0, 0], 0) + np.ptp(left[:, 1])
    np.testing.assert_allclose(list(widths.values()), 1)
