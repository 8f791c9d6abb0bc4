"""`metarep import`: a zoo of networks that others trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Given, command
from .output import say_where


@command("metarep.zoos.settings:ImportConfig", out="results/imported", seed="", cluster=True)
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
    for index, n_networks in counts.most_common(FEW):
        architecture = zoo.architectures[index]
        kinds = Counter(kind for _, kind in sorted({(tensor.layer, tensor.kind) for tensor in architecture.tensors}))
        dtypes = Counter(tensor.dtype for tensor in architecture.tensors)
        lines.append(
            f"  {n_networks:,} x {counted(architecture.n_params, 'parameter')} in "
            + f"{counted(len(architecture.tensors), 'tensor')}: "
            + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            + f" ({', '.join(dtypes)})"
        )
    if len(counts) > FEW:
        lines.append(f"  and {len(counts) - FEW:,} further architectures")
    for name, columns in (
        ("domain", [zoo.domain] if zoo.domain else []),
        ("labels", zoo.labels),
        ("properties", zoo.properties),
    ):
        if columns:
            lines.append(f"{name}: " + ", ".join(columns))
    if not zoo["finite"].all():
        n_left_out = int((~zoo["finite"]).sum())
        lines.append(f"networks with NaN or infinity: {n_left_out:,}, which pretraining and embedding leave out")
    return [*lines, *account_lines(read_account(path), path)]


FEW = 10
