"""Settings: what is read is what was written; what is wrong is named by file and key."""

import pytest

from metarep.embeddings.settings import EmbedConfig
from metarep.errors import MetarepError
from metarep.evaluation.settings import ClusterConfig
from metarep.model.settings import PretrainConfig
from metarep.run_settings import MAIN, RunConfig, model_settings
from metarep.settings import load_config, with_defaults
from metarep.settings_table import groups_of
from metarep.studies.settings import BeyondConfig, QuestionConfig
from metarep.training.settings import FamilyConfig, ZooConfig


def problem(kind, path=None, overrides=None, **fixed) -> str:
    """The one line that these settings end in."""
    with pytest.raises(MetarepError) as caught:
        load_config(kind, path, overrides, **fixed)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def test_resolved_settings_read_back_are_the_same(tmp_path):
    import yaml

    config = load_config(RunConfig, None, ["pretrain.n_steps=7", "zoo.seed=3", "targets.a.seed=5"])
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(config.resolved()))
    assert load_config(RunConfig, file) == config


@pytest.mark.parametrize("name", ["smoke", "quickstart", "representation", "functions", "real"])
def test_the_configs_that_we_ship_are_valid(name, request):
    file = request.config.rootpath / "configs" / f"{name}.yaml"
    assert load_config(RunConfig, file).name == name


def test_every_ablation_changes_something_and_only_in_its_models(request):
    folder = request.config.rootpath / "configs" / "ablations"
    base = load_config(RunConfig, folder / "base.yaml")
    for file in sorted(folder.glob("*.yaml")):
        config = load_config(RunConfig, file)
        assert (config.zoo, config.pretrain, config.cluster) == (base.zoo, base.pretrain, base.cluster), file
        assert file.stem == "base" or config.models or config.embeddings != base.embeddings, file
        for name in config.models:
            assert model_settings(config, name) != model_settings(config, MAIN), (file, name)


def test_further_models_differ_from_the_first_by_what_they_say():
    settings = [
        "pretrain.d_model=16",
        "models.wide.pretrain.d_model=32",
        "models.same.embed.n_copies=8",
        "embed.tokens_per_batch=64",
    ]
    config = load_config(RunConfig, None, settings)
    (own, own_embed), (wide, wide_embed), (same, copied) = (model_settings(config, name) for name in (MAIN, "wide", "same"))
    assert (wide, wide_embed) == (own.model_copy(update={"d_model": 32}), own_embed)
    assert (same, copied) == (own, own_embed.model_copy(update={"n_copies": 8}))
    with pytest.raises(MetarepError, match=r"models\.bad\.pretrain: unknown key n_stepps"):
        model_settings(load_config(RunConfig, None, ["models.bad.pretrain.n_stepps=1"]), "bad")


def test_a_seed_overrides_those_of_all_stages():
    config = load_config(RunConfig, None, ["seed=7", "pretrain.seed=2", "models.a.pretrain.seed=3"])
    assert model_settings(config, MAIN)[0].seed == 7
    assert model_settings(config, "a")[0].seed == 3


def test_a_zoo_is_built_imported_or_finished():
    built, imported, finished = (
        load_config(RunConfig, None, [text]).zoo
        for text in ("zoo.families=[{n_networks: 3}]", "zoo={import: [a, b], labels: c.csv}", "zoo.folder=d")
    )
    assert built.families[0].n_networks == 3
    assert (imported.paths, str(imported.labels), str(finished.folder)) == (("a", "b"), "c.csv", "d")
    for zoo in (built, imported, finished):
        config = RunConfig(zoo=zoo)
        assert RunConfig.model_validate(config.resolved()) == config
    assert "unknown key zoo.label;" in problem(RunConfig, None, ["zoo={import: [a], label: c.csv}"])
    assert "unknown key targets.x.familys" in problem(RunConfig, None, ["targets.x.familys=[]"])


