"""The stage that answers the questions of the notes: a folder for each, and a page that shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metarep.studies.questions.registry import QUESTIONS
from metarep.studies.settings import QuestionConfig
from metarep.studies.stage import experiment


def question(config: QuestionConfig, name: str, out: Path | str, **how: Any) -> Path:
    """Answers one question, or "all", into `out`, and returns it; see `studies.stage.experiment`."""
    return experiment(config, name, out, series=QUESTIONS, **how)
