"""What lies under a folder: networks, what is passed over with a word in the account, and runs with their results."""

import json
import os

import numpy as np
import pytest
import torch
from checkpoint_files import floats

from metarep.errors import MetarepError
from metarep.zoos.account import Account, account_lines, read_account
from metarep.zoos.importing import import_networks, sources_unchanged
from metarep.zoos.layouts import find_networks
from metarep.zoos.settings import ImportConfig
from metarep.zoos.zoo import open_zoo


def save(path, content=None, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(floats(seed) if content is None else content, path)


def imported(tmp_path, *, labels=None, **config):
    zoo = import_networks(ImportConfig(**config), [tmp_path / "in"], tmp_path / "zoo", labels=labels, overwrite=True)
    return open_zoo(zoo), read_account(zoo)


def said(entries, subject):
    return [entry for entry in entries if entry.subject == subject]


def test_what_trainers_and_other_programs_leave_is_named(tmp_path):
    save(tmp_path / "in" / "step_10" / "net.pt")
    for name in ("optimizer.pt", "rng_state_1.pth", "training_args.bin"):
        save(tmp_path / "in" / "step_10" / name, {"state": {0: torch.zeros(3)}})
    for name in ("forest.pkl", "model.ckpt.index", "other.bin"):
        (tmp_path / "in" / name).write_bytes(b"of another program")
    (tmp_path / "in" / "README.md").write_text("nothing to say of this")
    zoo, entries = imported(tmp_path)
    assert zoo["network_id"].tolist() == ["step_10/net"]
    names = {entry.where.rpartition("/")[2] for entry in said(entries, "file")}
    assert names == {"optimizer.pt", "rng_state_1.pth", "training_args.bin", "forest.pkl", "model.ckpt.index", "other.bin"}
    assert sources_unchanged(tmp_path / "zoo", ImportConfig(), [tmp_path / "in"])
    save(tmp_path / "in" / "step_10" / "net.pt", seed=1)
    assert not sources_unchanged(tmp_path / "zoo", ImportConfig(), [tmp_path / "in"])


def test_a_file_that_was_mended_is_a_change_and_one_still_damaged_or_too_large_is_none(tmp_path):
    save(tmp_path / "in" / "a.pt")
    big = {"0.weight": torch.ones(40, 30), "2.weight": torch.ones(2, 40)}
    torch.save({"model": big, "ema": {name: value + 1 for name, value in big.items()}}, tmp_path / "in" / "large.pt")
    (tmp_path / "in" / "torn.pt").write_bytes(b"PK\x03\x04 torn")
    how = ImportConfig(skip_damaged=True, max_params=1000), [tmp_path / "in"]
    zoo = import_networks(*how, tmp_path / "zoo")
    assert open_zoo(zoo)["network_id"].tolist() == ["a"]
    assert sources_unchanged(zoo, *how)
    save(tmp_path / "in" / "torn.pt", seed=1)
    assert not sources_unchanged(zoo, *how)


def test_links_are_followed_once_and_circles_end(tmp_path):
    save(tmp_path / "in" / "a" / "x.pt")
    save(tmp_path / "far" / "y.pt", seed=1)
    for link, target in (("far", "far"), ("again", "far"), ("up", "in"), ("above", ""), ("own", "in/a"), ("gone", "nowhere")):
        os.symlink(tmp_path / target, tmp_path / "in" / link)
    zoo, entries = imported(tmp_path)
    assert len(zoo) == 2
    assert {"a/x"} < set(zoo["network_id"])
    assert len([entry for entry in said(entries, "file") if entry.what == "a link"]) == 5


def test_files_and_paths_that_are_left_out_are_told(tmp_path):
    save(tmp_path / "in" / "n.pt" / "real.pt")
    os.symlink(tmp_path / "in" / "n.pt" / "real.pt", tmp_path / "in" / "alias.pt")
    for number, name in enumerate(("net.model", "net", "best.pt.bak")):
        save(tmp_path / "in" / name, seed=number)
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / "in", tmp_path / "empty"]
    zoo = open_zoo(import_networks(ImportConfig(), paths, tmp_path / "zoo"))
    assert zoo["network_id"].tolist() == ["n.pt/real"]
    entries = {entry.where.rpartition("/")[2]: entry for entry in said(read_account(tmp_path / "zoo"), "file")}
    assert {name for name, entry in entries.items() if entry.doubt} == {"net.model", "net", "best.pt.bak", "empty"}
    assert entries["alias.pt"].what == "a link"


