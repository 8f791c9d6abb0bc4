"""Known small networks inside one hidden layer: sections, and the mode of each; what the domain adds to `parts`.

A model of 2-2-1 networks is slid over the layer; see `metarep.domains.multiplier.sections.sections`.
Modes are named by a probe that was fitted on the zoo that the model was pretrained on. The null are copies of the
network in which the values of each tensor are shuffled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.special import expit

from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.sections.one_hidden import OneHidden, usual_ratio
from metarep.domains.multiplier.sections.sections import (
    Affinities,
    ModeProbe,
    Sections,
    affinities,
    fit_mode_probe,
    knows_multipliers,
    matched,
)
from metarep.errors import MetarepError
from metarep.model.transformer import ClozeModel
from metarep.networks.architecture import readable_tensors
from metarep.parts.alike import null_row
from metarep.parts.page import Captioned, Findings, null_sentence
from metarep.parts.reading import shuffled
from metarep.parts.settings import PartsConfig
from metarep.parts.source import Subject
from metarep.progress import Progress
from metarep.report.style import SEQUENTIAL, colour_bar, drawing
from metarep.tables import rows_of
from metarep.zoos.zoo import Zoo

MAX_FIT = 5000
"""Training networks that the probe for modes is fitted on."""

MAX_UNITS = 256
"""Hidden units: every two of them are read."""


def find_sections_of(config: PartsConfig, model: ClozeModel, zoo: Zoo, source: Subject, progress: Progress) -> Findings | None:
    """The sections of a ReLU network with one hidden layer, with a figure and the tables sections and units.

    `zoo` is the one that the model was pretrained on. None for a model that knows no 2-2-1 networks or was not asked for their
    behaviour, and a sentence in place of sections where the network has other layers.
    """
    known = known_networks(zoo)
    if model.decoder is None or not len(known) or not knows_multipliers(model):
        return None
    try:
        layer = one_hidden(source)
    except MetarepError as error:
        return Findings((f"Known small networks were not looked for: {error}.",))
    ratio = usual_ratio(known.params)
    probe = fit_mode_probe(model, known.params, label_modes(MULTIPLIER, known.params).mode, ratio)
    generator, found = torch.Generator().manual_seed(config.seed), []
    with progress.task("find sections", 1 + config.n_shuffles, "copies") as task:
        for number in range(1 + config.n_shuffles):
            copy = layer if number == 0 else one_hidden(source, shuffled(source.tensors, generator))
            found.append(affinities(copy, model, ratio))
            task.advance(1)
    return findings(found, probe)


def one_hidden(source: Subject, tensors: dict[str, torch.Tensor] | None = None) -> OneHidden:
    """The layer of a network of two linear layers. Raises MetarepError for any other."""
    values = readable_tensors(source.architecture, tensors or source.tensors, where=source.name)
    weights = [t for t in source.architecture.tensors if t.kind == "linear" and len(t.shape) == 2]
    biases = [t for t in source.architecture.tensors if t.role == "bias"]
    if len(weights) != 2 or len(biases) != 2 or len(values) != 4 or weights[0].shape[0] != weights[1].shape[1]:
        met = f"{len(values)} tensors, {len(weights)} of them linear weights"
        expected = "two linear layers with biases, such as 4-16-2"
        raise MetarepError("they are sought in one hidden layer", met=met, expected=expected)
    if weights[0].shape[0] > MAX_UNITS:
        raise MetarepError("every two hidden units are read", met=weights[0].shape[0], expected=f"at most {MAX_UNITS}")
    (weight, readout), (bias, offset) = ([values[t.name].double().numpy() for t in some] for some in (weights, biases))
    if min(weight.shape) < 2:
        raise MetarepError("a section has two units and two inputs", met=f"{weight.shape[0]} and {weight.shape[1]}")
    return OneHidden(weight, bias, readout, offset)


def known_networks(zoo: Zoo) -> Zoo:
    """Training networks of a zoo that are 2-2-1."""
    train = zoo.final().where(split="train", spec=str(MULTIPLIER))
    return train.select(np.arange(min(MAX_FIT, len(train))))


def findings(found: list[Affinities], probe: ModeProbe) -> Findings:
    """Tables, figure and sentences of the network, found[0], and its shuffled copies."""
    sections = [matched(one) for one in found]
    own = sections[0]
    modes = probe.modes(own.params)
    numbers = np.array([len(one.units) for one in sections], dtype=float)
    totals = np.array([one.affinity.sum() for one in sections])
    metrics = {"number": numbers, "summed affinity": totals}
    tests = [null_row("section", name, values[0], values[1:]) for name, values in metrics.items()]
    rows = section_rows(own, modes)
    listed = "; ".join(f"units {r['units']} on inputs {r['inputs']} for output {r['output']}: mode {r['mode']}" for r in rows)
    said = f"{len(rows)} sections in {own.n_units} hidden units" + (f": {listed}." if rows else ".")
    caption = (
        "How likely it is that two units belong to one network of the kind that the model knows, at even prior odds; "
        "units in the order of their sections, which are framed."
    )
    return Findings(
        (said, *(null_sentence("section", row) for row in tests)),
        tests=tests,
        tables={"sections": rows, "units": unit_rows(own, modes)},
        figures={"affinity": Captioned(affinity_figure(found[0], own), caption)},
        shown=("sections",),
    )


def section_rows(found: Sections, modes: np.ndarray) -> list[dict[str, Any]]:
    """A row a section, the surest first."""
    units, inputs = ([" ".join(map(str, pair)) for pair in pairs] for pairs in (found.units, found.inputs))
    columns = {"section": range(1, len(units) + 1), "units": units, "inputs": inputs, "output": found.output, "mode": modes}
    return rows_of(columns | {"affinity": found.affinity, "likelihood": expit(found.affinity)})


def unit_rows(found: Sections, modes: np.ndarray) -> list[dict[str, Any]]:
    """A row a hidden unit: its section, 0 for none, and that one's mode."""
    number = np.where(found.labels < len(modes), found.labels + 1, 0)
    return rows_of({"unit": range(found.n_units), "section": number, "mode": [["", *modes][i] for i in number]})


def affinity_figure(found: Affinities, sections: Sections) -> Figure:
    """Units by units, those of a section side by side."""
    order = np.argsort(sections.labels, kind="stable")
    matrix = expit(found.matrix())[np.ix_(order, order)]
    np.fill_diagonal(matrix, np.nan)
    side, step = min(9.0, 3.0 + 0.16 * found.n_units), max(1, found.n_units // 32)
    with drawing(side + 1.0, side) as figure:
        ax = figure.subplots()
        image = ax.imshow(matrix, vmin=0, vmax=1, cmap=SEQUENTIAL)
        for at in 2 * np.arange(len(sections.units)) - 0.5:
            ax.add_patch(Rectangle((at, at), 2, 2, fill=False, ec="white", lw=1.4))
        for set_ticks in (ax.set_xticks, ax.set_yticks):
            set_ticks(range(0, found.n_units, step), order[::step], fontsize=7)
        ax.set(xlabel="unit", ylabel="unit")
        colour_bar(figure, image, "likelihood of belonging together", ax=ax, shrink=0.7)
    return figure
