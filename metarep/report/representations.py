"""What is compared, by its columns in the tables: embeddings of models, their untrained controls, baselines and oracles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metarep.embeddings.registry import kind_named, kind_names
from metarep.report.style import INK, MUTED, PALETTE

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

MAIN_MODEL = ("main", "model")
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
    "exact_contributions": "exact contributions",
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


def key_of(row: Mapping) -> str:
    """What tells the representation of a row from all others: its name, model and whether it is untrained."""
    return "\t".join(str(row[column]) for column in ("representation", "model", "untrained"))


def representation_of(row: Mapping, objectives: Mapping[str, str]) -> Representation:
    """The representation of a row of representations.csv; `objectives` {model: what it learned by}, cloze if not named."""
    name, model, kind, untrained = row["representation"], row["model"], row["kind"], bool(row["untrained"])
    origin, description = row.get("origin", "embedding" if model else "baseline"), row.get("description", "")
    if origin != "embedding":
        group = {"oracle": ORACLE, "joint": CLOZE}.get(origin, BASELINE)
        title = TITLES.get(name, name.replace("_", " "))
        return Representation(name, "", kind, False, group, title, description)
    objective, of = objectives.get(model, "cloze"), "" if model in MAIN_MODEL else f" ({model})"
    if untrained:
        words = f"as {kind}, from an encoder that was never trained"
        return Representation(name, model, kind, True, UNTRAINED, f"untrained {kind}{of}", words)
    description = kind_named(kind).description if kind in kind_names() else description
    if objective != "cloze":
        return Representation(name, model, kind, False, OTHER, f"{model} ({kind})", description)
    return Representation(name, model, kind, False, CLOZE, f"cloze {kind}{of}", description)
