"""The networks in what a file held: in dictionaries and lists of any depth, told apart from what training leaves beside them.

A dictionary of tensors is a network, and so is a tree of layers (dictionaries of `kernel` and `bias`, as JAX's libraries keep
them). A list of networks whose tensors agree in names and shapes is a run: its last is the network, the earlier ones are
snapshots. States of optimisers, schedulers and generators are known by their content or their key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from metarep.account import Entry, listed
from metarep.errors import MetarepError
from metarep.formats.contents import Checkpoint, FileContents, Held
from metarep.formats.opened import WEIGHT, is_layer, opened
from metarep.formats.refusals import SAVE_STATE_DICT, refuse_name

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "model_state", "params", "variables", "module")
"""Keys that say no more than that a network follows."""

MAX_NODES = 300_000
CONTAINERS = (dict, list, tuple)
MAX_DEPTH = 30

_RESULT = re.compile(
    r".*(loss|acc|metric|curve|history|reward|return|score).*|[xy]_?(train|test|val(id)?)|labels?", re.IGNORECASE
)
_DATA = re.compile(r"data|predict|logits|activation|features|targets|labels|outputs|samples|loss|history|metric|result", re.I)
_SETTING = re.compile(r"epoch|step|iter|time|seed|lr|learning_?rate|momentum|decay", re.IGNORECASE)
_NETWORK = re.compile(r"\w*(params|variables|model|net|actor|critic|generator|discriminator|policy|student|teacher)\w*")
_ENSEMBLE = re.compile(r"ensemble|members|models|net(work)?s|agents|critics|actors|heads|experts", re.IGNORECASE)
_EPOCH_LIST = re.compile(r"epoch|step|iter|checkpoint|ckpt", re.IGNORECASE)
_EPOCH_KEY = re.compile(r"(?:epoch|step|iter(?:ation)?|checkpoint|ckpt)[ _=-]?(\d{1,12})", re.IGNORECASE)
_EPOCH = ("epoch", "step", "global_step", "iteration", "iter")

_STATES = {
    "the state of an optimiser": re.compile(r"(.*_)?(opt|optim(i[sz]ers?)?([_-].*)?)|opt_?states?(_dict)?", re.IGNORECASE),
    "the state of a schedule": re.compile(r".*(lr_)?sched(uler)?s?(_state(_dict)?)?", re.IGNORECASE),
    "the state of a gradient scaler": re.compile(r"(amp|grad|loss)_?scaler.*", re.IGNORECASE),
    "gradients": re.compile(r"(.*_)?grad(ient)?s?(_dict)?", re.IGNORECASE),
    "masks of weights": re.compile(r"(.*_)?masks?(_dict)?", re.IGNORECASE),
    "how much weights matter": re.compile(r"(.*_)?(fisher|hessian|importances?|omegas?)(_.*)?", re.IGNORECASE),
    "the state of a random number generator": re.compile(r".*(rng|random)_?states?.*", re.IGNORECASE),
}
_MARKS = (
    ("the state of an optimiser", ({"state", "param_groups"}, {"exp_avg"}, {"momentum_buffer"}, {"square_avg"}, {"mu", "nu"})),
    ("the state of a schedule", ({"last_epoch", "base_lrs"}, {"last_epoch", "_step_count"}, {"last_epoch", "num_bad_epochs"})),
    ("the state of a gradient scaler", ({"growth_factor", "backoff_factor"},)),
)


@dataclass(frozen=True)
class Found:
    """A network under the keys of `path`."""

    path: tuple[str, ...]
    tensors: dict[str, torch.Tensor]
    epoch: int | None = None
    snapshot: bool = False
    in_run: bool = False

    @property
    def signature(self) -> tuple[tuple[str, torch.Size, torch.dtype], ...]:
        """Names, shapes and dtypes."""
        return tuple((name, value.shape, value.dtype) for name, value in self.tensors.items())


Plain = Callable[[str, torch.Tensor], torch.Tensor]
"""Gives a named tensor back as a plain one, or raises MetarepError."""


def networks_of(
    path: Path, content: Any, *, separator: str = ".", ordered: bool = True, plain: Plain = lambda name, value: value
) -> FileContents:
    """The networks in the content of a file, each under its path of keys, and an entry for each tensor that is in none.

    Names of trees of layers are joined by `separator`; `plain` is asked for each tensor of a network. Contents without networks
    tell in their entry what the file holds instead. Raises MetarepError for names that are no texts.
    """
    if not _is_bounded(content):
        raise MetarepError(f"{path} is nested without end", expected=f"at most {MAX_DEPTH} levels", fix=SAVE_STATE_DICT)
    search = _Search(path, separator, plain)
    found = search.networks(opened(path, content), ())
    if not found and not _DATA.search(path.name):
        weak = [one for one in search.weak if _could_be_network(one.tensors)]
        found = [search.found(one.path, one.tensors) for one in weak]
        search.weak = [one for one in search.weak if not any(one is other for other in weak)]
    if not found:
        what = next(iter(search.states.values()), None) or _shown(content)
        return FileContents((), (Entry("file", "", what, "it is no network"),))
    found = search.settled(found)
    names = {one.path: "/".join(one.path) for one in found}
    short = {at: re.sub(rf"(?<=.)(/({'|'.join(WRAPPERS)}))+$", "", name) for at, name in names.items()}
    names = {found[0].path: ""} if len(found) == 1 else short if len(set(short.values())) == len(short) else names
    told = _own_epoch(content)
    epochs = [told if one.epoch is None and not one.in_run else one.epoch for one in found]
    held = [
        Held(names[one.path], Checkpoint(one.tensors, ordered), epoch, one.snapshot)
        for one, epoch in zip(found, epochs, strict=True)
    ]
    return FileContents(tuple(held), tuple(search.account()))


class _Search:
    """Walks through a file's content. `weak` are tensors that are a network only where nothing else is one."""

    def __init__(self, path: Path, separator: str, plain: Plain):
        self.file = path
        self.separator = separator
        self.plain = plain
        self.weak: list[Found] = []
        self.states: dict[tuple[str, ...], str] = {}
        self.entries: list[Entry] = []

    def networks(self, node: Any, at: tuple[str, ...], epochs: Sequence[int] | None = None) -> list[Found]:
        """The networks at and below a node of the content."""
        if isinstance(node, Mapping):
            return self._in_mapping(node, at)
        if isinstance(node, list | tuple):
            return self._in_list(node, at, epochs)
        return []

    def _in_mapping(self, node: Mapping[Any, Any], at: tuple[str, ...]) -> list[Found]:
        if state := training_state(at[-1] if at else "", node):
            self.states[at] = state
            return []
        if tree := self._tree(node, at):
            return [self.found(at, tree)]
        own: dict[str, torch.Tensor] = {}
        for key, value in node.items():
            if isinstance(value, torch.Tensor):
                own[self._name(key, own)] = value
        lists = {key: _epochs(node, len(one)) for key, one in node.items() if isinstance(one, list | tuple)}
        below = [
            self.networks(value, (*at, self._text(key)), lists.get(key))
            for key, value in node.items()
            if not isinstance(value, torch.Tensor)
        ]
        epochs = [_epoch_of_key(key) for key in node]
        if len(below) > 1 and not own and None not in epochs:
            return self._run(below, at, None if list(node) == list(range(len(node))) else epochs)
        found = [one for part in below for one in part]
        if _is_state_dict(own) and (not found or (len(own) > 1 and any(value.ndim > 1 for value in own.values()))):
            return [self.found(at, own), *found]
        if own:
            self.weak.append(Found(at, own))
        return found

    def found(self, at: tuple[str, ...], tensors: Mapping[str, torch.Tensor]) -> Found:
        """A network of these tensors."""
        return Found(at, {name: self.plain(name, value) for name, value in tensors.items()})

    def _in_list(self, node: Sequence[Any], at: tuple[str, ...], epochs: Sequence[int] | None) -> list[Found]:
        own = {str(number): value for number, value in enumerate(node) if isinstance(value, torch.Tensor)}
        if own:
            self.weak.append(Found(at, own))
        below = [self.networks(value, (*at, str(number))) for number, value in enumerate(node)]
        if epochs is None:
            known = [_own_epoch(value) for value in node]
            epochs = None if None in known else known
        return self._run(below, at, epochs)

    def _run(self, below: Sequence[list[Found]], at: tuple[str, ...], epochs: Sequence[int] | None) -> list[Found]:
        """Networks in one list: states of one network where they agree in names and shapes, and else each one of its own."""
        groups: dict[tuple[str, ...], list[Found]] = {}
        for number, part in enumerate(below):
            for one in part:
                dated = replace(one, epoch=epochs[number]) if epochs else one
                groups.setdefault(one.path[len(at) + 1 :], []).append(dated)
        found: list[Found] = []
        for group in groups.values():
            alike = len(group) > 1 and len({one.signature for one in group}) == 1
            if alike and not (epochs is None and at and _ENSEMBLE.fullmatch(at[-1])):
                last = max(range(len(group)), key=lambda i: (group[i].epoch or 0, i))
                group = [replace(one, snapshot=i != last, in_run=True) for i, one in enumerate(group)]
                what = f"{len(group)} states of one network in a list"
                why = "the last is taken for final, the others for its snapshots"
                why += "" if epochs else "; the file does not tell their epochs"
                self.entries.append(Entry("run", "/".join(at), what, why, doubt=epochs is None))
            found += group
        return found

    def _tree(self, node: Mapping[Any, Any], at: tuple[str, ...]) -> dict[str, torch.Tensor]:
        """The tensors of a tree of layers; {} for another node."""
        keys = [str(key) for key in node]
        if not _is_tree(node) or all(map(_EPOCH_KEY.fullmatch, keys)):
            return {}
        if keys[0] in WRAPPERS if len(keys) == 1 else all(_NETWORK.fullmatch(key.lower()) for key in keys):
            return {}
        flat: dict[str, torch.Tensor] = {}
        for names, value in _leaves(node):
            flat[self._name(self.separator.join(map(self._text, names)), flat)] = value
        return flat

    def _name(self, key: Any, seen: Any) -> str:
        refuse_name(self.file, str(key) if isinstance(key, int) else key, seen, SAVE_STATE_DICT)
        return str(key)

    @staticmethod
    def _text(key: Any) -> str:
        """A key as part of a member's path."""
        text = str(key)[:100]
        return text if text.isprintable() else ascii(text)

    def settled(self, found: list[Found]) -> list[Found]:
        """Networks beside a run of theirs: read once where they equal its last state, and else the state after all of it."""
        last = {one.signature: one for one in found if one.in_run and not one.snapshot}
        beside = [one for one in found if not one.in_run and one.signature in last]
        copies = [one for one in beside if _equal(one, last[one.signature])]
        for one in copies:
            what = f"equal to {'/'.join(last[one.signature].path)}"
            self.entries.append(Entry("copy", "/".join(one.path), what, "it is read once"))
        later = {one.signature for one in beside} - {one.signature for one in copies}
        kept = [one for one in found if not any(one is copy for copy in copies)]
        return [replace(one, snapshot=True) if one.in_run and one.signature in later else one for one in kept]

    def account(self) -> Iterator[Entry]:
        """What was guessed, and the tensors that are in no network."""
        yield from self.entries
        for what in dict.fromkeys(self.states.values()):
            paths = ["/".join(at) for at, state in self.states.items() if state == what]
            more = f", and {len(paths) - 1} more" if len(paths) > 1 else ""
            yield Entry("key", paths[0], what + more, "it is no network")
        for one in self.weak:
            left = [(name, value) for name, value in one.tensors.items() if _measured(value) or not _EPOCH_LIST.search(name)]
            yield from [left_out("/".join(one.path), left)] if left else []


