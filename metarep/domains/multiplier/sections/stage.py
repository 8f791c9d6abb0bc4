"""The stage that looks for known small networks inside one hidden layer: sections, and the mode of each.

A cloze model of 2-2-1 networks is slid over the layer; see `metarep.domains.multiplier.sections.sections`.
Modes are named by a probe that was fitted on the zoo that the model was pretrained on. The null are copies of the
network, each tensor's values shuffled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from metarep.artefact import open_artefact, write_whole, writing
from metarep.cloze.model import ClozeModel
from metarep.cloze.pretrain import load_model
from metarep.domains.multiplier.sections.naming import ModeReader, fit_mode_reader
from metarep.domains.multiplier.sections.one_hidden import OneHidden, usual_ratio
from metarep.domains.multiplier.sections.sections import Affinities, Sections, affinities, likelihood, matched
from metarep.errors import MetarepError
from metarep.networks.architecture import readable_tensors
from metarep.parts.alike import null_row
from metarep.parts.reading import shuffled
from metarep.parts.settings import PartsConfig
from metarep.parts.source import Source, open_source
from metarep.parts.stage import PAGE, as_claim
from metarep.parts.words import null_sentence
from metarep.progress import Progress
from metarep.report.style import INK, use_style
from metarep.studies.experiment import Picture, Result
from metarep.studies.page import render_sections, section
from metarep.studies.registry import Experiment
from metarep.studies.stage import write_result
from metarep.zoos.zoo import open_zoo

matplotlib.use("Agg")
MAX_FIT = 5000
"""Training networks that the probe for modes is fitted on."""

MAX_UNITS = 256
"""Hidden units: every two of them are read."""


def find_parts(
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
    """Finds the sections of a ReLU network with one hidden layer, a checkpoint file or one of a zoo, into `out`; returns it.

    `architecture` is a YAML that says of a file's tensors what their names do not.
    Writes sections.csv, units.csv, tests.csv, a figure and report.html. Raises MetarepError for other networks, and for a model
    of other ones than 2-2-1 or whose zoo has moved.
    """
    out, progress = Path(out), progress or Progress()
    cloze, artefact = load_model(model, device=device), open_artefact(model, "model")
    source = open_source(network, network_id, architecture=architecture)
    layer = one_hidden(source)
    ratio, reader = known_networks(cloze, artefact.input_path("zoo"))
    inputs = {"model": artefact} | source.inputs
    settings = config.resolved() | source.settings
    with writing(out, "parts", config=settings, seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        generator = torch.Generator().manual_seed(config.seed)
        found = []
        with progress.task("find sections", 1 + config.n_shuffles, "copies") as task:
            for number in range(1 + config.n_shuffles):
                copy = layer if number == 0 else one_hidden(source, shuffled(source.tensors, generator))
                found.append(affinities(copy, cloze, ratio))
                task.advance(1)
        result = as_result(source, found, reader)
        one = Experiment("", "parts", source.name, "which sections are known networks", room="parts")
        shown = section(folder, one, write_result(folder, one, result))
        write_whole(folder / "report.html", render_sections(PAGE, [shown], []))
    return out


def one_hidden(source: Source, tensors: dict[str, torch.Tensor] | None = None) -> OneHidden:
    """The layer of a network of two linear layers. Raises MetarepError for any other."""
    values = readable_tensors(source.architecture, tensors or source.tensors, where=source.name)
    weights = [t for t in source.architecture.tensors if t.kind == "linear" and len(t.shape) == 2]
    biases = [t for t in source.architecture.tensors if t.role == "bias"]
    expected = "two linear layers with biases, such as 4-16-2"
    if len(weights) != 2 or len(biases) != 2 or len(values) != 4 or weights[0].shape[0] != weights[1].shape[1]:
        met = f"{len(values)} tensors, {len(weights)} of them linear weights"
        fix = "take it apart with a window model"
        what = f"{source.name}: a model of small networks reads one hidden layer"
        raise MetarepError(what, met=met, expected=expected, fix=fix)
    if weights[0].shape[0] > MAX_UNITS:
        raise MetarepError(f"{source.name} has too many hidden units", met=weights[0].shape[0], expected=f"at most {MAX_UNITS}")
    (weight, readout), (bias, offset) = ([values[t.name].double().numpy() for t in some] for some in (weights, biases))
    return OneHidden(weight, bias, readout, offset)


def known_networks(model: ClozeModel, zoo: Path) -> tuple[float, ModeReader]:
    """The usual ratio of the zoo that the model knows, and the probe for modes, both from training networks."""
    train = open_zoo(zoo).final().where(split="train")
    train = train.select(np.arange(min(MAX_FIT, len(train))))
    ratio = usual_ratio(train.params)
    return ratio, fit_mode_reader(model, train.params, train["mode"], ratio)


def as_result(source: Source, found: list[Affinities], reader: ModeReader) -> Result:
    """Tables, picture and sentences of the network, found[0], and its shuffled copies."""
    sections = [matched(one) for one in found]
    own = sections[0]
    modes = reader.modes(own.params)
    numbers = np.array([len(one.units) for one in sections], dtype=float)
    totals = np.array([one.affinity.sum() for one in sections])
    figures = {"number": numbers, "summed affinity": totals}
    tests = [null_row("section", name, values[0], values[1:]) for name, values in figures.items()]
    rows = section_rows(own, modes)
    parts = (f"units {r['units']} on inputs {r['inputs']} for output {r['output']}: mode {r['mode']}" for r in rows)
    listed = "; ".join(parts)
    said = [f"{len(rows)} sections in {own.n_units} hidden units" + (f": {listed}." if rows else ".")]
    return Result(
        claims=tuple(as_claim(row) for row in tests),
        sentences=(*said, *(null_sentence("section", row) for row in tests)),
        tables={"sections": rows, "units": unit_rows(own, modes), "tests": tests},
        pictures={
            "affinity": Picture(
                affinity_figure(found[0], own),
                "How likely each two units belong to one network of the kind that the model knows, at even odds beforehand; "
                "units in the order of their sections, which are framed.",
            )
        },
        shown=("sections", "tests"),
    )


def section_rows(found: Sections, modes: np.ndarray) -> list[dict[str, Any]]:
    """A row a section, the surest first."""
    order = np.argsort(-found.affinity, kind="stable")
    return [
        {
            "section": number + 1,
            "units": " ".join(map(str, found.units[i])),
            "inputs": " ".join(map(str, found.inputs[i])),
            "output": int(found.output[i]),
            "mode": str(modes[i]),
            "affinity": float(found.affinity[i]),
            "likelihood": float(likelihood(found.affinity[i])),
        }
        for number, i in enumerate(order)
    ]


def unit_rows(found: Sections, modes: np.ndarray) -> list[dict[str, Any]]:
    """A row a hidden unit: its section, 0 for none, and that one's mode."""
    order = np.argsort(-found.affinity, kind="stable")
    place = {int(u): (number + 1, str(modes[i])) for number, i in enumerate(order) for u in found.units[i]}
    return [{"unit": u, "section": place.get(u, (0, ""))[0], "mode": place.get(u, (0, ""))[1]} for u in range(found.n_units)]


