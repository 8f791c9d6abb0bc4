"""Masked R² and its imputers: against slow references, planted structure, and permutations."""

import numpy as np
import pytest
import torch

from metarep.embeddings.stage import model_plan
from metarep.errors import MetarepError
from metarep.evaluation import imputers
from metarep.evaluation.imputers import RIDGE, fit_gaussian, fit_imputer, unit_orders
from metarep.evaluation.masked import blocks_of, fit_block, score
from metarep.evaluation.masked_r2 import masked_r2_rows
from metarep.evaluation.settings import MaskedR2Config
from metarep.model.pretraining import prepare
from metarep.model.settings import PretrainConfig
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders
from metarep.progress import Progress
from metarep.zoos.columns import Contents
from metarep.zoos.zoo import Zoo

SMALL = {"d_model": 8, "n_layers": 1, "n_heads": 2, "n_components": 2}
QUICK = MaskedR2Config(ratios=(0.5,), n_bootstraps=50, n_permutations=50)


def zoo_of(text="2-2-1", n=300, seed=0):
    """Networks whose output bias is the sum of the other parameters of their first unit, nearly."""
    spec, rng = NetworkSpec.parse(text), np.random.default_rng(seed)
    params = rng.standard_normal((n, spec.n_params))
    (weight, _), (outgoing, bias) = spec.unpack(params)
    bias[:, 0] = weight.sum(axis=(1, 2)) + outgoing.sum(axis=(1, 2)) + 0.1 * rng.standard_normal(n)
    names = np.array([f"n{i}" for i in range(n)], dtype=object)
    split = np.array(["train", "test", "valid"], dtype=object)[np.arange(n) % 3]
    columns = {"network_id": names, "run_id": names, "split": split, "snapshot_of": np.full(n, "", dtype=object)}
    columns |= {"finite": np.ones(n, dtype=bool), "spec": np.full(n, text, dtype=object), "params": params.astype(np.float32)}
    parity = np.where(np.arange(n) % 2, "odd", "even").astype(object)
    return Zoo(columns | {"parity": parity}, contents=Contents(None, ("parity",), ()))


def model_of(zoo, **settings):
    return prepare(PretrainConfig(**SMALL | settings), [zoo], progress=Progress()).model.eval()


@pytest.fixture(scope="module")
def rows():
    zoo = zoo_of()
    return masked_r2_rows(QUICK, model_of(zoo), zoo.where(split="train"), zoo.where(split="test"))


def of(rows, **wanted):
    return [row for row in rows if wanted.items() <= row.items()]


def test_what_is_planted_is_imputed_and_permutations_are_not(rows):
    (found,) = of(rows, masking="leave one out", predictor="linear_gaussian", group="slot", member="2.bias[·]")
    assert found["value"] > 0.9
    assert found["low"] <= found["value"] <= found["high"]
    assert found["null"] < 0
    for row in of(rows, predictor="mean", group="all"):
        assert row["value"] == pytest.approx(0, abs=0.05)
        assert row["null"] == pytest.approx(row["value"], abs=1e-9)


def test_every_value_is_masked_once_and_labels_part_the_networks(rows):
    for masking in ("one in eight", "leave one out"):
        for predictor in ("cloze", "mean", "window mean", "linear_gaussian"):
            (whole,) = of(rows, masking=masking, predictor=predictor, group="all")
            assert whole["n"] == 9 * 100
            for group in ("parity", "kind", "slot", "layer"):
                assert sum(row["n"] for row in of(rows, masking=masking, predictor=predictor, group=group)) == 900
    (half,) = of(rows, masking="random", ratio=0.5, predictor="cloze", group="all")
    assert half["n"] == 4 * 4 * 100  # four patterns of four values in nine


def test_the_gaussian_is_the_textbook_conditional():
    rng = np.random.default_rng(0)
    train, values = (rng.standard_normal((n, 5)) @ rng.standard_normal((5, 5)) for n in (400, 30))
    mask = np.array([True, False, False, True, False])
    found = fit_gaussian(train, [np.arange(5)]).predict(values, mask)
    covariance = np.cov(train.T, bias=True) + RIDGE * np.eye(5)
    weights = np.linalg.solve(covariance[np.ix_(~mask, ~mask)], covariance[np.ix_(~mask, mask)])
    slow = train.mean(axis=0)[mask] + (values[:, ~mask] - train.mean(axis=0)[~mask]) @ weights
    np.testing.assert_allclose(found, slow, atol=1e-8)


def test_few_factors_of_many_values_are_found(monkeypatch):
    rng = np.random.default_rng(0)
    loadings = rng.standard_normal((3, 60))
    train, values = (rng.standard_normal((n, 3)) @ loadings + 0.1 * rng.standard_normal((n, 60)) for n in (300, 50))
    mask = rng.random(60) < 0.8
    full = fit_gaussian(train, [np.arange(60)]).predict(values, mask)
    monkeypatch.setattr(imputers, "MAX_FULL", 10)
    monkeypatch.setattr(imputers, "RANK", 3)
    low = fit_gaussian(train, [np.arange(60)]).predict(values, mask)
    assert np.square(low - values[:, mask]).mean() < 1.2 * np.square(full - values[:, mask]).mean() < 0.05


