"""Other tasks than the product: fast and plain targets agree, the product stays as it was, names do not meet."""

import numpy as np
import pytest

from metarep.domains.multiplier.trajectories import initial_error
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.settings import load_config
from metarep.training.build import build_zoo
from metarep.training.engines import engine_by_name
from metarep.training.recipe import TrainingPlan, draw_reference
from metarep.training.sampling import INPUT_DISTRIBUTIONS, draw, draw_interval
from metarep.training.settings import FamilyConfig, ZooConfig
from metarep.training.tasks import N_TERMS, TWO_INPUTS, Task, random_series, series_values
from metarep.zoos.zoo import open_zoo

SEEDS = np.array([3, 2813536937], np.uint32)
FOURIER = NetworkSpec.parse("1-16-1")


@pytest.mark.parametrize("input_distribution", INPUT_DISTRIBUTIONS)
@pytest.mark.parametrize("name", TWO_INPUTS)
def test_the_compiled_targets_are_the_reference_bit_by_bit(input_distribution, name):
    spec, task = NetworkSpec.parse("2-2-1"), Task(name)
    reference = draw_reference(3, input_distribution, spec, task)
    drawn = draw(np.uint32(3), INPUT_DISTRIBUTIONS[input_distribution], np.array(spec.widths), spec.n_params, task.code)
    for one, other in zip(drawn, (reference.x, reference.y, reference.order, reference.init_params), strict=True):
        np.testing.assert_array_equal(one, other)
    product = draw_reference(3, input_distribution, spec)
    np.testing.assert_array_equal(reference.x, product.x)
    assert np.array_equal(reference.y, product.y) == (name == "product")
    assert np.isfinite(reference.y).all()


def test_targets_are_what_their_names_say():
    x = np.array([[0.5, 0.25], [0.25, 1.0]], np.float32)
    expected = {"product": [7, 7], "sum": [0.75, 1.25], "quotient": [2 / 3, 1 / 6], "square": [0.25, 0.0625], "max": [0.5, 1]}
    for name, values in expected.items():
        np.testing.assert_allclose(Task(name).reference(x, np.array([7, 7], np.float32)), values, rtol=1e-6)


@pytest.mark.parametrize("name", ["sum", "max"])
def test_engines_agree_on_another_task(name):
    plan = TrainingPlan(NetworkSpec.parse("2-2-1"), "product", 1e-3, 60, (5,), Task(name))
    agree(plan)


@pytest.mark.parametrize("input_distribution", ["wide", "diagonal"])
def test_engines_agree_on_another_input_distribution(input_distribution):
    agree(TrainingPlan(NetworkSpec.parse("2-2-1"), input_distribution, 1e-3, 200, (5,)))


def test_engines_agree_on_a_function_of_one_number():
    agree(TrainingPlan(FOURIER, "interval", 1e-2, 100, (5,), random_series(1, seed=0)))


def agree(plan):
    loop, *others = (engine_by_name(name)(plan, SEEDS, None) for name in ("loop", "fast", "torch"))
    for other in others:
        for field in ("params", "init_params", "train_mse", "valid_mse", "snapshots", "snapshot_mse"):
            np.testing.assert_allclose(getattr(other, field), getattr(loop, field), atol=5e-5, err_msg=field)


def test_the_interval_draw_equals_the_reference():
    task = random_series(4, seed=1)
    reference = draw_reference(11, "interval", FOURIER, task)
    x, y, order, init = draw_interval(np.uint32(11), task.coefficients, np.array(FOURIER.widths), FOURIER.n_params)
    np.testing.assert_array_equal(x, reference.x)
    np.testing.assert_array_equal(order, reference.order)
    np.testing.assert_array_equal(init, reference.init_params)
    np.testing.assert_allclose(y, reference.y, atol=1e-6)
    assert len(reference.train[1]) == 256
    assert len(reference.valid[1]) == 64
    assert -1 <= x.min() < -0.9
    assert 0.9 < x.max() <= 1


def test_a_series_has_ten_terms_period_two_mean_zero_and_mean_square_one():
    task = random_series(3, seed=5)
    grid = np.arange(-1, 1, 2 / 4096).astype(np.float32)
    values = series_values(task.coefficients, grid).astype(float)
    assert values.mean() == pytest.approx(0, abs=1e-5)
    assert np.square(values).mean() == pytest.approx(1, abs=1e-5)
    spectrum = np.fft.rfft(values) / len(grid) * 2 * np.exp(1j * np.pi * np.arange(2049))  # the grid starts at −1
    np.testing.assert_allclose(spectrum.real[1 : N_TERMS + 1], task.coefficients[0], atol=1e-5)
    np.testing.assert_allclose(-spectrum.imag[1 : N_TERMS + 1], task.coefficients[1], atol=1e-5)
    assert np.abs(spectrum[N_TERMS + 1 :]).max() < 1e-5
    np.testing.assert_array_equal(random_series(3, seed=5).coefficients, task.coefficients)
    for other in (random_series(4, seed=5), random_series(3, seed=6)):
        assert np.abs(other.coefficients - task.coefficients).max() > 0.01


