"""Objects beside weights, and modules that were saved whole, are read as inert stand-ins: nothing of them runs."""

import argparse
import collections
import datetime
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from metarep.formats.readers import read_checkpoint, read_contents

NETWORK = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.ones(2)}
LIGHTNING = "lightning.fabric.utilities.data"


class Ran(Exception):
    """Raised by code that a file must not run."""


class Loud:
    def __setstate__(self, state):
        raise Ran


class Widths(list):
    """A list of a class of its own."""


@pytest.fixture
def attributes(monkeypatch):
    """Lightning's dictionary of hyperparameters, of a module that is gone when the file is read."""
    with monkeypatch.context() as patch:
        for name in ("lightning", "lightning.fabric", "lightning.fabric.utilities", LIGHTNING):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        kind = type("AttributeDict", (dict,), {"__module__": LIGHTNING})
        sys.modules[LIGHTNING].AttributeDict = kind
        yield lambda path: torch.save({"state_dict": NETWORK, "hyper_parameters": kind(lr=0.1, widths=[3, 2])}, path)
    assert LIGHTNING not in sys.modules


def test_a_checkpoint_of_lightning_is_read_without_lightning(tmp_path, attributes):
    attributes(tmp_path / "last.ckpt")
    sys.modules.pop(LIGHTNING)
    found = read_checkpoint(tmp_path / "last.ckpt").tensors
    assert LIGHTNING not in sys.modules
    assert all(torch.equal(found[name], value) for name, value in NETWORK.items())


@pytest.mark.parametrize(
    "beside",
    [
        argparse.Namespace(lr=0.1),
        np.float64(0.5),
        np.arange(4.0),
        Path("data/train"),
        datetime.datetime(2020, 1, 2),
        [datetime.timedelta(days=1)],
        collections.defaultdict(list, a=[1]),
        collections.deque([3]),
        Widths([3, 2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_settings_and_numbers_of_numpy_do_not_keep_a_network_from_being_read(tmp_path, beside):
    torch.save({"model": NETWORK, "beside": beside}, tmp_path / "x.pt")
    assert set(read_checkpoint(tmp_path / "x.pt").tensors) == set(NETWORK)


def test_the_control_objects_that_would_run_do_not(tmp_path):
    loud = Loud()
    loud.state = loud
    torch.save({"model": NETWORK, "beside": loud}, tmp_path / "x.pt")
    assert set(read_checkpoint(tmp_path / "x.pt").tensors) == set(NETWORK)
    with pytest.raises(Ran):
        torch.load(tmp_path / "x.pt", weights_only=False)


class Net(nn.Module):
    """A module whose class is of no use to the reader."""

    def __init__(self):
        super().__init__()
        self.inside = nn.ModuleDict({"fc": nn.Linear(3, 4), "norm": nn.BatchNorm1d(4)})
        self.register_buffer("left_out", torch.ones(3), persistent=False)

    def forward(self, x):
        return self.inside["norm"](self.inside["fc"](x))


WHOLE = {
    "module": torch.save,
    "module in a dictionary": lambda net, path: torch.save({"model": net, "epoch": 3}, path),
    "parallel": lambda net, path: torch.save(nn.DataParallel(net), path),
    "script": lambda net, path: torch.jit.trace(net, torch.ones(2, 3)).save(str(path)),
    "arrays": lambda net, path: torch.save({name: value.numpy() for name, value in net.state_dict().items()}, path),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", WHOLE)
def test_what_was_saved_whole_is_read_by_the_names_of_its_tensors(tmp_path, how):
    net = Net().eval()
    WHOLE[how](net, tmp_path / "x.pt")
    contents = read_contents(tmp_path / "x.pt")
    found = {name.removeprefix("module."): value for name, value in contents.networks[0].checkpoint.tensors.items()}
    state = net.state_dict()
    assert {name: value for name, value in found.items() if name != "left_out"}.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())
    assert any("saved whole" in entry.what for entry in contents.entries) == (how != "arrays")


@pytest.mark.filterwarnings("ignore")
def test_layers_that_were_quantised_are_read_out_of_a_whole_module(tmp_path):
    net = nn.Sequential(nn.Linear(3, 4))
    torch.save(torch.ao.quantization.quantize_dynamic(net, {nn.Linear}), tmp_path / "x.pt")
    found = read_checkpoint(tmp_path / "x.pt").tensors
    assert torch.allclose(found["0.weight"], net[0].weight, atol=0.01)
    assert torch.equal(found["0.bias"], net[0].bias)


class Forgetful(nn.Module):
    """Layers in a list, and tensors in attributes: no state dict would have them."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 2)
        self.hidden = [nn.Linear(4, 3), self.last]
        self.table = torch.ones(5, 4)


def quantised():
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(4, 3), nn.Linear(3, 2)), {nn.LSTM})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("module", "names", "left"),
    [
        (Forgetful, {"last.weight", "last.bias"}, {"hidden": "0 (3, 4), 1 (3,)", "table": "0 (5, 4)"}),
        (quantised, {"1.weight", "1.bias"}, {"0._all_weight_values.0.param": "0 (12,), 1 (12,), 2 (12, 4) and 3 more"}),
    ],
)
def test_what_lies_beside_the_parameters_of_a_whole_module_is_told(tmp_path, module, names, left):
    torch.save(module(), tmp_path / "x.pt")
    contents = read_contents(tmp_path / "x.pt")
    assert contents.networks[0].checkpoint.tensors.keys() == names
    assert {one.where: one.what for one in contents.entries if one.doubt} == left