def left_out(where: str, tensors: Sequence[tuple[str, torch.Tensor]]) -> Entry:
    """What is said of tensors that are in no network."""
    shown = listed([f"{name} {tuple(value.shape)}" for name, value in tensors])
    large = any(value.ndim > 1 and _measured(value) for _, value in tensors)
    return Entry("key", where, shown, "tensors beside networks are taken for none, and were left out", doubt=large)


def training_state(key: str, node: Mapping[Any, Any]) -> str:
    """What of a training run a dictionary holds, as its keys or the one above it say; "" for what may hold a network."""
    keys = {str(name) for name in node}
    known = next((what for what, marks in _MARKS if any(mark <= keys for mark in marks)), "")
    known = known or next((what for what, pattern in _STATES.items() if key and pattern.fullmatch(key)), "")
    tensors = [value for value in node.values() if isinstance(value, torch.Tensor)]
    if not known and tensors and all(value.dtype == torch.uint8 and value.ndim == 1 for value in tensors):
        return "the state of a random number generator"
    return known


def _is_bounded(content: Any) -> bool:
    """Whether a content has no more dictionaries and lists in it than can be looked through, nor levels; what lies in it again
    counts with all its parts.
    """
    waiting, n_nodes, seen = [(content, 0)], 0, set()
    while waiting:
        node, depth = waiting.pop()
        n_nodes += 1 if id(node) not in seen else len(node)
        seen.add(id(node))
        if n_nodes > MAX_NODES or depth > MAX_DEPTH:
            return False
        parts = node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ()
        waiting.extend((part, depth + 1) for part in parts if isinstance(part, CONTAINERS))
    return True


