"""What becomes of a network inside the model: read off block by block, and by cutting the links between its tokens.

The first asks what is there: frozen linear probes on the residual stream, averaged over the tokens of a unit, over
the units of a layer, over a whole network. The second asks what is used: attention is kept from passing between tokens of one
kind of pair, in every block, and hidden parameters are predicted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from metarep.cloze.masks import leave_one_out_masks
from metarep.cloze.model import ClozeModel
from metarep.cloze.r2_draws import dealt_r2, interval, r2_draws, resamples, spread
from metarep.cloze.tokens import TokenLayout
from metarep.domains.multiplier.geometry import active_area, quadrant_area
from metarep.evaluation.probes import fit_probe, linear_classifier, linear_regressor
from metarep.evaluation.resampling import class_metric, r2_metric
from metarep.zoos.zoo import Zoo

BATCH = 1024
LEVELS = ("unit", "layer", "network")
LINKS = ("same unit", "same input", "same output", "nothing shared")
"""Two tokens by the first of these that holds: parameters of one hidden unit, of one network input, of one network output."""


def pooled_stream(model: ClozeModel, values: torch.Tensor) -> dict[str, np.ndarray]:
    """By level the stream of networks, values (N, T) normalised: "unit" (L + 1, N, U, D), the mean over a unit's tokens;
    "layer" (L + 1, N, 2 D), the mean and the largest over units; "network" (L + 1, N, D), the mean over all tokens.

    L is the number of blocks; the first entry is what enters the first block.
    """
    unit, network = [], []
    with torch.no_grad():
        for part in values.split(BATCH):
            stream = model.residual_stream(part, torch.zeros_like(part, dtype=torch.bool))
            unit.append(torch.stack([model.units(states) for states in stream]).numpy())
            network.append(torch.stack([states.mean(dim=1) for states in stream]).numpy())
    units = np.concatenate(unit, axis=1)
    layer = np.concatenate([units.mean(axis=2), units.max(axis=2)], axis=-1)
    return {"unit": units, "layer": layer, "network": np.concatenate(network, axis=1)}


def unit_facts(zoo: Zoo) -> dict[str, np.ndarray]:
    """Facts (N, 2) of each hidden unit of 2-2-1 networks: one that its own parameters say, and two that they do not."""
    area = active_area(zoo.spec, zoo.params)
    error = np.repeat(zoo["log_error"][:, None], area.shape[1], axis=1)
    return {"its own active area": area, "the other unit's active area": area[:, ::-1], "the network's error": error}


def layer_facts(zoo: Zoo) -> dict[str, np.ndarray]:
    """Facts (N,) of the hidden layer of 2-2-1 networks."""
    quadrants = quadrant_area(zoo.spec, zoo.params)
    return {"area where both are on": quadrants[:, 3], "area where neither is on": quadrants[:, 0]}


def network_facts(zoo: Zoo) -> dict[str, np.ndarray]:
    """Facts (N,) of whole networks: texts and numbers."""
    return {"mode": zoo["mode"].astype(object), "log error": zoo["log_error"]}


FACTS: dict[str, Callable[[Zoo], dict[str, np.ndarray]]] = dict(
    zip(LEVELS, (unit_facts, layer_facts, network_facts), strict=True)
)


def depth_rows(model: ClozeModel, train: Zoo, test: Zoo, *, seed: int, n_bootstraps: int) -> Iterator[dict]:
    """Rows (level, fact, block, metric, value, low, high, null_p95): each fact read linearly off each depth of the stream.

    Block 0 is what enters the first block. Texts give balanced accuracy, numbers R²; the interval is a bootstrap over networks,
    the null what the predictions reach in 95 of 100 draws when they are dealt out to other networks.
    """
    with torch.no_grad():
        streams = [pooled_stream(model, model.read(zoo.params)) for zoo in (train, test)]
    for level in LEVELS:
        facts_train, facts_test = FACTS[level](train), FACTS[level](test)
        for fact, y_train in facts_train.items():
            for block in range(len(model.blocks) + 1):
                x_train, x_test = (stream[level][block] for stream in streams)
                found = read_linearly(x_train, y_train, x_test, facts_test[fact], seed=seed, n_bootstraps=n_bootstraps)
                yield {"level": level, "fact": fact, "block": block, **found}


def read_linearly(
    x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, *, seed: int, n_bootstraps: int
) -> dict:
    """{metric, value, low, high, null_p95} of a linear probe from x (N, …, D) to y (N, …), over the N networks."""
    is_text, shape = y_train.dtype == object, y_test.shape
    x_train, x_test = (x.reshape(-1, x.shape[-1]).astype(np.float64) for x in (x_train, x_test))
    predict = fit_probe(linear_classifier if is_text else linear_regressor, x_train, y_train.reshape(-1))
    predicted = predict(x_test).reshape(shape)
    draws = {"seed": seed, "n_draws": n_bootstraps}
    found = class_metric(y_test.astype(str), predicted, **draws) if is_text else r2_metric(y_test, predicted, **draws)
    return {"metric": "balanced_accuracy" if is_text else "r2", "null_p95": found.pop("null"), **found}


def link_of_pairs(layout: TokenLayout) -> np.ndarray:
    """(T, T) numbers into LINKS for each two tokens; −1 for a token and itself."""
    link = np.full((layout.n_tokens, layout.n_tokens), len(LINKS) - 1)
    shared = (layout.output_unit, layout.input_unit)
    for number, of in zip((2, 1), shared, strict=True):
        link[(of[:, None] == of[None, :]) & (of[:, None] > 0)] = number
    for unit in layout.hidden_units:
        link[np.ix_(unit, unit)] = 0
    np.fill_diagonal(link, -1)
    return link


def knockout_rows(model: ClozeModel, test: Zoo, *, seed: int, n_bootstraps: int) -> Iterator[dict]:
    """Rows (cut, kind, value, low, high, null_p95, n): masked R² of test networks, each parameter hidden in turn, with
    nothing cut and with each kind of link cut in all blocks; kind is a slot class's name, or "all".
    """
    layout = model.layout
    link = link_of_pairs(layout)
    with torch.no_grad():
        values = model.read(test.params)
    truth = values.numpy()
    weights = resamples(n_bootstraps, len(truth), seed=seed)
    for number, cut in enumerate(("nothing", *LINKS)):
        kept_out = torch.from_numpy(link == number - 1) if number else None
        predicted = predicted_without(model, values, kept_out)
        draws = r2_draws(truth, predicted, layout.slot_class, weights)
        dealt = dealt_r2(truth, predicted, layout.slot_class, seed=seed, n_deals=n_bootstraps)
        for column, kind in ((-1, "all"), *enumerate(layout.class_names)):
            yield {"cut": cut, "kind": kind, **spread(draws[:, column], dealt[:, column]), "n": len(truth)}


def predicted_without(model: ClozeModel, values: torch.Tensor, cut: torch.Tensor | None) -> np.ndarray:
    """(N, T): the expectation of each of values (N, T) when it alone is hidden, without the links where cut (T, T) is True."""
    t = values.shape[1]
    masks, own = leave_one_out_masks(model.layout), torch.arange(t)
    parts = []
    with torch.no_grad():
        for part in values.split(max(1, BATCH * 4 // t)):
            states = model.encode(part.repeat_interleave(t, dim=0), masks.repeat(len(part), 1), cut).view(len(part), t, t, -1)
            parts.append(model.head(states[:, own, own]).expectation())
    return torch.cat(parts).numpy()


def change_under(
    embed: Callable[[np.ndarray], np.ndarray], params: np.ndarray, changed: np.ndarray, *, seed: int, n_bootstraps: int
) -> dict[str, float]:
    """How far embeddings (N, …) of networks (N, P) move when their parameters become `changed` (N, P), in units of the distance
    between two networks drawn at random: 0 for a representation that does not notice, 1 for one that sees another network.

    `value`, and `low` and `high` from a bootstrap over networks.
    """
    before, after = (embed(each).reshape(len(params), -1).astype(np.float64) for each in (params, changed))
    weights = resamples(n_bootstraps, len(params), seed=seed)
    moved, apart = (weights @ np.linalg.norm(before - other, axis=1) for other in (after, np.roll(before, 1, axis=0)))
    draws = np.divide(moved, apart, out=np.zeros_like(moved), where=apart > 0)
    low, high = interval(draws[1:])
    return {"value": float(draws[0]), "low": low, "high": high}