@pytest.mark.parametrize("text", ["2-2-1", "2-3-1"])
def test_the_imputer_knows_no_order_of_units(text):
    """Orders are symmetries of the rows: the prediction for a network with its units in another order is as permuted."""
    zoo = zoo_of(text)
    model = model_of(zoo)
    (block,) = blocks_of(QUICK, model, zoo.where(split="train"), zoo.where(split="test"))
    orders = unit_orders(model_plan(model, zoo, 0), block.shape, zoo.symmetries[0])
    assert len(orders) == int(text[2])
    train, z = block.values(model, block.train), block.values(model, block.test)
    mask = np.zeros(z.shape[1], dtype=bool)
    mask[0] = True
    averaged, plain = fit_gaussian(train, orders), fit_gaussian(train, orders[:1])
    for order in orders[1:]:
        moved = np.argsort(order)
        other = mask[order]
        np.testing.assert_allclose(averaged.predict(z[:, order], other), averaged.predict(z, mask), atol=1e-8)
        assert np.abs(plain.predict(z[:, order], other) - plain.predict(z, mask)).max() > 1e-4
        assert sorted(moved) == list(range(len(order)))
    known = {tuple(order) for order in all_unit_orders(NetworkSpec.parse(text))} if text == "2-2-1" else None
    assert known is None or len(known) == len(orders)


def test_networks_larger_than_a_window_are_read_in_windows():
    zoo = zoo_of("2-16-1", n=90)
    model = model_of(zoo, context=16)
    config = QUICK.model_copy(update={"max_test_windows": 200, "maskings": ("one in eight", "leave one out")})
    train, test = zoo.where(split="train"), zoo.where(split="test")
    blocks = blocks_of(config, model, train, test)
    assert not any(block.plan.whole for block in blocks)
    found = masked_r2_rows(config, model, train, test)
    assert {row["masking"] for row in found} == {"one in eight"}
    assert all(np.isfinite(row["value"]) for row in of(found, group="all"))


def test_the_same_seed_gives_the_same_rows(rows):
    again = zoo_of()
    repeat = masked_r2_rows(QUICK, model_of(again), again.where(split="train"), again.where(split="test"))
    assert rows == repeat


def test_a_model_that_predicts_no_values_is_refused():
    zoo = zoo_of(n=30)
    model = model_of(zoo)
    model.head = None
    with pytest.raises(MetarepError, match="predict values"):
        masked_r2_rows(QUICK, model, zoo, zoo)


def test_masks_hide_what_they_mask():
    """Masked values change no prediction of them."""
    zoo = zoo_of(n=60)
    model = model_of(zoo)
    (block,) = blocks_of(QUICK, model, zoo.where(split="train"), zoo.where(split="test"))

    mask, fitted = torch.zeros_like(block.present), fit_block(QUICK, model, block)
    mask[:3] = True
    one = score(QUICK, model, block, fitted, mask[None]).predicted
    block.test.values[:, :3] += 5
    other = score(QUICK, model, block, fitted, mask[None]).predicted
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("shared", [False, True])
def test_the_imputer_reads_units_alone_unless_they_tell_of_one_another(shared):
    """A window of three units of four values, each of which holds one number; or all three hold the same one."""
    rng = np.random.default_rng(0)
    numbers = np.repeat(rng.standard_normal((400, 1 if shared else 3)), 3 if shared else 1, axis=1)
    rows = np.repeat(numbers, 4, axis=1) + 0.1 * rng.standard_normal((400, 12))
    orders = [np.roll(np.arange(12).reshape(3, 4), -turn, axis=0).reshape(-1) for turn in range(3)]
    train, test, mask = rows[:100], rows[100:], np.arange(12) < 4  # the first unit is masked whole
    of_rest = fit_imputer(train, orders, 3).predict(test, mask)
    left = np.square(test[:, mask] - of_rest).mean() / test[:, mask].var()
    assert left < 0.1 if shared else 0.95 < left < 1.1
    windows = fit_gaussian(train, orders).predict(test, mask)
    assert shared or np.square(test[:, mask] - of_rest).mean() < np.square(test[:, mask] - windows).mean()


def test_the_mean_is_that_of_the_training_values_of_a_slot():
    zoo = zoo_of(n=60)
    model = model_of(zoo)
    (block,) = blocks_of(QUICK, model, zoo.where(split="train"), zoo.where(split="test"))
    block.train.values[:] += torch.arange(block.train.values.shape[1]).view(1, -1, 1)
    fitted, mask = fit_block(QUICK, model, block), torch.zeros_like(block.present)
    mask[2:5] = True
    known = model.classes(block.train)[:, block.present].numpy()[0]
    wanted = {slot: block.values(model, block.train)[:, known == slot].mean() for slot in set(known.tolist())}
    found = score(QUICK, model, block, fitted, mask[None]).predicted["mean"]
    np.testing.assert_allclose(found[0], [wanted[slot] for slot in known[mask[block.present].numpy()].tolist()], rtol=1e-6)
