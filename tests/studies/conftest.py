"""What the tests of all studies share: one folder of zoos."""

import pytest

from metarep.progress import Progress
from metarep.studies.settings import ExperimentConfig
from metarep.studies.study import Context


@pytest.fixture(scope="package")
def context(tmp_path_factory):
    """Experiments on 150 networks, which are trained once for all of them."""
    config = ExperimentConfig(n_networks=150, n_initialisations=20, n_parents=10, bias_grid=5, n_starts=2)
    return Context(config, tmp_path_factory.mktemp("shared"), Progress())
