"""The cloze transformer: it reads a network's parameters, some hidden, and predicts the hidden ones.

Choices:
- one token a parameter; or one a probe input and hidden unit, holding what the unit contributes there
  (tokens="behaviour"), or output ("outputs"), or derivative of an output by an input ("gradients"): its value through a
  small MLP (or a learned vector where it is hidden) plus embeddings of where it stands;
- "relational" positions: tokens carry layer, kind, and which input they read or output they feed;
  attention adds a learned bias for what two tokens share. Nothing numbers the hidden
  units, so the model is equivariant under their order. "indexed" positions number rows and
  columns in place of that;
- pre-norm blocks, no dropout (a zoo is large beside the model), GELU;
- scale="canonical" and units="canonical": networks are brought into that form before they are read, whatever they are read
  for; in training, in what values are normalised by, and in embedding;
- values are normalised per slot class with statistics of the training split, kept in the weights.
"""

from __future__ import annotations

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn
from torch.nn import functional as F

from metarep.cloze.decoder import BehaviourDecoder
from metarep.cloze.heads import Mixture, build_head
from metarep.cloze.reading import placed_layers, read_classes
from metarep.cloze.tokens import N_RELATIONS, Layout, layout_of
from metarep.errors import MetarepError
from metarep.networks.spec import KINDS, NetworkSpec
from metarep.networks.symmetry import canonical_order, canonical_scale

MAX_LAYERS = 8
MAX_UNITS = 64


class Block(nn.Module):
    """Attention with a bias for each relation and head, then an MLP, both on the normalised residual stream."""

    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.attention_out = nn.Linear(d_model, d_model)
        self.relation_bias = nn.Parameter(torch.zeros(n_heads, N_RELATIONS))
        self.mlp_in, self.mlp_out = nn.Linear(d_model, 4 * d_model), nn.Linear(4 * d_model, d_model)

    def forward(self, x: torch.Tensor, relation: torch.Tensor | None, cut: torch.Tensor | None = None) -> torch.Tensor:
        """x (B, T, D), relation (T, T) or (B, T, T) -> (B, T, D). Where cut is True token i does not see token j.

        `cut` is (T, T), or (B, 1, 1 or T, T).
        """
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm_attention(x)).view(b, t, 3, self.n_heads, d // self.n_heads).permute(2, 0, 3, 1, 4)
        bias = None if relation is None else self.relation_bias[:, relation].movedim(0, -3)
        if cut is not None:
            bias = (q.new_zeros(cut.shape) if bias is None else bias).masked_fill(cut, -torch.inf)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = x + self.attention_out(mixed.transpose(1, 2).reshape(b, t, d))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.norm_mlp(x))))


