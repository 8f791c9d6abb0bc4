"""What is compared, by its columns in the tables: embeddings of models, their untrained controls, baselines and oracles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metarep.embeddings.registry import kind_named, kind_names
from metarep.evaluation.representations import DESCRIPTIONS
from metarep.report.style import INK, MUTED, PALETTE
from metarep.zoos.domain import Domain

CLOZE, OTHER, UNTRAINED, BASELINE, ORACLE = "cloze", "other", "untrained", "baseline", "oracle"
BASELINES = (BASELINE, OTHER)
"""What an embedding of a cloze model has to beat: baselines, and models that learned by another objective."""


@dataclass(frozen=True)
class Look:
    """How the representations of a group are drawn, and what a legend calls them."""

    title: str
    colour: str
    marker: str


LOOKS = {
    CLOZE: Look("cloze embedding", PALETTE[0], "o"),
    OTHER: Look("another objective", PALETTE[3], "P"),
    UNTRAINED: Look("untrained encoder", PALETTE[4], "s"),
    BASELINE: Look("baseline", MUTED, "D"),
    ORACLE: Look("oracle", INK, "*"),
}

MAIN_MODEL = "main"
"""The run's own model in tables; further ones are named."""

TITLES = {
    "raw": "raw parameters",
    "canonical": "canonical parameters",
    "pca": "PCA of parameters",
    "outputs": "outputs on a grid",
    "input_gradients": "gradients by inputs",
    "parameter_gradients": "gradients by parameters",
    "fisher": "Fisher information",
    "log_fisher": "log Fisher information",
    "contributions": "contributions of units",
    "loss": "loss alone",
}


@dataclass(frozen=True)
class Representation:
    """One representation: its name in every table, the model and the kind of embedding, its group, title and description."""

    name: str
    model: str
    kind: str
    untrained: bool
    group: str
    title: str
    description: str


def representation_of(
    row: Mapping, oracles: Mapping, domain: Domain | None = None, objectives: Mapping[str, str] | None = None
) -> Representation:
    """The representation of a row with the columns representation, model, kind and untrained; no model means a baseline."""
    name, model, kind, untrained = row["representation"], row["model"] or "", row["kind"] or "", bool(row["untrained"])
    if not model:
        words = domain.oracle_words.get(name, "") if domain else ""
        group, title = (ORACLE if name in oracles else BASELINE), TITLES.get(name, name.replace("_", " "))
        return Representation(name, "", kind, False, group, title, words or DESCRIPTIONS.get(name, ""))
    objective = (objectives or {}).get(model, "cloze")
    what = objective if model == MAIN_MODEL else f"{objective} ({model})" if objective == "cloze" else model
    description = kind_named(kind).description if kind in kind_names() else ""
    if untrained:
        title = f"untrained {kind}" if model == MAIN_MODEL else f"untrained {kind} ({model})"
        return Representation(name, model, kind, True, UNTRAINED, title, f"as {what} {kind}, from an encoder never trained")
    group = CLOZE if objective == "cloze" else OTHER
    title = f"cloze {kind}" + ("" if model == MAIN_MODEL else f" ({model})") if group == CLOZE else f"{what} ({kind})"
    return Representation(name, model, kind, False, group, title, description)
