"""The stage that runs a series of experiments: a folder for each, a table of all, and a page that shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metarep.artefact import (
    MANIFEST,
    Artefact,
    canonical_json,
    is_done,
    open_artefact,
    refuse_to_overwrite,
    write_whole,
    writing,
)
from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.report.page import png_of
from metarep.runner import publish
from metarep.settings import Settings
from metarep.studies.experiment import Claim, Result
from metarep.studies.page import render
from metarep.studies.registry import EXPERIMENTS, Experiment, Series
from metarep.tables import to_csv

RESULT = "result.json"
SHARED = "shared"
"""The folder of the zoos and models that several experiments use."""


def experiment(
    config: Settings,
    name: str,
    out: Path | str,
    *,
    series: Series = EXPERIMENTS,
    publish_to: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Runs one experiment of a series, or "all", into `out`/<its module>, and returns `out`.

    One by name is refused where it is finished and `overwrite` is False; of all, those that are finished with the
    same settings are kept. Then `out`/report is written anew: summary.csv and one page with every experiment there is.
    `publish_to` is where the tables and figures go that the series publishes.
    """
    out, progress = Path(out), progress or Progress()
    chosen = series.named(name)
    if name != "all":
        refuse_to_overwrite(out / chosen[0].module, overwrite)
    for one in chosen:
        if name == "all" and not overwrite and stands(out / one.module, series, one, config):
            progress.say(f"{series.one} {one.name}: kept")
            continue
        progress.say(f"{series.one} {one.name}: {one.title}")
        _run_one(one, series, config, out, overwrite=overwrite or name == "all", progress=progress)
    write_report(out, series, progress)
    if publish_to is not None:
        publish(out, publish_to, series.publish, named=published_name)
    return out


def published_name(path: Path) -> str:
    """The name of a file outside its series: size/figures/a.png is size-a.png, size/result.json size.json."""
    member = path.parts[0]
    if path.name == RESULT:
        return f"{member}.json"
    return path.name if member == "report" else f"{member}-{path.name}"


def stands(path: Path, series: Series, one: Experiment, config: Settings) -> bool:
    """Whether a finished experiment has these settings, and what it was made from is still the same."""
    if not (path / MANIFEST).is_file():
        return False
    artefact = open_artefact(path, series.one)
    try:
        inputs = {name: open_artefact(artefact.input_path(name)) for name in artefact.manifest["inputs"]}
    except MetarepError:
        return False
    return is_done(path, series.one, series.settings(config, one), inputs)


def summary_rows(out: Path, series: Series) -> list[dict[str, Any]]:
    """One row an experiment that is finished: what it shows, and its first claim beside the published and the best value."""
    rows = []
    for one, found in finished(out, series):
        first = found["claims"][0]
        rows.append(
            {
                "experiment": one.name,
                "shows": one.shows,
                "quantity": first["name"],
                "published": shown(first["published"], first["decimals"]),
                "reproduced": shown(first["value"], first["decimals"]) + spread(first),
                "best_known": shown(first["best"], max(first["decimals"], 4)),
                "verdict": verdict(found["claims"]),
            }
        )
    return rows


def verdict(claims: list[dict[str, Any]]) -> str:
    """In words, how many of the published figures come back."""
    published = [claim for claim in claims if claim["met"] is not None]
    if not published:
        return "nothing was published"
    missed = [
        f"{claim['name']} ({shown(claim['value'], claim['decimals'])} against {shown(claim['published'], claim['decimals'])})"
        for claim in published
        if not claim["met"]
    ]
    if missed:
        return f"{len(published) - len(missed)} of {len(published)} published figures met; not met: {', '.join(missed)}"
    by_seed = all(claim["seed_known"] for claim in published)
    number = "the published figure" if len(published) == 1 else f"all {len(published)} published figures"
    return f"{number} met" + ("" if by_seed else " within the spread of seeds, since the seed was not published")


def shown(value: Any, decimals: int) -> str:
    """A claim's value as the table prints it; "–" for none."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(shown(v, decimals) for v in value)
    return f"{value:.{decimals}f}".replace("-", "−") if isinstance(value, float) else str(value)


def spread(claim: Mapping[str, Any]) -> str:
    """The claim's interval in brackets, where it has one."""
    if claim["low"] is None:
        return ""
    return f" [{shown(float(claim['low']), claim['decimals'])}, {shown(float(claim['high']), claim['decimals'])}]"


def finished(out: Path, series: Series) -> list[tuple[Experiment, dict[str, Any]]]:
    """The experiments of a series that lie in `out`, in their order, each with its result.json."""
    there = [one for one in series.members if (out / one.module / MANIFEST).is_file()]
    return [(one, json.loads((open_artefact(out / one.module, series.one).path / RESULT).read_text())) for one in there]


def write_report(out: Path, series: Series, progress: Progress) -> Path:
    """Writes `out`/report: summary.csv and report.html, one page with every experiment that is finished."""
    there = finished(out, series)
    inputs: dict[str, Artefact] = {one.module: open_artefact(out / one.module) for one, _ in there}
    with writing(out / "report", series.many, config={}, seed=None, inputs=inputs, overwrite=True) as folder:
        rows = summary_rows(out, series)
        write_whole(folder / "summary.csv", to_csv(rows))
        write_whole(folder / "report.html", render(out, series, there, rows))
    progress.say(f"page: {out / 'report' / 'report.html'}")
    return out / "report"


def _run_one(one: Experiment, series: Series, config: Any, out: Path, *, overwrite: bool, progress: Progress) -> None:
    context = series.context(config, out / SHARED, progress)
    result = one.run(context)
    inputs = {**context.used, **result.inputs}
    path, settings = out / one.module, series.settings(config, one)
    with writing(path, series.one, config=settings, seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        write_result(folder, one, result)


def write_result(folder: Path, one: Experiment, result: Result) -> dict[str, Any]:
    """Writes result.json, the tables and the figures into a folder; returns what result.json says."""
    found = as_json(one, result)
    write_whole(folder / RESULT, canonical_json(found) + "\n")
    for name, rows in result.tables.items():
        if rows:
            write_whole(folder / f"{name}.csv", to_csv(rows))
    (folder / "figures").mkdir()
    for name, picture in result.pictures.items():
        write_whole(folder / "figures" / f"{name}.png", png_of(picture.figure))
    return found


def as_json(one: Experiment, result: Result) -> dict[str, Any]:
    """Everything of a result but its tables and figures, as plain JSON data."""
    return {
        "experiment": one.name,
        "title": one.title,
        "shows": one.shows,
        "claims": [claim_json(claim) for claim in result.claims],
        "sentences": list(result.sentences),
        "numbers": dict(result.numbers),
        "pictures": [{"name": name, "caption": p.caption, "alt": p.alt or p.caption} for name, p in result.pictures.items()],
        "shown": [name for name in result.shown if result.tables[name]],
    }


def claim_json(claim: Claim) -> dict[str, Any]:
    """A claim's fields, and whether the published value was met."""
    fields = ("name", "value", "published", "decimals", "best", "low", "high", "over", "seed_known")
    return {name: _plain(getattr(claim, name)) for name in fields} | {"met": claim.met}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
