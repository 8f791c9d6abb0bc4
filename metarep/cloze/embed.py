"""The stage that embeds networks. Nothing is ever hidden at random here.

Tokens are parameters, or contributions of hidden units where the model reads behaviour, or the function's own values; a
model of these sees no units, and has none of the kinds that are made of units.

- "pooled": the mean over tokens of the last hidden states of the unmasked network; of an autoencoder its bottleneck.
- "states": the same hidden states unit by unit: the mean over a unit's tokens, then over the units of a layer the mean
  and the largest of each dimension.
- "profile": each token hidden in turn; what the model predicts for it and the entropy of the
  predicted distribution, in normalised units.
- "certainty": the entropies alone: what the model is sure of.
- "surprisal": each token hidden in turn, −log p of its true value in nats: what the model did not expect.
- "description": the surprisal of each hidden unit, its mean, its largest and its least over the unit's tokens: how long a
  message describes the unit to one who knows the rest and has seen the zoo. A unit that is off needs
  next to nothing, one that bends the function the place of its bend.
- "activity": what a model that was asked for behaviour (behaviour_weight) believes of each hidden unit, from the parameters
  alone: the expected share of probe inputs at which it is off, whether it is off at any, whether at all of them ("whether"
  is the likelier of the two).
- "beliefs": the probability of being off of each unit at each of about 100 inputs.
- "patterns": for each two units of a layer the probabilities of both on, only the one, only the other, both off (as if the
  two were independent given the parameters): the mean and the largest over about 100 inputs.
- "effects": what each unit is expected to contribute to the output at each of these inputs, in the decoder's unit.
- "function": the effects summed over the units of the last hidden layer: what the model takes the network's output to be at
  each of these inputs, up to the output's bias (of several outputs their sum), where the output is linear.
- "coupling": which tokens determine each other. Each pair is hidden together; how much surer the model is of the
  one when it sees the other is their mutual information given the rest, I nats, taken as the informational coefficient
  1 − exp(−2 I), the R² of a Gaussian pair (Linfoot, "An informational measure of correlation", 1957). A dead unit is
  coupled to nothing; the biases of units that are on everywhere are coupled to each other and to the output's.

With n_copies an embedding is the mean over so many copies of each network: what the model makes of the network in other
unit orders and at other scales, averaged.

All are exactly invariant to the order of hidden units, to the last bit: a network is first brought
into its canonical unit order, and in a profile the units of a layer stand in the order of
how sure the model is of them (the sum of their entropies; of their surprisals where these are embedded; of how often
they are believed to be off, the least first, for activity, beliefs, patterns and effects), which knows no numbers of units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from metarep.artefact import Artefact, open_artefact, writing
from metarep.cloze.masks import leave_one_out_masks
from metarep.cloze.model import ClozeModel
from metarep.cloze.pretrain import load_model
from metarep.cloze.settings import EmbedConfig
from metarep.cloze.tokens import Layout
from metarep.errors import MetarepError
from metarep.networks.symmetry import canonical_order, symmetric_copies
from metarep.progress import Progress
from metarep.zoos.zoo import Zoo, open_zoo

NETWORK = "network"
BEHAVIOURS = ("activity", "beliefs", "patterns", "effects", "function")
"""Kinds that a model is asked for which was trained to predict behaviour."""

OF_UNITS = ("states", "description")
"""Kinds that are made of the tokens of each hidden unit."""

UNMASKED = ("pooled", "states")
"""Kinds that hide nothing: hidden states, whatever the model was trained on."""

N_FINE = 100
"""About so many inputs are asked for all of these but activity, more than for anything else."""

MAX_COUPLED = 128
"""Parameters of a network that the coupling still takes: 8,128 pairs."""


@dataclass(frozen=True)
class Embeddings:
    """Vectors (N, D) float32 of the parts (N,) of networks network_id (N,)."""

    artefact: Artefact
    network_id: np.ndarray
    part: np.ndarray
    vectors: np.ndarray

    @property
    def name(self) -> str:
        """The representation's name in every table: the kind, with "untrained_" before the control's."""
        config = self.artefact.config
        return config.get("name") or ("untrained_" if config["untrained"] else "") + config["kind"]


def embed(
    config: EmbedConfig,
    model: Path | str,
    zoo: Path | str,
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Embeds every finite network of the zoo, snapshots too, into the folder `out` and returns it.

    Raises MetarepError for a zoo of another architecture than the model's, and as `embed_params` does.
    """
    progress = progress or Progress()
    networks = chosen_networks(open_zoo(zoo), config.max_per_split)
    network_model = load_model(model, device=device)
    if config.untrained:
        network_model = untrained_like(network_model, seed=config.seed)
    if networks.spec != network_model.spec:
        raise MetarepError(
            "the model reads another architecture", met=f"{networks.spec} networks", expected=str(network_model.spec)
        )
    inputs = {"model": open_artefact(model, "model"), "zoo": networks.artefact}
    with writing(out, "embeddings", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        parts = []
        with progress.task(f"embed ({config.kind})", len(networks), "networks") as task:
            for first in range(0, len(networks), config.batch_size):
                some = networks.params[first : first + config.batch_size]
                parts.append(embed_params(network_model, some, config.kind, **copying(config.resolved())))
                task.advance(len(some))
        _write(folder / "embeddings.parquet", networks["network_id"], np.concatenate(parts))
    return Path(out)


def chosen_networks(zoo: Zoo, max_per_split: int | None) -> Zoo:
    """The finite networks of a zoo: all of them, snapshots too, or the first finished ones of each split."""
    finite = zoo.finite()
    if max_per_split is None:
        return finite
    final = finite.final()
    rows = [np.flatnonzero(final["split"] == split)[:max_per_split] for split in ("train", "valid", "test")]
    return final.select(np.sort(np.concatenate(rows)))


def copying(config: Mapping) -> dict[str, Any]:
    """The settings of copies, in those of an embedding (or of one that was made before there were copies)."""
    return {"n_copies": config.get("n_copies", 0), "copy_scale": config.get("copy_scale", 0.0), "seed": config["seed"]}


def embed_params(
    model: ClozeModel, params: np.ndarray, kind: str, *, n_copies: int = 0, copy_scale: float = 0.0, seed: int = 0
) -> np.ndarray:
    """The embeddings (N, D) float32 of networks (N, P), of one kind; on the model's device. With copies their mean.

    Raises MetarepError for a kind that is made of predictions where the model was trained to make none.
    """
    require_predictions(model, kind)
    params = np.ascontiguousarray(canonical_order(model.spec, params), dtype=np.float32)
    if not n_copies:
        return embed_as_written(model, params, kind)
    copies = symmetric_copies(model.spec, params, n_copies, copy_scale, rng=np.random.default_rng(seed))
    return np.mean([embed_as_written(model, copy, kind) for copy in copies], axis=0)


def embed_as_written(model: ClozeModel, params: np.ndarray, kind: str) -> np.ndarray:
    """As `embed_params`, of networks as they stand."""
    with torch.no_grad():
        values = model.read(params)
        if kind == "pooled":
            return model.pool(values).cpu().numpy()
        if kind == "states":
            return unit_states(model, values).cpu().numpy()
        if kind in BEHAVIOURS:
            return believed_behaviour(model, values, kind)
        alone = leave_one_out(model, values)
        pairs = coupling(model, values, alone.entropy).cpu().numpy() if kind == "coupling" else None
    mean, entropy, surprisal = (part.cpu().numpy() for part in alone)
    order = surest_units_first(model.layout, surprisal if kind in ("surprisal", "description") else entropy)
    if pairs is not None:
        pairs = np.take_along_axis(np.take_along_axis(pairs, order[:, :, None], axis=1), order[:, None, :], axis=2)
        return pairs[:, *np.triu_indices(order.shape[1], k=1)]
    if kind == "description":
        return unit_summaries(model.layout, np.take_along_axis(surprisal, order, axis=1))
    parts = {"certainty": (entropy,), "surprisal": (surprisal,), "profile": (mean, entropy)}[kind]
    return np.concatenate([np.take_along_axis(part, order, axis=1) for part in parts], axis=1)


def require_predictions(model: ClozeModel, kind: str) -> None:
    """Raises MetarepError where the kind hides values and the model's objective was not to predict hidden values, and where
    it is made of hidden units and the model sees none.
    """
    if kind not in UNMASKED and model.objective != "cloze":
        raise MetarepError(
            f"{kind} embeddings are made of predicted values, which this model was not trained to make",
            met=f"objective {model.objective}",
            expected="objective cloze",
            fix=f"embed {' or '.join(UNMASKED)}, or pretrain with objective=cloze",
        )
    if kind in OF_UNITS and not model.layout.hidden_units:
        raise MetarepError(f"{kind} embeddings are made unit by unit, and this model sees no hidden units", fix="embed pooled")


def unit_states(model: ClozeModel, values: torch.Tensor) -> torch.Tensor:
    """(N, 2 D a hidden layer): the units' mean hidden states, their mean and their largest over the units of each layer."""
    states = model.encode(values, torch.zeros_like(values, dtype=torch.bool))
    layers = model.units(states).split(model.spec.hidden_widths, dim=1)
    return torch.cat([part for layer in layers for part in (layer.mean(dim=1), layer.amax(dim=1))], dim=1)


def believed_behaviour(model: ClozeModel, values: torch.Tensor, kind: str) -> np.ndarray:
    """The "activity" (N, 3 U), the "beliefs" or "effects" (N, U S), the "patterns" or the "function" (N, S) of networks.

    values (N, T) are normalised. Raises MetarepError for a model that was not asked for behaviour.
    """
    if model.decoder is None:
        fix = "pretrain on parameters (tokens=parameters) with behaviour_weight=1"
        raise MetarepError(f"the model was not trained to predict behaviour from parameters, which {kind} needs", fix=fix)
    units = model.units(model.encode(values, torch.zeros_like(values, dtype=torch.bool)))
    probes = model.behaviour.probes if kind == "activity" else model.behaviour.finer(N_FINE).probes
    predicted = model.decoder(units, torch.from_numpy(probes).to(values.device))
    if kind == "function":
        return predicted.expectation()[:, -model.spec.hidden_widths[-1] :].sum(dim=1).cpu().numpy()
    last_units = np.cumsum(model.spec.hidden_widths)[:-1]
    off = np.split(predicted.log_off.exp().cpu().numpy(), last_units, axis=1)
    if kind != "effects":
        return behaviour_summary(off, kind)
    told = np.split(predicted.expectation().cpu().numpy(), last_units, axis=1)
    return np.concatenate([busiest_first(part, layer) for part, layer in zip(told, off, strict=True)], axis=1).reshape(
        len(values), -1
    )


def behaviour_summary(off: Sequence[np.ndarray], kind: str) -> np.ndarray:
    """The "activity", "beliefs" or "patterns" of networks from how likely the units of each hidden layer are off, each
    (N, H, S), at probe inputs: believed, or known (0 or 1). Units stand by how often they are off, the least first.
    """
    layers = [np.take_along_axis(part, np.argsort(part.mean(axis=2), axis=1, kind="stable")[..., None], axis=1) for part in off]
    if kind == "patterns":
        return np.concatenate([pattern_shares(layer) for layer in layers], axis=1)
    ordered = np.concatenate(layers, axis=1).astype(np.float32)
    if kind == "beliefs":
        return ordered.reshape(len(ordered), -1)
    return np.concatenate([ordered.mean(axis=2), ordered.max(axis=2) > 0.5, ordered.min(axis=2) > 0.5], axis=1)


def busiest_first(values: np.ndarray, off: np.ndarray) -> np.ndarray:
    """values (N, H, S) of the units of a layer in the order of how often they are off, off (N, H, S), the least first."""
    return np.take_along_axis(values, np.argsort(off.mean(axis=2), axis=1, kind="stable")[..., None], axis=1)


def pattern_shares(off: np.ndarray) -> np.ndarray:
    """(N, 8 a pair): mean and largest over inputs of the four on/off patterns of each two units; off (N, U, S)."""
    figures = []
    for i, j in combinations(range(off.shape[1]), 2):
        for first in (off[:, i], 1 - off[:, i]):
            for second in (off[:, j], 1 - off[:, j]):
                figures += [(first * second).mean(axis=1), (first * second).max(axis=1)]
    return np.stack(figures, axis=1).astype(np.float32) if figures else np.zeros((len(off), 0), np.float32)


class LeaveOneOut(NamedTuple):
    """What the model says of every value (N, T) when it alone is hidden: in normalised units and nats."""

    expectation: torch.Tensor
    entropy: torch.Tensor
    surprisal: torch.Tensor


def leave_one_out(model: ClozeModel, values: torch.Tensor) -> LeaveOneOut:
    """Hides every value in turn; values (N, T) normalised."""
    n, t = values.shape
    masks = leave_one_out_masks(model.layout).to(values.device)
    states = model.encode(values.repeat_interleave(t, dim=0), masks.repeat(n, 1))
    hidden = torch.arange(t, device=values.device).repeat(n)
    prediction = model.head(states[torch.arange(n * t, device=values.device), hidden])
    figures = (prediction.expectation(), prediction.entropy(), -prediction.log_density(values.flatten()))
    return LeaveOneOut(*(figure.view(n, t) for figure in figures))


def unit_summaries(layout: Layout, ordered: np.ndarray) -> np.ndarray:
    """(N, 3 a unit): mean, largest and least of each hidden unit's tokens in (N, T); then the tokens of no unit."""
    units = [ordered[:, indices] for indices in layout.hidden_units]
    summaries = [figure(unit, axis=1) for figure in (np.mean, np.max, np.min) for unit in units]
    others = np.setdiff1d(np.arange(layout.n_tokens), np.concatenate(layout.hidden_units))
    return np.concatenate([np.stack(summaries, axis=1), ordered[:, others]], axis=1)


def coupling(model: ClozeModel, values: torch.Tensor, alone: torch.Tensor) -> torch.Tensor:
    """(N, T, T), symmetric, in [0, 1]: how much each two parameters determine each other given the rest.

    values (N, T) normalised, alone (N, T) the entropies of `leave_one_out`. The diagonal is 0. One pass for each
    pair; raises MetarepError beyond MAX_COUPLED parameters.
    """
    n, t = values.shape
    if t > MAX_COUPLED:
        raise MetarepError("too many parameters to hide every pair of", met=t, expected=f"at most {MAX_COUPLED}")
    gain = values.new_zeros(n, t, t)
    for i, j in combinations(range(t), 2):
        hidden = torch.zeros(t, dtype=torch.bool, device=values.device)
        hidden[[i, j]] = True
        together = model.head(model.encode(values, hidden.expand(n, t))[:, [i, j]]).entropy()
        information = (together - alone[:, [i, j]]).mean(dim=1).clamp(min=0)
        gain[:, i, j] = gain[:, j, i] = -torch.expm1(-2 * information)
    return gain


def surest_units_first(layout: Layout, entropy: np.ndarray) -> np.ndarray:
    """(N, T) indices that order the units of every hidden layer by the summed entropy, or surprisal, of their tokens."""
    if not layout.hidden_units:
        return np.broadcast_to(np.arange(layout.n_tokens), entropy.shape)
    orders, first = [], 0
    for width in layout.spec.hidden_widths:
        totals = [entropy[:, indices].sum(axis=1) for indices in layout.hidden_units[first : first + width]]
        orders.append(np.argsort(np.stack(totals, axis=1), axis=1, kind="stable"))
        first += width
    return np.broadcast_to(layout.order_index(orders), entropy.shape)


def untrained_like(model: ClozeModel, *, seed: int) -> ClozeModel:
    """A freshly initialised model of the same shape with the same normalisation: the control."""
    device = model.class_mean.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = ClozeModel(**model._hub_mixin_config)
    fresh.class_mean.copy_(model.class_mean)
    fresh.class_std.copy_(model.class_std)
    return fresh.to(device).eval()


def load_embeddings(path: Path | str) -> Embeddings:
    """Reads the whole networks of a finished embeddings artefact. Raises MetarepError for a foreign or altered one."""
    artefact = open_artefact(path, "embeddings", check_hashes=True)
    table = pq.read_table(artefact.path / "embeddings.parquet", filters=[("part", "=", NETWORK)])
    if not len(table):
        raise MetarepError(f"{path} holds no whole networks", expected="the part network", fix="embed with parts=[network]")
    flat = table.column("embedding").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    names, parts = (np.array(table.column(name).to_pylist(), dtype=object) for name in ("network_id", "part"))
    return Embeddings(artefact, names, parts, flat.reshape(len(names), -1))


def _write(path: Path, network_ids: np.ndarray, vectors: np.ndarray) -> None:
    table = pa.table(
        {
            "network_id": pa.array(list(network_ids), pa.string()),
            "part": pa.array([NETWORK] * len(network_ids), pa.string()),
            "embedding": pa.array(list(vectors.astype(np.float32)), pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, path, compression="zstd")