def _equal(one: Found, other: Found) -> bool:
    return all(torch.equal(value, other.tensors[name]) for name, value in one.tensors.items())


def _is_state_dict(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether names and values are those of weights, and not of data or results kept beside them."""
    return any(
        (_measured(value) or value.ndim > 1) and ("." in name or "/" in name or (value.ndim > 1 and WEIGHT.fullmatch(name)))
        for name, value in tensors.items()
    )


def _could_be_network(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether tensors that nothing names as weights may be some, in a file that holds no others."""
    if all(name.isdecimal() for name in tensors):
        return bool(tensors) and all(map(_measured, tensors.values()))
    real = {name: value for name, value in tensors.items() if _measured(value) or value.is_floating_point()}
    kept = (_RESULT.fullmatch(name) or (value.ndim == 0 and _SETTING.search(name)) for name, value in real.items())
    return bool(real) and not all(kept)


def _epoch_of_key(key: Any) -> int | None:
    match = _EPOCH_KEY.fullmatch(str(key))
    return key if isinstance(key, int) else int(match[1]) if match else None


def _shown(content: Any) -> str:
    """What a file holds in place of a network."""
    if isinstance(content, torch.Tensor):
        return "the state of a random number generator" if content.dtype == torch.uint8 else "a single tensor"
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__} and no state dict"
    return "no tensors of a network: " + (", ".join(str(key)[:40] for key in list(content)[:5]) or "nothing")