class ClozeModel(nn.Module, PyTorchModelHubMixin, library_name="metarep"):
    """See the head of this file. Saves and loads in the Hub's way: `config.json` and `model.safetensors`."""

    def __init__(
        self,
        spec: str,
        d_model: int = 64,
        n_layers: int = 4,
        n_heads: int = 4,
        head: str = "mixture",
        n_components: int = 8,
        positions: str = "relational",
        tokens: str = "parameters",
        n_probes: int = 3,
        probe_low: float = 0.0,
        probe_high: float = 1.0,
        behaviour: bool = False,
        objective: str = "cloze",
        bottleneck: int = 0,
        scale: str = "as_written",
        units: str = "as_written",
    ):
        super().__init__()
        self.scale, self.unit_order = scale, units
        self.spec = NetworkSpec.parse(spec)
        self.objective = objective
        self.relational = positions == "relational"
        self.layout: Layout = layout_of(self.spec, tokens, n_probes, probe_low, probe_high)
        self.places_of_layers = np.arange(MAX_LAYERS)  # as which layer each is read; see `reading`
        n_classes = self.layout.n_classes
        if self.spec.n_layers > MAX_LAYERS or max(self.spec.widths) > MAX_UNITS:
            raise MetarepError(f"the model reads {MAX_LAYERS} layers of {MAX_UNITS} units", met=f"spec {spec}")
        if tokens != "parameters" and self.layout.n_points > MAX_UNITS:
            most = f"at most {MAX_UNITS}"
            raise MetarepError("too many probe inputs as tokens", met=self.layout.n_points, expected=most, fix="lower n_probes")
        if self.layout.output_unit.max() > MAX_UNITS:
            fix = "choose other tokens"
            raise MetarepError(f"too many {tokens} to tell apart", met=int(self.layout.output_unit.max()), fix=fix)
        self.value_in, self.value_out = nn.Linear(1, d_model), nn.Linear(d_model, d_model)
        self.hidden_value = nn.Parameter(torch.randn(d_model) * 0.02)
        self.off_value = nn.Parameter(torch.randn(d_model) * 0.02) if self.layout.rectified else None
        self.layer, self.kind = nn.Embedding(MAX_LAYERS, d_model), nn.Embedding(len(KINDS), d_model)
        self.first, self.second = nn.Embedding(MAX_UNITS + 1, d_model), nn.Embedding(MAX_UNITS + 1, d_model)
        self.blocks = nn.ModuleList(Block(d_model, n_heads) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)
        self.head = build_head(head, d_model, n_components) if objective == "cloze" else None  # the others predict no values
        self.bottleneck = nn.Linear(d_model, bottleneck) if bottleneck else None
        self.behaviour = layout_of(self.spec, "behaviour", n_probes, probe_low, probe_high) if behaviour else None
        self.decoder = BehaviourDecoder(d_model, self.spec.widths[0], n_components) if behaviour else None
        self.register_buffer("class_mean", torch.zeros(n_classes))
        self.register_buffer("class_std", torch.ones(n_classes))

    def reading(self, spec: NetworkSpec) -> ClozeModel:
        """A copy with the same weights that reads networks of another architecture.

        Slot classes keep their statistics. With another number of layers, layers are placed by their share of the depth,
        and classes that this model has never seen (weights between hidden layers, where it has one) take the pooled
        statistics of their kind in the layer that they are placed in; `save_pretrained` does not keep the places.
        Raises MetarepError for indexed positions, for other inputs or outputs, and between networks with and without
        hidden layers.
        """
        if not self.relational:
            raise MetarepError("a model that numbers units reads one architecture", fix="pretrain with positions=relational")
        own, ends = self.spec, (self.spec.widths[0], self.spec.widths[-1], self.spec.output_relu, self.spec.n_layers > 1)
        if ends != (spec.widths[0], spec.widths[-1], spec.output_relu, spec.n_layers > 1):
            fix = "choose an architecture with the same inputs and outputs, and hidden layers where the model's has some"
            raise MetarepError("the model reads networks with other ends", met=str(spec), expected=str(own), fix=fix)
        config = self._hub_mixin_config | {"spec": str(spec)}
        with torch.random.fork_rng(devices=[]):
            copy = ClozeModel(**config)
        copy.places_of_layers = placed_layers(copy.layout, self.layout)
        statistics = read_classes(copy.layout, self.layout, copy.places_of_layers, self.class_mean, self.class_std)
        weights = self.state_dict() | dict(zip(("class_mean", "class_std"), statistics, strict=True))
        copy.load_state_dict(weights)
        return copy.to(self.class_mean.device).train(self.training)

    def fit_normalisation(self, params: torch.Tensor) -> None:
        """Sets mean and standard deviation of each slot class from training networks (N, P)."""
        raw, member, params = params, torch.from_numpy(self.layout.slot_class), self.layout.read(self.written(params))
        for number in range(self.layout.n_classes):
            values = params[:, member == number].double()
            self.class_mean[number] = 0.0 if self.layout.rectified else values.mean()  # so that 0 stays 0
            self.class_std[number] = values.std(correction=0).clamp_min(1e-6)
        if self.decoder is not None:
            self.decoder.fit_scale(self.behaviour, raw)

    def read(self, params: np.ndarray | torch.Tensor) -> torch.Tensor:
        """What the tokens of networks (N, P) hold, in standard deviations of their class: (N, T), on the model's device."""
        params = torch.as_tensor(params, dtype=torch.float32, device=self.class_mean.device)
        return self.normalise(self.layout.read(self.written(params)))

    def written(self, params: torch.Tensor) -> torch.Tensor:
        """Networks (N, P) in the form that is read: as they are, at canonical scale, with units in canonical order, or both."""
        if "canonical" not in (self.scale, self.unit_order):
            return params
        form = params.cpu().numpy()
        if self.scale == "canonical":
            form = canonical_scale(self.spec, form)
        if self.unit_order == "canonical":
            form = canonical_order(self.spec, form)
        return torch.from_numpy(np.ascontiguousarray(form)).to(params)

    def normalise(self, values: torch.Tensor) -> torch.Tensor:
        """Token values (…, T) in standard deviations of their slot class."""
        member = torch.from_numpy(self.layout.slot_class).to(values.device)
        return (values - self.class_mean[member]) / self.class_std[member]

    @property
    def spread(self) -> torch.Tensor:
        """(T,): the standard deviation of each token's slot class, on the CPU."""
        return self.class_std.cpu()[torch.from_numpy(self.layout.slot_class)]

    def denormalise(self, values: torch.Tensor) -> torch.Tensor:
        """The inverse of `normalise`."""
        member = torch.from_numpy(self.layout.slot_class).to(values.device)
        return values * self.class_std[member] + self.class_mean[member]

    def encode(self, values: torch.Tensor, mask: torch.Tensor, cut: torch.Tensor | None = None) -> torch.Tensor:
        """Normalised values (B, T) and mask (B, T), True hidden -> hidden states (B, T, D)."""
        return self.norm(self.residual_stream(values, mask, cut)[-1])

    def residual_stream(self, values: torch.Tensor, mask: torch.Tensor, cut: torch.Tensor | None = None) -> list[torch.Tensor]:
        """The states (B, T, D) that enter the first block and those that leave each block.

        Where cut (T, T) is True a token does not see another, in any block; each sees itself at least.
        """
        x = self.value_out(F.gelu(self.value_in(values.unsqueeze(-1))))
        if self.off_value is not None:
            x = torch.where((values == 0).unsqueeze(-1), self.off_value, x)
        stream = [torch.where(mask.unsqueeze(-1), self.hidden_value, x) + self._places(values.device)]
        relation = torch.from_numpy(self.layout.relation).to(values.device) if self.relational else None
        for block in self.blocks:
            stream.append(block(stream[-1], relation, cut))
        return stream

    def pool(self, values: torch.Tensor) -> torch.Tensor:
        """Normalised values (B, T), none hidden -> the mean hidden state (B, D), through the bottleneck where there is one."""
        mean = self.encode(values, torch.zeros_like(values, dtype=torch.bool)).mean(dim=1)
        return mean if self.bottleneck is None else self.bottleneck(mean)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> Mixture:
        """The predicted distribution of every value (B, T), from those that the mask leaves visible."""
        return self.head(self.encode(values, mask))

    def units(self, states: torch.Tensor) -> torch.Tensor:
        """Hidden states (B, T, D) -> the mean over each hidden unit's tokens (B, U, D)."""
        return torch.stack([states[:, torch.from_numpy(unit)].mean(dim=1) for unit in self.layout.hidden_units], dim=1)

    def _places(self, device: torch.device) -> torch.Tensor:
        layout = self.layout
        if self.relational:
            first, second = layout.input_unit, layout.output_unit
        else:
            first, second = layout.row, layout.column
        layer = self.places_of_layers[layout.layer]
        tables = ((self.layer, layer), (self.kind, layout.kind), (self.first, first), (self.second, second))
        return sum(table(torch.from_numpy(np.asarray(index)).to(device)) for table, index in tables)


def masked_loss(
    model: ClozeModel,
    values: torch.Tensor,
    mask: torch.Tensor,
    *,
    behaviour_weight: float = 0.0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """The mean loss over hidden values alone, and with a weight that of the behaviour, all of which is hidden.

    Where no value is hidden there is no loss but that of the behaviour. `generator` draws the probe inputs of the behaviour.
    """
    states = model.encode(values, mask)
    hidden = model.head.loss(model.head(states), values)[mask]
    loss = hidden.mean() if len(hidden) else hidden.sum()
    if not behaviour_weight:
        return loss
    params = model.denormalise(values)
    return loss + behaviour_weight * model.decoder.loss(model.units(states), model.behaviour, params, generator=generator)
