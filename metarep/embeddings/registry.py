"""The kinds of embeddings by name.

A kind is a function from what a model makes of some networks (`Readout`) to their vectors (B, V). A new one is a module of this
package with a decorated function, named in `MODULES`:

    @kind("largest", "the largest state over all layers of the network")
    def largest(readout: Readout) -> torch.Tensor:
        return readout.layer_states.amax(dim=1)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

    from metarep.embeddings.readout import Readout
    from metarep.model.batches import Segment
    from metarep.model.transformer import ClozeModel

MODULES = ("states", "leave_one_out", "predictability", "densities", "behaviour")
Need = Literal["predictions", "behaviour", "hidden units", "one window", "a token a value", "a mixture"]


@dataclass(frozen=True)
class Tokens:
    """What is gathered of tokens: `vectors` makes one a token, (B, T, V), of which means are taken over parts; `width` says V.

    `read` makes the vectors (…, W) of parts of these means (…, V).
    """

    width: Callable[[ClozeModel], int]
    vectors: Callable[[ClozeModel, Segment], torch.Tensor]
    read: Callable[[torch.Tensor], torch.Tensor] = lambda means: means


STATES = Tokens(lambda model: model.d_model, lambda model, segment: model.states(segment))
"""The states of tokens in the unmasked network."""


@dataclass(frozen=True)
class Kind:
    """One kind of embedding.

    `network` makes the vectors (B, V) of networks, `unit` those of the units of one group (B, n, V), where the kind has some.
    `tokens` says what is gathered of each token, and `needs` what else must be there.
    """

    name: str
    description: str
    needs: tuple[Need, ...]
    tokens: Tokens
    network: Callable[[Readout], torch.Tensor]
    unit: Callable[[Readout, int], torch.Tensor] | None = None


KINDS: dict[str, Kind] = {}


def kind(name: str, description: str, *, needs: tuple[Need, ...] = (), tokens: Tokens = STATES):
    """Registers a function as a kind of embedding."""

    def register(function: Callable[[Readout], torch.Tensor]) -> Callable[[Readout], torch.Tensor]:
        KINDS[name] = Kind(name, description, needs, tokens, function)
        return function

    return register


def of_units(name: str):
    """Registers how a kind makes vectors of units."""

    def register(function: Callable[[Readout, int], torch.Tensor]) -> Callable[[Readout, int], torch.Tensor]:
        KINDS[name] = replace(KINDS[name], unit=function)
        return function

    return register


def kind_names() -> tuple[str, ...]:
    """Every kind's name."""
    _load()
    return tuple(KINDS)


def kind_named(name: str) -> Kind:
    """The kind of a known name."""
    _load()
    return KINDS[name]


def _load() -> None:
    for module in MODULES:
        import_module(f"metarep.embeddings.{module}")
