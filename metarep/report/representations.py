"""What is compared, by its columns in the tables: embeddings of models, their untrained controls, baselines and oracles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.lines import Line2D

from metarep.embeddings.registry import kind_named, kind_names
from metarep.report.style import INK, MUTED, PALETTE, key

CLOZE, OTHER, UNTRAINED, BASELINE, ORACLE = "cloze", "other", "untrained", "baseline", "oracle"
BASELINES = (BASELINE, OTHER)
"""What an embedding of a cloze model has to beat: baselines, and models that learned by another objective."""


class Look(NamedTuple):
    """How the representations of a group, or a predictor, are drawn, and what a legend calls them."""

    title: str
    colour: str
    marker: str

    @property
    def key(self) -> Line2D:
        """Its entry in a legend."""
        return key(*self)


LOOKS = {
    CLOZE: Look("cloze embedding", PALETTE[0], "o"),
    OTHER: Look("another objective", PALETTE[3], "P"),
    UNTRAINED: Look("untrained encoder", PALETTE[4], "s"),
    BASELINE: Look("baseline", MUTED, "D"),
    ORACLE: Look("oracle", INK, "*"),
}

PREDICTORS = {
    "cloze": Look("cloze model", PALETTE[0], "o"),
    "linear_gaussian": Look("linear-Gaussian imputer", PALETTE[1], "s"),
    "mixture": Look("mixture of Gaussians", PALETTE[4], "^"),
    "window mean": Look("mean of the window", PALETTE[2], "v"),
    "mean": Look("mean", MUTED, "D"),
}
"""What predicts masked values."""

MAIN_MODEL = ("main", "model")
"""The run's own model in tables; further ones are named."""

TITLES = {
    "raw": "raw parameters",
    "canonical": "canonical parameters",
    "pca": "PCA of parameters",
    "outputs": "outputs",
    "input_gradients": "gradients by inputs",
    "parameter_gradients": "gradients by parameters",
    "fisher": "Fisher information",
    "log_fisher": "log Fisher information",
    "contributions": "contributions of units",
    "exact_contributions": "exact contributions",
    "loss": "loss alone",
}


@dataclass(frozen=True)
class Compared:
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


def representation_of(row: Mapping, objectives: Mapping[str, str]) -> Compared:
    """The representation of a row of representations.csv; `objectives` {model: what it learned by}, cloze if not named."""
    name, model, kind, untrained = row["representation"], row["model"], row["kind"], bool(row["untrained"])
    origin = row.get("origin", "embedding" if model else kind if kind == "joint" else "baseline")
    words = row.get("description", "")
    if origin != "embedding":
        group = {"oracle": ORACLE, "joint": CLOZE}.get(origin, BASELINE)
        return Compared(name, "", kind, False, group, TITLES.get(name, name.replace("_", " ")), words)
    of = "" if model in MAIN_MODEL else f" ({model})"
    words = kind_named(kind).description if kind in kind_names() else words
    group, title = CLOZE, f"cloze {kind}{of}"
    if untrained:
        group, title, words = UNTRAINED, f"untrained {kind}{of}", f"as {kind}, from an encoder that was never trained"
    elif objectives.get(model, "cloze") != "cloze":
        group, title = OTHER, f"{model} ({kind})"
    return Compared(name, model, kind, untrained, group, title, words)
