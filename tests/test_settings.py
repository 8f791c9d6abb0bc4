"""Settings: what is read is what was written; what is wrong is named by file and key."""

import pytest

from metarep.cloze.settings import EmbedConfig, PretrainConfig
from metarep.errors import MetarepError
from metarep.evaluation.settings import ClusterConfig
from metarep.run_settings import RunConfig
from metarep.settings import load_config
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


@pytest.mark.parametrize("name", ["smoke", "quickstart", "representation"])
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


def test_further_models_differ_from_the_first_by_what_they_say():
    settings = ["pretrain.d_model=16", "models.wide.pretrain.d_model=32", "models.same.embeddings=[states]"]
    config = load_config(RunConfig, None, settings)
    assert (config.models["wide"].pretrain.d_model, config.models["same"].pretrain) == (32, config.pretrain)
    assert config.models["wide"].pretrain.model_copy(update={"d_model": 16}) == config.pretrain


def test_further_models_embed_as_the_first_but_for_what_they_say():
    settings = ["embed.batch_size=64", "models.averaged.embed.n_copies=8", "models.same.embeddings=[states]"]
    config = load_config(RunConfig, None, settings)
    assert config.models["same"].embed == config.embed
    assert config.models["averaged"].embed == config.embed.model_copy(update={"n_copies": 8})


def test_questions_are_asked_of_models_made_as_the_main_one_is(request):
    configs = request.config.rootpath / "configs"
    asked = load_config(QuestionConfig, configs / "questions.yaml").pretrain
    main = load_config(RunConfig, configs / "representation.yaml").pretrain
    for name in ("behaviour_weight", "whole_share", "jitter", "n_components", "n_layers", "batch_size", "tokens", "positions"):
        assert getattr(asked, name) == getattr(main, name)


@pytest.mark.parametrize(
    ("kind", "key"), [(QuestionConfig, "pretrain.d_model"), (BeyondConfig, "architectures.pretrain.d_model")]
)
def test_one_setting_changes_what_a_series_has_by_default_and_leaves_the_others(kind, key):
    *parents, last = key.split(".")
    was, now = kind(), load_config(kind, None, [f"{key}=16"])
    for name in parents:
        was, now = getattr(was, name), getattr(now, name)
    assert was != type(was)()
    assert now == was.model_copy(update={last: 16})


def test_questions_are_asked_of_networks_as_they_stand():
    assert "canonical" in problem(QuestionConfig, None, ["pretrain.scale=canonical"])


def test_orders_of_units_may_still_be_called_as_they_were():
    was = {flag: load_config(PretrainConfig, None, [f"permute_units={flag}"]) for flag in ("true", "false")}
    assert (was["true"], was["false"].units) == (PretrainConfig(), "as_written")
    config = load_config(RunConfig, None, ["pretrain.permute_units=false", "models.sorted.pretrain.positions=indexed"])
    assert config.models["sorted"].pretrain.units == "as_written"


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
    row.write_text("extends: ../base.yaml\nname: row\npretrain: {lr: 0.2}\nembeddings: [profile]\n")
    config = load_config(RunConfig, row, ["pretrain.seed=3"])
    assert (config.name, config.pretrain.n_steps, config.pretrain.lr, config.pretrain.seed) == ("row", 7, 0.2, 3)
    assert config.embeddings == ("profile",)


def test_configs_that_extend_each_other_or_nothing_are_refused(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("extends: second.yaml\n")
    second.write_text("extends: first.yaml\n")
    with pytest.raises(MetarepError, match="extends itself"):
        load_config(RunConfig, first)
    first.write_text("extends: nowhere.yaml\n")
    with pytest.raises(MetarepError, match="no config file"):
        load_config(RunConfig, first)


def test_settings_of_an_earlier_version_are_read_with_todays_names_and_defaults():
    today = PretrainConfig(jitter=0.5, behaviour_weight=1.0).resolved()
    earlier = {name: value for name, value in today.items() if name not in ("units", "scale")} | {"permute_units": True}
    assert PretrainConfig.as_of_today(earlier) == today
    assert PretrainConfig.as_of_today(earlier | {"permute_units": False}) != today
    assert PretrainConfig.as_of_today({"no such": 1}) == {"no such": 1}
