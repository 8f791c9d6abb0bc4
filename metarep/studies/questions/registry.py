"""Which questions there are, by the name that the command line takes."""

from __future__ import annotations

from typing import Any

from metarep.studies.questions.context import QuestionContext
from metarep.studies.registry import Experiment, Series
from metarep.studies.settings import QuestionConfig

SHARED_SETTINGS = ("seed", "n_networks", "pretrain", "n_bootstraps")


def own_settings(config: QuestionConfig, one: Experiment) -> dict[str, Any]:
    """What all questions share and what is the question's own."""
    return {name: value for name, value in config.resolved().items() if name in (*SHARED_SETTINGS, one.module)}


_MEMBERS = tuple(
    Experiment(*entry, room="studies.questions")
    for entry in (
        ("1", "size", "How big must the subject material be?", "zoo sizes against model sizes, and whether networks leak"),
        ("2", "sources", "Does it transfer?", "what is carried over from which zoo to which"),
        (
            "3",
            "input",
            "What should the input look like?",
            "token designs, and what becomes of a unit, a layer, a network",
        ),
        ("4", "ceiling", "Is the task too hard?", "how much of a hidden parameter the others say at all"),
    )
)

QUESTIONS = Series("question", "questions", "studies.questions", "questions.html", _MEMBERS, QuestionContext, own_settings)
