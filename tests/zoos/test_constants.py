"""What no network learned is told by values: by equal ones, whatever else differs, and by masks and tables of sines."""

import math

import pytest
import torch

from metarep.model.windows import plan_of
from metarep.networks.architecture import read_architecture
from metarep.networks.tensor_symmetry import random_symmetry
from metarep.zoos.account import read_account
from metarep.zoos.constants import Constants, is_mask, is_sines, seen_of
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo

OUT = -math.inf


def sines(n=20, d=16):
    angles = torch.arange(n)[:, None] * torch.exp(torch.arange(0, d, 2) * (-math.log(1e4) / d))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def network(seed, width=12, prefix="", dtype=torch.float32):
    draw = torch.Generator().manual_seed(seed)
    shapes = {"fc1.weight": (width, 4), "fc1.bias": (width,), "fc2.weight": (3, width), "fc2.bias": (3,)}
    return {prefix + name: torch.randn(*shape, generator=draw).to(dtype) for name, shape in shapes.items()}


def transformer(seed, table):
    """One block that reads embedded words and places."""
    draw = torch.Generator().manual_seed(seed)
    block, d = "transformer.h.0.", 16
    shapes = {"transformer.wte.weight": (9, d), block + "attn.c_attn.weight": (d, 3 * d), block + "attn.c_proj.weight": (d, d)}
    shapes |= {block + "mlp.c_fc.weight": (d, 4 * d), block + "mlp.c_proj.weight": (4 * d, d)}
    shapes |= {f"{block}ln_{i}.{leaf}": (d,) for i in (1, 2) for leaf in ("weight", "bias")} | {"lm_head.weight": (9, d)}
    return {name: torch.randn(*shape, generator=draw) for name, shape in shapes.items()} | {"transformer.wpe.weight": table}


def imported(folder, networks):
    (folder / "in").mkdir()
    for number, content in enumerate(networks):
        torch.save(content, folder / "in" / f"net_{chr(97 + number)}.pt")
    zoo = import_networks(ImportConfig(), [folder / "in"], folder / "zoo")
    return open_zoo(zoo), read_account(zoo)


def free_units(zoo):
    return {units.name for units in zoo.symmetries[0].groups if units.interchangeable}


TABLE = torch.linspace(-1, 2, 48).view(6, 8)
EQUAL = {
    "networks of other widths": [network(i, width=8 + i) | {"lookup.data": TABLE} for i in range(4)],
    "some networks alone": [network(i) | ({"lookup.data": TABLE} if i < 2 else {}) for i in range(6)],
    "behind what wraps a module": [
        network(i, prefix=prefix) | {prefix + "lookup.data": TABLE}
        for i, prefix in enumerate(("", "module.", "_orig_mod.", "_orig_mod.module."))
    ],
    "half precision": [network(i, dtype=torch.float16) | {"lookup.data": TABLE.half()} for i in range(3)],
    "a network at half precision": [
        network(i, dtype=dtype) | {"lookup.data": TABLE.to(dtype)} for i, dtype in enumerate([torch.float16, torch.float32] * 2)
    ],
}


@pytest.mark.parametrize("case", EQUAL)
def test_what_all_networks_have_alike_is_set_aside(tmp_path, case):
    zoo, entries = imported(tmp_path, EQUAL[case])
    widths = [next(v.shape[0] for name, v in one.items() if name.endswith("fc1.weight")) for one in EQUAL[case]]
    assert zoo["n_params"].tolist() == [8 * width + 3 for width in widths]
    assert all(not any("lookup" in name for name in zoo.raw_tensors(row)) for row in range(len(zoo)))
    assert any("lookup.data 6x8" in entry.what for entry in entries if entry.subject == "buffer")


@pytest.mark.parametrize("case", EQUAL)
def test_what_differs_in_one_of_them_is_read(tmp_path, case):
    networks = [dict(one) for one in EQUAL[case]]
    changed = next(reversed(networks[1]))
    networks[1][changed] = networks[1][changed] + 0.5
    zoo, _ = imported(tmp_path, networks)
    kept = [row for row in range(len(zoo)) if any("lookup" in name for name in zoo.raw_tensors(row))]
    assert len(kept) == {"some networks alone": 2, "half precision": 3, "a network at half precision": 2}.get(case, 4)


