"""Pretraining as a stage: it learns, it repeats, it carries on where it was interrupted, and it says what it needs."""

import shutil
from functools import partial

import numpy as np
import pytest
import torch
from small_networks import TINY, fresh_state, imported_zoo, prepared_for, whole_networks

from metarep.artefact import open_artefact, partial_path
from metarep.errors import MetarepError
from metarep.model import graphs, pretraining
from metarep.model.data import CutWindows, RenewedData, TrainingData, WholeNetworks, cut_windows
from metarep.model.optimiser import learning_rate
from metarep.model.pretraining import (
    cohorts_of,
    draw_batch,
    load_model,
    prepare,
    pretrain,
    train_step,
    with_steps,
)
from metarep.model.settings import PretrainConfig
from metarep.model.workers import drawn_by_workers
from metarep.progress import Progress
from metarep.tables import read_csv
from metarep.zoos.zoo import open_zoo

SHORT = TINY | {"n_steps": 12, "eval_every": 5, "context": 16, "n_layers": 1, "n_probes": 4, "batch_size": 8}
BOTH = PretrainConfig(**SHORT, behaviour_weight=1.0, activation="relu", jitter=0.5, value_mask_share=0.3, chunk=2)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Networks that fit into one window, and larger ones."""
    return imported_zoo(tmp_path_factory.mktemp("zoo"), ["2-3-1", "3-12-2"])


@pytest.fixture(scope="module")
def small_zoo(tmp_path_factory):
    return imported_zoo(tmp_path_factory.mktemp("small"), ["2-2-1"])


@pytest.fixture(scope="module")
def model(zoo, tmp_path_factory):
    return pretrain(BOTH, zoo, tmp_path_factory.mktemp("model") / "model")


def test_a_model_holds_what_the_contract_says_and_nothing_else(model):
    assert {path.name for path in model.iterdir()} == {"manifest.json", "config.json", "model.safetensors", "log.csv"}
    log = read_csv(model / "log.csv")
    assert [row["step"] for row in log] == [5, 10, 12]
    assert list(log[0]) == ["step", "train_loss", "valid_loss", "valid_r2", "lr"]
    assert set(open_artefact(model).manifest["inputs"]) == {"zoo"}
    loaded = load_model(model)
    assert set(loaded.decoder.spaces) == {"2 to 1", "3 to 2"}
    assert loaded.chunk == 2


def test_little_to_learn_from_asks_for_fewer_steps_and_stated_ones_are_kept(capsys):
    speaking = Progress("plain")
    found = {n: with_steps(PretrainConfig(), n, speaking) for n in (3, 50, 5000)}
    assert [one.n_steps for one in found.values()] == [300, 1000, 4000]
    assert [one.batch_size for one in found.values()] == [16, 128, 128]
    assert (found[3].warmup_steps, found[3].eval_every) == (60, 60)
    assert (found[5000].warmup_steps, found[5000].eval_every) == (200, 250)
    said = capsys.readouterr().err
    assert "300 steps of 16 windows, since there are only 3 windows" in said
    assert "5000" not in said
    assert with_steps(PretrainConfig(n_steps=7), 3, speaking) == PretrainConfig(n_steps=7)


@pytest.mark.parametrize("killed_at", [4, 10])
def test_a_pretraining_that_was_killed_ends_with_the_same_bytes(zoo, model, tmp_path, monkeypatch, killed_at):
    real, steps = pretraining.train_step, []

    def dying(*arguments, **how):
        if len(steps) == killed_at:
            raise KeyboardInterrupt
        steps.append(1)
        return real(*arguments, **how)

    monkeypatch.setattr(pretraining, "train_step", dying)
    with pytest.raises(KeyboardInterrupt):
        pretrain(BOTH, zoo, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert partial_path(tmp_path / "model").is_dir()
    done = []
    monkeypatch.setattr(pretraining, "train_step", lambda *a, **how: (done.append(1), real(*a, **how))[1])
    pretrain(BOTH, zoo, tmp_path / "model")
    assert len(done) == 12 - killed_at // 5 * 5
    for name in ("model.safetensors", "log.csv", "config.json"):
        assert (tmp_path / "model" / name).read_bytes() == (model / name).read_bytes(), name


@pytest.mark.parametrize("objective", ["autoencoder", "contrastive", "latent"])
def test_other_objectives_carry_on_too_and_leave_their_own_parts_behind(small_zoo, tmp_path, monkeypatch, objective):
    config, real, steps = PretrainConfig(**SHORT, objective=objective), pretraining.train_step, []
    whole = pretrain(config, small_zoo, tmp_path / "whole")

    def dying(*arguments, **how):
        if len(steps) == 7:
            raise KeyboardInterrupt
        steps.append(1)
        return real(*arguments, **how)

    monkeypatch.setattr(pretraining, "train_step", dying)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, small_zoo, tmp_path / "model")
    monkeypatch.setattr(pretraining, "train_step", real)
    again = pretrain(config, small_zoo, tmp_path / "model")
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    model = load_model(whole)
    assert model.head is None
    assert (model.bottleneck is not None) == (objective == "autoencoder")


def test_steps_are_drawn_from_seed_and_step_alone(zoo):
    one, other = (prepare(BOTH, [open_zoo(zoo).finite()], progress=Progress()) for _ in range(2))
    first, same, later = (draw_batch(BOTH, p.model, p.train, step) for p, step in ((one, 7), (other, 7), (one, 8)))
    for kept, again in zip(first[0], same[0], strict=True):
        assert torch.equal(kept.values, again.values)
    assert all(torch.equal(a, b) for a, b in zip(first[1], same[1], strict=True))
    assert not any(a.shape == b.shape and torch.equal(a, b) for a, b in zip(first[1], later[1], strict=False))


def test_small_networks_are_drawn_anew_and_larger_ones_are_cut(zoo):
    prepared = prepare(BOTH, [open_zoo(zoo).finite()], progress=Progress())
    assert {type(source) for source in prepared.train.sources} == {WholeNetworks, CutWindows}
    batch, masks, _ = draw_batch(BOTH, prepared.model, prepared.train, 0)
    assert sum(len(segment) for segment in batch) == BOTH.batch_size
    assert all(mask.shape == segment.values.shape for mask, segment in zip(masks, batch, strict=True))


@pytest.mark.parametrize("most", [60, 16, 1000])
def test_windows_in_memory_are_no_more_than_asked_for_and_spread_over_networks(zoo, most):
    config = BOTH.model_copy(update={"max_windows": most})
    prepared = prepare(config, [open_zoo(zoo).finite()], progress=Progress())
    n = sum(len(source) for source in prepared.train.sources if isinstance(source, CutWindows))
    (large,) = [one for one in cohorts_of([open_zoo(zoo).finite()], "train", config, 2) if not one.plan.whole]
    shown = min(len(large.rows), most)
    assert n == min(max(1, most // shown), large.plan.n_windows) * shown


ENDLESS = BOTH.model_copy(update={"n_steps": 10**9})


def cut_values(data, step):
    return torch.cat([one.values.flatten() for one in data.at(step, ENDLESS).sources if isinstance(one, CutWindows)])


def test_once_as_many_windows_were_shown_as_are_held_others_are_cut_by_seed_and_round(zoo):
    def prepared(**settings):
        return prepare(BOTH.model_copy(update=settings), [open_zoo(zoo).finite()], progress=Progress()).train

    data, again = prepared(max_windows=16), prepared(max_windows=16)
    lasts = -(-len(data) // BOTH.batch_size)
    first, still, later = (cut_values(data, step) for step in (0, lasts - 1, lasts))
    assert torch.equal(first, still)
    assert not torch.equal(first, later)
    assert torch.equal(cut_values(again, lasts), later)  # as a run that was resumed there
    assert torch.equal(cut_values(data, 0), first)
    assert {one.shape.layout for step in range(40) for one in data.at(step, ENDLESS).sources} <= set(data.layouts)
    fixed = prepared(max_windows=1000, units="raw")
    assert torch.equal(cut_values(fixed, 0), cut_values(fixed, 10**6))


def test_in_the_end_every_window_of_every_network_was_shown(zoo):
    data = prepare(
        BOTH.model_copy(update={"max_windows": 16, "units": "raw"}), [open_zoo(zoo).finite()], progress=Progress()
    ).train
    everything = prepare(BOTH.model_copy(update={"units": "raw"}), [open_zoo(zoo).finite()], progress=Progress()).train

    def windows(some):
        return {
            one.values[row].numpy().tobytes() for one in some.sources if isinstance(one, CutWindows) for row in range(len(one))
        }

    shown = set().union(*(windows(data.at(step, ENDLESS)) for step in range(0, 400, 2)))
    assert len(windows(data)) <= 16 < len(windows(everything))
    assert shown == windows(everything)


def test_normalisation_comes_from_training_networks_alone(small_zoo):
    zoo = open_zoo(small_zoo).finite()
    prepared = prepare(PretrainConfig(**SHORT), [zoo], progress=Progress())
    train = zoo.stacked((zoo.split == "train").nonzero()[0])
    found = prepared.model.class_mean[prepared.model.first_class["2.bias|1x1x1x1x1"]]
    assert float(found) == pytest.approx(float(train["2.bias"].mean()), abs=1e-6)
    assert abs(float(zoo.stacked(torch.arange(len(zoo)).numpy())["2.bias"].mean() - found)) > 1e-4


@pytest.mark.parametrize("objective", ["cloze", "autoencoder", "contrastive", "latent"])
def test_one_batch_can_be_learned(objective):
    settings = TINY | {"n_steps": 400, "lr": 1e-2}
    config = PretrainConfig(**settings, objective=objective, **({"behaviour_weight": 1.0} if objective == "cloze" else {}))
    prepared = prepared_for(config, whole_networks("2-2-1", 8))
    state, data = fresh_state(prepared), TrainingData(prepared.train.sources)
    batch, masks, _ = draw_batch(config, prepared.model, data, 0)
    loss = lambda: float(prepared.objective.loss(batch, masks, generator=torch.Generator().manual_seed(1)).detach())  # noqa: E731
    first = loss()
    for _ in range(20):
        train_step(config, state, batch, masks, torch.Generator().manual_seed(1))
        state.step += 1
    assert loss() < (first - 0.5 if objective == "cloze" else 0.9 * first)


def test_one_batch_of_windows_is_overfitted(zoo):
    settings = SHORT | {"n_steps": 150, "lr": 1e-2, "batch_size": 3, "d_model": 48, "n_layers": 2}
    config = PretrainConfig(**settings, chunk=2, head="gaussian", unit_mask_share=0.0, mask_ratio_max=0.15)
    prepared = prepare(config, [open_zoo(zoo).finite()], progress=Progress())
    state, (batch, masks, generator) = fresh_state(prepared), draw_batch(config, prepared.model, prepared.train, 0)
    for _ in range(150):
        train_step(config, state, batch, masks, generator)
        state.step += 1
    with torch.no_grad():
        assert prepared.objective.metrics(batch, masks)["valid_r2"] > 0.5


def test_the_largest_mask_ratio_grows_and_validation_sees_the_whole_range():
    config = PretrainConfig(**TINY, n_steps=100, mask_ratio_min=0.1, mask_ratio_max=0.9, mask_growth=0.5)
    ratios = [pretraining.mask_rule(config, step).ratio for step in (0, 25, 50, 99, None)]
    assert ratios == [pytest.approx(one) for one in ((0.1, 0.1), (0.1, 0.5), (0.1, 0.9), (0.1, 0.9), (0.1, 0.9))]
    still = config.model_copy(update={"mask_growth": 0.0})
    assert pretraining.mask_rule(still, 0) == pretraining.mask_rule(still)


def test_the_learning_rate_warms_up_and_decays():
    config = PretrainConfig(n_steps=100, warmup_steps=10)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] < rates[9] == pytest.approx(max(rates)) == config.lr
    assert rates[-1] < 0.1 * config.lr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_model": 10, "n_heads": 4}, "no multiple"),
        ({"mask_ratio_min": 0.5, "mask_ratio_max": 0.4}, "above mask_ratio_max"),
        ({"objective": "latent", "behaviour_weight": 1.0}, "objective=cloze"),
        ({"jitter": 0.5}, "behaviour_weight"),
        ({"probe_range": (1.0, 0.0)}, "empty"),
        ({"units": "canonical", "scale_units": 0.5}, "shuffled"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        PretrainConfig(**changes)


def test_every_setting_is_in_one_group_and_described():
    grouped = [name for names in PretrainConfig.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(PretrainConfig.model_fields)
    assert all(one.description for one in PretrainConfig.model_fields.values())


def test_too_few_networks_and_objectives_on_several_architectures_are_refused(zoo, tmp_path):
    one = imported_zoo(tmp_path / "one", ["2-2-1"], 1)
    with pytest.raises(MetarepError, match="too few networks"):
        pretrain(BOTH, one, tmp_path / "model")
    with pytest.raises(MetarepError, match="single architecture"):
        pretrain(PretrainConfig(**SHORT, objective="contrastive"), zoo, tmp_path / "model")
    with pytest.raises(MetarepError, match="activation=relu"):
        pretrain(BOTH.model_copy(update={"activation": None}), zoo, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_damaged_model_is_refused(model, tmp_path):
    damaged = shutil.copytree(model, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(MetarepError, match="altered"):
        load_model(damaged)


@pytest.mark.parametrize("objective", ["cloze", "latent"])
def test_picking_masked_values_afterwards_gives_the_same_loss(small_zoo, objective):
    config = PretrainConfig(**SHORT, objective=objective)
    prepared = prepare(config, [open_zoo(small_zoo)], progress=Progress())
    batch, masks, _ = draw_batch(config, prepared.model, prepared.train, 0)
    found = []
    for everywhere in (False, True):
        prepared.objective.everywhere = everywhere
        prepared.objective.zero_grad()
        loss = prepared.objective.loss(batch, masks, generator=torch.Generator())
        loss.backward()
        found.append((loss.detach(), prepared.model.value_in.weight.grad.clone()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_recorded_step_reads_what_is_copied_to_its_inputs(small_zoo, monkeypatch):
    """A recording that computes at each replay, from the tensors that it was made with, as a CUDA graph does."""

    class Replayed(graphs.Recording):
        def __init__(self, compute, batch, masks):
            self.inputs, self.compute = graphs.inputs_of(batch, masks), lambda: compute(batch, masks)

        def run(self):
            return self.compute()

    monkeypatch.setattr(graphs, "Recording", Replayed)
    config = PretrainConfig(**SHORT)
    losses = []
    for recorder in (None, graphs.Recorder()):
        prepared = prepare(config, [open_zoo(small_zoo)], progress=Progress())
        state = fresh_state(prepared)
        state.recorder = recorder
        for step in range(8):
            batch, masks, generator = draw_batch(config, prepared.model, prepared.train, step)
            losses.append(float(train_step(config, state, batch, masks, generator)))
            state.step += 1
    assert losses[:8] == losses[8:]
    assert len(recorder.recordings) == 1


def test_processes_draw_the_same_batches_in_the_same_order(zoo):
    prepared = prepare(BOTH, [open_zoo(zoo)], progress=Progress())
    draw, layouts = partial(draw_batch, BOTH, prepared.model, prepared.train), prepared.train.layouts
    for step, (batch, masks, generator) in enumerate(drawn_by_workers(draw, range(4), layouts, n_workers=2)):
        expected, expected_masks, expected_generator = draw(step)
        assert [one.layout for one in batch] == [one.layout for one in expected]
        for one, other in zip(batch, expected, strict=True):
            assert all(
                torch.equal(a, b) for a, b in zip(graphs.inputs_of([one], []), graphs.inputs_of([other], []), strict=True)
            )
        assert all(torch.equal(a, b) for a, b in zip(masks, expected_masks, strict=True))
        assert torch.equal(generator.get_state(), expected_generator.get_state())
    assert step == 3


def test_windows_are_asked_for_what_they_do_at_the_probes_of_a_file_from_the_first_round_on(tmp_path):
    np.save(tmp_path / "probes.npy", np.random.default_rng(0).random((9, 3)).astype(np.float32))
    config = BOTH.model_copy(update={"probes": tmp_path / "probes.npy"})
    subjects = [open_zoo(imported_zoo(tmp_path, ["3-12-2"])).finite()]
    prepared = prepare(config, subjects, progress=Progress())
    (cohort,) = cohorts_of(subjects, "train", config, 2)
    spaces = dict(prepared.model.decoder.spaces.items())
    again = cut_windows([cohort], config, split="train", spaces=spaces, progress=Progress())
    for one, other in zip(prepared.train.sources, again, strict=True):
        torch.testing.assert_close(one.contributions, other.contributions)
    prepared.model.to("meta")  # as to a GPU, which processes that cut windows must not touch
    assert any(one.contributions is not None for one in prepared.train.cut(1))


def test_networks_of_more_windows_than_their_share_are_shown_whole_in_the_end(tmp_path):
    subjects = [open_zoo(imported_zoo(tmp_path, ["3-12-2", "3-40-40-2"], 12)).finite()]
    cohorts = cohorts_of(subjects, "train", BOTH, 2)
    numbers = [sum(int(speaks.sum()) for speaks in one.plan.speaking) for one in cohorts]
    n = sum(len(one.rows) * windows for one, windows in zip(cohorts, numbers, strict=True))
    config = BOTH.model_copy(update={"units": "raw", "max_windows": n})  # enough for all, were they spread as windows are
    data = prepare(config, subjects, progress=Progress()).train
    assert len(data) < n
    assert isinstance(data, RenewedData)


def test_no_round_is_cut_that_no_step_comes_to_and_none_is_kept_that_is_over(zoo):
    config = BOTH.model_copy(update={"max_windows": 16, "n_steps": 30})
    data = prepare(config, [open_zoo(zoo).finite()], progress=Progress()).train
    cut, numbers, first = data.cut, [], data.sources[-1]
    data.cut = lambda number: numbers.append(number) or cut(number)
    for step in range(config.n_steps):
        data.at(step, config)
    assert sorted(numbers) == list(range(1, 1 + (config.n_steps - 1) * config.batch_size // data.n_shown))
    assert not any(one is first for one in data.sources)
    large = config.model_copy(update={"batch_size": 3 * data.n_shown})
    numbers.clear()
    for step in range(1, 5):
        data.at(step, large)
    assert all(one.result() for one in data._rounds.values())
    assert sorted(numbers) == [3, 6, 9, 12, 15]


def test_each_round_shows_networks_in_other_orders_of_their_units(tmp_path):
    subjects = [open_zoo(imported_zoo(tmp_path, ["3-12-2"], 12)).finite()]  # all windows are held: orders alone may differ
    data = prepare(BOTH, subjects, progress=Progress()).train
    first, second = (cut_values(data, step) for step in (0, -(-data.n_shown // BOTH.batch_size)))
    assert first.shape == second.shape
    assert not torch.equal(first, second)
