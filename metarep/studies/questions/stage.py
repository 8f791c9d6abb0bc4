"""The stage that answers the questions of the notes: a folder for each, and a page that shows them."""

from __future__ import annotations

from pathlib import Path

from metarep.progress import Progress
from metarep.studies.questions.registry import QUESTIONS
from metarep.studies.settings import QuestionConfig
from metarep.studies.stage import experiment


def question(
    config: QuestionConfig, name: str, out: Path | str, *, overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Answers one question, or "all", into `out`, and returns it; see `studies.stage.experiment`."""
    return experiment(config, name, out, series=QUESTIONS, overwrite=overwrite, progress=progress)
