"""Several networks in one file: all that are apart, one by its name, or each of those that lie side by side."""

from itertools import pairwise

import pytest
import torch
from checkpoint_files import floats

from metarep.errors import MetarepError
from metarep.zoos.account import read_account
from metarep.zoos.importing import import_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo


def network(seed, widths=(4, 12, 3)):
    draw = torch.Generator().manual_seed(seed)
    pairs = enumerate(pairwise(widths))
    shapes = {f"{2 * n}.{kind}": shape for n, (a, b) in pairs for kind, shape in (("weight", (b, a)), ("bias", (b,)))}
    return {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def imported(tmp_path, member=None):
    return open_zoo(import_networks(ImportConfig(member=member), [tmp_path / "in"], tmp_path / "zoo", overwrite=True))


@pytest.fixture
def nested(tmp_path):
    (tmp_path / "in").mkdir()
    content = {"generator": network(0), "discriminator": network(1, (3, 8, 1)), "step": 5}
    torch.save(content, tmp_path / "in" / "gan.pt")
    return content


def test_networks_in_dictionaries_are_networks_of_one_run(tmp_path, nested):
    zoo = imported(tmp_path)
    assert sorted(zoo.network_id) == ["gan/discriminator", "gan/generator"]
    assert set(zoo["member"]) == {"generator", "discriminator"}
    assert (len(set(zoo.run_id)), len(set(zoo.split))) == (1, 1)
    (entry,) = (one for one in read_account(tmp_path / "zoo") if one.subject == "run")
    assert (entry.where, entry.doubt) == ("gan.pt", True)
    assert "2 networks of 1 file" in entry.what
    assert all(torch.equal(value, nested["generator"][name]) for name, value in zoo.network("gan/generator").items())


def test_one_of_them_by_its_name(tmp_path, nested):
    torch.save(floats(), tmp_path / "in" / "plain.pt")
    assert imported(tmp_path, "discriminator").network_id.tolist() == ["gan/discriminator"]
    assert "plain.pt" in {entry.where for entry in read_account(tmp_path / "zoo")}
    with pytest.raises(MetarepError, match=r"no file holds a network called 'critic'.*generator"):
        imported(tmp_path, "critic")


@pytest.fixture
def side_by_side(tmp_path):
    (tmp_path / "in").mkdir()
    parts = {"ensemble.0": network(0, (6, 10, 6)), "ensemble.1": network(1, (6, 10, 6))}
    content = {f"{prefix}.{name}": value for prefix, part in parts.items() for name, value in part.items()}
    torch.save(content, tmp_path / "in" / "two.pt")
    return parts


def test_networks_side_by_side_are_one_and_a_doubt(tmp_path, side_by_side):
    zoo = imported(tmp_path)
    assert zoo.network_id.tolist() == ["two"]
    (entry,) = [entry for entry in read_account(tmp_path / "zoo") if entry.subject == "member"]
    assert entry.doubt
    assert "ensemble.0" in entry.what


def test_each_of_them_can_be_a_network_of_its_own(tmp_path, side_by_side):
    zoo = imported(tmp_path, "all")
    assert zoo.network_id.tolist() == ["two/ensemble.0", "two/ensemble.1"]
    assert len(zoo.architectures) == 1
    for prefix, part in side_by_side.items():
        assert all(torch.equal(value, part[name]) for name, value in zoo.network(f"two/{prefix}").items())
    assert imported(tmp_path, "ensemble.1").network_id.tolist() == ["two/ensemble.1"]
    with pytest.raises(MetarepError, match=r"a network called 'critic'; met ensemble.0, ensemble.1"):
        imported(tmp_path, "critic")
