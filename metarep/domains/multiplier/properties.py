"""What can be said of a 2-2-1 network in plain words: facts and numbers that know no order of its units.

Nothing here is fitted. What names a single unit names it by something it does, as "the unit that is on less"; units that do
equally much of that are told apart by the value itself, so that the order in which they stand never shows.
"""

from __future__ import annotations

import numpy as np

from metarep.domains.multiplier.geometry import QUADRANTS, active_area, quadrant_area
from metarep.domains.multiplier.modes import MULTIPLIER, OCCURS, TOLERANCE, sign_patterns
from metarep.domains.multiplier.skew import off_right_angle
from metarep.evaluation.baselines import midpoints
from metarep.networks.forward import forward
from metarep.zoos.domain import Property
from metarep.zoos.zoo import Zoo

SAME_SLOPE = 0.01
"""Gradients that lie nearer to each other than this belong to one linear piece; the product's own are of length 0 to 1.4."""

N_OUTPUT_POINTS = 64
AREAS, SIGNS, FUNCTION, ERROR, SIZES, START = ("areas", "signs", "function", "error", "sizes and directions", "initialisation")


def properties(zoo: Zoo) -> list[Property]:
    """The properties of N 2-2-1 networks; none of others.

    Areas are shares of the unit square; "off" and "on" are those of the modes.
    """
    if zoo.spec != MULTIPLIER:
        return []
    params = zoo.params.astype(np.float64)
    found = [*of_areas(params), *of_signs(params), *of_function(params)]
    found.append(Property("log₁₀ of the validation error", zoo["log_error"], ERROR))
    return found + of_sizes(params) + of_start(zoo, params)


def of_areas(params: np.ndarray) -> list[Property]:
    """Where the units are on: numbers and facts."""
    area, quadrant = np.sort(active_area(MULTIPLIER, params), axis=1), quadrant_area(MULTIPLIER, params)
    neither, alone, both = quadrant[:, 0], quadrant[:, 1:3], quadrant[:, 3]
    off, on = area < TOLERANCE, area > 1 - TOLERANCE
    bends = ~off & ~on
    numbers = {
        "active area of the unit that is on less": area[:, 0],
        "active area of the unit that is on more": area[:, 1],
        "share of the square where both units are off": neither,
        "share of the square where just one unit is on": alone.sum(axis=1),
        "share of the square where both units are on": both,
    }
    facts = [
        ("both units are off everywhere", "a unit is on somewhere", off.all(axis=1)),
        ("a unit is off everywhere", "no unit is off everywhere", off.any(axis=1)),
        ("both units are on everywhere", "a unit is off somewhere", on.all(axis=1)),
        ("a unit is on everywhere", "no unit is on everywhere", on.any(axis=1)),
        ("both units are partly on", "a unit is on everywhere or nowhere", bends.all(axis=1)),
        ("a unit is partly on", "each unit is on everywhere or nowhere", bends.any(axis=1)),
        ("somewhere both units are off", "nowhere are both units off", neither > OCCURS),
        ("each unit is on alone somewhere", "a unit is never on alone", (alone > OCCURS).all(axis=1)),
        ("somewhere both units are on", "nowhere are both units on", both > OCCURS),
    ]
    return [Property(name, values, AREAS) for name, values in numbers.items()] + _facts(facts, AREAS)


def of_signs(params: np.ndarray) -> list[Property]:
    """The signs of the two output weights."""
    signs = sign_patterns(MULTIPLIER, params)
    facts = [
        ("both output weights are negative", "not both output weights are negative", signs == "--"),
        ("the output weights differ in sign", "the output weights do not differ in sign", signs == "-+"),
        ("both output weights are positive", "not both output weights are positive", signs == "++"),
    ]
    return _facts(facts, SIGNS)


def of_function(params: np.ndarray) -> list[Property]:
    """What the network computes on the unit square, whatever its units: linear pieces, mean and spread of the output."""
    pieces, flat = linear_pieces(params)
    output = forward(MULTIPLIER, params, midpoints(2, N_OUTPUT_POINTS))[..., 0]
    facts = [
        ("the function is constant", "the function is not constant", flat),
        ("the function is linear", "the function is bent", pieces == 1),
    ]
    numbers = {
        "number of linear pieces": pieces.astype(float),
        "mean output": output.mean(axis=1),
        "spread of the output": output.std(axis=1),
    }
    return [Property(name, values, FUNCTION) for name, values in numbers.items()] + _facts(facts, FUNCTION)


