"""Copies of networks are found by their values, whatever their names, order and precision; kin that is no copy is not."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from metarep.formats.contents import dtype_name
from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of
from metarep.networks.tensor_symmetry import random_symmetry
from metarep.zoos.copies import find_copies, fingerprint, shared_tensors
from metarep.zoos.kinship import with_runs
from metarep.zoos.properties import Source

WIDTHS = (5, 9, 7, 2)


def network(seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    tensors = {}
    for number, (n_in, n_out) in enumerate(pairwise(WIDTHS)):
        tensors[f"{2 * number}.weight"] = torch.randn(n_out, n_in, generator=draw)
        tensors[f"{2 * number}.bias"] = torch.randn(n_out, generator=draw)
    return tensors


def architecture_of(tensors):
    return read_architecture([(name, tuple(value.shape), dtype_name(value.dtype)) for name, value in tensors.items()])


def prints_of(networks):
    known = [architecture_of(tensors) for tensors in networks]
    numbers = {one: number for number, one in enumerate(dict.fromkeys(known))}
    found = [fingerprint(one, tensors, symmetries_of(one)) for one, tensors in zip(known, networks, strict=True)]
    return found, [numbers[one] for one in known]


def groups_of(networks):
    return {one.networks for one in find_copies(prints_of(networks)[0])}


def symmetric(tensors, log_scale_std):
    symmetries = symmetries_of(architecture_of(tensors), relu=True)
    return random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(3), log_scale_std=log_scale_std)


COPIES = {
    "other names": lambda net: {"net." + name.replace(".", "_"): value for name, value in net.items()},
    "other order": lambda net: dict(reversed(net.items())),
    "transposed": lambda net: {name: value.T if value.ndim == 2 else value for name, value in net.items()},
    "float16": lambda net: {name: value.half() for name, value in net.items()},
    "rounded to bfloat16, kept as float32": lambda net: {name: value.bfloat16().float() for name, value in net.items()},
    "float64": lambda net: {name: value.double() for name, value in net.items()},
    "units permuted": lambda net: symmetric(net, 0.0),
    "units scaled": lambda net: symmetric(net, 0.4),
    "units scaled, under other names, transposed": lambda net: {
        f"net.{'abc'[int(name[0]) // 2]}{name[1:]}": value.T.contiguous() if value.ndim == 2 else value
        for name, value in symmetric(net, 0.4).items()
    },
    "rounded to 8 bits": lambda net: {name: (value * 40).round() / 40 for name, value in net.items()},
    "a little noise": lambda net: {name: value + 1e-2 * torch.randn(value.shape) for name, value in net.items()},
    "a tied tensor twice": lambda net: {**net, "head.weight": net["0.weight"]},
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_found(how):
    networks = [network(seed) for seed in range(4)]
    assert groups_of(networks) == set()
    assert groups_of([*networks, COPIES[how](networks[2])]) in ({(2, 4)}, {(4, 2)})


@pytest.mark.parametrize("change", [lambda x: x.flip(0) + 0.1, lambda x: x + 0.5 * torch.randn(x.shape)])
def test_networks_that_resemble_each_other_are_no_copies(change):
    assert groups_of([network(0), {name: change(value) for name, value in network(0).items()}]) == set()


def test_children_of_one_network_are_no_copies_of_each_other():
    noise = [network(seed) for seed in range(1, 6)]
    assert groups_of([{name: value + 1e-3 * one[name] for name, value in network(0).items()} for one in noise]) == set()


def trained(seed: int, step: int):
    """States of a run that moves on from step to step."""
    goal = network(seed + 100)
    return {name: (1 - step / 8) * value + step / 8 * goal[name] for name, value in network(seed).items()}


def sources(names):
    return [Source(name, "", f"{name}.pt", Path(f"/nets/{name}.pt"), suffix=".pt") for name in names]


NUMBERED = [
    ("states of a run a folder", [f"exp{one}/{step}" for one in "AB" for step in (1, 2, 3)], True, ["expA", "expB"], 0),
    ("networks in folders", [f"{one}s/{number}" for one in ("cat", "dog") for number in (1, 2, 3)], False, None, 1),
    ("steps", [f"mod{one}/{step}" for one in "AB" for step in (0, 500, 9000)], False, ["modA", "modB"], 0),
    ("one folder of networks", [f"net{number}" for number in (*range(6),)], False, None, 0),
    ("a name with steps", [f"{one}_{step}" for one in ("cnn", "vit") for step in (10, 20, 30)], True, ["cnn", "vit"], 0),
]


@pytest.mark.parametrize(("names", "moves", "runs", "doubts"), [one[1:] for one in NUMBERED], ids=[one[0] for one in NUMBERED])
def test_numbers_are_states_of_a_run_where_values_or_steps_say_so(names, moves, runs, doubts):
    networks = [trained(at // 3, at % 3) if moves else network(at) for at in range(len(names))]
    found, entries = with_runs(sources(names), *prints_of(networks))
    assert list(dict.fromkeys(one.run_id for one in found)) == (runs or names)
    assert sum(entry.doubt for entry in entries) == doubts


def test_a_layer_in_common_is_no_copy_but_is_seen():
    one, other = network(0), network(1)
    big = torch.randn(20, 20)
    one["extra.weight"] = other["extra.weight"] = big
    networks = [one, other, network(2)]
    assert groups_of(networks) == set()
    assert list(shared_tensors(prints_of(networks)[0])) == [(0, 1)]


def test_large_tensors_are_digested_in_pieces():
    draw = torch.Generator().manual_seed(0)
    values = {"fc.weight": torch.randn(300, 700, generator=draw)}
    shuffled = {"fc.weight": values["fc.weight"][torch.randperm(300, generator=draw)]}
    changed = {"fc.weight": values["fc.weight"].clone()}
    changed["fc.weight"][-1, -1] += 1
    assert groups_of([values, changed, shuffled]) == {(0, 2), (0, 1)}  # and one value makes no other network
