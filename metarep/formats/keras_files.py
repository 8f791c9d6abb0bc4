"""Networks of Keras, without TensorFlow: HDF5 files of its versions 1 to 3, and .keras archives.

Versions 1 and 2, and `model.save("….h5")` of 3, list layers and weights by name in their order. Version 3's weights lie under
the path of their object with a number each (`layers/dense/vars/0`); the numbers are named after the kind of the layer, and the
archive's config.json tells the layers' names and order.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import torch

from metarep.account import Entry
from metarep.errors import MetarepError
from metarep.formats.contents import FileContents, only
from metarep.formats.keras_graph import graph_of
from metarep.formats.refusals import entries_of, json_of, package, reading, refuse_growth, refuse_name, to_torch

WEIGHTS = "model.weights.h5"
CONFIG = "config.json"
HDF5 = b"\x89HDF\r\n\x1a\n"

STATES = ("optimizer", "optimizer_weights", "compile_metrics", "metrics", "loss", "seed_generator")
"""Groups of what training leaves beside the layers."""

CONTAINERS = ("layers", "vars", "_layer_checkpoint_dependencies")
"""Groups whose names say nothing of a layer."""

VARIABLES = {
    r"separable_conv\dd": ("depthwise_kernel", "pointwise_kernel", "bias"),
    r".*(dense|conv\d?d?|conv\dd_transpose)": ("kernel", "bias"),
    r"embedding": ("embeddings",),
    r"batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    r"(layer|group)_normalization": ("gamma", "beta"),
    r"(.*_)?cell": ("kernel", "recurrent_kernel", "bias"),
    r"p_re_lu": ("alpha",),
}
"""What the numbered variables of a layer are, by its kind."""


def read_keras(path: Path) -> FileContents:
    """The network in a file of Keras, its names as `dense_1/kernel`.

    Raises MetarepError for damage, for links and values outside the file, and where the package `h5py` is missing.
    """
    h5py = package(path, "h5py", "keras")
    order: dict[str, str] = {}
    config: str | bytes = ""
    source: Any = path
    with reading(path, "file of Keras"):
        with path.open("rb") as file:
            hdf5 = file.read(len(HDF5)) == HDF5
        if not hdf5:
            with zipfile.ZipFile(path) as archive:
                parts = {entry.filename: entry for entry in entries_of(path, archive)}
                source = io.BytesIO(archive.read(parts[WEIGHTS]))
                config = archive.read(parts[CONFIG]) if CONFIG in parts else ""
                order = _layer_names(json_of(config)) if config else {}
        with h5py.File(source, "r") as file:
            return _Weights(path, h5py).contents(file, order, file.attrs.get("model_config", config))


def _layer_names(config: Any) -> dict[str, str]:
    """{group: layer} in the order of a config, as version 3 names groups: by class, with a number from the second on."""
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for layer in config["config"]["layers"]:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", str(layer["class_name"])).lower()
        names[f"{kind}_{seen[kind]}" if seen[kind] else kind] = str(layer["config"]["name"])
        seen[kind] += 1
    return names


class _Weights:
    """Reads the datasets of one file; what does not lie in the file itself is refused."""

    def __init__(self, path: Path, h5py: Any):
        self.path, self.h5py = path, h5py
        self.tensors: dict[str, torch.Tensor] = {}
        self.n_bytes = 0

    def contents(self, file: Any, order: Mapping[str, str], config: Any) -> FileContents:
        """The network and what its configuration says of it, with entries for the states beside it."""
        listed = file.get("model_weights", file)
        objects: dict[str, Any] = {}
        listed.visititems(objects.__setitem__)  # each once, and none behind a link
        layers = _texts(listed.attrs, "layer_names")
        for layer in layers:
            for name in _texts(self._of(objects, layer).attrs, "weight_names"):
                full = name.partition(":")[0]
                full = full if full.startswith(layer + "/") else f"{layer}/{full}"
                self._add(full, self._of(objects, f"{layer}/{name}"))
        if not layers:
            self._numbered(objects, order)
        states = [
            Entry("key", name, "what training leaves beside layers", "it is no network") for name in STATES if name in file
        ]
        if not self.tensors:
            return FileContents((), (Entry("file", "", "an HDF5 file without weights of Keras", "it is no network"),))
        ranks = {name: rank for rank, name in enumerate(order.values())}
        by_layer = sorted(self.tensors.items(), key=lambda item: ranks.get(item[0].partition("/")[0], len(ranks)))
        tensors = dict(by_layer)
        return FileContents(only(tensors, bool(layers or order), graph_of(config, tensors)).networks, tuple(states))

    def _of(self, objects: Mapping[str, Any], name: str) -> Any:
        if name not in objects:
            raise MetarepError(f"{self.path}: {name!a} is not in the file", met="a link elsewhere or nothing")
        return objects[name]

    def _numbered(self, objects: Mapping[str, Any], order: Mapping[str, str]) -> None:
        """Adds the numbered variables of version 3."""
        for path in sorted(objects, key=lambda path: [_natural(name) for name in path.split("/")]):
            *at, name = path.split("/")
            is_state = at[:1] and (at[0] in STATES or any(part.startswith("seed_generator") for part in at))
            if at[-1:] != ["vars"] or is_state or not isinstance(objects[path], self.h5py.Dataset):
                continue
            groups = [part for part in at if part not in CONTAINERS]
            layer = [order.get(groups[0], groups[0]), *groups[1:]] if groups else ["variables"]
            n = len(objects["/".join(at)])
            self._add("/".join((*layer, _variable(groups[-1] if groups else "", n, name))), objects[path])

    def _add(self, name: str, data: Any) -> None:
        if not isinstance(data, self.h5py.Dataset) or data.external or data.is_virtual or data.shape is None:
            raise MetarepError(f"{self.path}: {name!a} is no array in the file", met=type(data).__name__)
        refuse_name(self.path, name, self.tensors)
        self.n_bytes += data.size * data.dtype.itemsize
        refuse_growth(self.path, self.n_bytes)
        if data.dtype.kind not in "fiub":
            raise MetarepError(f"{self.path}: {name} holds no numbers", met=data.dtype)
        self.tensors[name] = to_torch(self.path, name, data[()])


def _variable(kind: str, n: int, number: str) -> str:
    """The name of a layer's variable; its number where the kind is not known or has another count of them."""
    names = next((names for form, names in VARIABLES.items() if re.fullmatch(form + r"(_\d+)?", kind)), ())
    known = number.isdecimal() and int(number) < len(names) and (n == len(names) or names[0] == "kernel")
    return names[int(number)] if known else f"variable_{number}"


def _texts(attributes: Any, name: str) -> list[str]:
    """A list of texts among attributes; long ones are kept in several parts."""
    numbered = takewhile(attributes.__contains__, (f"{name}{number}" for number in count()))
    parts = [attributes[one] for one in ([name] if name in attributes else numbered)]
    return [text.decode() if isinstance(text, bytes) else str(text) for part in parts for text in part]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part[:18]), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
