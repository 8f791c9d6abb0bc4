"""Masks: shares, whole units, single values; something is seen and something masked; every token once."""

import pytest
import torch
from small_networks import plan_for, random_tensors, window_segments

from metarep.model.masks import MaskRule, fold_masks, leave_one_out_masks, random_masks


def drawn(rule: MaskRule, name: str = "5-40-3", *, chunk: int = 1, context: int = 128, n: int = 400):
    """Masks of n windows of one layout, and the layout."""
    plan = plan_for(name, chunk=chunk, context=context)
    segment = window_segments(plan, random_tensors(name, n))[0]
    return random_masks(segment, rule, generator=torch.Generator().manual_seed(0)), segment.layout


@pytest.mark.parametrize("chunk", [1, 4])
@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.95, 1.0])
def test_a_share_of_the_tokens_is_masked_and_one_is_seen(ratio, chunk):
    masks, layout = drawn(MaskRule((ratio, ratio)), chunk=chunk)
    tokens = masks.any(dim=-1)
    n = tokens.sum(dim=1)
    assert (n == min(max(1, round(ratio * layout.n_tokens)), layout.n_tokens - 1)).all()
    assert torch.equal(masks, tokens.unsqueeze(-1) & layout.present)
    assert tokens.float().mean(dim=0).std() < 0.05


def test_ratios_are_uniform_between_the_two():
    masks, layout = drawn(MaskRule((0.2, 0.8)), n=2000)
    share = masks.any(dim=-1).float().mean(dim=1)
    assert share.min() >= 0.2 - 1 / layout.n_tokens
    assert share.max() <= 0.8 + 1 / layout.n_tokens
    assert share.mean() == pytest.approx(0.5, abs=0.03)
    assert share.quantile(0.25) == pytest.approx(0.35, abs=0.04)


@pytest.mark.parametrize("ratio", [0.3, 0.95])
def test_single_values_are_masked_within_tokens(ratio):
    masks, layout = drawn(MaskRule((ratio, ratio), values=1.0), chunk=4)
    n_values = int(layout.present.sum())
    assert (masks.flatten(1).sum(dim=1) == min(round(ratio * n_values), n_values - 1)).all()
    assert not (masks & ~layout.present).any()
    partly = masks.any(dim=-1) & (layout.present & ~masks).any(dim=-1)
    assert partly.any(dim=1).float().mean() > 0.5


def test_whole_units_are_masked_alone():
    masks, layout = drawn(MaskRule((0.1, 0.6), units=1.0))
    tokens = masks.any(dim=-1)
    assert all(any(torch.equal(row, unit) for unit in layout.units) for row in tokens[:50])
    chosen = torch.stack([(tokens == unit).all(dim=1) for unit in layout.units], dim=1)
    assert chosen.float().mean(dim=0).std() < 0.1
    assert bool((~tokens).any(dim=1).all())


def test_a_share_of_windows_masks_nothing():
    masks, _ = drawn(MaskRule((0.1, 0.6), units=0.3, none=0.4), n=2000)
    assert (~masks.flatten(1).any(dim=1)).float().mean() == pytest.approx(0.4, abs=0.04)


def test_a_single_token_is_masked():
    """Nothing else could be predicted of such a window."""
    masks, layout = drawn(MaskRule((0.1, 0.6), units=0.5), "1-1", chunk=4)
    assert layout.n_tokens == 2
    plan = plan_for("2-2-1", chunk=16)
    assert bool(masks.flatten(1).any(dim=1).all())
    assert plan.whole


@pytest.mark.parametrize("name", ["2-2-1", "5-40-3"])
def test_folds_mask_each_token_once_and_leave_one_out_one_at_a_time(name):
    layout = plan_for(name, chunk=4, context=64).shapes[0].layout
    folds = fold_masks(layout)
    assert torch.equal(folds.sum(dim=0), layout.present.long())
    assert len(folds) <= 8
    alone = leave_one_out_masks(layout)
    assert torch.equal(alone.any(dim=-1), torch.eye(layout.n_tokens, dtype=torch.bool))
