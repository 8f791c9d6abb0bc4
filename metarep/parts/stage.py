"""The stage that takes one network apart: its units, layers and windows, which of them are alike, and a page of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metarep.artefact import open_artefact, write_whole, writing
from metarep.parts.alike import Found, find_alike
from metarep.parts.figures import layers_figure, map_figure, similarity_figure
from metarep.parts.reading import read_parts
from metarep.parts.settings import PartsConfig
from metarep.parts.source import Source, open_source
from metarep.parts.words import sentences
from metarep.progress import Progress
from metarep.studies.experiment import Claim, Context, Picture, Result
from metarep.studies.page import render_sections, section
from metarep.studies.registry import Experiment, Series, all_settings
from metarep.studies.stage import write_result
from metarep.windows.embed import RowWriter
from metarep.windows.pretrain import load_window_model

PAGE = Series("parts", "parts", "parts", "parts.html", (), Context, all_settings)
MAX_LAYERS_SHOWN = 400
"""Layers whose similarities are drawn."""


def parts(
    config: PartsConfig,
    model: Path | str,
    network: Path | str,
    out: Path | str,
    *,
    network_id: str | None = None,
    architecture: Path | str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Takes a network apart, a checkpoint file or one of a zoo by its id, into the folder `out`, which it returns.

    `architecture` is a YAML that says of a file's tensors what their names do not.
    Writes embeddings.parquet, parts.csv (a row a part), alike.csv (the most alike pairs), tests.csv (against shuffled
    parameters), k_curve.csv, figures and report.html. Raises MetarepError for damaged files and NaN.
    """
    out, progress = Path(out), progress or Progress()
    window_model = load_window_model(model, device=device)
    source = open_source(network, network_id, architecture=architecture)
    inputs = {"model": open_artefact(model, "window-model")} | source.inputs
    settings = config.resolved() | source.settings
    with writing(out, "parts", config=settings, seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        found = {}
        read = read_parts(config, window_model, source, progress)
        with progress.task("compare parts", len(read), "kinds") as task:
            for kind, one in read.items():
                found[kind] = find_alike(config, one)
                task.advance(1, kind)
        result = as_result(config, source, found)
        with RowWriter(folder / "embeddings.parquet") as writer:
            for kind, one in read.items():
                for name, vector in zip(one.names, one.vectors, strict=True):
                    writer.add(source.name, name if kind == "window" else f"{kind} {name}", vector)
        one = Experiment("", "parts", source.name, "which parts of the network do the same thing", room="parts")
        shown = section(folder, one, write_result(folder, one, result))
        write_whole(folder / "report.html", render_sections(PAGE, [shown], []))
    return out


def as_result(config: PartsConfig, source: Source, found: dict[str, Found]) -> Result:
    """Tables, pictures and sentences."""
    tests = [row for one in found.values() for row in one.tests]
    pictures = {
        f"map_{kind}s": Picture(
            map_figure(one, f"{kind.capitalize()}s of {source.name} by cluster"),
            f"The {kind}s of the network, a strip for each symmetry group in order, with how many there are, each {kind} "
            "where it was saved; colours are clusters of what the arrangement of the parameters adds to its vector.",
        )
        for kind, one in found.items()
        if one.k_curve
    }
    if several := [one for one in found.values() if len(one.similarity) > 1]:
        pictures["similarity"] = Picture(
            similarity_figure(several),
            "How alike each part is to the part nearest to it (cosine), and the same in copies with shuffled tensors.",
        )
    if 2 <= len(found["layer"].cluster) <= MAX_LAYERS_SHOWN:
        pictures["layers"] = Picture(layers_figure(found["layer"]), "The similarity of each two layers.")
    return Result(
        claims=tuple(as_claim(row) for row in tests),
        sentences=sentences(found, source.architecture.n_params, config.n_shuffles),
        tables={
            "tests": tests,
            "alike": [row for one in found.values() for row in alike_rows(one, config.n_alike)],
            "parts": [row for one in found.values() for row in part_rows(one)],
            "k_curve": [{"part": kind, **row} for kind, one in found.items() for row in one.k_curve],
        },
        pictures=pictures,
        shown=("tests", "alike"),
    )


def as_claim(row: dict[str, Any]) -> Claim:
    """A statistic beside the spread of its null."""
    return Claim(
        f"{row['part']}s: {row['statistic']}", row["value"], low=row["null_p05"], high=row["null_p95"], over="shuffled"
    )


def part_rows(one: Found) -> list[dict[str, Any]]:
    """A row for each part: its group, cluster (from 1, 0 where none was made), the part nearest to it, and how near."""
    names, groups = one.parts.names, one.parts.groups
    return [
        {
            "part": one.parts.kind,
            "name": names[i],
            "group": groups[i],
            "cluster": int(one.cluster[i]) + 1,
            "nearest": names[one.nearest[i]] if one.nearest[i] >= 0 else "",
            "similarity": float(one.similarity[i]),
            "p": float(one.p[i]),
        }
        for i in range(len(names))
    ]


def alike_rows(one: Found, n: int) -> list[dict[str, Any]]:
    """The most alike pairs, each once, the nearest first."""
    rows, seen = [], set()
    for i in np.argsort(-one.similarity, kind="stable"):
        pair = frozenset((int(i), int(one.nearest[i])))
        if one.nearest[i] < 0 or pair in seen:
            continue
        seen.add(pair)
        rows.append(
            {
                "part": one.parts.kind,
                "one": one.parts.names[i],
                "other": one.parts.names[one.nearest[i]],
                "similarity": float(one.similarity[i]),
                "p": float(one.p[i]),
                "same_cluster": bool(one.cluster[i] == one.cluster[one.nearest[i]]) if one.k_curve else None,
            }
        )
        if len(rows) == n:
            break
    return rows
