"""The options that commands share: one name, one meaning, one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metarep.errors import MetarepError

ConfigFile = Annotated[Path | None, typer.Option("--config", help="a YAML file with settings")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="change one setting by its dotted name, such as families.0.lr; repeatable"),
]
Out = Annotated[Path, typer.Option("--out", help="the folder to write")]
OutFile = Annotated[Path | None, typer.Option("--out", help="the file to write; by default results/NETWORK_ID")]
Seed = Annotated[int | None, typer.Option("--seed", help="override the config seed")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace a finished result at --out")]
Publish = Annotated[Path | None, typer.Option("--publish", help="a folder to copy tables and figures to")]


def progress_for(quiet: bool):
    """The `Progress` that a command hands to the library."""
    from metarep.progress import Progress

    return Progress.for_terminal(quiet=quiet)


def usable_device(device: str) -> str:
    """The device's name, checked. Raises MetarepError for one that this machine or PyTorch does not have."""
    if device == "cpu":
        return device
    import torch

    if device.partition(":")[0] != "cuda":
        raise MetarepError("--device", met=device, expected="cpu or cuda")
    if not torch.cuda.is_available():
        raise MetarepError("--device: PyTorch sees no CUDA GPU", met=device, fix="use --device cpu")
    return device


def numbers(text: str | None, option: str) -> list[int] | None:
    """Whole numbers from "3,5,8". Raises MetarepError naming the option for anything else."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise MetarepError(option, met=repr(text), expected="whole numbers separated by commas, such as 3,5,8") from error
