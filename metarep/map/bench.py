"""What a map costs: its size, the time to its first frame, frames a second while it moves; measured in a real browser."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pydantic import Field

from metarep.artefact import write_whole, writing
from metarep.errors import MetarepError
from metarep.map.page import page_of
from metarep.map.places import Places
from metarep.map.points import Column, Points
from metarep.map.settings import MapConfig
from metarep.progress import Progress
from metarep.report.style import PALETTE
from metarep.runner import machine
from metarep.settings import Settings
from metarep.tables import to_csv

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SOFTWARE = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""WebGL without a graphics card."""


class MapBenchConfig(Settings):
    """Which maps are drawn, and for how long they are moved."""

    sizes: tuple[int, ...] = Field((1000, 100_000), min_length=1, description="numbers of points")
    n_islands: int = Field(12, ge=2, le=len(PALETTE), description="islands of points, each a value of a label")
    seconds: float = Field(5.0, gt=0, description="how long the map is dragged, and how long it is zoomed")
    seed: int = Field(0, ge=0, description="of every draw")


def bench_map(config: MapBenchConfig, out: Path | str, *, overwrite: bool = False, progress: Progress | None = None) -> Path:
    """Draws maps of random points in Chromium, a row a size in `out`/bench.csv, and returns the folder.

    A row has n_points, the megabytes of the file, the seconds to its first drawn frame, frames a second while
    it is dragged, zoomed, and dragged with all points drawn in each frame (where drawing is slow, a map moves the picture that
    is there until it stands still), and how many requests it made besides its own file. Rendering is by software, which any
    machine has. Raises MetarepError without Chromium or Playwright.
    """
    progress = progress or Progress()
    with writing(out, "bench", config=config.resolved(), seed=config.seed, overwrite=overwrite) as folder:
        with browser() as chromium, progress.task("bench map", len(config.sizes), "maps") as task:
            rows = []
            for n in config.sizes:
                rows.append(timed(n, config, chromium))
                task.advance(1, f"{n:,} points")
            about = machine() | {"browser": f"Chromium {chromium.version}", "rendering": "software (SwiftShader)"}
        write_whole(folder / "bench.csv", to_csv(rows))
        write_whole(folder / "machine.json", json.dumps(about, indent=1) + "\n")
    return Path(out)


def timed(n: int, config: MapBenchConfig, chromium: Any) -> dict[str, float]:
    """The row of a map of n points."""
    with TemporaryDirectory() as place:
        file = Path(place, "map.html")
        file.write_text(random_map(n, config), encoding="utf-8")
        return {"n_points": n, "megabytes": file.stat().st_size / 1e6} | measured(chromium, file, config.seconds)


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window, as Playwright's browser. Raises MetarepError without either."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MetarepError("a map is measured by Playwright, which is not here", fix="pip install playwright") from error
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise MetarepError("a map is measured in Chromium, and none is on the path", expected=" or ".join(BROWSERS))
    with sync_playwright() as running:
        found = running.chromium.launch(executable_path=path, args=list(SOFTWARE))
        yield found
        found.close()


def random_map(n: int, config: MapBenchConfig) -> str:
    """A map of n points in islands, with a label, a property and as many neighbours as a map has; all of it is random."""
    rng, k = np.random.default_rng(config.seed), MapConfig().n_neighbors
    island = rng.integers(0, config.n_islands, n)
    xy = 3 * rng.normal(size=(config.n_islands, 2))[island] + rng.normal(size=(n, 2))
    names = [f"island {i + 1}" for i in range(config.n_islands)]
    label = Column("island", "label", np.array(names, dtype=object)[island], dict(zip(names, PALETTE, strict=False)))
    columns = (label, Column("error", "property", rng.normal(size=n)))
    places = Places({"PCA": xy}, rng.integers(0, n, (n, k)), rng.random((n, k)), np.linspace(0, 2, 101), "")
    points = Points("network", columns, {"random": places})
    return page_of(f"{n:,} random points", [f"net-{i:06d}" for i in range(n)], [points])


def measured(chromium: Any, file: Path, seconds: float) -> dict[str, float]:
    """A map in a browser of Playwright: the seconds to its first frame, frames a second, requests."""
    page, asked = chromium.new_page(viewport={"width": 1280, "height": 800}), []
    page.set_default_timeout(300_000)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.resolve().as_uri())
    page.wait_for_function("window.drawn")
    page.wait_for_timeout(500)
    page.evaluate("frames = []; (function next(at) { frames.push(at); requestAnimationFrame(next); })(0)")
    row = {"first_frame_seconds": page.evaluate("window.drawn") / 1000}
    row["drag_frames_per_s"] = frames_per_s(page, drag, seconds)
    row["zoom_frames_per_s"] = frames_per_s(page, zoom, seconds)
    page.evaluate("Panel.prototype.isSwept = () => false; null")
    row["drag_all_frames_per_s"] = frames_per_s(page, drag, seconds)
    page.close()
    return row | {"n_requests": sum(not url.startswith(("file:", "data:", "blob:")) for url in asked)}


def frames_per_s(page: Any, move: Callable[[Any, int], None], seconds: float) -> float:
    """Frames a second while the map is moved; the first second, in which it may find that drawing is slow, is not counted."""
    warm = min(1, seconds)
    page.mouse.move(600, 450)
    page.mouse.down()
    n, since, start = 0, None, time.perf_counter()
    while (now := time.perf_counter()) < start + warm + seconds:
        if since is None and now >= start + warm:
            page.evaluate("frames.length = 0")
            since = time.perf_counter()
        move(page, n)
        n += 1
    found = page.evaluate("frames.length") / (time.perf_counter() - since)
    page.mouse.up()
    page.wait_for_timeout(400)
    return found


def drag(page: Any, n: int) -> None:
    """One of the steps along which a map is dragged."""
    page.mouse.move(600 + 150 * math.sin(n / 7), 450 + 100 * math.cos(n / 9))


def zoom(page: Any, n: int) -> None:
    """One of the steps in which a map is zoomed, in and out."""
    page.mouse.wheel(0, 40 * (-1) ** (n // 20))
