"""How the layers of a network stand to each other: a tree that names suggest or a person declares, and what else is declared.

A tree is a module's name, or one of three ways to put trees together: `sequence` (each reads what the one before puts out),
`parallel` (all read the same, and what they put out stands side by side, as towers and heads do; what follows reads all of it,
one behind the other) and `elementwise` (all read the same, and what they put out is added or multiplied unit by unit; an
empty sequence passes on what it reads, so that a residual block is one of both).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from metarep.errors import MetarepError
from metarep.settings import Settings

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


class Steps(Settings):
    """How a convolution goes over its input, and what is pooled behind its activation."""

    stride: int = Field(1, ge=1, description="pixels from one position to the next")
    padding: int | Literal["same"] = Field("same", description="pixels on each side; a stride above 1 needs a number")
    pool: int = Field(1, ge=0, description="pixels that are pooled along each axis; 0 pools all")
    pooling: Literal["max", "average"] = Field("max", description="what a pool keeps")

    @model_validator(mode="after")
    def _sizes_are_known(self) -> Self:
        if self.stride > 1 and self.padding == "same":
            raise MetarepError("a stride above 1 needs a padding in pixels", met=f"stride={self.stride}", expected="padding=0")
        return self

    def size(self, length: int, kernel: int) -> int:
        """Pixels along an axis behind the convolution and the pool."""
        if self.padding != "same":
            length = (length + 2 * self.padding - kernel) // self.stride + 1
        return length // self.pool if self.pool else 1


class Declared(Settings):
    """What a person says of a network beside its tensors."""

    structure: Annotated[
        Any,
        BeforeValidator(lambda data: data if data is None or isinstance(data, Structure) else parse_structure(data)),
        PlainSerializer(lambda tree: None if tree is None else tree.to_json()),
    ] = Field(None, description="how layers stand to each other")
    activation: str | None = Field(None, description="behind all hidden layers, such as relu")
    output_activation: str | None = Field(None, description="behind the outputs, such as softmax")
    norms: Literal["before", "behind"] | None = Field(None, description="where batch norms stand: before or behind activations")
    fixed: tuple[tuple[str, int], ...] = Field((), description="axes whose units keep their order: tensor, axis")
    n_heads: int | None = Field(None, ge=1, description="heads of every attention")
    steps: Annotated[
        tuple[tuple[str, Steps], ...], BeforeValidator(lambda data: tuple(data.items()) if isinstance(data, Mapping) else data)
    ] = Field((), description="strides and pools of convolutions, by module")
    input_shape: tuple[int, ...] = Field((), description="of one input without the samples' axis, such as [3, 32, 32]")


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
