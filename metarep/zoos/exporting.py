"""Any network of a zoo as a PyTorch state dict or a safetensors file."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch

from metarep.artefact import refuse_to_replace
from metarep.errors import MetarepError
from metarep.formats.contents import dtype_name
from metarep.formats.safetensors_files import DTYPES, ORDER, write_safetensors
from metarep.zoos.zoo import open_zoo

PYTORCH = (".pt", ".pth")
SAFETENSORS = ".safetensors"
FLOATS = {name: getattr(torch, name) for name in ("float16", "bfloat16", "float32", "float64")}


def export_network(
    zoo: Path | str, network_id: str, out: Path | str, *, dtype: str | None = None, overwrite: bool = False
) -> Path:
    """Writes one network of a zoo to the file `out` and returns it.

    The suffix says the format: .pt or .pth for a state dict in the network's order, .safetensors. A network of
    `build-zoo` gets the names that an nn.Sequential of Linear and ReLU has. `dtype` converts floating-point tensors. Raises
    MetarepError for other suffixes and dtypes, unknown networks, and where `out` exists and `overwrite` is False.
    """
    out = Path(out)
    if out.suffix not in (*PYTORCH, SAFETENSORS):
        raise MetarepError(f"{out} is of no known format", expected="a name that ends in .pt, .pth or .safetensors")
    refuse_to_replace(out, overwrite)
    if dtype is not None and dtype not in FLOATS:
        raise MetarepError("--dtype", met=dtype, expected="one of " + ", ".join(FLOATS))
    tensors = open_zoo(zoo).network(network_id)
    if dtype is not None:
        tensors = {name: value.to(FLOATS[dtype]) if value.is_floating_point() else value for name, value in tensors.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(out.name + ".tmp")
    try:
        _write(aside, tensors, as_state_dict=out.suffix in PYTORCH)
        aside.rename(out)
    finally:
        aside.unlink(missing_ok=True)
    return out


def _write(path: Path, tensors: Mapping[str, torch.Tensor], *, as_state_dict: bool) -> None:
    if as_state_dict:
        torch.save(OrderedDict(tensors), path)
        return
    if foreign := [one.dtype for one in tensors.values() if one.dtype not in DTYPES]:
        raise MetarepError("safetensors files do not know a dtype", met=dtype_name(foreign[0]), fix="export it as .pt")
    write_safetensors(path, tensors, {"format": "pt", ORDER: json.dumps(list(tensors))})
