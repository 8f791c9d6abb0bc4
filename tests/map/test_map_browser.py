"""The map in a real browser: open, colour, search, click, lasso, download, keyboard, and no request to any network."""

import csv
import io
import shutil

import numpy as np
import pytest
from embedded_zoo import write_embedded

from metarep.map import bench, places
from metarep.map import page as page_module
from metarep.map.page import write_map
from metarep.map.pictures import weights_of
from metarep.map.settings import MapConfig
from metarep.notebook import Page
from metarep.zoos.zoo import open_zoo

pytest.importorskip("playwright.sync_api", reason="needs the package playwright (pip install metarep[dev])")
if not any(map(shutil.which, bench.BROWSERS)):
    pytest.skip("needs Chromium: none is on the path", allow_module_level=True)

N = 80


@pytest.fixture(scope="module")
def zoo_and_file(tmp_path_factory):
    folder = write_embedded(tmp_path_factory.mktemp("browser") / "islands", n=N)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "fit_umap", lambda x, **_: lambda y: y[:, :2])
        path = write_map(MapConfig(), [folder], folder / "map.html")
    return open_zoo(folder / "zoo"), path


@pytest.fixture(scope="module")
def browser():
    with bench.browser() as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser, zoo_and_file):
    """The page with the network cut, everything that it asked for, and all errors."""
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 720}, accept_downloads=True)
    page, asked, errors = context.new_page(), [], []
    page.set_default_timeout(60_000)
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(zoo_and_file[1].as_uri())
    page.wait_for_function("window.drawn")
    return page, asked, errors


@pytest.fixture
def page(opened):
    """As it opens: one map of the networks, nothing selected, no card."""
    page = opened[0]
    page.set_viewport_size({"width": 1100, "height": 720})
    page.select_option("#count", "1")
    page.select_option("#part", "networks")
    page.evaluate("map.close(); map.show(map.kinds[0]); map.panels[0].whole()")
    settled(page)
    return page


def settled(page):
    """Waits until what changed is drawn."""
    page.evaluate("map.ready.then(() => new Promise((done) => setTimeout(done, 150)))")


def where(page, i, panel=0):
    """Where a point lies on the screen."""
    x, y = page.evaluate(f"map.panels[{panel}].scatter.getScreenPosition({i})")
    box = page.locator(".plot canvas").nth(panel).bounding_box()
    return box["x"] + x, box["y"] + y


def click(page, i):
    """Clicks a point and waits for a card; again where the map moved meanwhile, as it may on a busy machine."""
    for _ in range(4):
        page.mouse.click(*where(page, i))
        page.wait_for_timeout(500)
        if page.evaluate("map.current >= 0"):
            return
        settled(page)
    page.wait_for_function("map.current >= 0", timeout=10_000)


def drawn_colours(page):
    """How many of the map's pixels are of each of some colours: all that are far from grey."""
    import matplotlib.image

    image = matplotlib.image.imread(io.BytesIO(page.locator(".plot canvas").first.screenshot()))[..., :3]
    pixels = (image.reshape(-1, 3) * 255).round().astype(int)
    return pixels[np.ptp(pixels, axis=1) > 60]


def near(pixels, colour):
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return int((np.abs(pixels - rgb).max(axis=1) < 48).sum())  # points let a little of the ground through


def title(page):
    return page.inner_text("#card-title")


def test_it_opens_without_asking_for_anything_else(opened, zoo_and_file):
    page, asked, errors = opened
    assert page.inner_text("#title") == f"{N} networks"
    assert {url.partition(":")[0] for url in asked} <= {"file", "blob", "data"}
    assert [url for url in asked if url.startswith("file")] == [zoo_and_file[1].as_uri()]
    assert errors == []


def test_colours_are_those_of_the_legend_and_a_click_on_it_filters(page):
    page.select_option("#colour", "sign pattern")
    settled(page)
    legend = page.evaluate("map.column.legend.map((one) => one.colour)")
    assert all(near(drawn_colours(page), colour) > 20 for colour in legend)
    page.locator("#legend li button").first.click()
    settled(page)
    left = drawn_colours(page)
    assert near(left, legend[0]) > 20
    assert [near(left, colour) for colour in legend[1:]] == [0] * (len(legend) - 1)
    assert page.get_attribute("#legend li:nth-child(2) button", "aria-pressed") == "false"
    page.click("text=Show all")
    settled(page)
    assert near(drawn_colours(page), legend[1]) > 20


