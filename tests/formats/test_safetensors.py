"""What is written as safetensors is what the library itself writes, whatever the dtype."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from metarep.formats.readers import read_checkpoint
from metarep.formats.safetensors_files import DTYPES, write_safetensors


@pytest.mark.parametrize("dtype", sorted(DTYPES, key=str), ids=str)
def test_each_dtype_comes_back_as_it_was(tmp_path, dtype):
    numbers = torch.arange(6 * 4 * dtype.itemsize, dtype=torch.uint8).remainder(2)
    value = numbers.view(dtype).reshape(6, 4)
    save_file({"w": value}, tmp_path / "theirs.safetensors")
    found = read_checkpoint(tmp_path / "theirs.safetensors").tensors["w"]
    write_safetensors(tmp_path / "ours.safetensors", {"w": found})
    again = load_file(tmp_path / "ours.safetensors")["w"]
    assert (again.dtype, again.shape) == (dtype, value.shape)
    assert torch.equal(again.view(torch.uint8), value.view(torch.uint8))