def _is_tree(node: Any) -> bool:
    """Whether a node holds layers, or nodes that do, and nothing else."""
    parts = list(node.values()) if isinstance(node, Mapping) else []
    return bool(parts) and all(isinstance(part, Mapping) and (is_layer(part) or _is_tree(part)) for part in parts)


def _leaves(node: Mapping[Any, Any], at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], torch.Tensor]]:
    for key, value in node.items():
        if isinstance(value, torch.Tensor):
            yield (*at, key), value
        else:
            yield from _leaves(value, (*at, key))


def _measured(value: torch.Tensor) -> bool:
    """Whether a tensor holds several numbers that are not counts."""
    return value.ndim > 0 and (value.is_floating_point() or value.is_complex() or value.is_quantized)


def _epochs(node: Mapping[Any, Any], n: int) -> list[int] | None:
    """The rising whole numbers, n of them, that a list among the items of a node gives under a name of epochs or steps."""
    for key, value in node.items():
        numbers = value.tolist() if isinstance(value, torch.Tensor) and value.ndim == 1 else value
        if not (_EPOCH_LIST.search(str(key)) and isinstance(numbers, list | tuple) and len(numbers) == n):
            continue
        if all(isinstance(one, int | float) and one == one // 1 for one in numbers):
            whole = [int(one) for one in numbers]
            if all(earlier < later for earlier, later in pairwise(whole)):
                return whole
    return None


def _own_epoch(node: Any) -> int | None:
    """The epoch that an element of a list tells itself."""
    values = [node[name] for name in _EPOCH if name in node] if isinstance(node, Mapping) else []
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)
