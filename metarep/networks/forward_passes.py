"""How networks are run from named tensors: one function a kind of architecture, in a registry.

A state dict has no graph. A forward pass is known where names are those of a known layout (layers of PyTorch, TransformerLens)
and what they leave open is stated: activation, heads, strides. Where it is not, there is none: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from metarep.networks.architecture import Architecture, is_whole
from metarep.networks.chain_forward import ACTIVATIONS, stated_chain
from metarep.networks.structure import Declared
from metarep.networks.symmetry_groups import Symmetries

Tensors = Mapping[str, torch.Tensor]


class Behaving(Protocol):
    """Runs B networks of one architecture side by side, tensors (B, *shape), and says what their units do."""

    @property
    def n_inputs(self) -> int:
        """Numbers of one input, laid flat."""

    @property
    def n_outputs(self) -> int:
        """Numbers of one output."""

    def outputs(self, tensors: Tensors, inputs: torch.Tensor) -> torch.Tensor:
        """(B, S, n_outputs) of inputs (S, n_inputs)."""

    def contributions(self, tensors: Tensors, inputs: torch.Tensor, outputs: torch.Tensor) -> Mapping[int, torch.Tensor]:
        """For each group of hidden units, by its number in the symmetries, (B, n, S): what each contributes to one output a
        probe, `outputs` (S,).
        """


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """How one network is run: `outputs` of its tensors and inputs (S, …) are (S, …); `draw` makes random inputs.

    `outputs` compute in the dtype of the tensors where `exact`, else in float32. `behaving` runs many networks and says what
    their units do; None where that is not known.
    """

    name: str
    outputs: Callable[[Tensors, torch.Tensor], torch.Tensor]
    draw: Callable[[int, torch.Generator], torch.Tensor]
    exact: bool = True
    behaving: Behaving | None = None


Builder = Callable[[Architecture, Symmetries, Declared], ForwardPass | None]
BUILDERS: dict[str, Builder] = {}
"""Forward passes by the name of what is run. Each returns None for an architecture that is not its own."""


def builder(name: str) -> Callable[[Builder], Builder]:
    """Registers a forward pass."""
    return lambda function: BUILDERS.setdefault(name, function)


def forward_pass(architecture: Architecture, symmetries: Symmetries, stated: Declared) -> ForwardPass | None:
    """The first of the registry that fits; None where no forward pass is known, and where zoos do not give all weights."""
    if not is_whole(architecture):
        return None
    found = (build(architecture, symmetries, stated) for build in BUILDERS.values())
    return next((one for one in found if one is not None), None)


def numbers(*shape: int) -> Callable[[int, torch.Generator], torch.Tensor]:
    """Normal inputs (n, *shape)."""
    return lambda n, generator: torch.randn(n, *shape, generator=generator, dtype=torch.float64)


def words(n_words: int, length: int) -> Callable[[int, torch.Generator], torch.Tensor]:
    """Sequences (n, length) of word numbers."""
    return lambda n, generator: torch.randint(n_words, (n, length), generator=generator)


@builder("chain")
def chain(architecture: Architecture, symmetries: Symmetries, stated: Declared) -> ForwardPass | None:
    """Linear and convolutional layers, see `stated_chain`."""
    found = stated_chain(architecture, symmetries, stated)
    if found is None:
        return None

    def outputs(tensors: Tensors, inputs: torch.Tensor) -> torch.Tensor:
        single = {name: value.unsqueeze(0) for name, value in tensors.items()}
        return found.outputs(single, inputs.flatten(1).to(next(iter(tensors.values())).dtype))[0]

    return ForwardPass("a chain of layers", outputs, numbers(*found.input_shape), behaving=found)


_RECURRENT = re.compile(r"(.*?)weight_ih_l0$")


@builder("recurrent")
def recurrent(architecture: Architecture, symmetries: Symmetries, stated: Declared) -> ForwardPass | None:
    """An LSTM or GRU of PyTorch and a linear layer that reads its last state."""
    del symmetries
    shapes = {tensor.name: tensor.shape for tensor in architecture.tensors}
    stem = next((match[1] for name in shapes if (match := _RECURRENT.match(name))), None)
    if stem is None or f"{stem}weight_hh_l0" not in shapes or any("weight_hr" in name for name in shapes):
        return None
    (rows, n_in), n = shapes[f"{stem}weight_ih_l0"], shapes[f"{stem}weight_hh_l0"][1]
    kind = {3: nn.GRU, 4: nn.LSTM}.get(rows // n)
    both = f"{stem}weight_ih_l0_reverse" in shapes
    n_layers = sum(name.startswith(f"{stem}weight_ih_l") and not name.endswith("_reverse") for name in shapes)
    rest = [name for name in shapes if not name.startswith(stem + "weight_") and not name.startswith(stem + "bias_")]
    head = next((name for name in rest if len(shapes[name]) == 2 and shapes[name][1] == n * (1 + both)), None)
    if kind is None or head is None or set(rest) - {head, head.removesuffix("weight") + "bias"}:
        return None
    how = {"num_layers": n_layers, "bidirectional": both, "bias": f"{stem}bias_ih_l0" in shapes, "batch_first": True}
    module = kind(n_in, n, **how).double()

    def outputs(tensors: Tensors, inputs: torch.Tensor) -> torch.Tensor:
        own = {name.removeprefix(stem): value for name, value in tensors.items() if name not in rest}
        states, _ = functional_call(module, own, (inputs.to(tensors[head].dtype),), strict=True)
        return F.linear(states[:, -1], tensors[head], tensors.get(head.removesuffix("weight") + "bias"))

    return ForwardPass("recurrent layers with a linear head", outputs, numbers(5, n_in))


@builder("TransformerLens")
def transformer_lens(architecture: Architecture, symmetries: Symmetries, stated: Declared) -> ForwardPass | None:
    """A `HookedTransformer` with added positions: causal attention, an MLP a block where there is one, norms where they are
    kept with the weights.

    Needs the activation where there are MLPs.
    """
    del symmetries
    shapes = {tensor.name: tensor.shape for tensor in architecture.tensors}
    if not {"embed.W_E", "pos_embed.W_pos", "blocks.0.attn.W_Q", "unembed.W_U"} <= shapes.keys():
        return None
    has_mlp, activation = "blocks.0.mlp.W_in" in shapes, ACTIVATIONS.get(stated.activation or "")
    if (has_mlp and activation is None) or any("W_gate" in name or "rotary" in name for name in shapes):
        return None
    n_blocks = sum(name.endswith("attn.W_Q") for name in shapes)

    def outputs(tensors: Tensors, inputs: torch.Tensor) -> torch.Tensor:
        states = tensors["embed.W_E"][inputs] + tensors["pos_embed.W_pos"][: inputs.shape[1]]
        for number in range(n_blocks):
            block = f"blocks.{number}."
            states = states + _attention(tensors, f"{block}attn.", _normed(tensors, f"{block}ln1.", states))
            if has_mlp:
                hidden = activation(_added(_normed(tensors, f"{block}ln2.", states), tensors, f"{block}mlp.W_in", "b_in"))
                states = states + _added(hidden, tensors, f"{block}mlp.W_out", "b_out")
        return _added(_normed(tensors, "ln_final.", states), tensors, "unembed.W_U", "b_U")

    length = min(6, shapes["pos_embed.W_pos"][0])
    return ForwardPass("a transformer of TransformerLens", outputs, words(shapes["embed.W_E"][0], length))


def _added(values: torch.Tensor, tensors: Tensors, weight: str, bias: str) -> torch.Tensor:
    """values W + b, the weight (in, out) as TransformerLens keeps it."""
    return values @ tensors[weight] + tensors.get(weight.rpartition(".")[0] + "." + bias, 0)


def _normed(tensors: Tensors, module: str, states: torch.Tensor) -> torch.Tensor:
    scale = tensors.get(module + "w")
    return states if scale is None else F.layer_norm(states, scale.shape, scale, tensors.get(module + "b"))


def _attention(tensors: Tensors, module: str, states: torch.Tensor) -> torch.Tensor:
    """Causal attention with weights (heads, d_model, d_head)."""
    q, k, v = (
        torch.einsum("btd,hde->bhte", states, tensors[f"{module}W_{part}"])
        + (tensors[f"{module}b_{part}"].unsqueeze(1) if f"{module}b_{part}" in tensors else 0)
        for part in "QKV"
    )
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return torch.einsum("bhte,hed->btd", mixed, tensors[f"{module}W_O"]) + tensors.get(f"{module}b_O", 0)
