"""Mixtures of Gaussians over units: their densities and completions, and what a model makes of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_networks import TINY, imported_zoo, model_for, plan_for, random_tensors, whole_networks, window_segments
from torch.distributions import MultivariateNormal

from metarep.embeddings.densities import unit_densities
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed
from metarep.embeddings.store import load_embeddings
from metarep.evaluation.imputers import fit_gaussian, fit_mixture
from metarep.model.masks import MaskRule, random_masks
from metarep.model.mixture import UnitMixture, at_scale_1, unitwise
from metarep.model.pretraining import load_model, pretrain
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import untrained_like
from metarep.progress import Progress
from metarep.tables import read_csv

N_VALUES, N_SUBSPACES = 12, 3


def planted(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Units (n, 12) of three planes, and which one each lies in; the planes differ, the variances of the values hardly."""
    rng = np.random.default_rng(seed)
    planes = np.linalg.qr(np.random.default_rng(0).normal(size=(N_VALUES, N_VALUES)))[0].reshape(N_VALUES, N_SUBSPACES, -1)
    which = rng.integers(N_SUBSPACES, size=n)
    units = np.einsum("lkr,nr->nkl", planes, rng.normal(size=(n, planes.shape[2])))[np.arange(n), which]
    return units * rng.uniform(0.5, 2, size=(n, 1)) + 0.02 * rng.normal(size=units.shape), which


@pytest.fixture(scope="module")
def fitted() -> UnitMixture:
    """A mixture of planted units."""
    return UnitMixture(N_VALUES, 6, 4).fit(planted(2000, seed=1)[0], seed=0)


