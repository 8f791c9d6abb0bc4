"""A series of runs, one change a row: they share a zoo and a base model, and a table puts them side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metarep.errors import MetarepError
from metarep.pipeline import run
from metarep.report.ablations import ablations
from metarep.run_settings import RunConfig
from metarep.runner import publish
from metarep.settings import load_config

BASE = "base"
PUBLISHED = {"tables": ("table/ablations.csv", "table/findings.md"), "figures/ablations": ("table/figures/*.png",)}


def run_series(
    configs: Path, out: Path, *, overrides: list[str] | None = None, publish_to: Path | None = None, device: str, **how: Any
) -> Path:
    """Runs every config of a folder but base.yaml into `out`/NAME, puts them side by side in `out`/table and returns that.

    Stages that several runs have in common are made once and copied. Raises MetarepError for a folder without configs.
    """
    files = sorted(file for file in configs.glob("*.yaml") if file.stem != BASE)
    if not files:
        raise MetarepError(f"{configs} holds no configs", expected="YAML files", fix="name a folder such as configs/ablations")
    settings = {file.stem: load_config(RunConfig, file, overrides) for file in files}
    done: list[Path] = []
    for name, config in settings.items():
        done.append(run(config, out / name, reuse=tuple(done), device=device, **how))
    path = ablations(done, out / "table", overwrite=True, progress=how.get("progress"))
    if publish_to is not None:
        publish(out, publish_to, PUBLISHED, named=lambda file: "ablations.md" if file.name == "findings.md" else file.name)
    return path
