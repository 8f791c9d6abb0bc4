"""Any network of a zoo as a PyTorch state dict or a safetensors file."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from metarep.artefact import open_artefact
from metarep.errors import MetarepError
from metarep.formats.readers import dtype_name
from metarep.formats.safetensors_files import DTYPES, ORDER, write_safetensors
from metarep.networks.spec import NetworkSpec
from metarep.zoos.imported import KIND, load_imported

PYTORCH = (".pt", ".pth")
SAFETENSORS = ".safetensors"


def export_network(
    zoo: Path | str, network_id: str, out: Path | str, *, overwrite: bool = False, check_hashes: bool = True
) -> Path:
    """Writes one network of an imported or a built zoo to the file `out` and returns it.

    The suffix says the format: .pt or .pth for a state dict in the network's order, .safetensors. A network of
    `build-zoo` gets the names that an nn.Sequential of Linear and ReLU has. Raises MetarepError for other suffixes, unknown
    networks, and where `out` exists and `overwrite` is False.
    """
    out = Path(out)
    if out.suffix not in (*PYTORCH, SAFETENSORS):
        raise MetarepError(f"{out} is of no known format", expected="a name that ends in .pt, .pth or .safetensors")
    if out.exists() and (out.is_dir() or not overwrite):
        raise MetarepError(f"{out} exists", fix="choose another --out" if out.is_dir() else "pass --overwrite")
    tensors = read_network(zoo, network_id, check_hashes=check_hashes)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(out.name + ".tmp")
    try:
        _write(aside, tensors, as_state_dict=out.suffix in PYTORCH)
        aside.rename(out)
    finally:
        aside.unlink(missing_ok=True)
    return out


def read_network(zoo: Path | str, network_id: str, *, check_hashes: bool = True) -> dict[str, torch.Tensor]:
    """The tensors by name of one network of an imported or a built zoo. Raises MetarepError for anything else."""
    artefact = open_artefact(zoo)
    if artefact.kind == KIND:
        return load_imported(zoo, check_hashes=check_hashes).network(network_id)
    from metarep.zoos.store import load_zoo

    networks = load_zoo(zoo, check_hashes=check_hashes)
    found = np.flatnonzero(networks["network_id"] == network_id)
    if not len(found):
        from difflib import get_close_matches

        near = get_close_matches(network_id, [str(name) for name in networks["network_id"]], n=3, cutoff=0.0)
        raise MetarepError(f"{zoo} has no network {network_id!r}", expected="an id such as " + ", ".join(near))
    index = int(found[0])
    return as_sequential(NetworkSpec.parse(networks["spec"][index]), np.asarray(networks["params"][index]))


def as_sequential(spec: NetworkSpec, params: np.ndarray) -> dict[str, torch.Tensor]:
    """Parameters (P,) as the float32 state dict of nn.Sequential(Linear, ReLU, Linear, …): "0.weight", "0.bias", "2.weight"."""
    tensors: dict[str, torch.Tensor] = {}
    for layer, (weight, bias) in enumerate(spec.unpack(np.asarray(params, dtype=np.float32))):
        tensors[f"{2 * layer}.weight"] = torch.tensor(weight)
        tensors[f"{2 * layer}.bias"] = torch.tensor(bias)
    return tensors


def _write(path: Path, tensors: Mapping[str, torch.Tensor], *, as_state_dict: bool) -> None:
    if as_state_dict:
        torch.save(OrderedDict(tensors), path)
        return
    foreign = [value.dtype for value in tensors.values() if value.dtype not in DTYPES]
    if foreign:
        raise MetarepError("safetensors files do not know a dtype", met=dtype_name(foreign[0]), fix="export it as .pt")
    entries = [(name, value.dtype, tuple(value.shape), lambda value=value: (value,)) for name, value in tensors.items()]
    write_safetensors(path, entries, {"format": "pt", ORDER: json.dumps(list(tensors))})