def dense(mixture: UnitMixture, k: int, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and covariance of some values under one Gaussian, float64."""
    loadings = mixture.loadings[k].double().numpy()
    covariance = loadings @ loadings.T + float(mixture.noise[k]) * np.eye(N_VALUES)
    return mixture.mean[k].double().numpy()[seen], covariance[np.ix_(seen, seen)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # a GPU computes in double precision
def test_densities_are_those_of_the_dense_gaussians(fitted, dtype):
    units = torch.from_numpy(planted(5, seed=2)[0])
    scaled, _ = at_scale_1(units, torch.ones(1, N_VALUES))
    for k in range(6):
        mean, covariance = (torch.from_numpy(part) for part in dense(fitted, k, np.ones(N_VALUES, bool)))
        expected = MultivariateNormal(mean, covariance).log_prob(scaled)
        torch.testing.assert_close(fitted.log_densities(units.to(dtype))[:, k].double(), expected, rtol=1e-4, atol=1e-3)


def test_a_completion_is_the_conditional_mean_of_the_mixture(fitted):
    units, rng = planted(4, seed=3)[0], np.random.default_rng(0)
    seen = rng.random(units.shape) < 0.6
    found = fitted.complete(torch.from_numpy(units).float(), torch.from_numpy(seen))
    for row, shown in enumerate(seen):
        scale = np.sqrt(np.mean(units[row, shown] ** 2))
        log_weights, means = [], []
        for k in range(6):
            whole, covariance = dense(fitted, k, np.ones(N_VALUES, bool))
            off = units[row, shown] / scale - whole[shown]
            inner = covariance[np.ix_(shown, shown)]
            log_det = np.linalg.slogdet(inner)[1]
            log_weights.append(float(fitted.log_weight[k]) - 0.5 * (off @ np.linalg.solve(inner, off) + log_det))
            means.append(whole + covariance[:, shown] @ np.linalg.solve(inner, off))
        weights = np.exp(np.array(log_weights) - max(log_weights))
        expected = (weights / weights.sum()) @ np.array(means) * scale
        hidden = ~shown
        np.testing.assert_allclose(found[row].numpy()[hidden], expected[hidden], rtol=2e-3, atol=2e-3)


def test_units_of_planted_subspaces_are_completed_and_told_apart(fitted):
    units, which = planted(500, seed=4)
    mask = np.arange(N_VALUES) < 4
    rows = planted(2000, seed=1)[0]
    left = {
        "mixture": fit_mixture(rows, [np.arange(N_VALUES)], 1, 6)(units, mask),
        "gaussian": fit_gaussian(rows, [np.arange(N_VALUES)]).predict(units, mask),
    }
    r2 = {name: 1 - np.square(said - units[:, mask]).sum() / np.square(units[:, mask]).sum() for name, said in left.items()}
    assert r2["mixture"] > 0.8
    assert r2["gaussian"] < 0.2
    likeliest = fitted.log_densities(torch.from_numpy(units).float()).argmax(dim=1).numpy()
    purity = sum(np.bincount(which[likeliest == k]).max() for k in np.unique(likeliest)) / len(units)
    assert purity > 0.98


def test_a_fit_is_reproducible_and_few_units_get_few_gaussians():
    units = planted(70, seed=5)[0]
    one, other = (UnitMixture(N_VALUES, 6, 4).fit(units, seed=0) for _ in range(2))
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)
    assert int(torch.isfinite(one.log_weight).sum()) == 3
    seen = torch.from_numpy(np.random.default_rng(0).random(units.shape) < 0.5)
    assert bool(torch.isfinite(one.complete(torch.from_numpy(units).float(), seen)).all())


def test_windows_of_one_view_are_read_unit_by_unit():
    plan = plan_for("5-12-3", chunk=4, context=8)
    tensors = random_tensors("5-12-3", 1)
    hidden = next(view for view in plan.views if view.is_hidden)
    own = torch.cat([tensors["0.weight"][0], tensors["0.bias"][0, :, None], tensors["2.weight"][0].T], dim=1)
    seen = 0
    for segment in window_segments(plan, tensors):
        read = unitwise(segment.layout)
        if read is None or read.index.shape[1] != own.shape[1]:
            continue
        values = segment.values.flatten(1)[:, read.index].flatten(0, 1)
        seen += len(values)
        assert all(bool((values[i].sort().values == own.sort(dim=1).values).all(dim=1).any()) for i in range(len(values)))
    assert seen >= hidden.units.n
    assert unitwise(plan_for("2-2-1").shapes[0].layout) is None


@pytest.fixture(scope="module", params=[False, True], ids=["", "slot vectors"])
def mixing(request):
    """A model with a mixture over the hidden units of 5-12-3 networks, and windows of such."""
    config = PretrainConfig(**TINY, chunk=4, context=16, n_gaussians=3, gaussian_rank=4, slot_vectors=request.param)
    plan = plan_for("5-12-3", chunk=4, context=16)
    model = model_for(config, plans=[plan])
    windows = window_segments(plan, random_tensors("5-12-3", 40, seed=1))
    segment = next(one for one in windows if model.place(one.layout).mixture >= 0)
    model.mixtures[model.place(segment.layout).mixture].fit(model.unit_values(segment).numpy(), seed=0)
    return model, segment


def test_what_a_mask_hides_is_not_seen(mixing):
    model, segment = mixing
    mask = random_masks(segment, MaskRule((0.5, 0.5), values=1.0), generator=torch.Generator().manual_seed(0))
    other = replace(segment, values=segment.values + 7.0 * mask)
    assert not torch.equal(other.values, segment.values)
    said, as_said = (model.guessed(one, mask).guess for one in (segment, other))
    torch.testing.assert_close(said, as_said)
    assert bool((said[mask] != 0).any())
    assert bool((said[~mask] == 0).all())
    torch.testing.assert_close(model(segment, mask).expectation()[mask], model(other, mask).expectation()[mask])


def test_what_the_mixture_says_is_added_to_every_mean(mixing):
    model, segment = mixing
    mask = segment.no_mask
    mask[:, 0, 0] = True
    guessed = model.guessed(segment, mask)
    states = model.encode([guessed], [mask])[0]
    added = model.predicted(states, guessed).mean - model.predicted(states, segment).mean
    torch.testing.assert_close(added, guessed.guess.unsqueeze(-1).expand_as(added), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model(segment, mask).mean, model.predicted(states, guessed).mean)
    assert bool(guessed.guess.any())


def test_a_whole_network_has_no_mixture_and_is_read_as_before():
    source = whole_networks("2-2-1")
    model = model_for(PretrainConfig(**TINY, n_gaussians=3), source)
    assert not model.mixtures
    segment = source.segment(source.tensors)
    assert model.guessed(segment, segment.no_mask) is segment
    assert not unit_densities(model, segment).any()


def test_tokens_of_a_unit_have_its_densities(mixing):
    model, segment = mixing
    found, at = unit_densities(model, segment), model.place(segment.layout)
    first = at.mixture * model.n_gaussians
    expected = model.mixtures[at.mixture].log_densities(model.unit_values(segment)) / at.unit_values.shape[1]
    expected = expected.view(len(segment), len(segment.layout.units), -1)
    for unit, tokens in enumerate(segment.layout.units):
        own = found[:, tokens]
        torch.testing.assert_close(
            own[..., first : first + model.n_gaussians], expected[:, unit, None].expand(own.shape[0], own.shape[1], -1)
        )
        others = torch.cat([own[..., :first], own[..., first + model.n_gaussians :]], dim=-1)
        assert not others.any()


def test_units_that_hold_other_values_have_mixtures_of_their_own():
    """Names differ with the number of values, the side and the place; equal units of two architectures share one."""
    names = {}
    for network in ("5-9-10-3", "5-9-11-3", "5-9-10-4"):
        for view in plan_for(network, chunk=4, context=16).shapes:
            read = unitwise(view.layout)
            if read is not None:
                assert names.setdefault(read.name, read.index.shape[1]) == read.index.shape[1]
    model = model_for(
        PretrainConfig(**TINY, chunk=4, context=16, n_gaussians=2),
        plans=[plan_for(network, chunk=4, context=16) for network in ("5-9-10-3", "5-9-11-3")],
    )
    for network in ("5-9-10-3", "5-9-11-3"):
        for segment in window_segments(plan_for(network, chunk=4, context=16), random_tensors(network, 3)):
            said = model(segment, random_masks(segment, MaskRule((0.5, 0.9)), generator=torch.Generator().manual_seed(0)))
            assert bool(torch.isfinite(said.expectation()).all())


def test_a_pretrained_mixture_is_saved_and_the_control_has_it_too(tmp_path):
    zoo = imported_zoo(tmp_path, ["5-12-3"])
    settings = PretrainConfig(**TINY, n_steps=2, eval_every=2, chunk=4, context=16, n_gaussians=3, gaussian_rank=4)
    model = load_model(pretrain(settings, zoo, tmp_path / "model"))
    assert len(model.mixtures) > 0
    control = untrained_like(model, seed=1)
    for one, other in zip(model.mixtures, control.mixtures, strict=True):
        assert float(one.loadings.abs().max()) > 0
        torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)
    halves = settings.model_copy(update={"accumulate": 2})
    pretrain(halves, zoo, tmp_path / "halves")
    one, other = (read_csv(tmp_path / name / "log.csv")[-1]["train_loss"] for name in ("model", "halves"))
    assert one == pytest.approx(other, rel=1e-4)
    embedded = embed(EmbedConfig(kind="densities", parts=("network", "unit")), tmp_path / "model", zoo, tmp_path / "densities")
    assert np.isfinite(load_embeddings(embedded, part="unit").vectors).all()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_units_seen_whole_or_not_at_all_are_completed(fitted, share):
    units = torch.from_numpy(planted(6, seed=7)[0]).float()
    found = fitted.complete(units, torch.full(units.shape, bool(share)))
    expected = (fitted.log_weight.exp() @ fitted.mean).expand_as(found)
    if not share:
        torch.testing.assert_close(found, expected)
    assert bool(torch.isfinite(found).all())


def test_a_mixture_that_nothing_can_be_fitted_to_is_said(tmp_path, capsys):
    zoo = imported_zoo(tmp_path, ["2-2-1"])
    settings = PretrainConfig(**TINY, n_steps=1, eval_every=1, n_gaussians=3)
    pretrain(settings, zoo, tmp_path / "model", progress=Progress("plain"))
    assert "no mixtures" in capsys.readouterr().err
    with pytest.raises(ValueError, match="objective=cloze"):
        PretrainConfig(objective="contrastive", n_gaussians=3)
