"""Beyond: tiny series from end to end, what is measured of a planted network, and sentences that turn."""

import json

import numpy as np
import pytest

from metarep.domains.multiplier.modes import MULTIPLIER, label_modes
from metarep.domains.multiplier.sections.one_hidden import OneHidden
from metarep.errors import MetarepError
from metarep.progress import Progress
from metarep.runner import stands
from metarep.studies.multipliers import pretrained
from metarep.studies.planted.run import CLOZE, METHODS, Judged, Setting, control, judged, noise, plant, summarised
from metarep.studies.running import run_series, stage_of
from metarep.studies.series import BEYOND
from metarep.studies.settings import BeyondConfig
from metarep.studies.study import Context
from metarep.studies.trained.run import Ablated, ablated, cluster_rows, cluster_units
from metarep.tables import read_csv

TINY = {
    "n_networks": 120,
    "n_bootstraps": 20,
    "pretrain": {"d_model": 8, "n_layers": 1, "n_heads": 2, "n_components": 2, "behaviour_weight": 1.0, "n_steps": 6},
    "planted": {"blocks": [2], "sigmas": [0, 0.3], "n_blocks": 4, "max_fit_networks": 50},
    "trained": {"n_wide": 20, "n_samples": 50, "ks": [2, 3], "n_random": 10},
}
CONFIG = BeyondConfig.model_validate(TINY)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    out = tmp_path_factory.mktemp("beyond")
    for name in ("planted", "trained"):
        run_series(CONFIG, name, out, series=BEYOND)
    return out


def test_planted_has_a_row_for_every_setting_and_method(seen):
    rows = read_csv(seen / "planted" / "planted.csv")
    assert len(rows) == (2 + 1) * len(METHODS)
    for row in rows:
        assert 0 <= row["found_low"] <= row["found"] <= row["found_high"] <= 1
    wired = [row["found"] for row in rows if (row["method"], row["sigma"]) == ("connectivity", 0)]
    assert set(wired) == {1}
    assert {path.stem for path in (seen / "planted" / "figures").iterdir()} == {"found"}


def test_trained_has_clusters_of_every_model(seen):
    clusters = read_csv(seen / "trained" / "clusters.csv")
    assert {row["method"] for row in clusters} == {"cloze", "untrained"}
    assert {path.stem for path in (seen / "trained" / "figures").iterdir()} == {"clusters"}
    assert len(json.loads((seen / "trained" / "result.json").read_text())["sentences"]) == 3


def test_the_page_shows_both_and_other_settings_are_told_apart(seen):
    page = (seen / "report" / "report.html").read_text()
    assert "Blocks planted" in page
    assert "The parts of trained networks" in page
    planted, trained = BEYOND.named("planted") + BEYOND.named("trained")
    other = BeyondConfig.model_validate(TINY | {"planted": {"blocks": [3]}})
    assert stands(stage_of(planted, BEYOND, CONFIG, seen), seen / "planted")
    assert not stands(stage_of(planted, BEYOND, other, seen), seen / "planted")
    assert stands(stage_of(trained, BEYOND, other, seen), seen / "trained")


def test_a_model_that_is_named_is_read_with_its_zoo(seen, tmp_path):
    config = BeyondConfig(model=str(seen / "shared" / "models" / "multipliers"))
    context = Context(config, tmp_path, Progress())
    model, zoo = pretrained(context)
    assert model.decoder is not None
    assert zoo.spec == MULTIPLIER
    assert set(context.used) == {"model", "zoo"}
    assert not list(tmp_path.iterdir())
    other = BeyondConfig(model=str(seen / "shared" / "models" / "multipliers"), zoo=str(seen / "shared" / "wide"))
    with pytest.raises(MetarepError, match="was not made from"):
        pretrained(Context(other, tmp_path, Progress()))


class Oracle:
    """Names windows by their exact geometry."""

    def modes(self, params):
        return label_modes(MULTIPLIER, params).mode.astype(str)


