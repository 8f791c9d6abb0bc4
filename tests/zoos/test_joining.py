"""Tables of labels joined to networks: by paths as any system writes them, and never to the wrong one."""

import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metarep.errors import MetarepError
from metarep.zoos.properties import Source, join_labels

FILES = ("a.pt", "sub/b.pt", "müller/net.v2.safetensors", "run_1/model.pt", "run_2/model.pt", "run_2/last.pt")


def sources(root, files=FILES, suffixes=(".pt", ".safetensors")):
    found = []
    for file in files:
        suffix = next(one for one in suffixes if file.endswith(one))
        name = file.removesuffix(suffix)
        found.append(Source(name, name, file, root / file, suffix=suffix))
    return found


def joined(tmp_path, rows, files=FILES, *, partial=True, columns="file,y"):
    """{file of a network: its y}, and the entries."""
    (tmp_path / "labels.csv").write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    found, entries = join_labels(sources(tmp_path / "zoo", files), tmp_path / "labels.csv", partial=partial)
    return {one.file: one.properties["y"] for one in found if "y" in one.properties}, entries


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a.pt", "a.pt"),
        ("a", "a.pt"),
        (".\\sub\\b.pt", "sub/b.pt"),
        ("sub\\b", "sub/b.pt"),
        ("b", "sub/b.pt"),
        ("D:\\work\\exp\\sub\\b.pt", "sub/b.pt"),
        ("D:/work/exp/sub/b.pt", "sub/b.pt"),
        ("/scratch/me/exp/sub/b.pt", "sub/b.pt"),
        ("\\\\server\\share\\a.pt", "a.pt"),
        ("zoo/sub/b.pt", "sub/b.pt"),
        ("../zoo/a.pt", "a.pt"),
        ("sub/", "sub/b.pt"),
        ("run_1", "run_1/model.pt"),
        ("run_1/", "run_1/model.pt"),
        ("last.pt", "run_2/last.pt"),
        (unicodedata.normalize("NFD", "müller/net.v2"), "müller/net.v2.safetensors"),
        (unicodedata.normalize("NFC", "müller"), "müller/net.v2.safetensors"),
        ('" a.pt "', "a.pt"),
        ("x/../A.PT", "a.pt"),
    ],
)
def test_a_file_is_found_however_it_is_written(tmp_path, name, file):
    assert joined(tmp_path, [f"{name},1"])[0] == {file: "1"}


@pytest.mark.parametrize("name", ["model.pt", "other/a.pt", "run_3/model.pt", "pt", "", "/elsewhere/model.pt"])
def test_a_name_of_several_networks_or_of_another_one_joins_nothing(tmp_path, name):
    found, entries = joined(tmp_path, ["b,1", f"{name},2"])
    assert found == {"sub/b.pt": "1"}
    assert [entry.subject for entry in entries] == ["file"]


def test_rows_of_another_folder_lose_against_those_of_this_one(tmp_path):
    rows = [f"/data/{folder}/model.pt,{number}" for number, folder in enumerate(("run_1", "zoo", "run_3"))]
    assert joined(tmp_path, rows, files=("model.pt",))[0] == {"model.pt": "1"}
    with pytest.raises(MetarepError, match="two rows for one network"):
        joined(tmp_path, ["a,1", "a.pt,2"])


def test_labels_that_join_nothing_are_refused(tmp_path):
    with pytest.raises(MetarepError, match="matches none of the files") as caught:
        joined(tmp_path, ["x.pt,1", "y.pt,2"])
    assert "--partial-labels" not in str(caught.value)
    with pytest.raises(MetarepError, match="pass --partial-labels"):
        joined(tmp_path, ["a,1", "x.pt,1"], partial=False)


def test_a_row_that_names_a_folder_counts_for_all_networks_in_it_but_those_with_rows_of_their_own(tmp_path):
    assert joined(tmp_path, ["run_2,1", "run_2,1", "last,2"])[0] == {"run_2/model.pt": "1", "run_2/last.pt": "2"}


TABLES = {
    "excel.csv": b"\xef\xbb\xbffile;y;z\r\na.pt;0,5;x\r\nsub\\b.pt;1.5;\r\n",
    "unicode.txt": "file\ty\tz\na\t0.5\tx\nb\t1.5\t\n".encode("utf-16"),
    "thousands.csv": b'file , y,z\na,0.5,x\nb," 1.5 ",\n',
    "records.json": b'[{"file": "a", "y": 0.5, "z": "x"}, {"file": "b.pt", "y": 1.5, "z": null}]',
    "by_file.json": b'{"a.pt": {"y": 0.5, "z": "x"}, "b": {"y": 1.5}}',
    "lines.jsonl": b'{"file": "a", "y": 0.5, "z": "x"}\n\n{"file": "b", "y": 1.5, "list": [1]}\n',
    "other_name.csv": b"id,z,checkpoint,y\n1,x,a,0.5\n2,,b,1.5\n",
    "labels.parquet": None,
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_as_people_keep_them(tmp_path, name):
    if TABLES[name] is None:
        pq.write_table(pa.table({"file": ["a", "b"], "y": [0.5, 1.5], "z": ["x", None]}), tmp_path / name)
    else:
        (tmp_path / name).write_bytes(TABLES[name])
    found, _ = join_labels(sources(tmp_path / "zoo", FILES[:2]), tmp_path / name, partial=False)
    assert [(one.properties["y"], one.properties["z"]) for one in found] == [("0.5", "x"), ("1.5", "")]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"file,y\na,gr\xfcn\n", "CSV UTF-8"), (b"x,y\n1,2\n", "no column `file`"), (b"file,y\na\n", "1 cells in place of 2")],
)
def test_tables_that_cannot_be_read_say_what_to_do(tmp_path, content, said):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(MetarepError, match=said):
        join_labels(sources(tmp_path / "zoo", FILES[:1]), tmp_path / "labels.csv", partial=True)


def test_columns_of_the_zoos_own_names_get_a_suffix(tmp_path):
    rows = [f"{name},1,8,0.5,train" for name in ("a", "sub/b")]
    (tmp_path / "labels.csv").write_text("\n".join(["file,y,n_params,acc,split", *rows]) + "\n")
    (one, other), entries = join_labels(sources(tmp_path, FILES[:2]), tmp_path / "labels.csv", partial=False)
    assert one.properties == other.properties == {"y": "1", "n_params_given": "8", "acc": "0.5", "split_given": "train"}
    assert {entry.where: entry.doubt for entry in entries} == {"n_params": False, "split": True}


def test_a_row_that_names_a_file_counts_for_all_networks_in_it(tmp_path):
    path = tmp_path / "gan.pt"
    both = [Source(f"gan/{name}", "gan", "gan.pt", path, suffix=".pt") for name in ("generator", "discriminator")]
    (tmp_path / "labels.csv").write_text("file,y\ngan.pt,1\ngan/generator,2\n")
    found, _ = join_labels(both, tmp_path / "labels.csv", partial=False)
    assert [one.properties["y"] for one in found] == ["2", "1"]


def test_a_column_without_a_name_is_read(tmp_path):
    found, _ = joined(tmp_path, ["0,a.pt,3", "1,b,4"], columns=",file,y")
    assert found == {"a.pt": "3", "sub/b.pt": "4"}
