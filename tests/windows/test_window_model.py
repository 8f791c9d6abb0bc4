"""The window model: padding and company change nothing, what is hidden is not seen, it can learn."""

import pytest
import torch

from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of
from metarep.networks.spec import NetworkSpec
from metarep.windows.bank import random_masks
from metarep.windows.model import WindowModel, collate, masked_loss, relations
from metarep.windows.plan import build_plan
from metarep.windows.pretrain import fold_masks
from metarep.zoos.parameters import architecture_of_spec


def windows_of(text: str, *, chunk: int, context: int, seed: int = 0):
    """Values and places of every window of a random network."""
    architecture = architecture_of_spec(NetworkSpec.parse(text))
    generator = torch.Generator().manual_seed(seed)
    tensors = {t.name: torch.randn(t.shape, generator=generator) for t in architecture.tensors}
    plan = build_plan(architecture, symmetries_of(architecture), chunk=chunk, context=context, overlap=0.25)
    values = plan.values(tensors)
    return [plan.window_values(window, values) for window in plan.windows], [plan.places(window) for window in plan.windows]


def windows_of_two(**how):
    """Those of a small network, which is one window, and of a larger one."""
    return tuple(a + b for a, b in zip(windows_of("2-2-1", **how), windows_of("3-9-2", **how), strict=True))


def fresh_model(**changes) -> WindowModel:
    torch.manual_seed(0)
    model = WindowModel(**{"chunk": 2, "context": 32, "d_model": 16, "n_layers": 2, "n_heads": 2} | changes)
    for block in model.blocks:
        torch.nn.init.normal_(block.relation_bias)  # starts at 0, where no test would see it
    return model.eval()


@pytest.mark.parametrize("length", [None, 50])
def test_padding_and_company_change_nothing(length):
    values, places = windows_of_two(chunk=2, context=32)
    model = fresh_model()
    together = collate(values, places, length=length)
    mask = random_masks(together, ratio=(0.2, 0.5), unit_share=0.0, generator=torch.Generator().manual_seed(1))
    states = model.encode(together, mask)
    for row, (one, at) in enumerate(zip(values, places, strict=True)):
        alone = model.encode(collate([one], [at]), mask[row : row + 1, : len(one)])
        torch.testing.assert_close(states[row, : len(one)], alone[0], atol=2e-6, rtol=1e-5)


def test_padding_that_were_seen_would_show():
    """The control: without the cut the same padding does change the states."""
    values, places = windows_of("2-2-1", chunk=2, context=32)
    model = fresh_model()
    padded = collate(values, places, length=40)
    seen = padded._replace(real=torch.ones_like(padded.real))
    mask = torch.zeros_like(padded.real)
    n = len(values[0])
    assert (model.encode(padded, mask)[0, :n] - model.encode(seen, mask)[0, :n]).abs().max() > 1e-3


def test_hidden_values_are_not_seen():
    values, places = windows_of("2-2-1", chunk=1, context=32)
    model = fresh_model(chunk=1)
    batch = collate(values, places)
    mask = torch.zeros_like(batch.real)
    mask[0, 3] = True
    other = batch._replace(values=torch.where(mask.unsqueeze(-1), 7.0, batch.values))
    assert torch.equal(model.encode(batch, mask), model.encode(other, mask))
    assert not torch.equal(model.encode(batch, ~batch.real), model.encode(other, ~batch.real))


def test_normalisation_comes_back():
    values, places = windows_of("4-30-3", chunk=2, context=32)
    batch = collate(values, places)
    model = fresh_model()
    model.fit_normalisation([batch])
    z = model.normalise(batch)
    torch.testing.assert_close(model.denormalise(z, batch), torch.where(batch.present, batch.values, 0.0), atol=1e-4, rtol=1e-4)
    seen = torch.sinh(z)[batch.present & (batch.ids[..., 4:] == batch.ids[0, 0, 4])]
    assert abs(float(seen.mean())) < 0.2
    assert 0.8 < float(seen.std()) < 1.2


def test_relations_are_those_of_the_units():
    values, places = windows_of("2-2-1", chunk=1, context=32)
    batch = collate(values, places)
    relation = relations(batch.feeds, batch.reads)[0]
    names = {tuple(batch.feeds[0, i].tolist()) + tuple(batch.reads[0, i].tolist()): i for i in range(9)}
    assert len(names) == 9
    assert (relation.diagonal() == 16).all()
    feeds, reads = batch.feeds[0], batch.reads[0]
    for i in range(9):
        for j in range(9):
            if i == j:
                continue
            same = lambda a, b: int(a[0] >= 0 and torch.equal(a, b))  # noqa: E731
            expected = same(feeds[i], feeds[j]) + 2 * same(reads[i], reads[j])
            expected += 4 * same(feeds[i], reads[j]) + 8 * same(reads[i], feeds[j])
            assert int(relation[i, j]) == expected


def test_masks_hide_tokens_never_padding_and_leave_some():
    values, places = windows_of_two(chunk=1, context=64)
    batch = collate(values, places, length=80)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        mask = random_masks(batch, ratio=(0.1, 0.9), unit_share=0.5, generator=generator)
        assert not (mask & ~batch.real).any()
        assert mask.any(dim=1).all()
        assert (batch.real & ~mask).any(dim=1).all()


def test_a_hidden_unit_is_hidden_whole():
    values, places = windows_of("2-2-1", chunk=1, context=32)
    batch = collate(values * 64, places * 64)
    mask = random_masks(batch, ratio=(0.1, 0.1), unit_share=1.0, generator=torch.Generator().manual_seed(0))
    sizes = mask.sum(dim=1)
    assert set(sizes.tolist()) >= {4, 3}  # a hidden unit: two weights, a bias, an outgoing weight; the output: three


def test_folds_hide_everything_once():
    real = torch.ones(3, 21, dtype=torch.bool)
    real[1, 5:] = False
    assert torch.equal(sum(mask.int() for mask in fold_masks(real)), real.int())


def test_one_batch_is_learned_by_heart():
    values, places = windows_of("2-3-1", chunk=2, context=32)
    batch = collate(values * 4, places * 4)
    model = fresh_model(d_model=32).train()
    model.fit_normalisation([batch])
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    mask = random_masks(batch, ratio=(0.3, 0.3), unit_share=0.0, generator=torch.Generator().manual_seed(0))
    first = float(masked_loss(model, batch, mask).detach())
    for _ in range(150):
        loss = masked_loss(model, batch, mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < first - 1.5


def test_kinds_it_never_saw_still_have_a_place():
    architecture = read_architecture([("a.odd", (3, 2, 2, 2, 2), "float32"), ("b.weight_ih_l0", (8, 3), "float16")])
    plan = build_plan(architecture, symmetries_of(architecture), chunk=2, context=32, overlap=0.0)
    tensors = {t.name: torch.randn(t.shape) for t in architecture.tensors}
    batch = collate([plan.window_values(w, plan.values(tensors)) for w in plan.windows], [plan.places(w) for w in plan.windows])
    assert torch.isfinite(fresh_model().encode(batch, torch.zeros_like(batch.real))).all()
