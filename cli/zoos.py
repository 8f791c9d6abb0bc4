"""`metarep build-zoo`, `import` and `export`: zoos that are trained here, zoos of networks that others trained, one network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metarep.errors import MetarepError

from .options import DEVICE, FILE, Given, command, numbers
from .output import print_table, say_where

if TYPE_CHECKING:
    from metarep.zoos.domain import Builder

FEW = 10

MOST_ARCHITECTURES = 10


@command("metarep.training.settings:ZooConfig", out="results/zoo", device=DEVICE, variants=True)
def build_zoo(
    given: Given,
    variant: Annotated[str | None, typer.Option(help="the recipe: e01 … e09, fourier, groups, digits")] = None,
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
        settings, how = _family_settings(given, changes, n_snapshots=snapshots), given.how
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


def _family_settings(given: Given, family: dict[str, Any], **fixed: int | None):
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
    label = zoo.labels[0] if zoo.labels else "spec"
    values = final[label]
    if len(names := sorted(set(values))) in range(1, FEW + 1):
        typer.echo(", ".join(f"{label} {name or 'none'}: {(values == name).sum():,}" for name in names))
    if 0 < len(final) <= FEW and "params" in final:
        rows = zip(final["network_id"], final["seed"], values, final["valid_mse"].tolist(), final["params"], strict=True)
        cells = [[*row, " ".join(f"{p:.4f}" for p in params)] for *row, params in rows]
        print_table(("network_id", "seed", label, "valid_mse", "params"), cells)


@command("metarep.zoos.settings:ImportConfig", out="results/imported", seed="")
def import_networks(
    given: Given,
    paths: Annotated[list[str], typer.Argument(help="files, folders or glob patterns", metavar="PATH…")],
    labels: Annotated[Path | None, typer.Option(help="a table of labels and properties (CSV, JSON, Parquet)")] = None,
    architecture: Annotated[Path | None, typer.Option(help="a YAML that says of tensors what their names do not")] = None,
    skip_damaged: Annotated[bool, typer.Option("--skip-damaged", help="leave damaged files out and list them")] = False,
    partial_labels: Annotated[bool, typer.Option("--partial-labels", help="labels need not match all files")] = False,
    member: Annotated[str | None, typer.Option(help="of files with several networks the one to take, or all")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="what had to be guessed and is in doubt is an error")] = False,
    categorical: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="a column of classes; repeatable")] = None,
    numeric: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="a column of numbers; repeatable")] = None,
) -> None:
    """Make a zoo of checkpoints that others trained.

    Reads state dicts of PyTorch (.pt, .pth, .bin, .ckpt, .pt.tar, .pth.tar) and .safetensors, both also sharded (index.json);
    modules that were saved whole and TorchScript, by the names of their tensors; .npz, .onnx, Keras (.h5, .hdf5, .keras), Flax
    (.msgpack), .gguf, and .zip files of these, as Stable-Baselines3 writes them; runs with per-epoch checkpoints and a
    result.json; folders with weights.npy and metrics.csv. Nothing that a file names is ever run. At the end stands an account
    of what was passed over and guessed, which lies in the zoo as account.csv.

    \b
    Examples:
      metarep import checkpoints/ --labels labels.csv --out results/imported
      metarep import 'runs/*/model.safetensors' --architecture mine.yaml
    """
    from metarep.zoos.importing import import_networks as import_

    flags = {"skip_damaged": skip_damaged or None, "partial_labels": partial_labels or None, "strict": strict or None}
    flags |= {"member": member, "categorical": categorical or None, "numeric": numeric or None}
    path = import_(given.settings(**flags), paths, given.out, labels=labels, architecture=architecture, **given.how)
    say_where("zoo", path)
    for line in summary_lines(path):
        typer.echo(line)


def summary_lines(path: Path) -> list[str]:
    """What a zoo holds: how many networks, their architectures, kinds and dtypes, and the account of its import."""
    from collections import Counter

    from metarep.account import counted
    from metarep.zoos.account import account_lines, read_account
    from metarep.zoos.zoo import open_zoo

    zoo = open_zoo(path, check_hashes=False)
    counts = Counter(zoo.architecture.tolist())
    n_params = sum(n_networks * zoo.architectures[index].n_params for index, n_networks in counts.items())
    runs = len(set(zoo.run_id))
    whole = ((len(zoo), "network"), (runs, "run"), (n_params, "parameter"), (len(counts), "architecture"))
    networks, *others = (counted(*one) for one in whole)
    lines = [f"{networks} of {', '.join(others)}"]
    for index, n_networks in counts.most_common(MOST_ARCHITECTURES):
        architecture = zoo.architectures[index]
        kinds = Counter(kind for _, kind in sorted({(tensor.layer, tensor.kind) for tensor in architecture.tensors}))
        dtypes = Counter(tensor.dtype for tensor in architecture.tensors)
        sizes = f"{counted(architecture.n_params, 'parameter')} in {counted(len(architecture.tensors), 'tensor')}"
        layers = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        lines.append(f"  {n_networks:,} x {sizes}: {layers} ({', '.join(dtypes)})")
    if len(counts) > MOST_ARCHITECTURES:
        lines.append(f"  and {len(counts) - MOST_ARCHITECTURES:,} further architectures")
    named = {"domain": (zoo.domain,) if zoo.domain else (), "labels": zoo.labels, "properties": zoo.properties}
    lines += [f"{name}: {', '.join(columns)}" for name, columns in named.items() if columns]
    if not zoo["finite"].all():
        n_left_out = int((~zoo["finite"]).sum())
        lines.append(f"networks with NaN or infinity: {n_left_out:,}, which pretraining and embedding leave out")
    return [*lines, *account_lines(read_account(path), path)]


@command(**FILE)
def export(
    given: Given,
    zoo: Annotated[Path, typer.Argument(help="a zoo's folder")],
    network_id: Annotated[str, typer.Argument(help="one of its networks, as the column network_id names it")],
    dtype: Annotated[str | None, typer.Option(help="convert floats to float16, bfloat16, float32 or float64")] = None,
) -> None:
    """Write one network of a zoo as a PyTorch state dict (.pt, .pth) or a .safetensors file.

    \b
    Example:
      metarep export results/zoo e09-2813536937 --out multiplier.pt
    """
    from metarep.zoos.exporting import export_network

    path = given.out or Path("results") / f"{network_id.replace('/', '_')}.pt"
    export_network(zoo, network_id, path, dtype=dtype, overwrite=given.overwrite)
    if not given.quiet:
        say_where("network", path)