MASKS = {
    "a triangle": torch.full((8, 8), OUT).triu(1),
    "the least float": torch.full((4, 8, 8), torch.finfo(torch.float32).min).triu(1),
    "half": torch.full((8, 8), torch.finfo(torch.float16).min).triu(1).half(),
    "a window": torch.full((8, 8), -1e9).triu(2) + torch.full((8, 8), -1e9).tril(-2),
    "ones": torch.ones(1, 1, 8, 8).tril(),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_none_of_the_weights_though_one_network_has_it(tmp_path, name):
    zoo, _ = imported(tmp_path, [network(0) | {"decoder.future": MASKS[name]}, network(1)])
    assert zoo["finite"].all()
    assert set(zoo["n_params"]) == {99}


@pytest.mark.parametrize(
    "value", [torch.tensor([0.0, OUT, 2.0]), torch.tensor([OUT, math.nan]), torch.ones(5), torch.zeros(3, 3), torch.ones(4, 4)]
)
def test_other_values_are_no_mask(value):
    assert not is_mask(value)


TABLES = {
    "beside each other": sines(),
    "half precision": sines().half(),
    "one behind the other": torch.cat([sines()[:, ::2], sines()[:, 1::2]], dim=1)[None],
    "of two axes, after a class token": torch.cat([torch.zeros(1, 32), torch.cat([sines(20, 16), sines(20, 16).flip(0)], 1)]),
    "channels first": sines().T[None],
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_sines_are_known(name):
    assert is_sines(TABLES[name])
    draw = torch.Generator().manual_seed(0)
    assert not is_sines(TABLES[name] + 0.1 * torch.randn(TABLES[name].shape, generator=draw))


def test_a_table_of_places_holds_the_stream_of_a_transformer_and_a_learned_one_does_not(tmp_path):
    (tmp_path / "fixed").mkdir()
    (tmp_path / "learned").mkdir()
    draw = torch.Generator().manual_seed(1)
    fixed, entries = imported(tmp_path / "fixed", [transformer(i, sines()) for i in range(3)])
    learned, _ = imported(tmp_path / "learned", [transformer(i, torch.randn(20, 16, generator=draw)) for i in range(3)])
    assert learned["n_params"][0] - fixed["n_params"][0] == 20 * 16
    assert "transformer.wpe.weight" not in fixed.raw_tensors(0)
    assert "transformer.wpe.weight" in fixed.network("net_a")
    assert free_units(learned) - free_units(fixed) == {"residual stream"}
    assert any("wpe" in entry.what and entry.why.startswith("frozen") for entry in entries)


def test_a_model_sees_of_networks_what_it_sees_of_them_without_a_table(tmp_path):
    seen = {}
    for name, more in (("with", {"pos_encoder.pe": sines(50)[:, None]}), ("without", {})):
        (tmp_path / name).mkdir()
        zoo, _ = imported(tmp_path / name, [more | network(i) for i in range(3)])
        plan = plan_of(zoo.architecture_of(0), zoo.symmetries[0], chunk=1, context=128, overlap=0.5)
        seen[name] = plan.whole_values(zoo.raw_tensors(1)), plan.shapes[0].layout
        assert (zoo["n_params"][1], zoo.architecture_of(1).n_layers) == (99, 2)
    (values, layout), (others, other) = seen.values()
    assert torch.equal(values, others)
    assert torch.equal(layout.numbers, other.numbers)
    assert torch.equal(layout.depth, other.depth)


def test_units_that_a_frozen_layer_reads_keep_their_places(tmp_path):
    """A random head that no network trained: its columns tell its units apart, those in front of it are free."""
    head = torch.randn(5, 3, generator=torch.Generator().manual_seed(7))
    zoo, _ = imported(tmp_path, [network(i) | {"fc3.weight": head} for i in range(4)])
    assert set(zoo["n_params"]) == {99}
    (symmetries,) = zoo.symmetries
    assert [units.n for units in symmetries.groups if units.interchangeable] == [12]
    found = zoo.shuffled_tensors(0, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found["fc2.bias"], zoo.raw_tensors(0)["fc2.bias"])
    assert not torch.equal(found["fc1.bias"], zoo.raw_tensors(0)["fc1.bias"])
    content = {**network(9), "fc3.weight": head + 1}
    (tmp_path / "more").mkdir()
    trained, _ = imported(tmp_path / "more", [*(network(i) | {"fc3.weight": head} for i in range(4)), content])
    assert set(trained["n_params"]) == {99 + 15}
    free = [units.n for units in trained.symmetries[0].groups if units.interchangeable]
    assert free == [12, 3]
    drawn = random_symmetry(trained.raw_tensors(0), trained.symmetries[0], generator=torch.Generator().manual_seed(0))
    assert not torch.equal(drawn["fc3.weight"], trained.raw_tensors(0)["fc3.weight"])


def watched(networks):
    constants = Constants()
    shapes = [(name, tuple(value.shape), "float32") for name, value in networks[0].items()]
    architecture = read_architecture(shapes)
    for number, tensors in enumerate(networks):
        constants.observe(number, architecture, seen_of(architecture, tensors))
    return constants, architecture


def test_snapshots_of_one_run_do_not_tell_what_was_learned():
    constants, architecture = watched([network(i) | {"lookup.data": TABLE} for i in range(4)])
    assert not any(constants.unlearned(architecture, ["one"] * 4))
    assert constants.unlearned(architecture, ["one", "one", "two", "two"]).buffers == ("lookup.data",)


def test_where_all_is_equal_masks_alone_are_set_aside():
    """Copies of one network: what they have alike is what it learned."""
    mask = torch.triu(torch.full((6, 6), OUT), 1)
    constants, architecture = watched([network(0) | {"lookup.data": mask}] * 4)
    assert constants.unlearned(architecture, ["one", "two", "three", "four"]) == (("lookup.data",), (), ())
    constants, architecture = watched([network(0) | {"lookup.data": TABLE}] * 4)
    assert not any(constants.unlearned(architecture, ["one", "two", "three", "four"]))


def test_tied_tensors_are_counted_and_read_once(tmp_path):
    """A stream that runs over both of them stays free, units that one of them alone touches do not."""
    draw = torch.Generator().manual_seed(2)
    untied = [transformer(i, torch.randn(20, 16, generator=draw)) for i in range(3)]
    untied = [one | {"lm_head.weight": one["transformer.wte.weight"].clone()} for one in untied]
    tied = [one | {"lm_head.weight": one["transformer.wte.weight"]} for one in untied]
    shapes = {"embed.weight": (9, 16), "fc.weight": (16, 16)}
    chains = [{name: torch.randn(*shape, generator=draw) for name, shape in shapes.items()} for _ in range(3)]
    looped = [one | {"head.weight": one["embed.weight"]} for one in chains]
    unlooped = [one | {"head.weight": one["embed.weight"].clone()} for one in chains]
    zoos = []
    for number, networks in enumerate((untied, tied, unlooped, looped)):
        (tmp_path / str(number)).mkdir()
        zoos.append(imported(tmp_path / str(number), networks))
    (two, _), (one, entries), (free, _), (held, _) = zoos
    assert two["n_params"][0] - one["n_params"][0] == 9 * 16
    assert set(two.raw_tensors(0)) - set(one.raw_tensors(0)) == {"lm_head.weight"}
    assert torch.equal(one.network("net_a")["lm_head.weight"], untied[0]["lm_head.weight"])
    assert any("lm_head.weight = transformer.wte.weight" in entry.what for entry in entries)
    assert "residual stream" in free_units(one)
    assert free_units(one) == free_units(two)
    assert len(free_units(free)) == 2
    assert not free_units(held)
