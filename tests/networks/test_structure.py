"""Networks as people name them: their units are found, permutations of them leave the outputs, and false ones would not."""

import numpy as np
import pytest
import torch
from joined_networks import JOINED
from named_networks import FAMILIES, outputs
from public_networks import PUBLIC

from metarep.networks.architecture import read_architecture
from metarep.networks.inference import symmetries_of
from metarep.networks.symmetry_groups import SymmetryGroup
from metarep.networks.tensor_symmetry import permuted, random_symmetry

NETWORKS = FAMILIES | PUBLIC | JOINED


def made(name, *, prefix="", ordered=True):
    torch.manual_seed(0)
    make, x, free = NETWORKS[name]
    module = make().double().eval()
    tensors = {key: torch.randn_like(v) if v.is_floating_point() and v.ndim else v for key, v in module.state_dict().items()}
    tensors = {key: v.abs() + 0.5 if key.endswith("running_var") else v for key, v in tensors.items()}
    named = [(prefix + key, tuple(v.shape), str(v.dtype).removeprefix("torch.")) for key, v in tensors.items()]
    architecture = read_architecture(named, ordered=ordered)
    return module, x.double() if x.is_floating_point() else x, tensors, symmetries_of(architecture), free


@pytest.mark.parametrize("name", NETWORKS)
def test_units_are_found_and_change_places(name):
    module, x, tensors, symmetries, free = made(name)
    assert sorted(units.n for units in symmetries.groups if units.interchangeable) == free
    before = outputs(module, tensors, x)
    changed = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1))
    assert any(not torch.equal(tensors[key], changed[key]) for key in tensors)
    torch.testing.assert_close(outputs(module, changed, x), before, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_member_left_out_breaks_it(name):
    """The control, on the first group that outputs hang on."""
    module, x, tensors, symmetries, _ = made(name)
    before = outputs(module, tensors, x)
    units = next(units for units in symmetries.groups if units.interchangeable)
    rest = type(symmetries)((SymmetryGroup("rest", units.n, units.members[1:]),))
    broken = permuted(tensors, rest, [np.roll(np.arange(units.n), 1)])
    assert (outputs(module, broken, x) - before).abs().max() > 1e-6


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.model.", "state_dict."])
@pytest.mark.parametrize("name", ["variational autoencoder", "transformer of interpretability", "single layers in a list"])
def test_a_prefix_of_all_names_changes_nothing(name, prefix):
    *_, symmetries, free = made(name, prefix=prefix)
    assert sorted(units.n for units in symmetries.groups if units.interchangeable) == free


@pytest.mark.parametrize("name", JOINED)
def test_what_is_joined_is_told_by_names_alone_or_left_out(name):
    module, x, tensors, symmetries, _ = made(name, ordered=False)
    changed = random_symmetry(tensors, symmetries, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(outputs(module, changed, x), outputs(module, tensors, x), atol=1e-8, rtol=1e-8)
