"""Kinds of embeddings: none knows the order of units, and each says in words what it needs."""

import math

import numpy as np
import pytest
import torch
from small_networks import TINY, imported_zoo, model_for, parts_of, plan_for, random_tensors, whole_networks

from metarep.embeddings.behaviour import activity_of, ordered, pattern_shares, predict_group
from metarep.embeddings.leave_one_out import entropy_in_turn, masked_in_turn
from metarep.embeddings.readout import read_networks
from metarep.embeddings.registry import KINDS, kind, kind_named, kind_names
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.specs import embed_params, param_of_token, plan_of_spec, segment_of
from metarep.embeddings.stage import embed_networks, embed_tensors, probe_space
from metarep.errors import MetarepError
from metarep.model.settings import PretrainConfig
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders
from metarep.networks.tensor_symmetry import permuted
from metarep.zoos.zoo import open_zoo

CONFIG = PretrainConfig(**TINY, behaviour_weight=1.0, n_probes=9)
SPEC = NetworkSpec.parse("2-3-1")
EVERY = ("states", "layers", "pooled", "certainty", "activity", "off_probabilities", "patterns", "contributions")
EVERY += ("function", "spread", "predictability")


@pytest.fixture(scope="module")
def model():
    return model_for(CONFIG, whole_networks("2-3-1"), whole_networks("2-4-3-1"))


def params_of(n: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, SPEC.n_params)).astype(np.float32)


def test_all_kinds_are_in_the_registry_with_a_description():
    assert {*EVERY, "densities"} == set(kind_names())  # densities are of mixtures, which models of whole networks do not have
    assert all(kind_named(name).description for name in EVERY)
    with pytest.raises(ValueError, match=r"one of .*states"):
        EmbedConfig(kind="nonsense")


@pytest.mark.parametrize("name", EVERY)
def test_no_kind_knows_the_order_of_units(model, name):
    params = params_of()
    first = embed_params(model, SPEC, params, name)
    for order in all_unit_orders(SPEC)[1:3]:
        np.testing.assert_array_equal(embed_params(model, SPEC, params[:, order], name), first)
    assert np.isfinite(first).all()
    assert first.std(axis=0).max() > 1e-4
    other = params.copy()
    other[:, [0, 1]] = other[:, [1, 0]]
    assert np.abs(embed_params(model, SPEC, other, name) - first).max() > 1e-4


@pytest.mark.parametrize("name", ["certainty", "activity", "off_probabilities", "contributions", "patterns"])
def test_ordered_kinds_do_not_need_the_canonical_order(model, name):
    """The readout alone, without canonical order, gives the same up to rounding; the tokens as they are do not."""
    networks = whole_networks("2-4-3-1", 6, seed=5)
    orders = [
        torch.stack([torch.randperm(u.n, generator=torch.Generator().manual_seed(i)) for i in range(6)])
        if u.interchangeable
        else None
        for u in networks.symmetries.groups
    ]
    space, found = probe_space(model, networks.plan), []
    for tensors in (networks.tensors, permuted(networks.tensors, networks.symmetries, orders)):
        found.append(read_networks(model, networks.plan, tensors, space=space))
    a, b = (kind_named(name).network(readout).float() for readout in found)
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    raw = [entropy_in_turn(model, readout.segment) for readout in found]
    assert (raw[0] - raw[1]).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("name", "objective", "behaviour", "words"),
    [
        ("certainty", "latent", 0.0, "predicted values"),
        ("predictability", "contrastive", 0.0, "predicted values"),
        ("activity", "cloze", 0.0, "not trained to predict behaviour"),
        ("function", "cloze", 0.0, "behaviour_weight=1"),
        ("densities", "cloze", 0.0, "n_gaussians=32"),
    ],
)
def test_a_model_that_lacks_what_a_kind_needs_says_so(name, objective, behaviour, words):
    untrained = model_for(PretrainConfig(**TINY, objective=objective, behaviour_weight=behaviour), whole_networks("2-3-1"))
    with pytest.raises(MetarepError, match=words):
        embed_params(untrained, SPEC, params_of(), name)


def test_networks_that_lack_what_a_kind_needs_are_named(model):
    wide = parts_of("2-60-1")
    large = plan_for("2-60-1")
    with pytest.raises(MetarepError, match="at most 128 parameters"):
        embed_tensors(model, large, random_tensors("2-60-1", 2), wide[1], "certainty")
    flat = parts_of("2-1")
    for name in ("states", "activity"):
        with pytest.raises(MetarepError, match="no hidden units"):
            embed_tensors(model, plan_for("2-1"), random_tensors("2-1", 2), flat[1], name)
    assert embed_tensors(model, plan_for("2-1"), random_tensors("2-1", 2), flat[1], "certainty").shape == (2, 3)
    with pytest.raises(MetarepError, match="not asked for the behaviour"):
        embed_tensors(model, plan_for("4-3-2"), random_tensors("4-3-2", 2), parts_of("4-3-2")[1], "activity")
    wide_layer = embed_tensors(model, large, random_tensors("2-60-1", 2), wide[1], "activity")
    assert wide_layer.shape == (2, 180)
    with pytest.raises(MetarepError, match="at most 16"):
        embed_tensors(model, large, random_tensors("2-60-1", 2), wide[1], "patterns")