def test_a_range_of_a_number_filters(page, zoo_and_file):
    page.select_option("#colour", "log error")
    settled(page)
    page.locator("#legend input").first.fill("500")
    zoo, _ = zoo_and_file
    errors = zoo.number("log_error").astype(np.float32)
    half = errors.min() + (errors.max() - errors.min()) / 2
    assert page.inner_text("#title") == f"{(errors >= half).sum()} of {N} networks"


def test_search_opens_the_card_of_a_name(page):
    page.fill("#query", "net-00017")
    page.keyboard.press("Enter")
    assert title(page) == "net-00017"
    page.fill("#query", "net-0001")
    assert page.locator("#found li").count() == 11
    page.locator("#found li.all").dispatch_event("mousedown")
    assert page.inner_text("#caught") == "10 selected"


def test_a_click_opens_a_card_with_facts_picture_and_neighbours(page, zoo_and_file):
    zoo, _ = zoo_and_file
    click(page, 5)
    name = page.evaluate("map.points.title(map.current)")
    assert title(page) == name
    assert str(zoo["mode"][zoo.row_of(name)]) in page.inner_text("#card dl")
    assert page.locator("#card tbody tr").count() == 8
    pixels = "document.querySelector('#card canvas').getContext('2d').getImageData(0, 0, 272, 272).data"
    assert page.evaluate(f"new Set({pixels}).size") > 3
    other = page.locator("#card tbody button").first
    expected = other.inner_text()
    other.click()
    assert title(page) == expected
    page.keyboard.press("Escape")
    assert page.is_hidden("#card")


def test_hovering_says_the_facts(page):
    page.mouse.move(*where(page, 9))
    page.wait_for_selector("#tip:not([hidden])")
    assert "Mode:" in page.inner_text("#tip")


def test_a_lasso_selects_and_the_csv_holds_what_it_caught(page, zoo_and_file):
    zoo, _ = zoo_and_file
    page.click("#lasso")
    left = "map.panels[0].scatter.getScreenPosition(i)[0] < 300"
    inside = page.evaluate(f"[...Array(map.points.n).keys()].filter((i) => {left})")
    box = page.locator(".plot canvas").first.bounding_box()
    corners = [(0, 60), (300, 60), (300, box["height"] - 2), (0, box["height"] - 2), (0, 60)]
    page.mouse.move(box["x"] + 1, box["y"] + 60)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x + 1, box["y"] + y, steps=3)
        page.wait_for_timeout(20)
    page.mouse.up()
    page.wait_for_function("map.caught.length > 0")
    page.click("#lasso")
    assert set(page.evaluate("map.caught")) == set(inside)
    with page.expect_download() as caught:
        page.click("#download")
    rows = list(csv.DictReader(io.StringIO(caught.value.path().read_text())))
    assert len(rows) == len(inside)
    for row in rows:
        at = zoo.row_of(row["network"])
        assert (row["mode"], row["note"]) == (zoo["mode"][at], zoo["note"][at])
        assert float(row["log error"]) == pytest.approx(zoo["log_error"][at], rel=1e-5)


def test_the_selection_is_one_in_all_maps(page):
    page.select_option("#count", "2")
    settled(page)
    assert page.evaluate("map.panels.map((panel) => panel.space.value)") == ["states", "other"]
    page.evaluate("map.catch([1, 2, 3])")
    assert page.evaluate("map.panels.map((panel) => panel.scatter.get('selectedPoints').length)") == [3, 3]


