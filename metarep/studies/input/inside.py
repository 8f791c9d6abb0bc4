"""What becomes of a network inside the model: read off block by block, and by cutting the links between its tokens.

The first asks what is there: frozen linear probes on the residual stream, averaged over the tokens of a unit, over
the units of a layer, over a whole network. The second asks what is used: attention is kept from passing between tokens of one
kind of pair, in every block, and masked parameters are predicted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from metarep.domains.multiplier.geometry import active_area, quadrant_area
from metarep.embeddings.specs import param_of_token, plan_of_spec, segment_of
from metarep.evaluation.neighbours import units_of
from metarep.evaluation.probes import fit_probe, linear_classifier, linear_regressor
from metarep.evaluation.resampling import class_metric, interval, r2_metric, resamples, summary
from metarep.model.transformer import ClozeModel, unit_states, unpacked
from metarep.networks.spec import NetworkSpec
from metarep.studies.masked import Held, kinds_of, predicted_in_turn
from metarep.zoos.zoo import Zoo

BATCH = 1024
LEVELS = ("unit", "layer", "network")
OWN_AREA = "its own active area"
LINKS = ("same unit", "same input", "same output", "nothing shared")
"""Two tokens by the first of these that holds: parameters of one hidden unit, of one network input, of one network output."""


def pooled_stream(model: ClozeModel, spec: NetworkSpec, params: np.ndarray) -> dict[str, np.ndarray]:
    """By level the stream of networks (N, P): "unit" (L + 1, N, U, D), the mean over a unit's tokens; "layer" (L + 1, N, 2 D),
    the mean and the largest over units; "network" (L + 1, N, D), the mean over all tokens.

    L is the number of blocks; the first entry is what enters the first block.
    """
    plan, _ = plan_of_spec(model, spec)
    unit, network = [], []
    with torch.no_grad():
        for part in segment_of(plan, spec, params).to(model.device).split(BATCH):
            stream = [unpacked(states, [part])[0] for states in model.streams([part], [part.no_mask])]
            unit.append(torch.stack([unit_states(states, part.layout.units) for states in stream]).cpu().numpy())
            network.append(torch.stack([states.mean(dim=1) for states in stream]).cpu().numpy())
    units = np.concatenate(unit, axis=1)
    layer = np.concatenate([units.mean(axis=2), units.max(axis=2)], axis=-1)
    return {"unit": units, "layer": layer, "network": np.concatenate(network, axis=1)}


def facts_of(zoo: Zoo) -> dict[str, dict[str, np.ndarray]]:
    """By level, facts of 2-2-1 networks: of each unit (N, 2) one that its own parameters say and two that they do not, of the
    hidden layer (N,), of the whole network (N,); texts and numbers.
    """
    area, quadrants = active_area(zoo.spec, zoo.params), quadrant_area(zoo.spec, zoo.params)
    error = np.repeat(zoo["log_error"][:, None], area.shape[1], axis=1)
    return {
        "unit": {OWN_AREA: area, "the other unit's active area": area[:, ::-1], "the network's error": error},
        "layer": {"area where both are on": quadrants[:, 3], "area where neither is on": quadrants[:, 0]},
        "network": {"mode": zoo["mode"].astype(object), "log error": zoo["log_error"]},
    }


def depth_rows(model: ClozeModel, train: Zoo, test: Zoo, *, seed: int, n_bootstraps: int) -> Iterator[dict]:
    """Rows (level, fact, block, metric, value, low, high, null): each fact read linearly off each depth of the stream.

    Block 0 is what enters the first block. Texts give balanced accuracy, numbers R²; the interval is a bootstrap over networks,
    the null the 95th percentile when predictions are permuted among networks.
    """
    streams = [pooled_stream(model, zoo.spec, zoo.params) for zoo in (train, test)]
    facts = [facts_of(zoo) for zoo in (train, test)]
    for level in LEVELS:
        facts_train, facts_test = (part[level] for part in facts)
        for fact, y_train in facts_train.items():
            for block in range(len(model.blocks) + 1):
                x_train, x_test = (stream[level][block] for stream in streams)
                found = read_linearly(x_train, y_train, x_test, facts_test[fact], seed=seed, n_bootstraps=n_bootstraps)
                yield {"level": level, "fact": fact, "block": block, **found}


def read_linearly(
    x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, *, seed: int, n_bootstraps: int
) -> dict:
    """{metric, value, low, high, null} of a linear probe from x (N, …, D) to y (N, …), over the N networks."""
    is_text = y_train.dtype == object
    build = linear_classifier if is_text else linear_regressor
    predict = fit_probe(build, x_train.reshape(-1, x_train.shape[-1]).astype(np.float64), y_train.reshape(-1))
    predicted = predict(x_test.reshape(-1, x_test.shape[-1]).astype(np.float64)).reshape(y_test.shape)
    draws = {"seed": seed, "n_draws": n_bootstraps}
    if is_text:
        return {"metric": "balanced_accuracy", **class_metric(y_test.astype(str), predicted, **draws)}
    return {"metric": "r2", **r2_metric(y_test, predicted, **draws)}


def link_of_pairs(model: ClozeModel, spec: NetworkSpec) -> np.ndarray:
    """(T, T) numbers into LINKS for each two tokens of networks; −1 for a token and itself."""
    plan, _ = plan_of_spec(model, spec)
    slots = np.array(spec.slots, dtype=object)[param_of_token(plan, spec)[:, 0]]
    reads = np.array([1 + slot.column if slot.layer == 0 and slot.kind == "weight" else 0 for slot in slots])
    feeds = np.array([1 + slot.row if slot.layer == spec.n_layers - 1 else 0 for slot in slots])
    link = np.full((len(slots), len(slots)), len(LINKS) - 1)
    for number, of in zip((2, 1), (feeds, reads), strict=True):
        link[(of[:, None] == of[None, :]) & (of[:, None] > 0)] = number
    for unit in plan.shapes[0].layout.units.numpy():
        link[np.ix_(unit, unit)] = 0
    np.fill_diagonal(link, -1)
    return link


def knockout_rows(model: ClozeModel, test: Zoo, *, seed: int, n_bootstraps: int) -> Iterator[dict]:
    """Rows (cut, kind, value, low, high, null, n): masked R² of test networks, each parameter masked in turn, with
    nothing cut and with each kind of link cut in all blocks; kind is a kind of parameter, or "all".
    """
    kinds, link = kinds_of(test.spec), link_of_pairs(model, test.spec)
    units = units_of(test.params, kinds.number)
    held = Held.of(units.of(test.params), kinds, n_bootstraps=n_bootstraps, seed=seed)
    for number, cut in enumerate(("nothing", *LINKS)):
        kept_out = torch.from_numpy(link == number - 1) if number else None
        predicted = units.of(predicted_in_turn(model, test.spec, test.params, cut=kept_out))
        draws, permuted = held.r2(predicted), held.permuted_r2(predicted, n_bootstraps)
        for column, kind in ((-1, "all"), *enumerate(kinds.names)):
            yield {"cut": cut, "kind": kind, **summary(draws[:, column], permuted[:, column]), "n": len(test)}


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
