"""`metarep predict`: accuracy, epoch and other properties from frozen embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Out, Overrides, Overwrite, Quiet, Seed, progress_for
from .output import print_csv, say_where


def predict(
    embeddings: Annotated[list[Path], typer.Argument(help="one or more embeddings' folders, of one imported zoo")],
    targets: Annotated[str | None, typer.Option(help="numeric properties: test_accuracy,epoch; all if left out")] = None,
    zoo: Annotated[Path | None, typer.Option(help="the zoo, if it has moved since it was embedded")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = Path("results/predictions"),
    seed: Seed = None,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Predict properties of networks from frozen embeddings, linearly and with boosted trees, beside weight statistics.

    Splits are by training run; R² and Kendall's τ are of held-out runs.

    \b
    Example:
      metarep predict results/embeddings/layers --targets test_accuracy,epoch,gap --out results/predictions
    """
    from metarep.evaluation.predict import predict as run
    from metarep.evaluation.settings import PredictConfig
    from metarep.settings import load_config

    chosen = [*(overrides or []), *([f"targets=[{targets}]"] if targets else [])]
    settings = load_config(PredictConfig, config, chosen, seed=seed)
    path = run(settings, list(embeddings), out, zoo=zoo, overwrite=overwrite, progress=progress_for(quiet))
    print_csv(path / "predictions.csv", ("target", "representation", "regressor", "metric", "value", "low", "high", "null"))
    say_where("predictions", path)
