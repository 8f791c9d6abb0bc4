"""What the units of a plain chain do: a batched forward pass from named tensors, for networks whose layers stand one behind
the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from types import MappingProxyType

import torch
from torch.nn import functional as F

from metarep.errors import MetarepError
from metarep.networks.architecture import Architecture, is_whole
from metarep.networks.operations import AFFINE, Operation, operations_of
from metarep.networks.structure import Declared, Steps
from metarep.networks.symmetry_groups import Symmetries

ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "sin": torch.sin,
    "erf": torch.erf,
    "softsign": F.softsign,
    "hardtanh": F.hardtanh,
    "identity": lambda x: x,
    "softmax": lambda x: torch.softmax(x, dim=-1),
}
Tensors = Mapping[str, torch.Tensor]
NORM_EPSILON = 1e-5
"""PyTorch's default."""


def pooled(steps: Steps, values: torch.Tensor) -> torch.Tensor:
    """(B, S, channels, …) with fewer pixels."""
    if steps.pool == 1:
        return values
    name = f"{'' if steps.pool else 'adaptive_'}{'max' if steps.pooling == 'max' else 'avg'}_pool{values.ndim - 3}d"
    found = getattr(F, name)(values.flatten(0, 1), steps.pool or 1)
    return found.view(*values.shape[:2], *found.shape[1:])


@dataclass(frozen=True, eq=False)
class Layer:
    """One operation of a chain: its operation, the number of the group of its output units, how it steps, and the batch norm on
    these units, with whether it stands behind their activation.
    """

    operation: Operation
    group: int
    steps: Steps = field(default_factory=Steps)
    norm: Operation | None = None
    norm_behind: bool = False


@dataclass(frozen=True, eq=False)
class Chain:
    """A plain chain of linear and convolutional layers, batch norms on some, with one activation behind each but the last.

    Tensors are (B, *shape); inputs are flattened, (S, n_inputs). Convolutions have stride 1 and keep the size of what they
    read where nothing else is stated. `input_shape` is (n,), or (channels, height, width) where the first layer is a
    convolution.
    """

    layers: tuple[Layer, ...]
    activation: str
    output_activation: str
    input_shape: tuple[int, ...]
    n_outputs: int

    @property
    def n_inputs(self) -> int:
        return prod(self.input_shape)

    def outputs(self, tensors: Tensors, inputs: torch.Tensor) -> torch.Tensor:
        """(B, S, n_outputs)."""
        return self._run(tensors, inputs, kept=None)

    def contributions(self, tensors: Tensors, inputs: torch.Tensor, outputs: torch.Tensor) -> dict[int, torch.Tensor]:
        """For each group of hidden units, by its number, (B, n, S): the activation times the derivative of the output by it.

        `outputs` (S,) says which output is looked at for each input. With one hidden layer and a linear output this is the
        unit's term in the output's sum; of a channel it is the sum over its pixels.
        """
        kept: list[torch.Tensor] = []
        with torch.enable_grad():
            found = self._run({name: value.detach() for name, value in tensors.items()}, inputs, kept=kept)
            looked_at = found.gather(-1, outputs.view(1, -1, 1).expand(len(found), -1, 1))
            if not kept:
                return {}
            gradients = torch.autograd.grad(looked_at.sum(), kept)
        terms = [(h * g).detach() for h, g in zip(kept, gradients, strict=True)]
        return self._by_group([term.flatten(3).sum(-1) if term.ndim > 3 else term for term in terms])

    def largest(self, tensors: Tensors, inputs: torch.Tensor) -> dict[int, torch.Tensor]:
        """For each group of hidden units, by its number, (B, n, S): the activation, of a channel its largest."""
        kept: list[torch.Tensor] = []
        self._run({name: value.detach() for name, value in tensors.items()}, inputs, kept=kept)
        return self._by_group([value.flatten(3).amax(-1) if value.ndim > 3 else value for value in kept])

    def _by_group(self, values: Sequence[torch.Tensor]) -> dict[int, torch.Tensor]:
        return {layer.group: value.transpose(1, 2).detach() for layer, value in zip(self.layers, values, strict=False)}

    def _run(self, tensors: Tensors, inputs: torch.Tensor, kept: list[torch.Tensor] | None) -> torch.Tensor:
        values = inputs.view(1, len(inputs), *self.input_shape)
        for number, layer in enumerate(self.layers):
            last = number == len(self.layers) - 1
            values = _apply(layer, tensors, values)
            values = values if layer.norm_behind else _normed(layer.norm, tensors, values)
            values = ACTIVATIONS[self.output_activation if last else self.activation](values)
            values = _normed(layer.norm, tensors, values) if layer.norm_behind else values
            if kept is not None and not last:
                values = values.requires_grad_() if not values.requires_grad else values
                kept.append(values)
            values = pooled(layer.steps, values)
        return values


def _apply(layer: Layer, tensors: Tensors, values: torch.Tensor) -> torch.Tensor:
    """values (B or 1, S, in, …) -> (B, S, out, …)."""
    operation = layer.operation
    weight = tensors[operation.weight.name]
    out, into = operation.axes
    weight = weight.movedim((1 + out, 1 + into), (1, 2))
    bias = next((tensors[vector.name] for vector in operation.vectors if vector.role == "bias"), None)
    b, s = len(weight), values.shape[1]
    if operation.kind == "linear":
        found = values.flatten(2) @ weight.transpose(1, 2)
        return found if bias is None else found + bias.unsqueeze(1)
    stacked = values.expand(b, *values.shape[1:]).transpose(0, 1).flatten(1, 2)
    convolve = {"conv1d": F.conv1d, "conv2d": F.conv2d}[operation.kind]
    how = {"stride": layer.steps.stride, "padding": layer.steps.padding, "groups": b}
    found = convolve(stacked, weight.flatten(0, 1), None if bias is None else bias.flatten(), **how)
    return found.view(s, b, -1, *found.shape[2:]).transpose(0, 1)