def test_what_is_found_is_counted_by_blocks():
    params = np.random.default_rng(0).standard_normal((3, 9))
    planted = plant(params, rng=np.random.default_rng(1))
    pairs = np.array([np.flatnonzero(planted.block == number) for number in range(3)])
    right = judged(planted, pairs, params, np.arange(3), Oracle())
    assert right.found.all()
    assert right.named.all()
    crossed = judged(planted, np.array([[pairs[0, 0], pairs[1, 0]]]), params[:1], np.array([0]), Oracle())
    assert not crossed.found.any()
    row = summarised(Setting("zoo", 3, 0.0), CLOZE, [right, crossed], n_bootstraps=50, seed=0)
    assert row["found"] == pytest.approx(0.5)
    assert row["named_of_found"] == 1
    nothing = Judged(crossed.found, crossed.named)
    assert summarised(Setting("zoo", 3, 0.0), CLOZE, [nothing], n_bootstraps=20, seed=0)["named_of_found"] is None


def planted_row(method, sigma, found, k=2):
    row = {"blocks": "zoo", "method": method, "sigma": sigma, "k": k}
    return row | {"found": found, "found_low": found - 0.02, "found_high": found + 0.02}


def test_sentences_about_planted_blocks_follow_the_numbers():
    rows = [planted_row(method, 0, 0.95) for method in METHODS]
    ahead = [planted_row(method, sigma, 0.9 if method == CLOZE else 0.9 - sigma) for sigma in (0, 0.4) for method in METHODS]
    assert "ahead at 0.4" in noise(ahead)
    assert "nowhere" in noise(rows)
    assert "breaks as it must" in control([planted_row(method, 0, 0.2) for method in METHODS], rows)
    assert "does not break" in control(rows, rows)


def network_of_four(rng):
    """Units 0 to 3 feed the output; unit 4 says nothing."""
    return OneHidden(rng.standard_normal((5, 2)), rng.random(5), np.array([[1.0, -2.0, 1.5, 1.0, 0]]), np.zeros(1))


def test_rises_are_those_of_the_ablated_network():
    rng = np.random.default_rng(0)
    network, x, y = network_of_four(rng), rng.standard_normal((50, 2)), rng.standard_normal(50)
    hidden = np.maximum(x @ network.weight.T + network.bias, 0)
    without = hidden.copy()
    without[:, [0, 2]] = hidden[:, [0, 2]].mean(axis=0)
    errors = [np.square(h @ network.readout[0] - y).mean() for h in (without, hidden)]
    found = Ablated.on(network, x, y)
    assert found.rises(np.array([[True, False, True, False, False]]))[0] == pytest.approx(errors[0] - errors[1])
    np.testing.assert_allclose(found.off, (hidden == 0).mean(axis=0))


def test_ablated_clusters_cost_what_their_units_say():
    rng, networks = np.random.default_rng(0), []
    for _ in range(6):
        network, x = network_of_four(rng), rng.random((100, 2))
        networks.append(Ablated.on(network, x, np.maximum(x @ network.weight.T + network.bias, 0) @ network.readout[0]))
    labels = np.tile([0, 0, 0, 0, 1], (6, 1))
    rows = cluster_rows(networks, labels, n_random=30, n_bootstraps=50, seed=0)
    assert rows[1]["rise"] == pytest.approx(0, abs=1e-12)
    assert rows[0]["ratio"] > 1
    assert "idle 1" in ablated([{"method": CLOZE} | row for row in rows], CLOZE)


def test_clusters_of_units_are_as_many_as_there_are_kinds():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, (40, 4))
    told = np.eye(3)[kinds].repeat(5, axis=2) + 0.01 * rng.standard_normal((40, 4, 15))
    found = cluster_units(told[:30], told[30:], (2, 3, 5), seed=0)
    assert found.shape == (10, 4)
    assert len({(a, b) for a, b in zip(found.ravel().tolist(), kinds[30:].ravel().tolist(), strict=True)}) == 3
