"""Experiment 10: its claims break when they would be false, its sentences turn round with the figures."""

import numpy as np

from metarep.domains.multiplier.modes import label_modes
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.domains.multiplier.scan import random_initialisations
from metarep.domains.multiplier.settings import ScanConfig
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units
from metarep.studies.e10.run import (
    AS_PUBLISHED,
    OTHER_FOLD,
    OTHER_SIGN,
    make_claims,
    published_sentences,
    way_rows,
    way_sentences,
    ways_of,
)
from metarep.zoos.zoo import Zoo

SPEC = NetworkSpec((2, 2, 1))
RANDOM = random_initialisations(300, seed=0)


def zoo_of(params):
    """A zoo in memory, labelled; every network's error is 0.01."""
    labels, n = label_modes(SPEC, params), len(params)
    columns = {"network_id": np.arange(n), "spec": np.full(n, "2-2-1", object), "params": params.astype(np.float32)}
    columns |= {"init_params": params, "active_area": labels.active_area, "quadrant_area": labels.quadrant_area}
    return Zoo({**columns, "mode": labels.mode, "valid_mse": np.full(n, 0.01)})


def scan_rows(value):
    row = {"scan": "published", "positive": "3", "networks": "all", "n_positive": 60, "n_negative": 300}
    return [row | {"negative": n, "auc": value, "auc_low": value - 0.02, "auc_high": value} for n in ("random", "other modes")]


def test_the_published_claim_is_met_where_it_is_true_and_only_there():
    two = zoo_of(np.stack([HANDCRAFTED, HANDCRAFTED]))
    redone, beyond, _ = make_claims(two, RANDOM, scan_rows(1.0))
    assert redone.met
    assert beyond.met
    inverted = zoo_of(np.stack([HANDCRAFTED, HANDCRAFTED]) * np.where(np.arange(9) >= 6, -1, 1))
    claims = make_claims(inverted, RANDOM, scan_rows(0.35))
    assert not any(claim.met for claim in claims)
    text = " ".join(published_sentences(claims))
    assert "does not come back" in text
    assert "it does not hold" in text
    assert "worse than chance" in text
    assert "it holds" in " ".join(published_sentences(make_claims(two, RANDOM, scan_rows(1.0))))


def test_the_ways_are_told_apart_by_signs_and_not_by_the_order_of_units():
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    params = np.tile(HANDCRAFTED, (4, 1))
    params[:, 6:8] = np.abs(params[:, 6:8]) * signs
    area = label_modes(SPEC, params).active_area
    wanted = [AS_PUBLISHED, OTHER_SIGN, OTHER_FOLD, OTHER_FOLD]
    assert ways_of(params, area).tolist() == wanted
    assert ways_of(permute_units(SPEC, params, 0, np.array([1, 0])), area[:, ::-1]).tolist() == wanted


def test_the_score_finds_networks_built_like_the_published_ones_and_not_their_mirror_images():
    fresh, config = random_initialisations(300, seed=1), ScanConfig(n_bootstraps=40)
    near = HANDCRAFTED + np.random.default_rng(0).normal(0, 0.03, (60, 9))
    others = RANDOM[label_modes(SPEC, RANDOM).mode != "3"]
    for sign, way, words in ((1, AS_PUBLISHED, "better than"), (-1, OTHER_FOLD, "no better than")):
        built = near * np.where(np.arange(9) >= 6, sign, 1)
        (row,) = way_rows(zoo_of(np.concatenate([built, others])), fresh, config)
        assert (row["way"], row["share"]) == (way, 1.0)
        assert (row["random_low"] > 0.97) == (sign > 0)
        assert words in next(way_sentences([row]))
