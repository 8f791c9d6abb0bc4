"""Baselines in a file of the user's, and what representations cost."""

from pathlib import Path

import pytest

from metarep.domains.groups.build import build_groups
from metarep.domains.groups.settings import GroupsConfig
from metarep.errors import MetarepError
from metarep.evaluation.baselines import BASELINES, FURTHER, asked_for, load_baselines
from metarep.evaluation.costs import baseline_cost
from metarep.evaluation.settings import ClusterConfig

README = Path(__file__).parents[2] / "metarep" / "README.md"


@pytest.fixture
def written(tmp_path):
    """The example of the README, as a file."""
    part = README.read_text().split("## How to add a baseline")[1].split("```python\n")[1].split("```")[0]
    file = tmp_path / "norms.py"
    file.write_text(part)
    yield file
    for name in FURTHER:
        BASELINES.pop(name, None)
    FURTHER.clear()


def test_the_example_of_the_readme_is_compared_and_measured(written, tmp_path):
    zoo = build_groups(GroupsConfig(n_networks=4, groups=("S3",), widths=(8,), n_steps=2), tmp_path / "zoo")
    config = ClusterConfig(further=(str(written),), baselines=("raw",))
    assert asked_for(config.baselines, config.further) == ("raw", "norms")
    assert asked_for(False, config.further) == ("norms",)
    assert asked_for(True, config.further) is True
    assert asked_for(False, ()) is False
    for _ in range(2):  # a file may be read again
        found = baseline_cost(zoo, config, "norms")
    assert found["seconds"] > 0
    assert found["mebibytes"] >= 0
    assert "norms" in BASELINES


def test_a_name_that_is_taken_and_a_file_that_is_not_there_are_refused(written):
    written.write_text(written.read_text().replace('"norms"', '"raw"'))
    before = BASELINES["raw"]
    with pytest.raises(MetarepError, match="registers baselines that there are"):
        load_baselines(written)
    assert BASELINES["raw"] is before
    with pytest.raises(MetarepError, match="no file"):
        load_baselines(written.with_name("other.py"))