def test_tasks_have_their_own_names_and_the_product_keeps_its(tmp_path):
    families = [FamilyConfig(seeds=(1, 2), n_steps=5, task=task) for task in TWO_INPUTS]
    zoo = open_zoo(build_zoo(ZooConfig(families=families), tmp_path / "zoo"))
    assert len(set(zoo["network_id"])) == len(set(zoo["run_id"])) == 10
    assert set(zoo.where(task="product")["network_id"]) == {"e09-1", "e09-2"}
    assert set(zoo.where(task="sum")["network_id"]) == {"e09-sum-1", "e09-sum-2"}
    starts = [zoo.where(task=task).init_params for task in TWO_INPUTS]
    ends = [zoo.where(task=task).params for task in TWO_INPUTS]
    assert all(np.array_equal(starts[0], start) for start in starts)
    assert not any(np.array_equal(ends[0], end) for end in ends[1:])


def test_two_tasks_drawn_from_one_zoo_seed_share_no_network_seed(tmp_path):
    drawn = []
    for task in ("product", "sum"):
        family = FamilyConfig(n_networks=50, n_steps=1, task=task)
        drawn.append(set(open_zoo(build_zoo(ZooConfig(families=[family]), tmp_path / task))["seed"]))
    assert not drawn[0] & drawn[1]


def test_another_input_distribution_has_its_own_names_and_starts_and_the_variants_own_keeps_its(tmp_path):
    families = [
        FamilyConfig(variant=v, n_networks=20, n_steps=5, input_distribution=input_distribution)
        for v, input_distribution in (("e09", None), ("e09", "square"))
    ]
    zoo = open_zoo(build_zoo(ZooConfig(families=families), tmp_path / "zoo"))
    plain, square = (zoo.where(input_distribution=input_distribution) for input_distribution in ("product", "square"))
    assert all(name.startswith("e09-inputs-square-") for name in square["network_id"])
    assert not any("inputs" in name for name in plain["network_id"])
    assert not set(plain["seed"]) & set(square["seed"])
    named = FamilyConfig(seeds=tuple(plain["seed"][:3].tolist()), n_steps=5, input_distribution="product")
    again = open_zoo(build_zoo(ZooConfig(families=[named]), tmp_path / "named"))
    assert again["network_id"].tolist() == plain["network_id"][:3].tolist()
    np.testing.assert_array_equal(again.params, plain.params[:3])
    reference = draw_reference(int(square["seed"][0]), "square", square.spec)
    np.testing.assert_array_equal(square.init_params[0], reference.init_params)
    assert initial_error(square)[0] == pytest.approx(square["valid_mse"][0], rel=0.2)


def test_each_function_has_its_share_of_networks_and_each_network_its_own_start(tmp_path):
    family = FamilyConfig(variant="fourier", n_networks=12, n_functions=3, n_steps=400)
    zoo = open_zoo(build_zoo(ZooConfig(families=[family]), tmp_path / "zoo"))
    names, counts = np.unique(zoo["task"].astype(str), return_counts=True)
    assert names.tolist() == ["fourier-000", "fourier-001", "fourier-002"]
    assert counts.tolist() == [4, 4, 4]
    assert zoo["network_id"][0].startswith("fourier-000-")
    assert len(np.unique(zoo.init_params[:, 0])) == 12
    assert np.median(zoo["valid_mse"]) < 0.8  # a constant has 1
    assert (zoo.domain, zoo.labels, "mode" in zoo) == ("functions", ("task",), False)


def test_recipes_of_two_domains_make_no_zoo():
    families = [FamilyConfig(variant="fourier", n_networks=100), FamilyConfig(n_networks=2)]
    with pytest.raises(ValueError, match="functions and multiplier"):
        ZooConfig(families=families)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ({"variant": "fourier", "n_networks": 100, "task": "sum"}, "leave task out"),
        ({"variant": "fourier", "n_networks": 100, "input_distribution": "square"}, "leave input_distribution out"),
        ({"variant": "fourier", "n_networks": 10}, "at least as many"),
        ({"variant": "e09", "n_networks": 10, "task": "minimum"}, "product"),
    ],
)
def test_what_makes_no_sense_is_refused(family, message):
    with pytest.raises(MetarepError, match=message):
        load_config(ZooConfig, families=[family])


def test_a_function_of_one_number_asks_for_one_input(tmp_path):
    family = FamilyConfig(variant="fourier", n_networks=50, spec="2-16-1")
    with pytest.raises(MetarepError, match="1 input and 1 output"):
        build_zoo(ZooConfig(families=[family]), tmp_path / "zoo")