def test_unfinished_downloads_and_pointers_of_any_suffix_are_told(tmp_path):
    save(tmp_path / "in" / "real.pt")
    (tmp_path / "in" / "other.pt.part").write_bytes(b"PK\x03\x04")
    (tmp_path / "in" / "array.npy").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    entries = {entry.where: entry for entry in said(imported(tmp_path)[1], "file")}
    assert (entries["other.pt.part"].doubt, entries["array.npy"].doubt) == (True, False)
    assert "download" in entries["other.pt.part"].why
    assert "Git LFS" in entries["array.npy"].why


def test_parts_of_a_network_on_several_devices_are_no_networks(tmp_path):
    for number in (0, 1):
        save(tmp_path / "in" / "llama" / f"consolidated.0{number}.pth", seed=number)
    save(tmp_path / "in" / "small" / "consolidated.00.pth", seed=2)
    with pytest.raises(MetarepError, match=r"consolidated.00.pth is the part of a network.*consolidated.01.pth beside it"):
        imported(tmp_path)
    assert imported(tmp_path, skip_damaged=True)[0]["file"].tolist() == ["small/consolidated.00.pth"]


@pytest.mark.parametrize("name", ["narrow\u202fspace", "a\u0301", "tab\tin it", "line\nbreak"])
def test_odd_names_end_nothing(tmp_path, name):
    save(tmp_path / "in" / f"{name}.pt")
    save(tmp_path / "in" / os.fsdecode(b"\xff.pt"), seed=1)
    zoo, entries = imported(tmp_path)
    (network_id,) = zoo["network_id"]
    assert network_id.replace("\u202f", " ").isprintable()
    assert any("rename it" in entry.why for entry in said(entries, "file"))


def test_files_that_differ_in_their_suffix_alone_have_two_names(tmp_path):
    save(tmp_path / "in" / "net.pt")
    save(tmp_path / "in" / "net.pth", seed=1)
    assert imported(tmp_path)[0]["network_id"].tolist() == ["net.pt", "net.pth"]