def _normed(norm: Operation | None, tensors: Tensors, values: torch.Tensor) -> torch.Tensor:
    """values (B, S, units, …) through a batch norm with its running statistics."""
    if norm is None:
        return values
    own = {vector.role: tensors[vector.name] for vector in norm.vectors}
    mean, variance, scale, shift = (
        own[role][:, None].view(len(own[role]), 1, -1, *[1] * (values.ndim - 3)) if role in own else None
        for role in ("running_mean", "running_var", "scale", "shift")
    )
    values = (values - mean) / (variance + NORM_EPSILON).sqrt()
    values = values if scale is None else values * scale
    return values if shift is None else values + shift


def chain_forward(
    architecture: Architecture,
    symmetries: Symmetries,
    *,
    activation: str,
    output_activation: str = "identity",
    input_shape: Sequence[int] | None = None,
    steps: Mapping[str, Steps] = MappingProxyType({}),
    norms: str | None = None,
) -> Chain | None:
    """The forward pass of a plain chain; None for any other network, whose forward pass names and shapes do not tell.

    `steps` are those of convolutions by module, as far as they are stated; `norms` says whether batch norms stand "before" or
    "behind" activations.

    Raises MetarepError for an activation that is not known, and where the first layer is a convolution and no `input_shape`
    says how large its input is.
    """
    if activation not in ACTIVATIONS or output_activation not in ACTIVATIONS:
        met = activation if activation not in ACTIVATIONS else output_activation
        raise MetarepError("unknown activation", met=met, expected=", ".join(ACTIVATIONS))
    operations, norm_of = _with_norms(operations_of(architecture), norms)
    if not (operations and is_whole(architecture)) or any(op.kind not in AFFINE or op.weight is None for op in operations):
        return None
    groups = {m.tensor: number for number, units in enumerate(symmetries.groups) for m in units.members if m.side == "in"}
    reads = {m.tensor: number for number, units in enumerate(symmetries.groups) for m in units.members if m.side == "out"}
    names = [op.weight.name for op in operations]
    if any(name not in groups for name in names):
        return None
    if any(reads.get(after) != groups[before] for before, after in pairwise(names)):
        return None
    if operations[0].kind != "linear" and input_shape is None:
        fix = "name a file of probe inputs, (n, channels, height, width)"
        raise MetarepError("the size of a convolution's input is not known", fix=fix)
    shape = (operations[0].n_in,) if operations[0].kind == "linear" else tuple(input_shape)
    layers = tuple(
        Layer(op, groups[op.weight.name], steps.get(op.module, Steps()), norm_of.get(op.module), norms == "behind")
        for op in operations
    )
    if not _fits(layers, shape):
        return None
    return Chain(layers, activation, output_activation, shape, operations[-1].n_out)


def _with_norms(operations: Iterable[Operation], norms: str | None) -> tuple[list[Operation], dict[str, Operation]]:
    """Operations without the batch norms that stand right behind one, and these by its module; none where it is not stated
    how they stand to activations.
    """
    found: list[Operation] = []
    norm_of: dict[str, Operation] = {}
    for one in operations:
        before = found[-1] if found else None
        on = before is not None and before.is_layer and before.module not in norm_of
        if norms and on and one.has_statistics and {vector.shape[0] for vector in one.vectors} == {before.n_out}:
            norm_of[before.module] = one
        else:
            found.append(one)
    return found, norm_of


def stated_chain(architecture: Architecture, symmetries: Symmetries, stated: Declared, *, strict: bool = False) -> Chain | None:
    """The same from what is stated of an architecture; None, too, where that leaves its activations or its input open, unless
    `strict`.
    """
    known, input_shape = (
        {stated.activation, stated.output_activation or "identity"} <= ACTIVATIONS.keys(),
        stated.input_shape or None,
    )
    if not strict and (not known or (input_shape is None and architecture.tensors[0].kind != "linear")):
        return None
    how = {"activation": stated.activation, "output_activation": stated.output_activation or "identity"}
    more = {"steps": dict(stated.steps), "norms": stated.norms}
    return chain_forward(architecture, symmetries, **how, input_shape=input_shape, **more)


def input_and_output_widths(architecture: Architecture) -> tuple[int, int] | None:
    """How many numbers a network reads and puts out: its first and last layer's where they are linear, or what it reads is
    declared; None where that is not known.
    """
    operations = [op for op in operations_of(architecture) if op.kind in AFFINE and op.weight is not None]
    declared = architecture.declared.input_shape if architecture.declared is not None else ()
    if not operations or operations[-1].kind != "linear" or (operations[0].kind != "linear" and not declared):
        return None
    return prod(declared) if declared else operations[0].n_in, operations[-1].n_out


def _fits(layers: Sequence[Layer], shape: tuple[int, ...]) -> bool:
    """Whether each layer reads as many values as the one before puts out."""
    size = shape
    for operation, steps in ((layer.operation, layer.steps) for layer in layers):
        if operation.kind == "linear":
            if prod(size) != operation.n_in:
                return False
            size = (operation.n_out,)
        else:
            if len(size) != len(operation.weight.shape) - 1 or size[0] != operation.n_in:
                return False
            kernel = [length for axis, length in enumerate(operation.weight.shape) if axis not in operation.axes]
            size = (operation.n_out, *(steps.size(*ends) for ends in zip(size[1:], kernel, strict=True)))
    return True