def test_a_model_of_small_networks_reads_wider_ones(model):
    """Tensors and slots have the same names."""
    wider = embed_params(model, NetworkSpec.parse("2-16-1"), np.random.default_rng(0).normal(size=(3, 65)), "layers")
    assert wider.shape == embed_params(model, SPEC, params_of(3), "layers").shape
    plan, _ = plan_of_spec(model, NetworkSpec.parse("2-16-1"))
    assert not model.place(plan.shapes[0].layout).by_role.any()


def test_a_new_kind_is_one_decorated_function(model):
    try:

        @kind("largest", "largest state over all layers")
        def largest(readout):
            return readout.layer_states.amax(dim=1)

        assert embed_params(model, SPEC, params_of(), "largest").shape == (12, TINY["d_model"])
    finally:
        KINDS.pop("largest")


def test_leaving_one_out_masks_that_one_alone(model):
    plan, _ = plan_of_spec(model, SPEC)
    segment = segment_of(plan, SPEC, params_of(3))
    found = torch.cat([said.expectation() for _, said in masked_in_turn(model, segment, windows_per_batch=2)])
    entropy = entropy_in_turn(model, segment)
    for token in (0, 5, 12):
        mask = segment.no_mask
        mask[:, token] = True
        with torch.no_grad():
            said = model(segment, mask)
        torch.testing.assert_close(found[:, token], said.expectation()[:, token], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(entropy[:, token], said.entropy()[:, token, 0], atol=1e-5, rtol=1e-4)
    assert sorted(param_of_token(plan, SPEC)[:, 0].tolist()) == list(range(13))


def test_units_are_ordered_by_how_often_they_are_off():
    off = torch.tensor([[[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]])
    assert ordered(off, off)[0].mean(dim=1).tolist() == [0.0, 0.5, 1.0]
    assert activity_of([off]).tolist() == [[0.0, 0.5, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]]
    shares = pattern_shares(off[:, :2])
    mean, log, largest = shares.view(4, 3).T
    assert mean.sum() == pytest.approx(1.0)
    assert log.tolist() == pytest.approx([math.log10(one + 1e-3) for one in mean.tolist()], abs=1e-6)
    assert sorted(largest.tolist()) == [0.0, 0.0, 0.0, 1.0]
    assert pattern_shares(off[:, :1]).shape == (1, 0)


def test_predicted_behaviour_follows_the_units(model):
    networks = whole_networks("2-4-3-1", 3, seed=7)
    space, order = probe_space(model, networks.plan), torch.tensor([2, 0, 3, 1])
    moved = permuted(networks.tensors, networks.symmetries, [None, order.expand(3, -1), None, None])
    one, other = (read_networks(model, networks.plan, tensors, space=space) for tensors in (networks.tensors, moved))
    for values, after in zip(predict_group(one, 1, 25), predict_group(other, 1, 25), strict=True):
        assert values.shape == (3, 4, 25)
        torch.testing.assert_close(values[:, order], after, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["states", "layers", "certainty"])
def test_copies_average_over_symmetries(model, name):
    params, settings = params_of(), {"n_copies": 3, "copy_scale": 0.5}
    plain, averaged = embed_params(model, SPEC, params, name), embed_params(model, SPEC, params, name, **settings)
    assert np.abs(plain - averaged).max() > 1e-4
    np.testing.assert_allclose(embed_params(model, SPEC, params, name, n_copies=2, copy_scale=0.0), plain, atol=1e-4)


def test_networks_of_a_zoo_and_the_same_tensors_have_the_same_vectors(model, tmp_path):
    zoo = open_zoo(imported_zoo(tmp_path, ["2-3-1", "2-4-3-1"], 6)).finite()
    rows = np.flatnonzero([zoo.architecture_of(row).n_params == 13 for row in range(len(zoo))])[::-1]
    found = embed_networks(model, zoo, rows, EmbedConfig(kind="states"))
    tensors, symmetries = zoo.stacked(rows), zoo.symmetries[zoo.architecture[rows[0]]]
    plan = model.plan_of(zoo.architecture_of(int(rows[0])), symmetries)
    np.testing.assert_allclose(found, embed_tensors(model, plan, tensors, symmetries, "states"), atol=1e-5)
    with pytest.raises(MetarepError, match="different lengths"):
        embed_networks(model, zoo, np.arange(len(zoo)), EmbedConfig(kind="states"))
    assert embed_networks(model, zoo, np.arange(len(zoo)), EmbedConfig(kind="layers")).shape == (12, 6 * TINY["d_model"])
