"""Objects that a pickle names beside tensors, read as inert stand-ins: nothing that a file names is imported, made or called.

Every name but those of tensors stands for a class of our own, which keeps what the file gives it. So hyperparameters do not
keep a checkpoint from being read, and whole modules (torch.save(model, path), TorchScript) give their tensors under their
names. Files that name what runs code are refused.
"""

from __future__ import annotations

import math
import re
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from metarep.formats.members import MAX_NODES

HARMLESS = {"argparse", "collections", "copyreg", "datetime", "decimal", "enum", "fractions", "functools", "logging"}
HARMLESS |= {"numbers", "pathlib", "random", "re", "string", "threading", "types", "typing", "uuid", "weakref"}
"""Modules of Python itself that objects of training come from; a file that names any other one is refused."""

HARMLESS_BUILTINS = {"bool", "complex", "dict", "float", "frozenset", "getattr", "int", "list", "object", "range", "set"}
HARMLESS_BUILTINS |= {"slice", "str", "tuple"}
MAX_DEPTH = 60
"""Objects that lie deeper in others are left out."""

MODULE = "_modules"
"""An attribute of every module of PyTorch."""

REGISTERED = frozenset({"_parameters", "_buffers", "_non_persistent_buffers_set", MODULE})
"""Attributes in which modules keep what their state dicts have."""


class Inert:
    """What a file says of one object: the arguments that it was made of, then its state."""

    name = ""
    dump_patches = False

    def __new__(cls, *args: Any) -> Inert:
        made = super().__new__(cls)
        made.said = args
        return made

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.said = (*self.said, state)

    @property
    def state(self) -> dict[Any, Any]:
        """Its attributes, as far as the file tells them."""
        last = self.said[-1] if self.said else None
        parts = last if isinstance(last, tuple) and len(last) == 2 else (last,)
        return {name: value for part in parts if isinstance(part, Mapping) for name, value in part.items()}


class _Dictionary:
    """Stands for classes that are dictionaries."""

    def __new__(cls, *args: Any) -> OrderedDict:
        return OrderedDict(args[0]) if args and isinstance(args[0], dict | list) else OrderedDict()


class _List:
    """Stands for classes that are lists."""

    def __new__(cls, *args: Any) -> list:
        return list(args[0]) if args and isinstance(args[0], list | tuple) else []


def runs_code(names: Iterable[str]) -> str | None:
    """The first of the names that belongs to what can run code, or None."""
    return next((name for name in names if _runs_code(name)), None)


def _runs_code(name: str) -> bool:
    module, _, own = name.rpartition(".")
    top = module.partition(".")[0]
    if top in ("builtins", "__builtin__"):
        return own not in HARMLESS_BUILTINS
    return top in ("posix", "nt") or (top in sys.stdlib_module_names and top not in HARMLESS)


@contextmanager
def standing_in(names: Iterable[str], others: Mapping[str, type]) -> Iterator[None]:
    """A context in which PyTorch's reader of tensors takes names for stand-ins: `others` for those, `Inert` for the rest."""
    each = [(others.get(name) or type(name, (Inert,), {"name": name, "__module__": "inert"}), name) for name in names]
    with torch.serialization.safe_globals(each):
        yield


def asked_for(error: Exception) -> dict[str, type]:
    """The stand-in of which PyTorch says that it cannot be filled as a dictionary or a list is, with what it has to be."""
    found = re.search(r"Can only (SETITEM|append|extend).* got <class 'inert\.(.+)'>", str(error))
    return {found[2]: _Dictionary if found[1] == "SETITEM" else _List} if found else {}


