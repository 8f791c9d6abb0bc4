"""Makes the examples of the package: `python -m metarep.examples.making configs/examples results/examples`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from metarep.artefact import write_whole
from metarep.card import model_card
from metarep.examples import HERE, SETTINGS
from metarep.pipeline import run, zoo_folder
from metarep.progress import Progress
from metarep.run_settings import RunConfig
from metarep.settings import load_config


def make(configs: Path, runs: Path, *, progress: Progress) -> None:
    """Runs each config, and copies its zoo, its model, its settings and its card into the package."""
    for file in sorted(configs.glob("*.yaml")):
        config = load_config(RunConfig, file)
        out = run(config, runs / config.name, progress=progress)
        place = HERE / config.name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(zoo_folder(config, out), place / "zoo")
        shutil.copytree(out / "model", place / "model")
        shutil.copyfile(file, place / SETTINGS)
        write_whole(
            place / "README.md", model_card(out / "model", name=config.name, where=f"metarep/examples/{config.name}/model")
        )


if __name__ == "__main__":
    make(*map(Path, sys.argv[1:]), progress=Progress.for_terminal(quiet=False))
