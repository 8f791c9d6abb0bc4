"""Pictures of networks: every step has a panel, the points in it are the network's, nothing overlaps."""

from io import BytesIO
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from metarep.domains.multiplier.figures import square
from metarep.domains.multiplier.figures.square import CORNERS, SIDE, boundary, draw_network, draw_small
from metarep.errors import MetarepError
from metarep.networks.forward import stages
from metarep.networks.spec import NetworkSpec

SPEC = NetworkSpec((2, 2, 1))
# The research notes' experiment 4 (seed 2813536937, mode 3), as printed there.
PUBLISHED = np.array([0.4373, -0.4425, -0.7523, -0.4695, -0.0023, 1.6139, -0.7446, -1.1377, 1.3982])
DEAD = np.array([0.0, 0, -0.1, -0.2, -1, -1, 1, 1, 0.3])


def panels(figure, spec):
    """The axes of the steps; the colour bar's is behind them."""
    return figure.axes[: len(stages(spec, np.zeros(spec.n_params), np.zeros((1, 2))))]


def png(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    return buffer.getvalue()


def random_params(spec, seed=0):
    return np.random.default_rng(seed).normal(size=spec.n_params)


@pytest.mark.parametrize("text", ["2-1", "2-1-relu", "2-2-1", "2-2-1-relu", "2-2-2-1", "2-1-2-1", "2-3-2"])
def test_every_step_has_a_numbered_panel_with_equal_axes(text):
    spec = NetworkSpec.parse(text)
    params = random_params(spec)
    figure = draw_network(spec, params)
    steps = stages(spec, params, np.zeros((1, 2)))
    for number, (ax, step) in enumerate(zip(panels(figure, spec), steps, strict=True), start=1):
        assert ax.get_title(loc="left").startswith(f"{number}  {step.kind}")
        assert ax.get_aspect() == 1


def test_points_are_the_network_and_colours_the_product():
    figure = draw_network(SPEC, PUBLISHED)
    axes = panels(figure, SPEC)
    x = np.asarray(axes[0].collections[0].get_offsets())
    assert x.shape == (SIDE**2, 2)
    for ax, step in zip(axes, stages(SPEC, PUBLISHED, x), strict=True):
        drawn = ax.collections[0]
        np.testing.assert_allclose(drawn.get_array(), x[:, 0] * x[:, 1])
        expected = step.values if step.values.shape[1] == 2 else np.column_stack([x[:, 0] * x[:, 1], step.values])
        np.testing.assert_allclose(np.asarray(drawn.get_offsets()), expected, atol=1e-12)
    corners = [line for line in axes[0].lines if line.get_marker() in CORNERS.values()]
    assert {(float(line.get_xdata()[0]), float(line.get_ydata()[0])): line.get_marker() for line in corners} == CORNERS


def test_every_point_is_inside_its_panel_and_a_layer_shares_its_window():
    figure = draw_network(SPEC, PUBLISHED)
    axes = panels(figure, SPEC)
    for ax in axes:
        at = np.asarray(ax.collections[0].get_offsets())
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        assert (at >= [left, low]).all()
        assert (at <= [right, high]).all()
        assert right - left == pytest.approx(high - low)
    assert len({(*ax.get_xlim(), *ax.get_ylim()) for ax in axes[1:4]}) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", ["2-1", "2-2-1", "2-2-2-1", "2-5-1"])
def test_panels_do_not_overlap(text):
    spec = NetworkSpec.parse(text)
    figure = draw_network(spec, PUBLISHED if spec == SPEC else random_params(spec))
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in figure.axes if ax.get_subplotspec() is not None or ax.get_label() == "<colorbar>"]
    boxes.append(figure._suptitle.get_window_extent())
    assert len(boxes) > 3
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert boxes[-1].x1 < figure.bbox.x1


def test_the_title_says_mode_and_error_unless_told_otherwise():
    title = draw_network(SPEC, PUBLISHED).get_suptitle()
    assert title.startswith("2-2-1 network, mode 3 (one unit straddles")
    assert "mean squared error over the unit square 0.012" in title
    assert draw_network(SPEC, PUBLISHED, title="mine").get_suptitle() == "mine"


def test_a_dead_network_says_that_every_input_ends_in_one_point():
    texts = [text.get_text() for ax in draw_network(SPEC, DEAD).axes for text in ax.texts]
    assert texts.count("every input ends in this point") == 1
    alive = [text.get_text() for ax in draw_network(SPEC, PUBLISHED).axes for text in ax.texts]
    assert "every input ends in this point" not in alive


def test_a_wide_layer_shows_its_first_units_and_says_so(monkeypatch):
    monkeypatch.setattr(square, "MAX_UNIT_MAPS", 3)
    spec = NetworkSpec((2, 5, 1))
    labels = [ax.get_xlabel() for ax in draw_network(spec, random_params(spec)).findobj(matplotlib.axes.Axes)]
    assert labels.count("units 1 to 3 of 5") == 3


def test_small_picture_has_boundaries_and_shares():
    ax = Figure().add_subplot()
    draw_small(ax, SPEC, PUBLISHED)
    assert ax.get_xlabel() == "on: 49%, 100%"
    assert len(ax.lines) == 1
    on_the_line = np.column_stack(ax.lines[0].get_data())
    np.testing.assert_allclose(on_the_line @ PUBLISHED[:2] + PUBLISHED[4], 0, atol=1e-12)
    dead = Figure().add_subplot()
    draw_small(dead, SPEC, DEAD)
    assert len(dead.lines) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", ["2-1", "2-16-1", "2-2-2-1"])
def test_small_pictures_of_other_networks(text):
    spec = NetworkSpec.parse(text)
    figure = Figure()
    draw_small(figure.add_subplot(), spec, 1e3 * random_params(spec))
    assert png(figure).startswith(b"\x89PNG")


def test_a_small_picture_of_a_diverged_network_says_so():
    ax = Figure().add_subplot()
    draw_small(ax, SPEC, np.full(9, np.nan))
    assert [text.get_text() for text in ax.texts] == ["not finite"]


def test_boundary_lies_on_the_line_and_in_the_square():
    rng = np.random.default_rng(0)
    for weight, bias in zip(rng.normal(size=(200, 2)), rng.normal(size=200), strict=True):
        ends = boundary(weight, bias)
        on = np.array([weight @ corner + bias for corner in CORNERS]) > 0
        assert (ends is None) == (on.all() or not on.any())
        if ends is not None:
            np.testing.assert_allclose(ends @ weight + bias, 0, atol=1e-12)
            assert (ends >= 0).all()
            assert (ends <= 1).all()


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(MetarepError, match="two inputs"):
        draw_network(NetworkSpec((3, 2, 1)), np.zeros(11))
    with pytest.raises(MetarepError, match="not all finite"):
        draw_network(SPEC, np.full(9, np.inf))
    with pytest.raises(MetarepError, match="one output"):
        draw_small(Figure().add_subplot(), NetworkSpec((2, 2)), np.zeros(6))


def test_the_same_network_gives_the_same_bytes():
    assert png(draw_network(SPEC, PUBLISHED)) == png(draw_network(SPEC, PUBLISHED))
