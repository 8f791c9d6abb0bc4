"""Runs the studies of a series: a folder for each, a table of all, and a page that shows them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metarep.artefact import MANIFEST, canonical_json, open_artefact, refuse_to_overwrite, write_whole, writing
from metarep.progress import Progress
from metarep.report.page import template_of
from metarep.report.style import png_of
from metarep.runner import Stage, publish, run_stages
from metarep.settings import Settings
from metarep.studies.study import Context, Result, Study, StudySeries
from metarep.tables import read_csv, to_csv

RESULT = "result.json"
SHARED = "shared"
"""The folder of the zoos and models that several studies use."""


def run_series(
    config: Settings,
    name: str,
    out: Path | str,
    *,
    series: StudySeries,
    publish_to: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Runs one study of a series, or "all", into `out`/<its folder>, and returns `out`.

    One by name is refused where it is finished and `overwrite` is False; of all, those that are finished with the
    same settings are kept. Then `out`/report is written anew: summary.csv and one page with every study there is.
    `publish_to` is where the tables and figures go that the series publishes.
    """
    out, progress = Path(out), progress or Progress()
    chosen = series.named(name)
    if name != "all":
        refuse_to_overwrite(out / chosen[0].folder, overwrite)
    for study in chosen:
        stage = stage_of(study, series, config, out)
        if overwrite:
            progress.say(f"{series.one} {study.name}: {study.title}")
            stage.make(out / study.folder, overwrite=True, progress=progress)
        else:
            run_stages([stage], out, overwrite=True, progress=progress)
    write_report(out, series, progress)
    if publish_to is not None:
        publish(out, publish_to, series.publish, named=published_name)
    return out


def published_name(path: Path) -> str:
    """The name of a file outside its series: size/figures/a.png is size-a.png, size/result.json size.json."""
    study = path.parts[0]
    if path.name == RESULT:
        return f"{study}.json"
    return path.name if study == "report" else f"{study}-{path.name}"


def stage_of(study: Study, series: StudySeries, config: Settings, out: Path) -> Stage:
    """The stage that makes one study."""

    def make(path: Path, *, overwrite: bool, progress: Progress) -> None:
        context = Context(config, out / SHARED, progress)
        result = study.run(context)
        how = {"config": study.config_of(config), "seed": config.seed, "inputs": context.used}
        with writing(path, series.one, **how, overwrite=overwrite) as folder:
            write_result(folder, study, result)

    return Stage(study.folder, series.one, study.config_of(config), make, finds_inputs=True)


def write_result(folder: Path, study: Study, result: Result) -> None:
    """Writes result.json, the tables and the figures into a folder."""
    write_whole(folder / RESULT, canonical_json(as_json(study, result)) + "\n")
    for name, rows in result.tables.items():
        write_whole(folder / f"{name}.csv", to_csv(rows))
    (folder / "figures").mkdir()
    for name, figure in result.figures.items():
        write_whole(folder / "figures" / f"{name}.png", png_of(figure.drawing))


def as_json(study: Study, result: Result) -> dict[str, Any]:
    """Everything of a result but its tables and figures, as plain JSON data."""
    return {
        "study": study.name,
        "title": study.title,
        "shows": study.shows,
        "claims": [claim.as_json() for claim in result.claims],
        "sentences": list(result.sentences),
        "numbers": dict(result.numbers),
        "figures": [{"name": name, "caption": figure.caption} for name, figure in result.figures.items()],
        "shown": [name for name in result.shown or result.tables if result.tables[name]],
    }


def write_report(out: Path, series: StudySeries, progress: Progress) -> None:
    """Writes `out`/report: summary.csv and report.html with every study that is finished."""
    studies = [study for study in series.studies if (out / study.folder / MANIFEST).is_file()]
    inputs = {study.folder: open_artefact(out / study.folder, series.one) for study in studies}
    there = [(study, json.loads((out / study.folder / RESULT).read_text())) for study in studies]
    rows = [summary_row(study, found) for study, found in there]
    with writing(out / "report", series.many, config={}, seed=None, inputs=inputs, overwrite=True) as folder:
        write_whole(folder / "summary.csv", to_csv(rows))
        write_whole(folder / "report.html", render(out, series, there, rows))
    progress.say(f"page: {out / 'report' / 'report.html'}")


def render(out: Path, series: StudySeries, finished: list[tuple[Study, dict[str, Any]]], rows: list[dict[str, Any]]) -> str:
    """The page of the finished studies under `out` as HTML that needs no network: figures are in it as data URIs."""
    sections = []
    for study, found in finished:
        folder = out / study.folder
        drawn = [(folder / "figures" / f"{entry['name']}.png").read_bytes() for entry in found["figures"]]
        data = [{"data": base64.b64encode(image).decode()} for image in drawn]
        images = [entry | own for entry, own in zip(found["figures"], data, strict=True)]
        tables = {name: read_csv(folder / f"{name}.csv") for name in found["shown"]}
        sections.append({"study": study, "found": found, "images": images, "tables": tables})
    published = any(claim["met"] is not None for _, found in finished for claim in found["claims"])
    shared = {"series": series, "rows": rows, "published": published}
    return template_of("studies", "page.html").render(sections=sections, **shared)


def summary_row(study: Study, found: Mapping[str, Any]) -> dict[str, Any]:
    """What a study shows, and its first claim beside the published and the best value."""
    first = found["claims"][0]
    ends = [shown(first[end], first["decimals"]) for end in ("low", "high")]
    return {
        "study": study.name,
        "shows": study.shows,
        "quantity": first["name"],
        "published": shown(first["published"], first["decimals"]),
        "found": shown(first["value"], first["decimals"]) + ("" if first["low"] is None else f" [{', '.join(ends)}]"),
        "best_known": shown(first["best"], max(first["decimals"], 4)),
        "verdict": verdict(found["claims"]),
    }


def verdict(claims: list[dict[str, Any]]) -> str:
    """In words, how many of the published values come back."""
    published = [claim for claim in claims if claim["met"] is not None]
    if not published:
        return "nothing was published"
    missed = [one for one in published if not one["met"]]
    if missed:
        pairs = [[shown(one[which], one["decimals"]) for which in ("value", "published")] for one in missed]
        told = [f"{one['name']} ({' against '.join(pair)})" for one, pair in zip(missed, pairs, strict=True)]
        return f"{len(published) - len(missed)} of {len(published)} published values met; not met: {', '.join(told)}"
    by_seed = all(claim["seed_known"] for claim in published)
    number = "the published value" if len(published) == 1 else f"all {len(published)} published values"
    return f"{number} met" + ("" if by_seed else " within the spread of seeds, since the seed was not published")


def shown(value: Any, decimals: int) -> str:
    """A claim's value as the table prints it; "–" for none."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(shown(v, decimals) for v in value)
    return f"{value:.{decimals}f}".replace("-", "−") if isinstance(value, float) else str(value)