def test_a_map_of_slow_frames_moves_its_picture_and_draws_when_it_stands_still(page):
    page.select_option("#colour", "sign pattern")
    settled(page)
    before, swept, after = page.evaluate(
        """async () => {
            const panel = map.panels[0], { x, y } = panel.entry.positions[panel.projection.value];
            const wait = (ms) => new Promise((done) => setTimeout(done, ms));
            const seen = () => [!panel.picture, ...panel.canvas.getContext("2d").getImageData(...panel.at(5), 1, 1).data];
            const before = seen();
            map.isSlow = true;
            panel.scatter.zoomToLocation([x[5] + 0.05, y[5] - 0.1], 0.5);
            while (!panel.picture) await wait(10);
            const swept = seen();
            while (panel.picture) await wait(10);
            map.isSlow = false;
            return [before, swept, seen()];
        }"""
    )
    assert (before[0], swept[0], after[0]) == (True, False, True)
    assert max(before[1:4]) - min(before[1:4]) > 60  # the colour of the point and not that of the ground
    assert np.abs(np.subtract([swept[1:4], after[1:4]], before[1:4])).max() < 60


def test_units_are_points_too(page):
    page.select_option("#part", "units")
    settled(page)
    assert page.inner_text("#title") == f"{2 * N} units"
    click(page, 3)
    assert "unit" in title(page)
    assert "Mode" in page.inner_text("#card dl")


def test_the_keyboard_alone_is_enough(page):
    page.locator(".plot canvas").focus()
    for key in ("ArrowRight", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    assert title(page) == page.evaluate("map.points.title(map.current)")
    assert page.evaluate("document.activeElement.id") == "card"
    page.keyboard.press("Escape")
    assert page.is_hidden("#card")
    assert page.evaluate("document.activeElement.tagName") == "CANVAS"
    distance = "map.panels[0].scatter.get('cameraDistance')"
    whole = page.evaluate(distance)
    page.keyboard.press("+")
    assert page.evaluate(distance) < whole
    page.keyboard.press("0")
    assert page.evaluate(distance) == pytest.approx(whole)
    page.keyboard.press("ArrowLeft")
    for key, said in ((" ", "1 selected"), (" ", "nothing selected"), ("a", f"{N} selected"), ("Escape", "nothing selected")):
        page.keyboard.press(key)
        assert page.inner_text("#caught") == said


def test_at_200_percent_nothing_is_cut_off(page):
    page.set_viewport_size({"width": 640, "height": 400})
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    assert page.locator("#download").bounding_box()["width"] > 40


@pytest.fixture(scope="module")
def notebook(browser, zoo_and_file, tmp_path_factory):
    """The frame in which a notebook shows a map of networks that have no picture but their weights."""
    folder, where = zoo_and_file[1].parent, tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "fit_umap", lambda x, **_: lambda y: y[:, :2])
        patch.setattr(page_module, "pictures_of", lambda sources, config, pack: weights_of(sources.zoo, config, pack))
        path = write_map(MapConfig(), [folder], where / "map.html")
    (where / "notebook.html").write_text(Page(path)._repr_html_())
    page = browser.new_context(offline=True).new_page()
    page.goto((where / "notebook.html").as_uri())
    frame = page.frames[1]
    frame.wait_for_function("window.drawn")
    return frame


def test_a_card_shows_weights_their_spectra_and_the_units_in_a_notebook_too(notebook, zoo_and_file):
    zoo, _ = zoo_and_file
    notebook.evaluate("map.open(7)")
    tensors = zoo.raw_tensors(zoo.row_of(title(notebook)))
    drawn = notebook.evaluate(
        """[...document.querySelectorAll('.weights figure')].map((one) => {
            const { width, height } = one.firstChild;
            return [one.innerText, ...one.firstChild.getContext('2d').getImageData(0, 0, width, height).data];
        })"""
    )
    for (caption, *pixels), (name, values) in zip(drawn, [(k, v) for k, v in tensors.items() if v.ndim > 1], strict=True):
        assert caption.startswith(name)
        red, blue = np.array(pixels).reshape(-1, 4)[:, [0, 2]].T
        assert ((red > blue) == (values.numpy().reshape(-1) > 0)).all()
    assert notebook.locator("#card canvas.spectrum").count() == 1  # one matrix has two singular values, the other one
    assert "Its 2 units" in notebook.inner_text("#card")


def test_maps_are_timed(browser):
    row = bench.timed(300, bench.MapBenchConfig(seconds=0.5), browser)
    assert row["n_points"] == 300
    assert 0.2 < row["megabytes"] < 1
    assert 0 < row["first_frame_seconds"] < 60
    assert row["drag_frames_per_s"] > 0
    assert row["n_requests"] == 0
