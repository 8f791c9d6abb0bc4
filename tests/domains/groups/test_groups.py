"""Group composition: characters and projections as they are known, the engine against autograd, labels of planted units."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from metarep.domains.groups.build import build_groups
from metarep.domains.groups.group import FiniteGroup, group_named
from metarep.domains.groups.settings import GroupsConfig, order_of_elements
from metarep.domains.groups.training import Composition, activations, gradients, measure, train_networks
from metarep.domains.groups.units import energies, relabelled, unit_dimensions, unit_irreps, unit_purities
from metarep.errors import MetarepError
from metarep.networks.tensor_symmetry import random_symmetry
from metarep.zoos.zoo import open_zoo

NAMES = ["C2", "C7", "C12", "D3", "D4", "D12", "S3", "S4", "A4", "A5", "Q8"]
SMALL = {"n_networks": 6, "groups": ("S3", "C5"), "widths": (12, 8), "n_steps": 60}


@pytest.mark.parametrize("name", NAMES)
def test_a_group_is_one(name):
    group = group_named(name)
    table, n = group.table, group.n
    assert (table[0] == np.arange(n)).all()
    assert (table[:, 0] == np.arange(n)).all()
    assert (np.sort(table, axis=0) == np.arange(n)[:, None]).all()
    assert (np.sort(table, axis=1) == np.arange(n)).all()
    np.testing.assert_array_equal(table[table], table[np.arange(n)[:, None, None], table])  # (gh)k = g(hk)
    assert (table[np.arange(n), group.inverse] == 0).all()
    broken = table.copy()
    broken[1, [1, -1]] = broken[1, [-1, 1]]
    assert (broken[broken] != broken[np.arange(n)[:, None, None], broken]).any() or n < 3


@pytest.mark.parametrize("name", NAMES)
def test_characters_are_orthonormal_and_their_dimensions_squared_sum_to_the_order(name):
    group = group_named(name)
    found = group.characters
    np.testing.assert_allclose(found @ found.conj().T / group.n, np.eye(len(found)), atol=1e-8)
    same = group.class_of[:, None] == group.class_of
    centraliser = group.n / np.bincount(group.class_of)[group.class_of]
    np.testing.assert_allclose(found.T @ found.conj(), centraliser * same, atol=1e-7)
    assert np.square(found[:, 0].real).sum() == pytest.approx(group.n)
    assert sum(len(one.characters) for one in group.irreps) == len(found)


@pytest.mark.parametrize("name", NAMES)
def test_projections_are_idempotent_orthogonal_and_sum_to_the_identity(name):
    group = group_named(name)
    p = group.projections
    np.testing.assert_allclose(np.einsum("rij,sjk->rsik", p, p), np.eye(len(p))[:, :, None, None] * p[:, None], atol=1e-8)
    np.testing.assert_allclose(p.sum(axis=0), np.eye(group.n), atol=1e-8)
    np.testing.assert_allclose(np.trace(p, axis1=1, axis2=2), [sum(c[0].real ** 2 for c in i.characters) for i in group.irreps])


def test_the_formula_by_loops_gives_the_projections():
    """P f(x) = d/|G| Σ_g χ(g) f(g⁻¹x), sum by sum."""
    group = group_named("S3")
    f = np.random.default_rng(0).normal(size=6)
    for irrep, projection in zip(group.irreps, group.projections, strict=True):
        (chi,) = irrep.characters.real
        slow = [chi[0] / 6 * sum(chi[g] * f[group.table[group.inverse[g], x]] for g in range(6)) for x in range(6)]
        np.testing.assert_allclose(projection @ f, slow, atol=1e-9)


def test_traces_of_the_matrices_of_a_triangle_are_the_character_of_dimension_2():
    """S3 moves the corners of a triangle: explicit orthogonal matrices, multiplied as the table says."""
    group, corners = group_named("S3"), np.array([[np.cos(a), np.sin(a)] for a in 2 * np.pi / 3 * np.arange(3)])
    matrices = np.array([(corners[list(p)].T @ corners) * 2 / 3 for p in permutations(range(3))])
    np.testing.assert_allclose(np.einsum("gij,hjk->ghik", matrices, matrices), matrices[group.table], atol=1e-12)
    np.testing.assert_allclose(np.trace(matrices, axis1=1, axis2=2), group.irreps[2].characters[0].real, atol=1e-9)


def test_character_tables_are_those_in_books():
    """Serre, "Linear representations of finite groups" (1977), sections 5.7 to 5.9; James and Liebeck for A5 and S5."""
    sizes = {"S4": (1, 1, 2, 3, 3), "A4": (1, 2, 3), "A5": (1, 3, 3, 4, 5), "Q8": (1, 1, 1, 1, 2), "S5": (1, 1, 4, 4, 5, 5, 6)}
    for name, dimensions in sizes.items():
        assert tuple(one.dimension for one in group_named(name).irreps) == dimensions
    golden = np.unique(group_named("A5").irreps[1].characters[0].real.round(6))
    np.testing.assert_allclose(golden, sorted([3, 0, -1, (1 + 5**0.5) / 2, (1 - 5**0.5) / 2]), atol=1e-6)
    assert [one.name for one in group_named("C6").irreps] == [f"frequency {k}" for k in range(4)]


def test_dihedral_and_symmetric_groups_of_six_are_one_group():
    assert sorted(np.bincount(group_named("D3").class_of)) == sorted(np.bincount(group_named("S3").class_of)) == [1, 2, 3]


@pytest.mark.parametrize("name", ["X3", "C1", "Q9", "S7", "D", "S04"])
def test_other_names_are_refused_in_a_sentence(name):
    with pytest.raises(MetarepError):
        group_named(name)
    with pytest.raises(ValueError, match="groups"):
        GroupsConfig(groups=(name,))


def one_hot(group: FiniteGroup) -> torch.Tensor:
    pairs = torch.cartesian_prod(torch.arange(group.n), torch.arange(group.n))
    return torch.cat([F.one_hot(pairs[:, at], group.n) for at in (0, 1)], dim=1).float()


def test_sums_of_rows_are_what_one_hot_inputs_give_and_gradients_are_those_of_autograd():
    group, generator = group_named("S3"), torch.Generator().manual_seed(0)
    hidden, output = torch.randn(2, 7, 12, generator=generator), torch.randn(2, 6, 7, generator=generator)
    hidden.requires_grad_(), output.requires_grad_()
    target, share = torch.from_numpy(group.table.reshape(-1)), torch.rand(2, 36, generator=generator)
    units = (one_hot(group) @ hidden.mT).relu()
    torch.testing.assert_close(activations(hidden.detach()), units.detach())
    losses = F.cross_entropy((units @ output.mT).mT, target.expand(2, -1), reduction="none")
    (losses * share).sum().backward()
    found = gradients(hidden.detach(), output.detach(), target, share)
    torch.testing.assert_close(found[0], hidden.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[1], output.grad, atol=1e-5, rtol=1e-4)


def task(seeds, group="C5", **how):
    n = len(seeds)
    return Composition(
        group_named(group), 16, np.array(seeds), np.full(n, 0.8), np.full(n, 0.5), **{"lr": 0.02, "n_steps": 200} | how
    )


def test_networks_learn_their_pairs_and_do_not_know_what_they_are_trained_beside():
    hidden, _, measured = train_networks(task([3, 4, 5]))
    assert (measured.train_accuracy > 0.95).all()
    alone, _, _ = train_networks(task([4]))
    torch.testing.assert_close(hidden[1:2], alone, atol=1e-3, rtol=1e-2)
    assert (hidden[0] - hidden[1]).abs().max() > 0.1


def test_a_relabelled_network_composes_relabelled_elements():
    group = group_named("S3")
    hidden, output, _ = train_networks(task([1], "S3", n_steps=400))
    order = order_of_elements(7, 6)
    moved = [torch.from_numpy(one)[None] for one in relabelled(hidden[0].numpy(), output[0].numpy(), order)]
    back = np.argsort(order)
    table = torch.from_numpy(back[group.table[order][:, order]].reshape(-1))
    everything = torch.ones(1, 36, dtype=torch.bool)
    first = measure(hidden, output, torch.from_numpy(group.table.reshape(-1)), everything).train_accuracy
    assert measure(*moved, table, everything).train_accuracy == first > 0.5
    assert measure(*moved, torch.from_numpy(group.table.reshape(-1)), everything).train_accuracy < first


def planted(group, rng):
    """A unit of each representation, pure but for a little of everything."""
    f = np.einsum("rxy,ry->rx", group.projections, rng.normal(size=(3, len(group.irreps), group.n))[0])
    f /= np.linalg.norm(f, axis=1, keepdims=True)
    return np.concatenate([f, f], axis=1) + 0.02 * rng.normal(size=(len(f), 2 * group.n)), f.T


def test_planted_units_have_the_labels_that_were_planted_in_any_order_of_elements_that_is_known():
    group, rng = group_named("S4"), np.random.default_rng(0)
    hidden, output = planted(group, rng)
    found = energies(group, hidden, output)
    assert found.label.tolist() == list(range(5))
    assert found.alive.all()
    assert (found.purity > 0.95).all()
    scale = rng.uniform(0.1, 10, 5)
    np.testing.assert_allclose(energies(group, hidden * scale[:, None], output / scale).share, found.share)
    moved = energies(group, *relabelled(hidden, output, order_of_elements(3, 24)))
    assert moved.purity[2:].max() < 0.8  # in a wrong order the labels are lost
    dead = energies(group, np.concatenate([hidden, 1e-6 * hidden[:1]]), np.concatenate([output, output[:, :1]], axis=1))
    assert dead.alive.tolist() == [True] * 5 + [False]
    assert np.isnan(dead.purity[5])


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return build_groups(GroupsConfig(**SMALL), tmp_path_factory.mktemp("groups") / "zoo")


def test_the_zoo_has_labels_properties_and_labels_of_units_in_the_order_of_units(zoo):
    networks = open_zoo(zoo)
    assert networks["group"].tolist() == ["S3", "C5"] * 3
    assert networks["width"].tolist() == [12, 12, 8, 8, 12, 12]
    assert networks.activation == "relu"
    assert {"irreps", "group"} <= set(networks.labels)
    assert np.isnan(networks.number("uses C5 frequency 1")[0])
    assert networks.number("uses S3 2a")[0] in (0, 1)
    labels = unit_irreps(networks)
    assert labels.shape == (6, 12)
    assert set(labels[2, 8:]) == {""}
    assert labels[0][0].startswith("S3 ")
    assert unit_purities(networks)[1].min() > 0.3
    assert set(unit_dimensions(networks)[0]) <= {"1", "2", ""}
    tensors, symmetries = networks.raw_tensors(0), networks.symmetries[networks.architecture[0]]
    by_name = {units.name: units.interchangeable for units in symmetries.groups}
    assert by_name == {"inputs": False, "units of hidden": True, "units of output": False}
    other = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1), log_scale_std=0.5)
    both = [energies(group_named("S3"), one["hidden.weight"].numpy(), one["output.weight"].numpy()) for one in (tensors, other)]
    np.testing.assert_allclose(np.sort(both[0].purity), np.sort(both[1].purity), rtol=1e-4)


def test_relabelling_changes_the_weights_and_no_label(zoo, tmp_path):
    other = open_zoo(build_groups(GroupsConfig(**SMALL, relabelled=True), tmp_path / "zoo"))
    networks = open_zoo(zoo)
    assert (unit_irreps(other) == unit_irreps(networks)).all()
    assert (other.raw_tensors(0)["hidden.weight"] - networks.raw_tensors(0)["hidden.weight"]).abs().max() > 0.1


def test_what_was_broken_off_carries_on_with_the_same_bytes(zoo, tmp_path, monkeypatch):
    import metarep.domains.groups.build as module

    real, calls = module.train_batch, []

    def once(*given):
        if calls:
            raise KeyboardInterrupt
        calls.append(real(*given))
        return calls[0]

    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 36)
    monkeypatch.setattr(module, "train_batch", once)
    with pytest.raises(KeyboardInterrupt):
        build_groups(GroupsConfig(**SMALL), tmp_path / "zoo")
    assert list((tmp_path / "zoo.partial").glob("batch-*"))
    monkeypatch.setattr(module, "train_batch", real)
    again = build_groups(GroupsConfig(**SMALL), tmp_path / "zoo")
    for name in ("networks.parquet", "shard-00000.safetensors"):
        assert (again / name).read_bytes() == (zoo / name).read_bytes()


def test_networks_that_processes_train_are_those_of_one_process(tmp_path, monkeypatch):
    import metarep.domains.groups.build as module

    config = GroupsConfig(n_networks=6, groups=("S3",), widths=(4,), n_steps=30)
    alone = build_groups(config, tmp_path / "alone")
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 36)
    monkeypatch.setattr(
        module, "train_missing", lambda missing, config, device: module.spread(module.train_batch, missing, config)
    )
    one, other = (open_zoo(zoo) for zoo in (alone, build_groups(config, tmp_path / "together")))
    for row in range(6):
        for name, value in one.raw_tensors(row).items():
            torch.testing.assert_close(other.raw_tensors(row)[name], value, atol=1e-4, rtol=1e-3)