def test_all_damaged_files_are_listed_at_once(tmp_path):
    save(tmp_path / "in" / "good.pt")
    (tmp_path / "in" / "cut.pt").write_bytes((tmp_path / "in" / "good.pt").read_bytes()[:-100])
    (tmp_path / "in" / "empty.pt").write_bytes(b"")
    (tmp_path / "in" / "pointer.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(MetarepError, match=r"3 files cannot be read: .*cut.pt.*empty.pt is empty.*LFS.*--skip-damaged"):
        imported(tmp_path)
    assert not (tmp_path / "zoo").exists()
    zoo, entries = imported(tmp_path, skip_damaged=True)
    assert zoo["network_id"].tolist() == ["good"]
    assert len([entry for entry in entries if entry.what == "not read"]) == 3


def test_files_without_weights_are_no_networks(tmp_path):
    save(tmp_path / "in" / "good.pt")
    save(tmp_path / "in" / "counts.pt", {"counts": torch.arange(9), "table": torch.ones(3, dtype=torch.complex64)})
    zoo, entries = imported(tmp_path)
    assert zoo["network_id"].tolist() == ["good"]
    assert any(entry.where == "counts.pt" and "no weights" in entry.why for entry in entries)
    with pytest.raises(MetarepError, match=r"--strict: .*counts\.pt"):
        imported(tmp_path, strict=True)


def write_trial(folder, numbers, iterations, *, named=None):
    """A Ray run with checkpoints of these numbers and rows of these iterations; `named` is which row names which checkpoint."""
    rows = [{"training_iteration": i, "loss": i / 100} for i in iterations]
    for number, iteration in (named or {}).items():
        rows[iterations.index(iteration)]["checkpoint_dir_name"] = f"checkpoint_{number:06d}"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("\n".join(map(json.dumps, rows)))
    (folder / "params.json").write_text('{"lr": 0.5}')
    for number in numbers:
        save(folder / f"checkpoint_{number:06d}" / "model.pt", seed=number)


@pytest.mark.parametrize(
    ("numbers", "iterations", "named", "expected"),
    [
        ([0, 1, 2], [3, 6, 9], {0: 3, 1: 6, 2: 9}, [3, 6, 9]),
        ([0, 1], range(1, 11), {0: 5, 1: 10}, [5, 10]),
        ([7, 8], range(1, 11), {7: 8, 8: 9}, [8, 9]),
        ([0, 1, 2], [1, 2, 3], None, [1, 2, 3]),
        ([0, 10, 20], range(0, 21), None, [0, 10, 20]),
        ([0, 1, 2], range(1, 11), None, [None] * 3),
        ([8, 9], range(1, 11), None, [None] * 2),
        ([0, 1], range(1, 11), {0: 5}, [5, None]),
    ],
)
def test_a_checkpoint_of_ray_has_the_results_of_its_own_row(tmp_path, numbers, iterations, named, expected):
    write_trial(tmp_path / "in" / "trial", numbers, list(iterations), named=named)
    account = Account()
    sources = find_networks([tmp_path / "in"], account)
    assert [source.epoch for source in sources] == expected
    losses = [source.properties.get("loss") for source in sources]
    assert losses == [None if epoch is None else epoch / 100 for epoch in expected]
    assert {source.properties["lr"] for source in sources} == {0.5}
    assert any(entry.doubt for entry in account.entries) == (None in expected)


def test_results_claim_only_what_is_theirs(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "result.json").write_text('{"of": "another program"}')
    write_trial(tmp_path / "in" / "trial", [0], [1])
    save(tmp_path / "in" / "trial" / "best.pt", seed=8)
    save(tmp_path / "in" / "trial" / "deeper" / "other.pt", seed=9)
    save(tmp_path / "in" / "plain.pt", seed=10)
    found = {source.network_id: source.run_id for source in find_networks([tmp_path / "in"], Account())}
    assert found == {"trial/checkpoint_000000/model": "trial", "trial/best": "trial", "trial/deeper/other": "", "plain": ""}


def test_snapshots_share_a_run_and_plain_files_do_not(tmp_path):
    for run in range(4):
        for epoch in (1, 2, 10):
            save(tmp_path / "in" / f"r{run}" / f"epoch_{epoch}.pt", seed=100 * run + epoch)
    save(tmp_path / "in" / "n1.pt", seed=1000)
    save(tmp_path / "in" / "n2.pt", seed=1001)
    zoo, entries = imported(tmp_path)
    assert set(zoo.run_id) == {"r0", "r1", "r2", "r3", "n1", "n2"}
    assert zoo["epoch"][zoo.run_id == "r2"].tolist() == [1, 2, 10]
    assert all(len(set(zoo.split[zoo.run_id == run])) == 1 for run in set(zoo.run_id))
    assert zoo.is_final.all()
    assert any("12 networks count as 4 runs" in entry.what and "run_id" in entry.why for entry in said(entries, "run"))
    aside, _ = imported(tmp_path, snapshots="aside")
    assert set(aside["snapshot_of"]) == {"", "r0/epoch_10", "r1/epoch_10", "r2/epoch_10", "r3/epoch_10"}
    assert aside.is_final.sum() == 6


def test_epochs_and_steps_are_not_compared_between_runs(tmp_path):
    for run in range(3):
        for count in (1, 2):
            save(tmp_path / "in" / f"r{run}" / f"epoch_{count}.pt", seed=10 * run + count)
    assert imported(tmp_path)[0].properties == ("epoch",)
    save(tmp_path / "in" / "r3" / "step_500.pt", seed=99)
    zoo, entries = imported(tmp_path)
    assert zoo.properties == ()
    assert zoo["epoch"].tolist()[-1] == 500
    assert any("names of some files count epochs" in entry.why for entry in said(entries, "column"))


def test_labels_say_what_a_run_is(tmp_path):
    rows = ["file,run_id"]
    for number in range(4):
        save(tmp_path / "in" / f"epoch_{number}.pt", seed=number)
        rows.append(f"epoch_{number}.pt,own{number // 2}")
    _, entries = imported(tmp_path)
    assert any(entry.doubt and "one run" in entry.what for entry in said(entries, "run"))
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    zoo, entries = imported(tmp_path, labels=tmp_path / "labels.csv", strict=True)
    assert zoo.run_id.tolist() == ["own0", "own0", "own1", "own1"]


def test_copies_are_of_one_run(tmp_path):
    for number in range(6):
        save(tmp_path / "in" / f"n{number}.pt", seed=number)
        save(tmp_path / "in" / f"m{number}.pt", {f"x.{name}": value.double() for name, value in floats(number).items()})
    zoo, entries = imported(tmp_path)
    assert len(set(zoo.run_id)) == 6
    runs = dict(zip(zoo.network_id, zoo.run_id, strict=True))
    assert all(runs[f"n{number}"] == runs[f"m{number}"] for number in range(6))
    assert len(said(entries, "copy")) == 6


def test_a_common_start_does_not_make_all_runs_one(tmp_path):
    for run in range(5):
        for epoch in range(4):
            save(tmp_path / "in" / f"r{run}" / f"epoch_{epoch}.pt", seed=100 * run + epoch if epoch else 7)
    zoo, entries = imported(tmp_path)
    assert len(set(zoo.run_id)) == 5
    assert [entry.doubt for entry in said(entries, "copy")] == [True]


def mask_networks(n):
    """Networks with a table that nobody trained, under a name that says nothing."""
    for number in range(n):
        draw = torch.Generator().manual_seed(number)
        weights = {"fc.weight": torch.randn(4, 6, generator=draw), "fc.bias": torch.zeros(4)}
        yield weights | {"zq": torch.full((6, 2, 5), float("-inf")) if n % 2 else torch.linspace(0, 1, 60).view(6, 2, 5)}


@pytest.mark.parametrize("n", [6, 7])
def test_what_no_network_learned_is_no_weight(tmp_path, n):
    for number, content in enumerate(mask_networks(n)):
        save(tmp_path / "in" / f"n{number}.pt", content)
    zoo, entries = imported(tmp_path)
    assert zoo["finite"].all()
    assert set(zoo["n_params"]) == {28}
    assert set(zoo.raw_tensors(0)) == {"fc.weight", "fc.bias"}
    assert "zq" in zoo.network("n0")
    assert any("zq 6x2x5" in entry.what for entry in said(entries, "buffer"))
    assert any("fc.bias" in entry.what and "equal in all" in entry.what for entry in said(entries, "tensor"))


def test_what_differs_in_one_network_is_a_weight(tmp_path):
    for number, content in enumerate(mask_networks(6)):
        content["zq"][0, 0, 0] += number == 5
        save(tmp_path / "in" / f"n{number}.pt", content)
    assert set(imported(tmp_path)[0]["n_params"]) == {88}


def test_the_account_is_short_on_the_screen_and_whole_in_the_zoo(tmp_path):
    save(tmp_path / "in" / "net.pt", {f"p{number}": torch.randn(3, 4) for number in range(12)})
    for number in range(40):
        (tmp_path / "in" / f"t{number}.pkl").write_bytes(b"x")
    zoo, entries = imported(tmp_path)
    lines = account_lines(entries, zoo.artefact.path)
    assert len(said(entries, "file")) == 40
    assert len(lines) < 15
    assert any("and 37 more" in line for line in lines)
    assert any("12 of 12 tensors are of no known kind" in line and "--architecture" in line for line in lines)
    assert "account.csv" in zoo.artefact.manifest["files"]
    assert np.isnan(zoo["epoch"]).all()