class Opening:
    """A content with dictionaries of attributes in place of stand-ins, state dicts in place of modules, tensors in place of
    NumPy's arrays (their lengths in bytes are `sizes`); the names of the modules, and the tensors that these hold beside their
    parameters and buffers.
    """

    def __init__(self, content: Any) -> None:
        self.modules: dict[str, None] = {}
        self.beside: list[tuple[str, list[torch.Tensor]]] = []
        self.sizes: set[int] = set()
        self.budget = iter(range(MAX_NODES))  # parts of modules; when none is left, they are nested without end
        self.seen: set[int] = set()  # objects may hold each other
        self.known: dict[int, tuple[Any, Any]] = {}  # a list may lie in others many times over; held, so that no id comes again
        self.content = self.value(content, 0)

    def value(self, node: Any, depth: int) -> Any:
        if isinstance(node, Inert):
            return self._object(node, depth)
        if depth > MAX_DEPTH or not isinstance(node, dict | list | tuple):
            return node
        if id(node) not in self.known:
            self.known[id(node)] = node, node  # where it holds itself
            if isinstance(node, dict):
                found = {key: self.value(value, depth + 1) for key, value in node.items()}
            else:
                found = type(node)([self.value(value, depth + 1) for value in node])
            self.known[id(node)] = node, found
        return self.known[id(node)][1]

    def _object(self, node: Inert, depth: int) -> Any:
        if id(node) in self.seen or depth > MAX_DEPTH:
            return None
        self.seen.add(id(node))
        if node.name.startswith("torch.jit._pickle.") and node.said:
            return self.value(node.said[0], depth + 1)
        if node.name.endswith("multiarray._reconstruct"):
            array = _array(node)
            self.sizes |= set() if array is None else {array.nbytes}
            return array
        state = node.state
        if MODULE in state or node.name.startswith("__torch__"):
            self.modules[re.sub(r"__torch__\.|___torch_mangle_\d+\.", "", node.name)] = None
            tensors = OrderedDict(self._tensors(node, ""))
            read = {_values(one) for one in tensors.values()}
            self.beside = [(name, [one for one in found if _values(one) not in read]) for name, found in self.beside]
            return tensors
        return self.value(state, depth + 1) if state else _inside(node, self.budget) or None

    def _tensors(self, module: Inert, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
        """The parameters and buffers of a module by name, as its state dict has them, as long as there is an item for each
        part. What lies beside them goes to `beside`."""
        if next(self.budget, None) is None or prefix.count(".") > MAX_DEPTH:
            return
        state = module.state
        transient = state.get("_non_persistent_buffers_set") or ()
        own = {**_mapping(state.get("_parameters")), **_mapping(state.get("_buffers"))} if MODULE in state else state
        own = {name: value for name, value in own.items() if isinstance(value, torch.Tensor)}
        yield from ((f"{prefix}{name}", value) for name, value in own.items() if name not in transient)
        for name, value in {**state, **_mapping(state.get(MODULE))}.items():
            if name == "_packed_params":
                pair = zip((f"{prefix}weight", f"{prefix}bias"), _inside(value, self.budget), strict=False)
                yield from ((one, tensor) for one, tensor in pair if tensor is not None)
            elif _is_module(value):
                yield from self._tensors(value, f"{prefix}{name}.")
            elif name not in own and name not in REGISTERED and (isinstance(value, Inert | torch.Tensor) or _is_filled(value)):
                self.beside.append((f"{prefix}{name}", _inside(value, self.budget)))


def _is_module(value: Any) -> bool:
    if not isinstance(value, Inert):
        return False
    return MODULE in value.state or value.name.startswith("__torch__.") > value.name.startswith("__torch__.torch.classes.")


def _is_filled(value: Any) -> bool:
    return isinstance(value, dict | list | tuple) and bool(value)


def _values(tensor: torch.Tensor) -> tuple[int, torch.Size]:
    return tensor.data_ptr(), tensor.shape


def _inside(value: Any, budget: Iterator[int]) -> list[torch.Tensor]:
    """The tensors that lie in an object of PyTorch's quantised layers, weight before bias, as far as the budget lasts."""
    found, waiting = [], [iter((value,))]
    while waiting and next(budget, None) is not None:
        part = next(waiting[-1], waiting)
        if part is waiting:
            waiting.pop()
        elif isinstance(part, torch.Tensor):
            found.append(part)
        elif isinstance(part, Inert | dict | list | tuple):
            waiting.append(iter(part.said if isinstance(part, Inert) else part.values() if isinstance(part, dict) else part))
    return found


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _array(node: Inert) -> torch.Tensor | None:
    """The numbers of an array of NumPy; None for other contents."""
    try:
        _, shape, dtype, fortran, content = node.said[-1]
        kind = np.dtype(f"{dtype.said[-1][1]}{dtype.said[0]}".replace("|", ""))
        if kind.kind not in "fiub" or len(content) != math.prod(shape) * kind.itemsize:
            return None
        array = np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")
        return torch.from_numpy(array.astype(kind.newbyteorder("=")))
    except (TypeError, ValueError, IndexError, AttributeError):
        return None
