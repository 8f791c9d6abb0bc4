"""Devices are named, checked and left as they were found."""

import pytest
import torch
from metarep_cli.options import usable_device

from metarep.devices import fast_products, without_waiting
from metarep.errors import MetarepError
from metarep.speed import power, rate


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(("asked", "found"), [("cpu", "cpu"), ("auto", "cuda"), ("cuda", "cuda"), ("cuda:1", "cuda:1")])
def test_devices_that_are_there(asked, found):
    assert usable_device(asked) == found


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("asked", "words"), [("cuda:2", "cuda:0 to cuda:1"), ("cuda:one", "cuda:N"), ("mps", "float64"), ("steam", "auto")]
)
def test_devices_that_are_not(asked, words):
    with pytest.raises(MetarepError, match=words):
        usable_device(asked)


def test_without_a_gpu_auto_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert usable_device("auto") == "cpu"
    with pytest.raises(MetarepError, match="no CUDA GPU"):
        usable_device("cuda:0")


def test_the_precision_of_products_is_put_back(monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: torch.no_grad())
    before = torch.get_float32_matmul_precision()
    with fast_products("cuda"):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before
    with fast_products("cpu"):
        assert torch.get_float32_matmul_precision() == before


def test_nothing_is_copied_to_where_it_lies():
    x = torch.ones(3)
    assert without_waiting(x, "cpu") is x


def test_power_is_that_of_the_cost():
    assert power([10, 20, 40], [3 * n**1.5 for n in (10, 20, 40)]) == pytest.approx(1.5)
    assert power([10], [1.0]) != power([10], [1.0])


def test_a_rate_counts_calls():
    calls = []
    assert rate(lambda: calls.append(1), 0.01) > 2
    assert len(calls) >= 2
