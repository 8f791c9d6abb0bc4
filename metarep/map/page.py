"""The stage that draws the map: one HTML page with all that it shows inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.colors import to_hex

from metarep.artefact import refuse_to_replace, write_whole, writing
from metarep.map.packing import Pack, smallest
from metarep.map.pictures import pictures_of
from metarep.map.points import PARTS, Column, Points, networks, parts_of, shuffled
from metarep.map.settings import MapConfig
from metarep.map.sources import Sources, sources_of
from metarep.progress import Progress
from metarep.report.page import template_of
from metarep.report.style import DIVERGING, OTHER, SEQUENTIAL
from metarep.report.wording import capital

FILE = "map.html"
SCRIPTS = ("data.js", "panel.js", "pictures.js", "card.js", "legend.js", "search.js", "map.js")
LIBRARY = "vendor/regl-scatterplot.js"
"""regl-scatterplot, drawn by WebGL; its head says which version."""


def map_stage(
    config: MapConfig,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    name: str = "",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes `map.html` into the folder `out`, which it returns; `paths` as in `map_page`, `name` that of the run."""
    sources = sources_of(paths, config)
    with writing(out, "map", config=config.resolved(), seed=config.seed, inputs=sources.inputs, overwrite=overwrite) as folder:
        write_whole(folder / FILE, _page(sources, config, name or sources.name, progress or Progress()))
    return Path(out)


def write_map(
    config: MapConfig,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes the map as one HTML file, which it returns. Raises MetarepError where `out` exists and `overwrite` is False."""
    out = Path(out)
    refuse_to_replace(out, overwrite)
    write_whole(out, map_page(config, paths, progress=progress))
    return out


def map_page(config: MapConfig, paths: Sequence[Path | str], *, progress: Progress | None = None) -> str:
    """The map of a run, of embeddings, or of embeddings and their zoo, as HTML. Raises MetarepError as `sources_of`."""
    sources = sources_of(paths, config)
    return _page(sources, config, sources.name, progress or Progress())


def _page(sources: Sources, config: MapConfig, name: str, progress: Progress) -> str:
    zoo = shuffled(sources.zoo, config.seed)
    sources = replace(sources, zoo=zoo)
    pack, shown = Pack(), []
    with progress.task("map", len(zoo) * len(sources.embeddings), "points") as task:
        shown.append(networks(sources, config, task.advance))
    for part in PARTS:
        found = parts_of(sources, part, config)
        shown += [found] if found else []
    pictures, said = pictures_of(sources, config, pack)
    notes = [*(note for points in shown for note in points.said), *([said] if said else [])]
    for note in notes:
        progress.say(note)
    picture = sources.domain.map_picture.script.read_text(encoding="utf-8") if pictures and pictures["kind"] == "domain" else ""
    return page_of(name, zoo.network_id, shown, pack, notes=notes, pictures=pictures, picture=picture)


def page_of(
    name: str,
    ids: Sequence[str],
    shown: Sequence[Points],
    pack: Pack | None = None,
    *,
    notes: Sequence[str] = (),
    pictures: dict[str, Any] | None = None,
    picture: str = "",
) -> str:
    """The page of the networks `ids` (N,): their points, then those of their parts; `pictures` as in `pictures_of`, and the
    script that draws a domain's.
    """
    pack = pack or Pack()
    head = {
        "name": name,
        "ids": pack.texts(ids),
        "parts": [_packed(points, pack) for points in shown],
        "pictures": pictures,
        "notes": list(notes),
        "sequential": _colours(SEQUENTIAL),
        "diverging": _colours(DIVERGING),
    }
    here = files("metarep.map")
    texts = {one: here.joinpath(one).read_text(encoding="utf-8") for one in (*SCRIPTS, LIBRARY, "map.css")}
    return template_of("map", "map.html").render(
        name=name,
        library=Markup(texts[LIBRARY]),
        css=Markup(texts["map.css"]),
        script=Markup("\n".join(texts[one] for one in SCRIPTS)),
        picture=Markup(picture.strip().removesuffix(";") or "null"),
        data=Markup(pack.text(head)),
    )


def _packed(points: Points, pack: Pack) -> dict[str, Any]:
    """How points of one kind lie in the pack."""
    spaces = []
    for name, places in points.places.items():
        spaces.append(
            {
                "name": name,
                "note": places.note,
                "positions": {projection: pack.add(quantised(xy)) for projection, xy in places.positions.items()},
                "k": places.nearest.shape[1],
                "nearest": pack.add(places.nearest.astype(np.uint32)),
                "distance": pack.add((np.round(places.distance * 1024) / 1024).astype(np.float32)),  # few bits compress well
                "quantiles": [round(float(q), 5) for q in places.quantiles],
            }
        )
    head = {"part": points.part, "n": len(points), "spaces": spaces, "columns": [_column(one, pack) for one in points.columns]}
    return head if points.owner is None else head | {"owner": pack.add(points.owner.astype(np.uint32))}


def _column(one: Column, pack: Pack) -> dict[str, Any]:
    head = {"name": one.name, "title": capital(one.name), "group": one.group, "words": one.words}
    if one.values.dtype.kind == "f":
        return head | {"numbers": pack.add(one.values.astype(np.float32))}
    if not one.colours:
        return head | {"texts": pack.texts(one.values)}
    code = {value: i for i, value in enumerate(one.colours)}
    codes = np.array([code[value] for value in one.values], dtype=np.uint32)
    legend = [{"value": value, "colour": to_hex(colour)} for value, colour in one.colours.items()]
    return head | {"legend": legend, "other": OTHER, "codes": pack.add(smallest(codes, len(code)))}


def quantised(xy: np.ndarray) -> np.ndarray:
    """Places (N, 2) in a square from 0 to 65,535, both axes on one scale."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    scale = 65_535 / (float((high - low).max()) or 1.0)
    return np.clip(np.round((xy - (low + high) / 2) * scale + 32_767.5), 0, 65_535).astype(np.uint16)


def _colours(name: str) -> list[str]:
    return [to_hex(colour) for colour in colormaps[name](np.linspace(0, 1, 128))]
