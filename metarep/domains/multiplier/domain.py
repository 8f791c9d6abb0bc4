"""The domain of networks that multiply two numbers: what it brings to the general packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metarep.domains.multiplier.modes import MODE_NAMES, MODES, UNIT_STATES, compositions, label_modes, unit_states
from metarep.domains.multiplier.recipes import VARIANTS
from metarep.domains.multiplier.settings import ScanConfig
from metarep.networks.spec import NetworkSpec
from metarep.zoos.domain import Columns, Domain, DomainStage, MapPicture, later, register
from metarep.zoos.zoo import Zoo, open_zoo

HERE = "metarep.domains.multiplier"
AREA_FLOOR = 1e-3
"""Added before the logarithm of an area: a quadrant counts from 1e-2."""

MODE_COLOURS = {"1": "#707070", "2": "#56B4E9", "2.5": "#F0C000", "3": "#C84A00", "4": "#004C97", "": "#D8D8D8"}
"""By mode; "" is a network without one. Any two can be told apart by normal, red-, green- and blue-blind eyes (CIELAB
distance of at least 25; a test holds it)."""


def columns_of(spec: NetworkSpec, params: np.ndarray) -> Columns:
    """What networks params (N, P) are called, and the areas that decide it."""
    labels = label_modes(spec, params)
    return {
        "active_area": labels.active_area,
        "quadrant_area": labels.quadrant_area,
        "quadrant_code": labels.quadrant_code,
        "mode": labels.mode,
        "mode_margin": labels.mode_margin,
        "unit_states": compositions(labels.active_area),
        "sign_pattern": labels.sign_pattern,
    }


def points_of_the_square(zoo: Zoo | None) -> np.ndarray:
    """(1024, 2): points of the unit square in random order, the same for all."""
    del zoo
    return np.random.default_rng(0).random((1024, 2), dtype=np.float32)


def sorted_areas(zoo: Zoo) -> np.ndarray:
    """(N, H): the active areas of each network's units, the smallest first."""
    return np.sort(zoo["active_area"].astype(np.float64), axis=1)


def all_areas(zoo: Zoo) -> np.ndarray:
    """(N, H + 8): active areas, quadrants' areas, and the logarithms of these."""
    quadrants = zoo["quadrant_area"].astype(np.float64)
    return np.concatenate([sorted_areas(zoo), quadrants, np.log10(quadrants + AREA_FLOOR)], axis=1)


def make_scan(settings: ScanConfig, zoo: Path, embeddings: list[Path], out: Path, **how: Any) -> None:
    """The scans of a zoo; that by examples looks into one embedding."""
    later(f"{HERE}.scan:scan")(settings, zoo, out, embeddings=embeddings[0] if embeddings else None, **how)


def has_modes(zoo: Path) -> bool:
    """Whether there are networks of two modes, which the scans could tell apart."""
    return len(set(open_zoo(zoo).final()["mode"]) - {""}) > 1


SCAN = DomainStage("scan", ScanConfig, make_scan, first_of=("certainty", "pooled", "states"), suits=has_modes)

DOMAIN = register(
    Domain(
        name="multiplier",
        title="networks of two inputs that learned to multiply",
        inputs=points_of_the_square,
        labels={
            "mode": "the algorithm, by the exact active areas of the two units",
            "unit_states": "what the hidden units do: off, bent or on",
            "quadrant_code": "which combinations of units being on occur",
            "sign_pattern": "the signs of the output weights",
        },
        properties={"log_error": "the decimal logarithm of the validation error"},
        recipes=VARIANTS,
        columns_of=columns_of,
        unit_labels={"unit_state": lambda zoo: unit_states(zoo["active_area"])},
        unit_properties={"active_area": lambda zoo: zoo["active_area"]},
        oracles={"oracle": sorted_areas, "oracle_quadrants": all_areas},
        oracle_words={
            "oracle": "the exact active areas, from which the modes are defined",
            "oracle_quadrants": "the exact areas by which units are on, which define the quadrant code, and their logarithms",
        },
        label_order={"mode": MODES, "unit_state": UNIT_STATES},
        label_words={"mode": MODE_NAMES},
        label_colours={"mode": MODE_COLOURS},
        describe=later(f"{HERE}.properties:properties"),
        draw=later(f"{HERE}.figures.square:draw_small"),
        map_picture=MapPicture(
            Path(__file__).parent / "figures" / "square.js",
            "The output on the unit square of inputs, from 0 (dark) to 1 (light), with contours at 0.1, 0.2, …. "
            "A line is where a hidden unit switches; its ticks point to the side on which it is on.",
        ),
        sections=later(f"{HERE}.figures.sections:sections_of"),
        stages=(SCAN,),
        parts=later(f"{HERE}.sections.stage:find_sections_of"),
    )
)