def test_entries_of_lists_can_be_set(tmp_path):
    config = load_config(ZooConfig, None, ["families.0.n_networks=100", "families.0.variant=e03"])
    assert (config.families[0].n_networks, config.families[0].variant) == (100, "e03")
    assert load_config(RunConfig, None, ["zoo.families.0.lr=0.5"]).zoo.families[0].lr == 0.5
    file = tmp_path / "zoo.yaml"
    file.write_text("families: [{variant: e01, n_networks: 2}, {variant: e02, n_networks: 3}]\n")
    config = load_config(ZooConfig, file, ["families.1.n_networks=4"])
    assert [family.n_networks for family in config.families] == [2, 4]
    assert "expected a number below 2" in problem(ZooConfig, file, ["families.2.n_networks=4"])
    assert "families.0.x" in problem(ZooConfig, None, ["families.0.x=4"])
    assert "seed" in problem(ZooConfig, file, ["seed.0=4"])


def test_other_defaults_of_the_same_settings():
    kind = with_defaults(PretrainConfig, "Short", n_steps=7)
    assert (kind().n_steps, kind().lr, PretrainConfig().n_steps) == (7, PretrainConfig().lr, None)
    assert load_config(kind, None, ["lr=0.5"]).n_steps == 7
    assert "n_steps" in problem(kind, None, ["n_steps=0"])
    assert {row.default for rows in groups_of(kind).values() for row in rows if row.name == "n_steps"} == {"7"}


def test_every_setting_is_shown_with_meaning_default_and_bounds():
    groups = groups_of(PretrainConfig)
    rows = {row.name: row for rows in groups.values() for row in rows}
    assert set(rows) == set(PretrainConfig.model_fields)
    assert (rows["overlap"].default, rows["overlap"].bounds) == ("0.25", "at least 0, below 1")
    assert rows["head"].bounds == "one of mixture, gaussian, squared, rectified"
    assert rows["chunk"].default == ""
    assert "unit_mask_share" in [row.name for row in groups["Masks"]]
    run = groups_of(RunConfig)
    assert {"zoo", "zoo.families.0", "pretrain: Masks", "cluster"} <= set(run)
    assert "(as zoo)" in next(row.meaning for row in run["General"] if row.name == "targets.NAME")


def test_questions_are_asked_of_models_made_as_the_main_one_is(request):
    configs = request.config.rootpath / "configs"
    asked = load_config(QuestionConfig, configs / "questions.yaml").pretrain
    main = load_config(RunConfig, configs / "representation.yaml").pretrain
    for name in ("behaviour_weight", "jitter", "n_components", "n_layers", "batch_size", "positions"):
        assert getattr(asked, name) == getattr(main, name)


@pytest.mark.parametrize(
    ("kind", "key"), [(QuestionConfig, "pretrain.d_model"), (BeyondConfig, "architectures.pretrain.d_model")]
)
def test_one_setting_changes_what_a_series_has_by_default_and_leaves_the_others(kind, key):
    *parents, last = key.split(".")
    was, now = kind(), load_config(kind, None, [f"{key}=16"])
    for name in parents:
        was, now = getattr(was, name), getattr(now, name)
    assert now == was.model_copy(update={last: 16})


def test_questions_are_asked_of_networks_as_stored():
    assert "canonical" in problem(QuestionConfig, None, ["pretrain.units=canonical"])


