"""Series of runs: their configs lie in a folder, and a table puts them side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from metarep.errors import MetarepError
from metarep.pipeline import run
from metarep.report.ablations import ablations
from metarep.report.benchmark import benchmark
from metarep.run_settings import RunConfig
from metarep.runner import publish
from metarep.settings import load_config

BASE = "base"


class SideBySide(NamedTuple):
    """What puts the runs of a series side by side, and which of its files are published, by folder."""

    write: Callable[..., Path]
    published: dict[str, tuple[str, ...]]


ABLATIONS = SideBySide(
    ablations, {"tables": ("table/ablations.csv", "table/findings.md"), "figures/ablations": ("table/figures/*.png",)}
)
"""One change a row: the runs share a zoo and a base model."""

BENCHMARK = SideBySide(
    benchmark, {"tables": ("table/benchmark.csv", "table/costs.csv", "table/findings.md"), "figures": ("table/figures/*.png",)}
)
"""Every representation on several zoos."""


def run_configs(
    series: SideBySide,
    configs: Path,
    out: Path,
    *,
    overrides: list[str] | None = None,
    publish_to: Path | None = None,
    device: str,
    **how: Any,
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
    path = series.write(done, out / "table", overwrite=True, progress=how.get("progress"))
    if publish_to is not None:
        name = series.write.__name__
        publish(out, publish_to, series.published, named=lambda file: f"{name}.md" if file.suffix == ".md" else file.name)
    return path
