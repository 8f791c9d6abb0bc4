"""Experiment 10: its claims break when they would be false, its sentences turn round with the figures."""

import numpy as np
import pytest

from metarep.domains.multiplier.modes import label_modes
from metarep.domains.multiplier.recipes import HANDCRAFTED
from metarep.domains.multiplier.scan import random_initialisations
from metarep.domains.multiplier.scores import published
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import permute_units
from metarep.studies.e10.run import (
    invariance_sentences,
    make_claims,
    margin_sentences,
    part_sentences,
    published_sentences,
    way_sentences,
)
from metarep.studies.e10.ways import AS_PUBLISHED, OTHER_FOLD, OTHER_SIGN, pairs_that_round_to_one, part_rows, way_rows, ways_of
from metarep.zoos.zoo import Zoo

SPEC = NetworkSpec((2, 2, 1))
RANDOM = random_initialisations(300, seed=0)


def zoo_of(params):
    """A zoo in memory, labelled; every network's error is 0.01."""
    labels, n = label_modes(SPEC, params), len(params)
    columns = {"network_id": np.arange(n), "spec": np.full(n, "2-2-1", object), "params": params.astype(np.float32)}
    columns |= {"init_params": params, "active_area": labels.active_area, "quadrant_area": labels.quadrant_area}
    return Zoo({**columns, "mode": labels.mode, "valid_mse": np.full(n, 0.01)})


def near_the_hand_crafted(n=60):
    return HANDCRAFTED + np.random.default_rng(0).normal(0, 0.03, (n, 9))


def scan_rows(value):
    row = {"scan": "published", "positive": "3", "networks": "all", "n_positive": 60, "n_negative": 300}
    return [row | {"negative": n, "auc": value, "auc_low": value - 0.02, "auc_high": value} for n in ("random", "other modes")]


def test_the_published_claim_is_met_where_it_is_true_and_only_there():
    two = zoo_of(np.stack([HANDCRAFTED, HANDCRAFTED]))
    redone, beyond, _, _ = make_claims(two, RANDOM, scan_rows(1.0))
    assert redone.met
    assert beyond.met
    inverted = zoo_of(np.stack([HANDCRAFTED, HANDCRAFTED]) * np.where(np.arange(9) >= 6, -1, 1))
    redone, beyond, _, score = claims = make_claims(inverted, RANDOM, scan_rows(0.35))
    assert redone.met is False
    assert beyond.met is False
    assert score.met is False
    text = " ".join(published_sentences(claims, 0.01))
    assert "does not come back" in text
    assert "it does not hold" in text
    assert "worse than chance" in text
    assert "it holds" in " ".join(published_sentences(make_claims(two, RANDOM, scan_rows(1.0)), 0.9))


def test_the_ways_are_told_apart_by_signs_and_not_by_the_order_of_units():
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    params = np.tile(HANDCRAFTED, (4, 1))
    params[:, 6:8] = np.abs(params[:, 6:8]) * signs
    area = label_modes(SPEC, params).active_area
    wanted = [AS_PUBLISHED, OTHER_SIGN, OTHER_FOLD, OTHER_FOLD]
    assert ways_of(params, area).tolist() == wanted
    assert ways_of(permute_units(SPEC, params, 0, np.array([1, 0])), area[:, ::-1]).tolist() == wanted


def test_parts_and_ways_find_networks_built_like_the_published_ones():
    fresh = random_initialisations(300, seed=1)
    only = zoo_of(np.concatenate([near_the_hand_crafted(), RANDOM[label_modes(SPEC, RANDOM).mode != "3"]]))
    rows = {row["part"]: row for row in part_rows(only, fresh, 40, seed=0)}
    assert rows["whole score"]["auc_random"] > 0.99
    (way,) = way_rows(only, fresh, 40, seed=0)
    assert way["way"] == AS_PUBLISHED
    assert way["share"] == 1.0
    assert way["published_auc_random_low"] > 0.97
    assert "the score finds these" in next(way_sentences([way]))


def test_reasons_turn_round_with_the_figures():
    row = {"weight": 4, "part": "angle", "auc_random": 0.8, "auc_random_low": 0.7, "auc_random_high": 0.9}
    row |= {"auc_others": 0.2, "auc_others_low": 0.1, "auc_others_high": 0.3}
    against_random, against_others = part_sentences([row])
    assert "it separates by angle 0.80" in against_random
    assert "it inverts by angle 0.20" in against_others


@pytest.mark.parametrize(
    ("best", "words"), [("3", "finds mode 3 best of all"), ("2.5", "a plane is a ridge"), ("2", "finds mode 2 best")]
)
def test_what_the_invariant_score_finds_is_said(best, words):
    base = {"scan": "invariant", "networks": "all", "negative": "random", "auc_low": 0.1, "auc_high": 0.9}
    rows = [base | {"positive": mode, "auc": 0.9 if mode == best else 0.3} for mode in ("2", "2.5", "3")]
    (text,) = invariance_sentences(rows)
    assert words in text
    assert ("a plane" in text) == (best == "2.5")


def test_pairs_are_counted_as_a_double_loop_counts_them():
    rng = np.random.default_rng(0)
    positive, random = rng.normal(2.2, 1, 60), rng.normal(0, 1, 200)
    share = np.array([(random < p).mean() for p in positive])
    wanted = np.mean([share[i] + share[j] >= 2 * 0.995 - 1e-12 for i in range(60) for j in range(60) if i != j])
    assert 0.05 < wanted < 0.95
    assert pairs_that_round_to_one(positive, random) == pytest.approx(wanted)
    assert pairs_that_round_to_one(np.full(5, 9.0), random) == 1.0
    assert pairs_that_round_to_one(published(HANDCRAFTED[None]), random) == 0.0


@pytest.mark.parametrize(
    ("near", "far", "words"), [(0.5, 0.9, "falls towards"), (0.9, 0.5, "rises"), (0.6, 0.61, "not clearly")]
)
def test_the_margin_sentence_follows_the_bins(near, far, words):
    base = {"scan": "loss", "negative": "other modes"}
    rows = [base | {"margin_low": m, "auc": v, "auc_low": v - 0.05, "auc_high": v + 0.05} for m, v in ((0, near), (0.1, far))]
    assert words in margin_sentences(rows)[0]
