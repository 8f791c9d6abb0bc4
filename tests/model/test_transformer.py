"""The model: equivariant where units are interchangeable and only there, the same in any company, blind to what is masked."""

import pytest
import torch
from small_networks import (
    TINY,
    architecture_with,
    model_for,
    parts_of,
    plan_for,
    random_tensors,
    whole_networks,
    window_segments,
)

from metarep.embeddings.readout import read_networks
from metarep.embeddings.stage import embed_tensors
from metarep.model.masks import MaskRule, random_masks
from metarep.model.pretraining import MAX_POSITIONS
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel
from metarep.model.waves import moved_waves, waves_at
from metarep.networks.tensor_symmetry import permuted

CONFIG = PretrainConfig(**TINY)
DEEP = "2-4-3-1"
UNKNOWN = architecture_with({"fc1.weight": (6, 40), "fc1.bias": (6,), "fc2.weight": (5, 6), "fc2.bias": (5,)})


def random_orders(symmetries, n: int, seed: int = 1):
    """For each interchangeable group a random order of its units, for each of n networks."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(n, u.n, generator=generator).argsort(dim=1) if u.interchangeable else None for u in symmetries.groups]


def predicted(model, plan, tensors, masked) -> torch.Tensor:
    """(B, P): what is expected of every parameter, in the order of the tensors, where those with masked (B, P) are masked."""
    flat = torch.cat([value.flatten(1) for value in tensors.values()], dim=1)
    split = lambda values: {  # noqa: E731
        name: part.view_as(tensors[name])
        for (name, value), part in zip(tensors.items(), values.split([v[0].numel() for v in tensors.values()], 1), strict=True)
    }
    (segment,) = window_segments(plan, tensors)
    at = plan.whole_values(split(torch.arange(flat.shape[1]).expand_as(flat).float()))[0, :, 0].long()
    mask = plan.whole_values(split(masked.float())).bool()
    found = torch.empty_like(flat)
    with torch.no_grad():
        found[:, at] = model(segment, mask).expectation()[..., 0]
    return found


@pytest.mark.parametrize(("positions", "same"), [("relational", True), ("indexed", False)])
def test_predictions_permute_with_the_units_unless_units_are_numbered(positions, same):
    config = CONFIG.model_copy(update={"positions": positions})
    networks = whole_networks(DEEP, indexed=positions == "indexed")
    model, symmetries = model_for(config, networks), networks.symmetries
    tensors, orders = random_tensors(DEEP, 5, seed=3), random_orders(symmetries, 5)
    n = sum(value[0].numel() for value in tensors.values())
    masked = torch.rand(5, n, generator=torch.Generator().manual_seed(4)) < 0.3
    places = torch.arange(n).expand(5, n).split([value[0].numel() for value in tensors.values()], dim=1)
    places = {name: part.view_as(tensors[name]) for name, part in zip(tensors, places, strict=True)}
    order = torch.cat([part.flatten(1) for part in permuted(places, symmetries, orders).values()], dim=1)
    before = predicted(model, networks.plan, tensors, masked).gather(1, order)
    after = predicted(model, networks.plan, permuted(tensors, symmetries, orders), masked.gather(1, order))
    assert torch.allclose(before, after, atol=2e-5) == same
    assert before.std() > 0.05


def layer_states(model, plan, tensors) -> torch.Tensor:
    return read_networks(model, plan, tensors).layer_states.float()


@pytest.mark.parametrize(("positions", "same"), [("relational", True), ("indexed", False)])
def test_states_of_layers_do_not_know_the_order_of_units_unless_units_are_numbered(positions, same):
    networks = whole_networks(DEEP, indexed=positions == "indexed")
    model = model_for(CONFIG.model_copy(update={"positions": positions}), networks)
    tensors = random_tensors(DEEP, 5, seed=3)
    moved = permuted(tensors, networks.symmetries, random_orders(networks.symmetries, 5))
    states, after = (layer_states(model, networks.plan, one) for one in (tensors, moved))
    assert torch.allclose(states, after, atol=2e-5) == same


@pytest.mark.parametrize("name", ["2-2-1", "5-40-3"])
@pytest.mark.parametrize("known", [True, False])
def test_inputs_are_not_interchangeable(name, known):
    """Permuting input columns changes embeddings, for axes that the model learned and for those that it never saw."""
    model = model_for(CONFIG, *([whole_networks("2-2-1")] if not known else []), plans=[plan_for(name)] if known else [])
    (architecture, symmetries), tensors = parts_of(name), random_tensors(name, 4)
    moved = tensors | {"0.weight": tensors["0.weight"].flip(2)}
    plan = model.plan_of(architecture, symmetries)
    before, after = (embed_tensors(model, plan, one, symmetries, "layers") for one in (tensors, moved))
    assert abs(before - after).max() > 1e-3


@pytest.mark.parametrize("name", ["2-16-1", "5-40-3", "4-30-20-2"])
def test_embeddings_do_not_know_the_order_of_units(name):
    architecture, symmetries = parts_of(name)
    model = model_for(CONFIG, plans=[plan_for(name, chunk=4, context=32)])
    plan, tensors = plan_for(name, chunk=4, context=32), random_tensors(name, 3)
    moved = permuted(tensors, symmetries, random_orders(symmetries, 3))
    before, after = (embed_tensors(model, plan, one, symmetries, "layers") for one in (tensors, moved))
    torch.testing.assert_close(torch.from_numpy(before), torch.from_numpy(after), atol=2e-5, rtol=1e-4)
    assert architecture.n_layers == name.count("-")


def test_a_window_gives_the_same_states_alone_and_packed_with_others():
    plans = [plan_for(name, chunk=2, context=24) for name in ("2-2-1", "3-9-2", "5-40-3")]
    model = model_for(CONFIG, plans=plans)
    names = ("2-2-1", "3-9-2", "5-40-3")
    batch = [s for name, plan in zip(names, plans, strict=True) for s in window_segments(plan, random_tensors(name, 2))]
    generator = torch.Generator().manual_seed(1)
    masks = [random_masks(segment, MaskRule((0.2, 0.5)), generator=generator) for segment in batch]
    with torch.no_grad():
        together = model.encode(batch, masks)
        for segment, mask, states in zip(batch, masks, together, strict=True):
            for row in range(len(segment)):
                alone = model.encode([segment.take(slice(row, row + 1))], [mask[row : row + 1]])[0]
                torch.testing.assert_close(alone[0], states[row], atol=5e-6, rtol=1e-4)
    assert len({segment.layout for segment in batch}) > 3


@pytest.mark.parametrize("chunk", [1, 4])
def test_masked_values_do_not_leak_and_seen_ones_tell(chunk):
    plan = plan_for("5-40-3", chunk=chunk, context=32)
    model = model_for(CONFIG, plans=[plan])
    rule = MaskRule((0.3, 0.6), values=0.5)
    for segment in window_segments(plan, random_tensors("5-40-3", 2)):
        mask = random_masks(segment, rule, generator=torch.Generator().manual_seed(0))
        changed = torch.where(mask, segment.values + 7, segment.values)
        seen = torch.where(mask | ~segment.layout.present, segment.values, segment.values + 1)
        with torch.no_grad():
            first, same, other = (
                model(type(segment)(segment.layout, values, segment.firsts), mask).mean
                for values in (segment.values, changed, seen)
            )
        assert torch.equal(first, same)
        assert not torch.allclose(first, other, atol=1e-3)


@pytest.mark.parametrize(("network", "chunk"), [("2-2-1", 1), ("5-40-3", 4)])
def test_a_slot_has_a_vector_for_its_values_and_one_for_its_predictions(network, chunk):
    """Changing the vectors of one slot changes what its own values add, and of what is predicted its own means alone."""
    plan = plan_for(network, chunk=chunk, context=32)
    model = model_for(CONFIG.model_copy(update={"slot_vectors": True}), plans=[plan])
    (name,) = [name for name in model.first_class if name.startswith("0.weight")]
    number = model.first_class[name] + 1
    for segment in window_segments(plan, random_tensors(network, 3)):
        own = (model.classes(segment) == number).expand(segment.values.shape) & segment.layout.present
        before, held = model(segment, segment.no_mask).mean, model.embed_tokens([segment], [segment.no_mask])
        with torch.no_grad():
            model.slot_out.weight[number] += torch.linspace(0, 1, model.d_model)
        moved = (model(segment, segment.no_mask).mean != before).any(dim=-1)
        assert torch.equal(moved, own)
        with torch.no_grad():
            model.slot_in.weight[number] += 1
        gained = (model.embed_tokens([segment], [segment.no_mask]) - held).view(*own.shape[:2], -1)
        expected = torch.where(own, model.normalise(segment), 0.0).sum(dim=-1, keepdim=True)
        torch.testing.assert_close(gained, expected.expand_as(gained), atol=1e-5, rtol=1e-4)


def test_slots_have_no_vectors_unless_they_are_asked_for():
    model = model_for(CONFIG, whole_networks("2-2-1"))
    assert not any(name.startswith("slot_") for name in model.state_dict())
    (segment,) = whole_networks("2-2-1").segments(torch.arange(4), CONFIG, generator=None)
    assert model(segment, segment.no_mask).mean.isfinite().all()


def test_normalisation_by_slot_and_by_role_comes_back():
    networks = whole_networks("2-2-1", 200)
    networks.tensors = {name: 3 * value + 5 for name, value in networks.tensors.items()}
    model, (segment,) = model_for(CONFIG, networks), networks.segments(torch.arange(200), CONFIG, generator=None)
    z = model.normalise(segment)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(9, 1), atol=0.2, rtol=0)
    torch.testing.assert_close(model.denormalise(z, segment), segment.values, atol=1e-4, rtol=1e-4)
    plan = plan_for(UNKNOWN, context=32)
    for one in window_segments(plan, random_tensors(UNKNOWN, 2)):
        assert bool(model.place(one.layout).by_role.all())
        torch.testing.assert_close(model.denormalise(model.normalise(one), one), one.values, atol=1e-4, rtol=1e-4)


def test_weights_are_normalised_by_their_fan_in_where_slots_are_not_shared():
    model, plan = model_for(CONFIG, plans=[plan_for("2-2-1")]), plan_for(UNKNOWN, context=1024)
    tensors = {name: value / value[0, 0].numel() ** 0.5 for name, value in random_tensors(UNKNOWN, 40).items()}
    (segment,) = window_segments(plan, tensors)
    scaled = torch.sinh(model.normalise(segment))
    spread = [scaled[:, (segment.layout.layer == layer) & (segment.layout.role == 1)].std() for layer in (0, 1)]
    assert float(spread[0] / spread[1]) == pytest.approx(1.0, rel=0.1)


def test_long_axes_and_unknown_ones_have_fourier_features():
    long = architecture_with({"0.weight": (3, MAX_POSITIONS + 4), "0.bias": (3,), "2.weight": (1, 3), "2.bias": (1,)})
    plan = plan_for(long, chunk=64, context=64)
    model = model_for(PretrainConfig(**TINY, chunk=64, context=64), plans=[plan])
    assert f"inputs:{MAX_POSITIONS + 4}" not in model.first_row
    shape = next(shape for shape in plan.shapes if shape.layout.role[0] == 1 and shape.layout.layer[0] == 0)
    at = model.place(shape.layout)
    along = shape.layout.coordinate_axis[2] >= 0
    assert not at.rows[2][along].any()
    assert len(at.fourier[along].unique(dim=0)) == int(along.sum())
    known = plan_for("2-2-1")
    assert not model_for(CONFIG, plans=[known]).place(known.shapes[0].layout).fourier.any()


@pytest.mark.parametrize("known", [True, False])
def test_each_output_of_many_windows_is_told_from_the_others(known):
    """Rows of one output in another's position give other states, whichever window they are in."""
    plan = plan_for("6-1-40", context=16)
    model = model_for(CONFIG, plans=[plan if known else plan_for("2-2-1")])
    tensors = random_tensors("6-1-40", 1)
    tensors = {name: torch.ones_like(value) for name, value in tensors.items()}
    shape, segment = next(
        (shape, segment)
        for shape, segment in zip(plan.shapes, window_segments(plan, tensors), strict=True)
        if plan.views[shape.stretches[0].view].n_units == 40
    )
    with torch.no_grad():
        states = model.states(segment)[:, 0]
    assert shape.n_windows > 2
    gaps = torch.cdist(states, states) + torch.eye(len(states))
    assert gaps.min() > 1e-4


def test_waves_that_are_moved_are_those_of_the_moved_positions():
    share, by = torch.rand(5), torch.rand(3, 5)
    torch.testing.assert_close(moved_waves(waves_at(share), by), waves_at(share + by), atol=1e-4, rtol=1e-4)


def test_a_saved_model_comes_back(tmp_path):
    networks = whole_networks("2-2-1")
    model = model_for(PretrainConfig(**TINY, behaviour_weight=1.0), networks)
    model.save_pretrained(tmp_path)
    again = ClozeModel.from_pretrained(tmp_path, local_files_only=True).eval()
    (segment,) = networks.segments(torch.arange(4), CONFIG, generator=None)
    with torch.no_grad():
        torch.testing.assert_close(again.states(segment), model.states(segment))
    assert list(again.decoder.spaces) == ["2 to 1"]
