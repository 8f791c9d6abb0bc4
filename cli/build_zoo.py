"""`metarep build-zoo`: train many networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metarep.errors import MetarepError

from .options import DEVICE, Given, command, numbers
from .output import print_table, say_where

if TYPE_CHECKING:
    from metarep.zoos.domain import Builder

FEW = 10


@command("metarep.training.settings:ZooConfig", out="results/zoo", device=DEVICE, variants=True, cluster=True)
def build_zoo(
    given: Given,
    variant: Annotated[str | None, typer.Option(help="the recipe: e01 … e09, fourier, groups, digits, inr")] = None,
    task: Annotated[str | None, typer.Option(help="of two inputs: product, sum, quotient, square, max")] = None,
    n_networks: Annotated[int | None, typer.Option(help="how many networks")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="S1,S2,…", help="the networks' own seeds")] = None,
    spec: Annotated[str | None, typer.Option(help="the architecture, such as 2-16-1")] = None,
    parents: Annotated[str | None, typer.Option(help="the zoo that a variant such as e05 starts from")] = None,
    snapshots: Annotated[int | None, typer.Option(help="log-spaced steps to keep of each run")] = None,
) -> None:
    """Train many small networks and label what each has learned.

    After Ctrl-C the same command carries on and ends with the same bytes.

    \b
    Examples:
      metarep build-zoo --variant e09 --n-networks 2000 --out results/zoo
      metarep build-zoo --seeds 2813536937,1316834517,2935802616 --out results/published
      metarep build-zoo --variant groups --set groups=[S4,D12] --n-networks 96 --out results/groups
    """
    from metarep.training.build import build_zoo as build
    from metarep.training.engines import ON_GPU
    from metarep.zoos.domain import builders

    family = {
        "variant": variant,
        "task": task,
        "n_networks": n_networks,
        "seeds": numbers(seeds, "--seeds"),
        "spec": spec,
        "parents": parents,
    }
    changes = {name: value for name, value in family.items() if value is not None}
    if variant in builders():
        path = _build_by_domain(given, builders()[variant], changes | ({} if snapshots is None else {"snapshots": snapshots}))
    else:
        settings, how = _settings(given, changes, n_snapshots=snapshots), given.how
        if given.device == "auto" and settings.engine not in ON_GPU:
            how["device"] = "cpu"
        path = build(settings, given.out, **how)
    say_where("zoo", path)
    _summarise(path)


def _build_by_domain(given: Given, builder: Builder, options: dict[str, Any]) -> Path:
    """A zoo of a variant that has settings and an engine of its own."""
    variant = options.pop("variant")
    if unknown := options.keys() - builder.settings.model_fields.keys():
        named = ", ".join("--" + name.replace("_", "-") for name in sorted(unknown))
        raise MetarepError(f"{named} does not go with --variant {variant}", fix="leave it out, and use --set for its settings")
    how = given.how if builder.device else {name: value for name, value in given.how.items() if name != "device"}
    return builder.build(given.settings_of(builder.settings, **options), given.out, **how)


def _settings(given: Given, family: dict[str, Any], **fixed: int | None):
    """The zoo's settings; options of a family change the config's only one."""
    settings = given.settings(**fixed)
    if not family:
        return settings
    if len(settings.families) > 1:
        named = ", ".join("--" + name.replace("_", "-") for name in family)
        met = f"{len(settings.families)} families"
        raise MetarepError(f"{named}: {given.config or '--set'}", met=met, expected="one", fix="edit the file")
    base = settings.families[0].model_dump(mode="json", exclude_unset=True)
    for one, other in (("n_networks", "seeds"), ("seeds", "n_networks")):
        if one in family:
            base.pop(other, None)
    return given.settings(families=[base | family], **fixed)


def _summarise(path: Path) -> None:
    """How many networks there are of each value of the zoo's first label; with few networks, each one."""
    from metarep.zoos.zoo import open_zoo

    zoo = open_zoo(path, check_hashes=False)
    final = zoo.final()
    typer.echo(f"{len(zoo):,} rows, {len(final):,} trained networks, {int((~zoo['finite']).sum()):,} diverged")
    label = next((name for name in (*zoo.labels, "spec") if name in zoo), "architecture")
    values = final.label(label) if label in zoo.labels else final[label]
    if len(names := sorted(set(values))) in range(1, FEW + 1):
        typer.echo(", ".join(f"{label} {name if name != '' else 'none'}: {(values == name).sum():,}" for name in names))
    if 0 < len(final) <= FEW and "params" in final:
        rows = zip(final["network_id"], final["seed"], values, final["valid_mse"].tolist(), final["params"], strict=True)
        cells = [[*row, " ".join(f"{p:.4f}" for p in params)] for *row, params in rows]
        print_table(("network_id", "seed", label, "valid_mse", "params"), cells)
