"""The options that commands share: one name, one meaning, one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metarep.errors import MetarepError

ConfigFile = Annotated[Path | None, typer.Option("--config", help="a YAML file with this stage's settings")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="change one setting, by its dotted name; repeatable"),
]
Out = Annotated[Path, typer.Option("--out", help="the folder to write")]
Seed = Annotated[int | None, typer.Option("--seed", help="in place of the config's seed")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda")]
CpuOnly = Annotated[str, typer.Option("--device", help="this stage runs on the CPU: cpu is the only choice")]
Seedless = Annotated[
    int | None, typer.Option("--seed", help="taken by every command; nothing is drawn at random here, so it changes nothing")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace a finished artefact at --out")]


def progress_for(quiet: bool):
    """The `Progress` that a command hands to the library."""
    from metarep.progress import Progress

    return Progress.for_terminal(quiet=quiet)


def usable_device(device: str) -> str:
    """The device's name, checked. Raises MetarepError for one that this machine or PyTorch lacks."""
    if device == "cpu":
        return device
    import torch

    if device.partition(":")[0] != "cuda":
        raise MetarepError("--device", met=device, expected="cpu or cuda")
    if not torch.cuda.is_available():
        raise MetarepError("--device: PyTorch sees no CUDA GPU", met=device, fix="use --device cpu")
    return device


def require_cpu(device: str) -> None:
    """Raises MetarepError where a stage that has no GPU code is asked for one."""
    if device != "cpu":
        raise MetarepError("--device: this stage runs on the CPU", met=device, expected="cpu")


def numbers(text: str | None, option: str) -> list[int] | None:
    """Whole numbers from "3,5,8". Raises MetarepError naming the option for anything else."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise MetarepError(option, met=repr(text), expected="whole numbers with commas between, such as 3,5,8") from error
