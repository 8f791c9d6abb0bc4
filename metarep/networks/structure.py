"""How the layers of a network stand to each other: a tree that names suggest or a person declares, and what else is declared.

A tree is a module's name, or one of three ways to put trees together: `sequence` (each reads what the one before puts out),
`parallel` (all read the same, and what they put out stands side by side, as towers and heads do; what follows reads all of it,
one behind the other) and `elementwise` (all read the same, and what they put out is added or multiplied unit by unit; an
empty sequence passes on what it reads, so that a residual block is one of both).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from metarep.errors import MetarepError

Way = Literal["sequence", "parallel", "elementwise"]


@dataclass(frozen=True)
class Structure:
    """Trees put together in one way; a leaf is the name of a module."""

    way: Way
    parts: tuple[Structure | str, ...]

    def modules(self) -> tuple[str, ...]:
        """The names of all its leaves."""
        return tuple(name for part in self.parts for name in ((part,) if isinstance(part, str) else part.modules()))

    def under(self, stem: str) -> Structure:
        """The same tree of modules whose names begin with `stem`."""
        return Structure(self.way, tuple(stem + part if isinstance(part, str) else part.under(stem) for part in self.parts))

    def occurrences(self, names: Collection[str]) -> Iterator[Structure]:
        """The tree wherever all of its leaves are the ends of some names, behind one and the same stem."""
        first, *others = self.modules()
        for name in names:
            stem = name[: len(name) - len(first)]
            if name == stem + first and (not stem or stem.endswith(".")) and all(stem + other in names for other in others):
                yield self.under(stem)

    def to_json(self) -> dict[str, Any]:
        return {self.way: [part if isinstance(part, str) else part.to_json() for part in self.parts]}


WORDS = ("sequence", "parallel", "concatenate", "elementwise", "residual", "across")


@dataclass(frozen=True)
class Steps:
    """How a convolution goes over its input and what is pooled behind its activation.

    `padding` is a number of pixels on each side or "same"; `pool` pixels are taken together, all of them where it is 0.
    """

    stride: int = 1
    padding: int | Literal["same"] = "same"
    pool: int = 1
    pooling: Literal["max", "average"] = "max"

    def __post_init__(self):
        if self.stride > 1 and self.padding == "same":
            raise MetarepError("a stride above 1 needs a padding in pixels", met=f"stride={self.stride}", expected="padding=0")

    def size(self, length: int, kernel: int) -> int:
        """Pixels along an axis behind the convolution and the pool."""
        if self.padding != "same":
            length = (length + 2 * self.padding - kernel) // self.stride + 1
        return length // self.pool if self.pool else 1


@dataclass(frozen=True)
class Declared:
    """What a person says of a network beside its tensors: its structure, the activation behind its hidden layers and that
    behind its outputs, axes whose units keep their order (tensor, axis), how many heads its attention has, how its
    convolutions step, by module, and the shape of one input."""

    structure: Structure | None = None
    activation: str | None = None
    fixed: tuple[tuple[str, int], ...] = ()
    n_heads: int | None = None
    output_activation: str | None = None
    steps: tuple[tuple[str, Steps], ...] = ()
    input_shape: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        known = {"activation": self.activation, "output_activation": self.output_activation, "n_heads": self.n_heads}
        known |= {"fixed": [list(one) for one in self.fixed], "input_shape": list(self.input_shape)}
        known |= {"steps": {name: asdict(steps) for name, steps in self.steps}}
        return {key: value for key, value in known.items() if value} | (
            {"structure": self.structure.to_json()} if self.structure is not None else {}
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Declared:
        """What `to_json` told."""
        tree = parse_structure(data["structure"]) if "structure" in data else None
        lists = {"fixed": tuple((name, axis) for name, axis in data.get("fixed", ()))}
        lists["steps"] = tuple((name, Steps(**how)) for name, how in data.get("steps", {}).items())
        lists["input_shape"] = tuple(data.get("input_shape", ()))
        return cls(tree, **{key: data.get(key) for key in ("activation", "n_heads", "output_activation")}, **lists)


def row(*parts: Structure | str) -> Structure:
    """One behind the other."""
    return Structure("sequence", parts)


def residual(*path: Structure | str, across: Sequence[Structure | str] = ()) -> Structure:
    """x + path(x), or across(x) + path(x)."""
    return Structure("elementwise", (Structure("sequence", tuple(across)), Structure("sequence", path)))


def parse_structure(data: Any, where: str = "structure") -> Structure:
    """The tree that YAML or JSON writes down: lists are sequences, `concatenate` is `parallel`, `residual` adds what it reads.

    Raises MetarepError for anything else, and says where.
    """
    if isinstance(data, str):
        return Structure("sequence", (data,))
    if isinstance(data, list | tuple):
        return Structure("sequence", tuple(_part(part, f"{where}[{at}]") for at, part in enumerate(data)))
    words = set(data) if isinstance(data, Mapping) else set()
    (word,) = words - {"across"} if len(words - {"across"}) == 1 else ("",)
    if word not in WORDS or ("across" in words and word != "residual"):
        met = sorted(map(str, words)) or data
        raise MetarepError(f"{where} is no structure", met=met, expected="a module, a list, or one of " + ", ".join(WORDS[:-1]))
    inner = data[word]
    if not isinstance(inner, list | tuple) or (not inner and word != "sequence"):
        raise MetarepError(f"{where}.{word} lists nothing", met=inner, expected="a list of modules and structures")
    parts = tuple(_part(part, f"{where}.{word}[{at}]") for at, part in enumerate(inner))
    if word == "residual":
        return residual(*parts, across=parse_structure(data.get("across", []), f"{where}.across").parts)
    return Structure({"concatenate": "parallel"}.get(word, word), parts)


def _part(data: Any, where: str) -> Structure | str:
    return data if isinstance(data, str) else parse_structure(data, where)
