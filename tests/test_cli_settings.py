"""How options of the command become settings."""

import pytest
from test_cli import invoke


def settings_of(monkeypatch, *words: str):
    """The ZooConfig that `build-zoo` would hand to the library."""
    import metarep.training.build
    from metarep.errors import MetarepError

    caught = []

    def record(config, *_, **__):
        caught.append(config)
        raise MetarepError("seen")

    monkeypatch.setattr(metarep.training.build, "build_zoo", record)
    result = invoke("build-zoo", *words)
    assert result.stderr == "metarep: seen\n", result.output
    return caught[0]


def test_family_options_make_or_change_the_only_family(monkeypatch, tmp_path):
    file = tmp_path / "zoo.yaml"
    file.write_text("families: [{variant: e03, n_networks: 50, lr: 0.5}]\nnetworks_per_shard: 7\n")
    config = settings_of(monkeypatch, "--config", str(file), "--seeds", "4,5", "--seed", "9", "--snapshots", "3")
    (family,) = config.families
    assert (family.variant, family.seeds, family.n_networks, family.lr) == ("e03", (4, 5), None, 0.5)
    assert (config.seed, config.n_snapshots, config.networks_per_shard) == (9, 3, 7)
    config = settings_of(monkeypatch, "--variant", "e01", "--n-networks", "8", "--spec", "2-1")
    assert (config.families[0].variant, config.families[0].n_networks, config.families[0].spec) == ("e01", 8, "2-1")


def test_family_options_do_not_guess_among_several_families(tmp_path):
    file = tmp_path / "zoo.yaml"
    file.write_text("families: [{variant: e03, n_networks: 2}, {variant: e01, n_networks: 2}]\n")
    result = invoke("build-zoo", "--config", str(file), "--n-networks", "5")
    assert result.exit_code == 1
    assert "2 families" in result.stderr


@pytest.mark.parametrize("command", ["import", "cluster"])
def test_a_second_change_behind_one_set_is_told_to_have_its_own(tmp_path, command):
    result = invoke(command, str(tmp_path), "--set", "a=1", "b=2")
    assert result.exit_code == 1
    assert "--set a=1 --set b=2" in result.stderr
