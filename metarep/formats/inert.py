"""Objects that training frameworks save beside weights, such as hyperparameters, read as inert stand-ins.

Nothing of their libraries is imported and no code of theirs runs: each name below stands for `Inert`, which keeps what the
file gives it. Any other name in a pickle is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch

KNOWN = {
    "argparse": ("Namespace",),
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "omegaconf.dictconfig": ("DictConfig",),
    "omegaconf.listconfig": ("ListConfig",),
    "omegaconf.base": ("ContainerMetadata", "Metadata"),
    "omegaconf.nodes": ("AnyNode", "BooleanNode", "EnumNode", "FloatNode", "IntegerNode", "PathNode", "StringNode"),
    "pathlib": ("Path", "PosixPath", "WindowsPath", "PurePosixPath"),
    "pathlib._local": ("Path", "PosixPath", "WindowsPath"),
    "datetime": ("date", "datetime", "timedelta"),
    "typing": ("Any",),
}
"""Modules and their names."""

DICTIONARIES = (
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
"""Dictionaries of other libraries."""


class Inert:
    """What a file says of one object: the arguments that it was made of, then its state."""

    def __new__(cls, *args: Any) -> Inert:
        made = super().__new__(cls)
        made.said = args
        return made

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.said = (*self.said, state)


def inert_globals() -> torch.serialization.safe_globals:
    """A context in which PyTorch's reader of tensors takes the names of KNOWN for stand-ins."""
    objects = [(Inert, f"{module}.{name}") for module, names in KNOWN.items() for name in names]
    return torch.serialization.safe_globals([*objects, *((OrderedDict, name) for name in DICTIONARIES)])
