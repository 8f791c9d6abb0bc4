"""What commands share: their options, with one name, one meaning and one help text each, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from metarep.errors import MetarepError

from .settings_help import settings_class

CONFIG = Annotated[Path | None, typer.Option("--config", help="a YAML file with settings")]
OVERRIDES = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="change one setting, by a dotted name where it is nested; repeatable"),
]
CLUSTER = Annotated[
    str | None,
    typer.Option(help="spread the work through Ray: auto, the address of a cluster, or local:N for N processes here"),
]
DEVICE = "cpu, cuda, cuda:N, or auto: a GPU where there is one"
FILE = {
    "out_help": "the file to write; by default results/NETWORK_ID",
    "overwrite": "replace the file at --out",
}
"""How a command that writes one file says so."""


@dataclass(frozen=True)
class Given:
    """What the shared options say; those that a command does not have stay as they are here."""

    kind: str
    config: Path | None = None
    overrides: list[str] | None = None
    out: Path | None = None
    publish: Path | None = None
    seed: int | None = None
    device: str | None = None
    quiet: bool = False
    overwrite: bool = False

    def settings(self, **fixed: Any) -> Any:
        """The command's settings: of the file, then of --set, then of its own options, where these are not None."""
        return self.settings_of(settings_class(self.kind), **fixed)

    def settings_of(self, settings: type, /, **fixed: Any) -> Any:
        """The same of another class of settings."""
        from metarep.settings import load_config

        return load_config(settings, self.config, self.overrides, seed=self.seed, **fixed)

    @property
    def how(self) -> dict[str, Any]:
        """What every stage of the library takes beside settings and inputs."""
        from metarep.progress import Progress

        device = {} if self.device is None else {"device": usable_device(self.device)}
        return device | {"overwrite": self.overwrite, "progress": Progress.for_terminal(quiet=self.quiet)}


def command(
    kind: str = "",
    *,
    writes: bool = True,
    out: str | None = None,
    out_help: str = "the folder to write",
    overwrite: str = "replace a finished result at --out",
    seed: str = "override the config seed",
    device: str = "",
    publish: bool = False,
    variants: bool = False,
    cluster: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command of its function's own parameters and of the shared options, which it gets as its first one, `given`.

    `kind` is the class of its settings, as "module:Class"; a command without any has no --config and --set, one that `writes`
    nothing no --out and --overwrite. Where `out` is None the command itself says where its result goes by default. `seed` and
    `device` are help texts, "" for no such option. With `cluster` its work may be spread over
    machines. With `variants` its help shows the settings of every `Builder` too.
    """
    shared: dict[str, tuple[Any, Any]] = {"config": (CONFIG, None), "overrides": (OVERRIDES, None)} if kind else {}
    if writes:
        shared["out"] = (Annotated[Path if out else Path | None, typer.Option("--out", help=out_help)], out and Path(out))
    if publish:
        shared["publish"] = (Annotated[Path | None, typer.Option(help="a folder to copy tables and figures to")], None)
    if kind and seed:
        shared["seed"] = (Annotated[int | None, typer.Option(help=seed)], None)
    if device:
        shared["device"] = (Annotated[str, typer.Option(help=device)], "cpu")
    if cluster:
        shared["cluster"] = (CLUSTER, None)
    shared["quiet"] = (Annotated[bool, typer.Option("--quiet", help="no progress")], False)
    if writes:
        shared["overwrite"] = (Annotated[bool, typer.Option("--overwrite", help=overwrite)], False)

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        _, *own = (one.replace(annotation=hints[one.name]) for one in signature(function).parameters.values())
        added = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=value, annotation=hint) for name, (hint, value) in shared.items()
        ]

        @wraps(function)
        def run(**values: Any) -> None:
            from metarep.work import on_cluster

            given = {name: values.pop(name) for name in shared}
            with on_cluster(given.pop("cluster", None)):
                function(Given(kind, **given), **values)

        run.__signature__ = Signature([*own, *added])
        run.__annotations__ = {one.name: one.annotation for one in (*own, *added)}
        run.settings, run.variants = kind, variants
        return run

    return decorate


def usable_device(device: str) -> str:
    """The device's name, checked; of "auto" what it stands for. Raises MetarepError for one that this machine or PyTorch does
    not have.
    """
    if device == "cpu":
        return device
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if n_gpus else "cpu"
    kind, colon, number = device.partition(":")
    if kind == "mps":
        raise MetarepError("--device mps: Apple's GPUs have no float64, which sums over states take", fix="use --device cpu")
    if kind != "cuda" or (colon and not number.isdecimal()):
        raise MetarepError("--device", met=device, expected="cpu, cuda, cuda:N or auto")
    if not n_gpus:
        raise MetarepError("--device: PyTorch sees no CUDA GPU", met=device, fix="use --device cpu")
    if number and int(number) >= n_gpus:
        met, expected = device, f"cuda:0 to cuda:{n_gpus - 1}" if n_gpus > 1 else "cuda:0"
        raise MetarepError("--device: there is no such GPU", met=met, expected=expected)
    return device


def numbers(text: str | None, option: str) -> list[int] | None:
    """Whole numbers from "3,5,8". Raises MetarepError naming the option for anything else."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise MetarepError(option, met=repr(text), expected="whole numbers separated by commas, such as 3,5,8") from error
