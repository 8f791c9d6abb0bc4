"""Networks in nested dictionaries and lists, and what training leaves beside them."""

import numpy as np
import pytest
import torch
from checkpoint_files import floats
from other_files import stepped
from torch import nn

from metarep.errors import MetarepError
from metarep.formats.readers import read_checkpoint, read_contents, suffix_of


def net(seed=0, width=6):
    torch.manual_seed(seed)
    return dict(nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2)).state_dict())


def contents(tmp_path, content, name="x.pt"):
    torch.save(content, tmp_path / name)
    return read_contents(tmp_path / name)


NET, OTHER = net(), net(1, 5)
OPTIMIZER = stepped()[1].state_dict()
RUN = [net(seed) for seed in range(4)]

MEMBERS = {
    "alone": (NET, [""]),
    "wrapped": ({"model": NET, "epoch": 3}, [""]),
    "wrapped twice": ({"state_dict": {"model": NET}, "lr": [0.1]}, [""]),
    "style": ({"g": NET, "d": OTHER, "g_ema": net(5), "g_optim": OPTIMIZER, "w_avg": torch.randn(64)}, ["g", "d", "g_ema"]),
    "averaged": ({"model": NET, "ema": net(7), "optimizer": OPTIMIZER}, ["model", "ema"]),
    "restoration": ({"params": NET, "params_ema": net(7)}, ["params", "params_ema"]),
    "in wrappers": (
        {"actor": {"state_dict": NET, "optimizer": OPTIMIZER}, "critic": {"state_dict": OTHER}},
        ["actor", "critic"],
    ),
    "deep": ({"agent": {"policy": {"model": NET}, "value": {"model": OTHER}}}, ["agent/policy", "agent/value"]),
    "with noise": ({"netG": NET, "netD": OTHER, "fixed_noise": torch.randn(8, 4)}, ["netG", "netD"]),
    "lightning": (
        {"state_dict": NET, "hyper_parameters": {"class_weights": torch.rand(10)}, "optimizer_states": [OPTIMIZER]},
        [""],
    ),
    "with data": ({"model": NET, "data": {"x_train": torch.randn(9, 3), "y_train": torch.arange(9)}}, [""]),
    "with results": ({"net": NET, "best_acc": torch.tensor(0.9), "confusion": torch.randn(3, 3)}, [""]),
    "of layers": ({"0": {"weight": torch.randn(3, 2), "bias": torch.randn(3)}, "2": {"weight": torch.randn(1, 3)}}, [""]),
    "different in a list": ([NET, OTHER], ["0", "1"]),
    "ensemble": ({"ensemble": RUN}, [f"ensemble/{i}" for i in range(4)]),
    "normalised": ({"policy": NET, "obs_rms": {"mean": torch.zeros(3), "var": torch.ones(3)}}, [""]),
    "odd names": ({"first": torch.randn(2, 2), "second": torch.randn(2)}, [""]),
    "layers in a list": ({"params": [{"W": torch.randn(4, 8), "b": torch.randn(8)}, {"W": torch.randn(8, 2)}]}, [""]),
    "pairs of a list": ([(torch.randn(4, 8), torch.randn(8)), (torch.randn(8, 2), torch.randn(2))], [""]),
    "pairs of a dictionary": (
        {"hidden": (torch.randn(8, 4), torch.randn(8)), "out": [torch.randn(2, 8), torch.randn(2)], "loss": 0.1},
        [""],
    ),
    "pairs": (list(NET.items()), [""]),
    "pairs in a wrapper": ({"model": tuple(NET.items()), "optimizer": OPTIMIZER}, [""]),
    "tensors in a list": ([torch.randn(3, 2), torch.randn(3)], [""]),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_each_network_is_a_member(tmp_path, case):
    content, members = MEMBERS[case]
    found = contents(tmp_path, content)
    assert [held.member for held in found.networks] == members
    assert not any(held.snapshot for held in found.networks)


def test_layers_in_dictionaries_are_joined_to_names(tmp_path):
    found = contents(tmp_path, MEMBERS["of layers"][0])
    assert list(found.networks[0].checkpoint.tensors) == ["0.weight", "0.bias", "2.weight"]


@pytest.mark.parametrize(
    ("case", "where", "said", "doubt"),
    [
        ("style", "", "w_avg (64,)", False),
        ("style", "g_optim", "optimiser", False),
        ("with noise", "", "fixed_noise (8, 4)", True),
        ("with data", "data", "x_train (9, 3)", True),
        ("lightning", "hyper_parameters", "class_weights", False),
        ("lightning", "optimizer_states/0", "optimiser", False),
    ],
)
def test_what_is_left_is_accounted_for(tmp_path, case, where, said, doubt):
    entries = contents(tmp_path, MEMBERS[case][0]).entries
    assert [entry.doubt for entry in entries if entry.where == where and said in entry.what] == [doubt]


EPOCHS = [0, 10, 20, 30]
RUNS = {
    "with epochs": ({"checkpoints": RUN, "checkpoint_epochs": EPOCHS}, "checkpoints/", EPOCHS, False),
    "with a tensor of steps": ({"states": RUN, "steps": torch.tensor(EPOCHS)}, "states/", EPOCHS, False),
    "of dictionaries": ([{"epoch": e, "model": one} for e, one in zip(EPOCHS, RUN, strict=True)], "", EPOCHS, False),
    "by number": (dict(zip(EPOCHS, RUN, strict=True)), "", EPOCHS, False),
    "numbered": (dict(enumerate(RUN)), "", [None] * 4, True),
    "by key": ({f"epoch_{e}": one for e, one in zip(EPOCHS, RUN, strict=True)}, "epoch_", EPOCHS, False),
    "bare": (RUN, "", [None] * 4, True),
    "with other lists": ({"history": RUN, "losses": [0.1, 0.2, 0.3, 0.4], "epochs": 4}, "history/", [None] * 4, True),
}


def test_batches_in_a_list_are_no_layers(tmp_path):
    batches = [(torch.randn(9, 3), torch.randn(9)), (torch.randn(4, 3), torch.randn(4))]
    found = contents(tmp_path, {"model": NET, "batches": batches})
    assert [held.member for held in found.networks] == [""]
    assert any("(9, 3)" in entry.what for entry in found.entries)


@pytest.mark.parametrize("case", RUNS)
def test_states_in_a_list_are_one_run(tmp_path, case):
    content, prefix, epochs, doubt = RUNS[case]
    found = contents(tmp_path, content)
    numbers = EPOCHS if case.startswith("by") else range(4)
    assert [held.member for held in found.networks] == [f"{prefix}{number}" for number in numbers]
    assert [held.epoch for held in found.networks] == epochs
    assert [held.snapshot for held in found.networks] == [True, True, True, False]
    assert [entry.doubt for entry in found.entries if entry.subject == "run"] == [doubt]
    assert torch.equal(read_checkpoint(tmp_path / "x.pt").tensors["0.weight"], RUN[-1]["0.weight"])


def test_a_network_beside_its_run_is_read_once(tmp_path):
    run = {"state_dicts": RUN, "epochs": EPOCHS}
    found = contents(tmp_path, {"model": {name: value.clone() for name, value in RUN[-1].items()}, **run})
    assert [held.member for held in found.networks] == [f"state_dicts/{i}" for i in range(4)]
    assert [(entry.where, entry.what) for entry in found.entries if entry.subject == "copy"] == [
        ("model", "equal to state_dicts/3")
    ]
    later = contents(tmp_path, {"model": net(9), **run})
    assert [held.member for held in later.networks if not held.snapshot] == ["model"]
    assert len(later.networks) == 5


STATES = {
    "optimiser": OPTIMIZER,
    "wrapped optimiser": {"optimizer": OPTIMIZER, "epoch": 2},
    "schedule": torch.optim.lr_scheduler.CosineAnnealingLR(stepped()[1], 5).state_dict(),
    "generator": {"cpu": torch.random.get_rng_state(), "cuda": [torch.zeros(16, dtype=torch.uint8)]},
    "scaler": {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 0},
    "generator alone": torch.random.get_rng_state(),
    "moments": {0: {"exp_avg": torch.randn(3, 2), "exp_avg_sq": torch.rand(3, 2)}},
}


@pytest.mark.parametrize("case", STATES)
def test_states_of_training_are_no_network(tmp_path, case):
    found = contents(tmp_path, STATES[case])
    assert not found.networks
    assert found.entries[0].subject == "file"
    with pytest.raises(MetarepError, match=r"holds no network; met the state of .*name the file of one"):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize(
    "content",
    [
        {"train_loss": torch.rand(50), "test_loss": torch.rand(50)},
        torch.tensor(0.3),
        {"lr": 0.1, "epochs": 5},
        (torch.randn(9, 3), torch.arange(9)),
        [torch.tensor(0.1), torch.tensor(0.2)],
        {"val_loss": torch.tensor(0.3)},
        {"best_loss": torch.tensor(0.3), "lr": torch.tensor(1e-3), "epoch": torch.tensor(7.0)},
        {"step": torch.tensor(9), "order": torch.arange(9)},
        {"x_train": torch.randn(9, 3), "y_train": torch.arange(9), "X_test": torch.randn(9, 3)},
    ],
)
def test_results_and_settings_are_no_network(tmp_path, content):
    found = [contents(tmp_path, content)]
    if isinstance(content, dict):
        np.savez(tmp_path / "x.npz", **content)
        found.append(read_contents(tmp_path / "x.npz"))
    for one in found:
        assert not one.networks
        assert [(entry.subject, entry.doubt) for entry in one.entries] == [("file", False)]


@pytest.mark.parametrize(
    "content", [{"alpha": torch.tensor(0.7)}, {"slope": torch.ones(1)}, {"gate": torch.tensor(-2.0), "step": torch.tensor(3)}]
)
def test_a_state_dict_of_one_number_is_a_network(tmp_path, content):
    (held,) = contents(tmp_path, content).networks
    assert held.checkpoint.tensors.keys() == content.keys()
    (beside,) = contents(tmp_path, content | {"net": NET}).networks
    assert beside.checkpoint.tensors.keys() == NET.keys()


@pytest.mark.parametrize("name", ["training_args.bin", "rng_state_0.pth", "optimizer.bin"])
def test_what_a_trainer_leaves_is_known_by_its_name_where_it_cannot_be_read(tmp_path, name):
    torch.save({"args": nn.Linear(2, 2)}, tmp_path / name, _use_new_zipfile_serialization=False)
    assert not read_contents(tmp_path / name).networks
    (tmp_path / name).rename(tmp_path / "x.pth")
    with pytest.raises(MetarepError, match="saved whole"):
        read_contents(tmp_path / "x.pth")


def test_layers_that_share_weights_are_read_and_weights_without_values_are_not(tmp_path):
    layer = nn.Linear(300, 300)
    torch.save(nn.ModuleList([layer] * 20).state_dict(), tmp_path / "x.pt")
    assert len(read_checkpoint(tmp_path / "x.pt").tensors) == 40
    torch.save({f"{i}.weight": torch.ones(1).expand(300, 300) for i in range(20)}, tmp_path / "y.pt")
    with pytest.raises(MetarepError, match="larger than the file"):
        read_contents(tmp_path / "y.pt")


@pytest.mark.parametrize(
    "suffix", [".pt", ".bin", ".ckpt", ".safetensors", ".onnx", ".h5", ".gguf", ".zip", ".npz", ".msgpack"]
)
def test_pointers_of_git_lfs_are_said_to_be_such(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    assert suffix_of(path) == suffix
    with pytest.raises(MetarepError, match="Git LFS pointer, not a network; git lfs pull"):
        read_contents(path)


def test_a_member_that_is_not_there_is_named_beside_those_that_are(tmp_path):
    torch.save({"a": NET, "b": OTHER}, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt", member="b").tensors.keys() == OTHER.keys()
    with pytest.raises(MetarepError, match="no network 'c'; met a, b"):
        read_checkpoint(tmp_path / "x.pt", member="c")


def test_content_that_is_nested_without_end(tmp_path):
    loop = {"model": floats()}
    loop["self"] = loop
    wide = []
    for _ in range(25):
        wide = [wide, wide]
    for content in (loop, {"a": wide, **floats()}):
        torch.save(content, tmp_path / "x.pt")
        with pytest.raises(MetarepError, match="nested without end"):
            read_contents(tmp_path / "x.pt")


def test_lists_of_weights_and_of_biases_are_one_network(tmp_path):
    (held,) = contents(
        tmp_path, {"weights": [torch.ones(3, 2), torch.ones(1, 3)], "biases": [torch.ones(3), torch.ones(1)]}
    ).networks
    assert list(held.checkpoint.tensors) == ["weights.0", "weights.1", "biases.0", "biases.1"]


def test_a_file_tells_how_far_its_network_had_come(tmp_path):
    assert [held.epoch for held in contents(tmp_path, {"model": NET, "epoch": 7}).networks] == [7]


@pytest.mark.parametrize("key", ["grads", "gradients", "masks", "pruning_mask", "fisher", "omega"])
def test_what_has_the_names_of_weights_and_is_none(tmp_path, key):
    """Gradients, masks and importances beside a network; under another key the same is a second one."""
    found = {}
    for name in (key, "twin"):
        torch.save({"model": floats(), name: floats(1)}, tmp_path / "x.pt")
        found[name] = read_contents(tmp_path / "x.pt")
    assert [len(one.networks) for one in found.values()] == [1, 2]
    assert any(entry.where == key for entry in found[key].entries)


@pytest.mark.filterwarnings("ignore")
def test_weights_that_are_packed_otherwise_are_told(tmp_path):
    """A quantised LSTM keeps its weights in an object of its own."""
    network = torch.nn.Sequential(torch.nn.LSTM(4, 6))
    quantised = torch.ao.quantization.quantize_dynamic(network, {torch.nn.LSTM})
    torch.save({**quantised.state_dict(), **floats()}, tmp_path / "x.pt")
    contents = read_contents(tmp_path / "x.pt")
    assert len(contents.networks) == 1
    assert any("(24, 4)" in entry.what and entry.doubt for entry in contents.entries)