def linear_pieces(params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many linear pieces the function has on the unit square (N,), and whether it is constant there (N,).

    A piece is a set of quadrants that occur (area above OCCURS) whose gradients differ by less than SAME_SLOPE from that of
    the first of them.
    """
    (weight, _), (outgoing, _) = MULTIPLIER.unpack(params)
    on = np.array([[int(unit) for unit in name] for name in QUADRANTS], float)
    gradient = np.einsum("qh,nh,nhi->nqi", on, outgoing[:, 0], weight)
    occurs = quadrant_area(MULTIPLIER, params) > OCCURS
    apart = np.linalg.norm(gradient[:, :, None] - gradient[:, None], axis=-1) >= SAME_SLOPE
    earlier = np.tril(np.ones((4, 4), bool), -1) & occurs[:, None, :]
    flat = (np.linalg.norm(gradient, axis=-1) < SAME_SLOPE) | ~occurs
    return (occurs & (apart | ~earlier).all(axis=2)).sum(axis=1), flat.all(axis=1)


def of_sizes(params: np.ndarray, family: str = SIZES, when: str = "") -> list[Property]:
    """How strong the units are, in which directions they grow, how large the parameters. `when` stands after each name.

    The strength of a unit is |incoming| · |outgoing|, which no scale of units changes; the norm and the balance
    ln(|incoming| / |outgoing|) do depend on it.
    """
    (weight, bias), (outgoing, output_bias) = MULTIPLIER.unpack(params)
    incoming = np.linalg.norm(np.concatenate([weight, bias[..., None]], axis=-1), axis=-1)
    sides = np.maximum(incoming, 1e-12), np.maximum(np.abs(outgoing[:, 0]), 1e-12)
    strength, balance = np.sort(sides[0] * sides[1], axis=1), np.sort(np.log(sides[0] / sides[1]), axis=1)
    area = active_area(MULTIPLIER, params)
    toward = to_diagonal(weight)
    less, more = np.lexsort((toward, area), axis=1).T
    row = np.arange(len(params))
    numbers = {
        "strength of the weaker unit": strength[:, 0],
        "strength of the stronger unit": strength[:, 1],
        "output bias": output_bias[:, 0],
        "angle between the units, off 90°": np.nan_to_num(off_right_angle(params), nan=0.0, posinf=90.0),
        "angle to the diagonal of the unit that is on less": toward[row, less],
        "angle to the diagonal of the unit that is on more": toward[row, more],
        "norm of the parameters": np.linalg.norm(params, axis=1),
        "lesser balance of a unit (ln incoming / outgoing)": balance[:, 0],
        "greater balance of a unit (ln incoming / outgoing)": balance[:, 1],
    }
    return [Property(name + when, values, family) for name, values in numbers.items()]


def to_diagonal(weight: np.ndarray) -> np.ndarray:
    """(N, H) degrees from 0 to 180 between each row of weight (N, H, 2) and (1, 1); 90 for a zero row."""
    x, y = weight[..., 0], weight[..., 1]
    return np.where((x == 0) & (y == 0), 90.0, np.degrees(np.abs(np.arctan2(x - y, x + y))))


def of_start(zoo: Zoo, params: np.ndarray) -> list[Property]:
    """The same of the parameters from which training started, and the way from there; none where a start is not known."""
    if "init_params" not in zoo.columns:
        return []
    start = zoo["init_params"].astype(np.float64)
    if start.shape != params.shape or not np.isfinite(start).all():
        return []
    when = " at the start"
    areas = [Property(p.name + when, p.values, START) for p in of_areas(start) if not p.is_fact]
    signs = [Property(p.name + when, p.values, START, p.opposite + when) for p in of_signs(start)]
    moved = Property("distance travelled in training", np.linalg.norm(params - start, axis=1), START)
    return [*areas, *signs, *of_sizes(start, START, when), moved]


def _facts(facts: list[tuple[str, str, np.ndarray]], family: str) -> list[Property]:
    return [Property(name, values.astype(float), family, opposite) for name, opposite, values in facts]
