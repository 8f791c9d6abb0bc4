"""Hyperparameters beside weights are read as inert stand-ins; what is not on the list is refused, and nothing of it runs."""

import argparse
import datetime
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from metarep.errors import MetarepError
from metarep.formats.readers import read_checkpoint

NETWORK = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.ones(2)}
LIGHTNING = "lightning.fabric.utilities.data"


class Ran(Exception):
    """Raised by code that a file must not run."""


class Loud:
    def __setstate__(self, state):
        raise Ran


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
    ],
    ids=lambda value: type(value).__name__,
)
def test_settings_and_numbers_of_numpy_do_not_keep_a_network_from_being_read(tmp_path, beside):
    torch.save({"model": NETWORK, "beside": beside}, tmp_path / "x.pt")
    assert set(read_checkpoint(tmp_path / "x.pt").tensors) == set(NETWORK)


def test_the_control_any_other_class_is_refused_and_does_not_run(tmp_path):
    loud = Loud()
    loud.state = 1
    torch.save({"model": NETWORK, "beside": loud}, tmp_path / "x.pt")
    with pytest.raises(MetarepError, match="Loud"):
        read_checkpoint(tmp_path / "x.pt")
