"""The published scan: its score for the published network, and AUC that knows chance."""

import numpy as np
import pytest

from metarep.analysis.scan import MULTIPLIER, auc, auc_row, random_initialisations, scan_score
from metarep.config import ScanConfig
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.zoo.recipe import HANDCRAFTED

# From the published figures: seed 2813536937, parameters rounded to four digits, score 0.7928.
PUBLISHED = np.array([[0.4373, -0.4425, -0.7523, -0.4695, -0.0023, 1.6139, -0.7446, -1.1377, 1.3982]])


def test_the_published_score_comes_back():
    assert scan_score(MULTIPLIER, PUBLISHED)[0] == pytest.approx(0.7928, abs=5e-5)


def test_the_score_lies_between_zero_and_one_and_likes_the_hand_crafted_network():
    random = scan_score(MULTIPLIER, random_initialisations(2000, seed=0))
    assert 0 < random.min() < random.max() < 1
    assert scan_score(MULTIPLIER, HANDCRAFTED[None])[0] > np.quantile(random, 0.99)


def test_random_initialisations_are_pytorchs():
    params = random_initialisations(5000, seed=0)
    assert np.abs(params).max() <= 2**-0.5
    np.testing.assert_allclose(params.std(axis=0), 2**-0.5 / 3**0.5, rtol=0.05)


def test_auc_against_itself_is_chance_and_its_interval_says_so():
    scores = np.random.default_rng(0).standard_normal(400)
    row = auc_row("same", scores[:200], scores[200:], ScanConfig(n_bootstraps=200))
    assert row["auc_low"] < 0.5 < row["auc_high"]
    assert auc(scores + 100, scores) == 1.0


def test_another_architecture_is_refused():
    with pytest.raises(MetarepError, match="2-2-1"):
        scan_score(NetworkSpec.parse("2-3-1"), np.zeros((1, 13)))