def test_later_ones_win(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("n_steps: 10\nlr: 0.5\nseed: 1\n")
    config = load_config(PretrainConfig, file, ["n_steps=20", "seed=2"], seed=3)
    assert (config.n_steps, config.lr, config.seed) == (20, 0.5, 3)


def test_an_empty_file_means_defaults(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text("")
    assert load_config(ZooConfig, file) == ZooConfig()


def test_unknown_keys_are_named_with_the_known_ones(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("n_step: 10\n")
    text = problem(PretrainConfig, file)
    assert str(file) in text
    assert "unknown key n_step" in text
    assert "n_steps" in text
    nested = problem(RunConfig, None, ["pretrain.n_step=10"])
    assert "pretrain.n_step" in nested
    assert "n_steps" in nested
    assert "families.0.variants" in problem(ZooConfig, families=[{"variants": "e09"}])


@pytest.mark.parametrize(
    ("kind", "override", "said"),
    [
        (PretrainConfig, "n_steps=0", "n_steps"),
        (PretrainConfig, "n_steps=many", "n_steps"),
        (PretrainConfig, "head=magic", "head"),
        (PretrainConfig, "d_model=10", "no multiple"),
        (PretrainConfig, "mask_ratio_min=0.9", "above"),
        (ZooConfig, "engine=steam", "engine"),
        (ZooConfig, "n_snapshots=-1", "n_snapshots"),
        (ZooConfig, "families=[]", "families"),
        (EmbedConfig, "kind=astral", "kind"),
        (RunConfig, "zoo=3", "zoo"),
    ],
)
def test_impossible_values_are_named(kind, override, said):
    assert said in problem(kind, None, [override])


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ({"n_networks": 3, "seeds": [1]}, "one of the two"),
        ({}, "one of the two"),
        ({"seeds": [1, 1]}, "repeat"),
        ({"seeds": [-1]}, "seeds"),
        ({"seeds": []}, "seeds"),
        ({"n_networks": 3, "spec": "2-x"}, "2-x"),
        ({"n_networks": 3, "variant": "e99"}, "variant"),
    ],
)
def test_families_that_cannot_be_are_refused(family, said):
    assert said in problem(ZooConfig, families=[family])


@pytest.mark.parametrize("text", ["n_steps", "=3", "n_steps.x=3=", "n_steps=[1"])
def test_malformed_overrides_are_named(text):
    said = problem(PretrainConfig, None, ["n_steps=4", text])
    assert text.partition("=")[0] in said
    assert "--set" in said


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [1\n", "just text", "\x00"])
def test_files_that_are_no_config_are_named(tmp_path, content):
    file = tmp_path / "bad.yaml"
    file.write_text(content)
    assert str(file) in problem(ZooConfig, file)


def test_missing_files_and_folders_are_named(tmp_path):
    assert "nowhere.yaml" in problem(ZooConfig, tmp_path / "nowhere.yaml")
    assert str(tmp_path) in problem(ZooConfig, tmp_path)


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        FamilyConfig(n_networks=1).n_networks = 2


@pytest.mark.parametrize("override", ["ks=[]", "ks=[1, 2]", "clusterers=[]"])
def test_a_comparison_without_clusters_is_refused(override):
    assert override.partition("=")[0] in problem(ClusterConfig, None, [override])
    assert load_config(ClusterConfig, None, ["ks=[2]", "clusterers=[kmeans]"]).ks == (2,)


def test_a_config_extends_another_from_where_it_lies(tmp_path):
    (tmp_path / "base.yaml").write_text("name: base\npretrain: {n_steps: 7, lr: 0.1}\nembeddings: [pooled]\n")
    (tmp_path / "rows").mkdir()
    row = tmp_path / "rows" / "row.yaml"
    row.write_text("extends: ../base.yaml\nname: row\npretrain: {lr: 0.2}\nembeddings: [states]\n")
    config = load_config(RunConfig, row, ["pretrain.seed=3"])
    assert (config.name, config.pretrain.n_steps, config.pretrain.lr, config.pretrain.seed) == ("row", 7, 0.2, 3)
    assert config.embeddings == ("states",)


def test_bounds_are_said_without_the_words_of_the_parser():
    assert "n_bootstraps; met 0; expected greater than or equal to 1" in problem(ClusterConfig, None, ["n_bootstraps=0"])
    assert "Input" not in problem(PretrainConfig, None, ["n_steps=many"])


def test_configs_that_extend_each_other_or_nothing_are_refused(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("extends: second.yaml\n")
    second.write_text("extends: first.yaml\n")
    with pytest.raises(MetarepError, match="extends itself"):
        load_config(RunConfig, first)
    first.write_text("extends: nowhere.yaml\n")
    with pytest.raises(MetarepError, match="no config file"):
        load_config(RunConfig, first)
