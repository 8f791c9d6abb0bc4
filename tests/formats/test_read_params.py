"""Networks from files that someone else wrote: any names, either format, nothing unpickled, one line for what is wrong."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.errors import MetarepError
from metarep.formats.readers import read_params
from metarep.networks.spec import NetworkSpec


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))


def flat(module):
    return np.concatenate([value.detach().numpy().reshape(-1) for value in module.state_dict().values()])


def renamed(module, prefix):
    return {f"{prefix}{i}": value for i, value in enumerate(module.state_dict().values())}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: m.state_dict(),
        lambda m: {"state_dict": m.state_dict(), "epoch": 3},
        lambda m: {"model": renamed(m, "module.what."), "optimizer": {"lr": 0.1}},
        lambda m: {"state_dict": {"model": m.state_dict()}},
        lambda m: {**renamed(m, "x"), "steps": torch.tensor(7)},
        lambda m: {name: value.half() for name, value in m.state_dict().items()},
    ],
)
def test_a_state_dict_is_read_whatever_its_names_and_wrapping(tmp_path, wrap):
    torch.save(wrap(network()), tmp_path / "net.pth")
    np.testing.assert_allclose(read_params(tmp_path / "net.pth", MULTIPLIER), flat(network()), atol=1e-3)


def test_safetensors_and_old_pytorch_files_are_read(tmp_path):
    save_file(network().state_dict(), tmp_path / "net.safetensors")
    torch.save(network().state_dict(), tmp_path / "net.pt", _use_new_zipfile_serialization=False)
    for name in ("net.safetensors", "net.pt"):
        np.testing.assert_array_equal(read_params(tmp_path / name, MULTIPLIER), flat(network()))


def test_layers_of_one_shape_are_told_apart_by_their_order(tmp_path):
    torch.manual_seed(1)
    deep = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    torch.save(deep.state_dict(), tmp_path / "deep.pth")
    np.testing.assert_array_equal(read_params(tmp_path / "deep.pth", NetworkSpec.parse("2-2-2-1")), flat(deep))


def test_a_pickled_module_is_read_by_the_names_of_its_tensors(tmp_path):
    torch.save(network(), tmp_path / "net.pth")
    np.testing.assert_array_equal(read_params(tmp_path / "net.pth", MULTIPLIER), flat(network()))


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('boom')",)


def test_a_bomb_does_not_go_off(tmp_path):
    torch.save({"state_dict": network().state_dict(), "x": Bomb()}, tmp_path / "net.pth")
    with pytest.raises(MetarepError, match="more than tensors"):
        read_params(tmp_path / "net.pth", MULTIPLIER)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({f"{n}.{k}": v for n in "ab" for k, v in network().state_dict().items()}, "more than one 2-2-1 network.*a.0.weight"),
        (torch.nn.Linear(2, 3).state_dict(), r"not a 2-2-1 network; met weight \(3, 2\), bias \(3,\); expected .*\(2, 2\)"),
        ({}, "holds no network; met no tensors of a network: nothing"),
        ([1, 2], "holds no network; met a list and no state dict"),
        ({k: v * torch.nan for k, v in network().state_dict().items()}, "not finite"),
    ],
)
def test_what_is_no_such_network_is_named_in_one_line(tmp_path, content, said):
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(MetarepError, match=said) as error:
        read_params(tmp_path / "net.pth", MULTIPLIER)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(("name", "content"), [("net.pth", b"hello"), ("net.pth", b""), ("net.safetensors", b"x")])
def test_damaged_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MetarepError, match=r"damaged|empty"):
        read_params(tmp_path / name, MULTIPLIER)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(MetarepError, match="no file"):
        read_params(tmp_path / "net.pth", MULTIPLIER)