def affinity_figure(found: Affinities, sections: Sections) -> Figure:
    """Units by units, those of a section side by side."""
    order = [int(u) for i in np.argsort(-sections.affinity, kind="stable") for u in sections.units[i]]
    order += [u for u in range(found.n_units) if u not in set(order)]
    matrix = likelihood(found.matrix())[np.ix_(order, order)]
    np.fill_diagonal(matrix, np.nan)
    side = min(9.0, 3.0 + 0.16 * found.n_units)
    with use_style():
        figure = Figure(figsize=(side + 1.0, side), layout="constrained")
        ax = figure.subplots()
        image = ax.imshow(matrix, vmin=0, vmax=1, cmap="viridis")
        for number in range(len(sections.units)):
            ax.add_patch(Rectangle((2 * number - 0.5, 2 * number - 0.5), 2, 2, fill=False, ec="white", lw=1.4))
        step = max(1, found.n_units // 32)
        ax.set_xticks(range(0, found.n_units, step), order[::step], fontsize=7, color=INK)
        ax.set_yticks(range(0, found.n_units, step), order[::step], fontsize=7, color=INK)
        ax.set(xlabel="unit", ylabel="unit")
        figure.colorbar(image, ax=ax, shrink=0.7, label="likelihood of belonging together")
    return figure
