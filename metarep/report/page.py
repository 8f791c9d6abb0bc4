"""The stage that writes the report of a run: one HTML page, which needs no network, and its figures as PNG."""

from __future__ import annotations

import base64
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

from metarep.artefact import open_artefact, write_whole, writing
from metarep.progress import Progress
from metarep.report import (
    audit_section,
    clusters_section,
    comparison_section,
    look_section,
    model_section,
    parts_section,
    transfer_section,
    units_section,
    zoo_section,
)
from metarep.report.blocks import Block, Section, Table, Text
from metarep.report.comparison_section import headline
from metarep.report.representations import BASELINES
from metarep.report.results import Results, read_run
from metarep.report.settings import ReportConfig
from metarep.report.style import png_of
from metarep.report.wording import Finding, cell, num, plain

Pages = Sequence[tuple[str, str]]
"""Titles and where they lie."""

PACKAGES = ("torch", "numpy", "numba", "scikit-learn", "umap-learn", "matplotlib", "pyarrow")
PIXELS_AN_INCH = 96
"""So wide are figures on the page at most, that the type of all of them has one size."""


def report(
    run: Path | str,
    out: Path | str | None = None,
    *,
    config: ReportConfig | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes `report.html`, `findings.md` and `figures/*.png` of a run into the folder `out`, which it returns.

    `out` is `run`/report if left out. Needs the run's zoo; every other stage may be missing. Raises
    MetarepError for a folder that is no run, for a damaged stage and for one of another zoo.
    """
    config, progress = config or ReportConfig(), progress or Progress()
    results = read_run(run)
    out = Path(run) / "report" if out is None else Path(out)
    inputs = dict(results.artefacts)
    if results.shown_folder is not None:
        inputs["embeddings"] = open_artefact(results.shown_folder)
    with writing(out, "report", config=config.resolved(), seed=None, inputs=inputs, overwrite=overwrite) as folder:
        sections = sections_of(results)
        drawings = {one.name: one for section in sections for one in section.drawings()}
        images, widths = {}, {}
        with progress.task("report", len(drawings), "figures") as task:
            for name, one in drawings.items():
                figure = one.draw()
                data, widths[name] = png_of(figure, dpi=config.dpi), round(PIXELS_AN_INCH * figure.get_figwidth())
                write_whole(folder / "figures" / f"{name}.png", data)
                images[name] = "data:image/png;base64," + base64.b64encode(data).decode()
                task.advance(1, name)
        write_whole(folder / "report.html", render(results, sections, images, widths, pages_beside(results, out)))
        write_whole(folder / "findings.md", findings_text(results, sections))
    return out


def sections_of(results: Results) -> list[Section]:
    """The sections in order: any zoo's, the domain's, transfer; what was not run, and how it was made."""
    general = (zoo_section, model_section, comparison_section, clusters_section, units_section)
    own = results.domain.sections(results) if results.domain and results.domain.sections else ()
    last = (look_section, parts_section, audit_section, transfer_section)
    every = (*(one.section(results) for one in general), *own, *(one.section(results) for one in last))
    found = [one for one in every if one is not None]
    missing = [block for one in found if one.is_absent for block in one.blocks]
    end = [*([Section("absent", "What was not run", missing)] if missing else []), made_section(results)]
    return [*(one for one in found if not one.is_absent), *end]


def findings_of(sections: list[Section]) -> list[Finding]:
    """What all sections have to say, in order."""
    return [finding for section in sections for finding in section.findings]


def findings_text(results: Results, sections: list[Section]) -> str:
    """The page's plain words as Markdown: the headline, then a paragraph a topic."""
    found = findings_of(sections)
    return "\n\n".join([headline(results), *(f"**{t}{'' if t.endswith('?') else '.'}** {text}" for t, text in found)]) + "\n"


def pages_beside(results: Results, out: Path) -> Pages:
    """The other pages of the run, seen from the report."""
    pages = {"map": ("Map: look around among the networks", "map.html"), "parts": ("Parts of a typical network", "report.html")}
    return [
        (title, Path(os.path.relpath(results.run / stage / page, out)).as_posix())
        for stage, (title, page) in pages.items()
        if results.has(stage)
    ]


def render(
    results: Results, sections: list[Section], images: Mapping[str, str], widths: Mapping[str, int], pages: Pages
) -> str:
    """The page, with images {name: data URI} and the pixels {name: width} that they are wide at most."""
    parts = {"headline": headline(results), "glance": glance(results), "findings": findings_of(sections)}
    about = {"name": results.name, "n_networks": len(results.zoo), "pages": pages}
    return template_of("report", "report.html").render(sections=sections, images=images, widths=widths, **about, **parts)


def template_of(package: str, name: str) -> Template:
    """A template of a package, which may include those of the report."""
    loader = ChoiceLoader([PackageLoader("metarep", where) for where in (package, "report")])
    strict = {"undefined": StrictUndefined, "autoescape": True}
    environment = Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, **strict)
    environment.filters["cell"] = cell
    return environment.get_template(name)


def glance(results: Results) -> list[tuple[str, str]]:
    """The numbers at the head of the page: (value, what it is)."""
    entries = [(f"{len(results.zoo):,}", "networks")]
    masking = model_section.leading_masking(results)
    for row in results.masked(masking, "all") if masking else ():
        if row["predictor"] == "cloze":
            entries.append((num(row["value"]), "R² of the cloze model on masked values"))
    label = results.main_label
    known = {f"ARI with the {plain(label)}": results.agreement(label)} if label else {}
    known |= {f"R² of the {plain(target)}": results.predicted(target) for target in list(results.properties)[:2]}
    for what, scores in known.items():
        for name in dict.fromkeys((results.shown, results.best(scores, BASELINES))):
            if name in scores:
                entries.append((num(scores[name].value), f"{what}, {results.title(name)}"))
    return entries[:6]


def made_section(results: Results) -> Section:
    """How each stage was made. How long it took is in timings.json alone, so that the same settings give the same page."""
    rows = []
    for name, artefact in results.artefacts.items():
        manifest = artefact.manifest
        inputs = ", ".join(f"{key} {entry['manifest_sha256'][:10]}" for key, entry in manifest["inputs"].items())
        seed = "" if manifest["seed"] is None else str(manifest["seed"])
        rows.append([name, inputs, seed, manifest["code_version"], artefact.digest[:10]])
    text = "The manifest of every stage holds its settings, its seed and the hashes of its files and inputs; metarep info"
    table = Table(["stage", "made from", "seed", "code", "manifest"], rows, n_left=2)
    blocks: list[Block] = [Text(f"{text} verifies them."), table]
    words = {"cores": "{} cores", "python": "Python {}", "device": "device {}"}
    machine = [words.get(key, "{}").format(value) for key, value in results.timings.get("machine", {}).items()]
    packages = ", ".join(f"{name} {number}" for name, number in package_versions().items())
    blocks += [Text(f"Made on: {', '.join(machine)}.", small=True)] if machine else []
    blocks.append(Text(f"Packages where this report was written: {packages}.", small=True))
    blocks += [Table([], [[results.settings]], folded="Settings of the run")] if results.settings else []
    return Section("made", "How it was made", blocks)


def package_versions() -> dict[str, str]:
    """The versions of what the values depend on, as installed where the report is written."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
