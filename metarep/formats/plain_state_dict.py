"""Reading one network out of a file that someone else wrote: a PyTorch state dict or a safetensors file.

Nothing is ever unpickled beyond tensors. Names do not matter: tensors are recognised by their shapes, and where
two layers have the same shape by their order.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "model_state")
"""Keys under which training scripts put a state dict."""

SAFETENSORS = ".safetensors"
DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, MemoryError, OSError),
    *(AssertionError, ImportError, struct.error),
)
"""What reading a damaged file may raise."""

SAVE_STATE_DICT = "save it with torch.save(model.state_dict(), path)"


def load_checkpoint(path: Path | str, spec: NetworkSpec) -> np.ndarray:
    """The parameters (P,) float64 of the one network of architecture `spec` in a .pth, .pt or .safetensors file.

    The state dict may stand alone or under one of WRAPPERS; its tensors must have the shapes of
    `spec`: weight and bias of each layer. Raises MetarepError for a file that holds whole
    pickled objects, for other shapes, for several networks and for parameters that are not finite.
    """
    path = Path(path)
    tensors = _tensors(_read(path), path)
    wanted = [shape for layer in spec.shapes for shape in layer]
    arrays = list(tensors.values())
    if len(set(wanted)) == len(wanted):  # a safetensors file has lost the order
        arrays.sort(key=lambda array: wanted.index(array.shape) if array.shape in wanted else len(wanted))
    if [array.shape for array in arrays] != wanted:
        raise _misfit(path, tensors, spec, wanted)
    params = np.concatenate([array.reshape(-1) for array in arrays]).astype(np.float64)
    if not np.isfinite(params).all():
        broken = [name for name, array in tensors.items() if not np.isfinite(array).all()]
        raise MetarepError(f"{path}: parameters are not finite", met=", ".join(broken), expected="numbers")
    return params


def _read(path: Path) -> Any:
    if not path.is_file():
        raise MetarepError(f"no file {path}", expected="a .pth, .pt or .safetensors file", fix="check the path")
    if path.suffix == SAFETENSORS:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise MetarepError(f"{path} is damaged or no safetensors file", met=error) from error
    return read_saved(path)


def read_saved(path: Path, *, mmap: bool = False) -> Any:
    """What torch.save wrote, tensors and plain containers only, on the CPU; with `mmap` tensors lie in the file until used.

    Raises MetarepError for a file that holds anything else, without running any of it, and for a damaged one.
    """
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        if "Unsupported operand" in str(error):
            raise MetarepError(f"{path} is damaged or was not written by torch.save", fix=SAVE_STATE_DICT) from error
        raise MetarepError(
            f"{path} holds more than tensors",
            met=_foreign_class(error),
            expected="a state dict; metarep unpickles nothing else",
            fix=SAVE_STATE_DICT,
        ) from error
    except DAMAGE as error:
        raise MetarepError(f"{path} is damaged or was not written by torch.save", fix=SAVE_STATE_DICT) from error


def state_dict_of(content: Any, path: Path) -> Mapping[Any, Any]:
    """The state dict in what a file held, out of its WRAPPERS if there are any. Raises MetarepError where there is none."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise MetarepError(f"{path} holds no state dict", met=type(content).__name__, fix=SAVE_STATE_DICT)
    return content


def _tensors(content: Any, path: Path) -> dict[str, np.ndarray]:
    """The floating-point tensors by name, out of the wrapper if there is one."""
    import torch

    tensors = {str(name): value for name, value in state_dict_of(content, path).items() if isinstance(value, torch.Tensor)}
    return {name: value.detach().double().numpy() for name, value in tensors.items() if value.is_floating_point()}


def _misfit(path: Path, tensors: Mapping[str, np.ndarray], spec: NetworkSpec, wanted: list[tuple[int, ...]]) -> MetarepError:
    shapes = [array.shape for array in tensors.values()]
    several = bool(wanted) and all(shapes.count(shape) >= 2 for shape in wanted)
    problem = f"{path} holds more than one {spec} network" if several else f"{path} is not a {spec} network"
    met = ", ".join(f"{name} {array.shape}" for name, array in tensors.items()) or "no tensors"
    expected = "tensors of shape " + ", ".join(map(str, wanted))
    return MetarepError(problem, met=met, expected=expected, fix="save one network a file" if several else SAVE_STATE_DICT)


def _foreign_class(error: pickle.UnpicklingError) -> str:
    """The class that PyTorch refused to unpickle, where it names one."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return found[1] if found else "pickled objects"
