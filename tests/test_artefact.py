"""Artefacts: whole or not at all, known by their bytes, never written over unasked."""

import json

import pytest

from metarep.artefact import (
    FORMAT_VERSION,
    MANIFEST,
    open_artefact,
    partial_path,
    refuse_to_overwrite,
    write_whole,
    writing,
)
from metarep.errors import MetarepError


def make(path, kind="thing", text="hello", config=None, inputs=None, **options):
    """A small artefact with one file in a subfolder."""
    with writing(path, kind, config=config or {"a": 1}, seed=7, inputs=inputs, **options) as folder:
        (folder / "sub").mkdir(exist_ok=True)
        (folder / "sub" / "file.txt").write_text(text)
    return open_artefact(path)


def snapshot(folder) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def refused(folder, call) -> str:
    """The one line in which a call ends that must leave `folder` as it is."""
    before = snapshot(folder)
    with pytest.raises(MetarepError) as caught:
        call()
    assert snapshot(folder) == before
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_what_is_written_is_read_back(tmp_path):
    artefact = make(tmp_path / "x")
    assert (artefact.kind, artefact.config, artefact.manifest["seed"]) == ("thing", {"a": 1}, 7)
    assert list(artefact.manifest["files"]) == ["sub/file.txt"]
    assert open_artefact(tmp_path / "x", "thing", check_hashes=True).digest == artefact.digest


def test_same_content_same_bytes_and_other_content_other_bytes(tmp_path):
    one, two, other = make(tmp_path / "1"), make(tmp_path / "2"), make(tmp_path / "3", text="hullo")
    assert one.digest == two.digest != other.digest


def break_off(path, config=None, **options) -> bool:
    """Writes half an artefact and is interrupted; whether an earlier half was found."""
    found = False
    try:
        with writing(path, "thing", config=config or {}, seed=0, **options) as folder:
            found = (folder / "half").is_file()
            (folder / "half").write_text("half")
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        return found


def test_nothing_is_left_of_a_block_that_breaks(tmp_path):
    break_off(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_resume_hands_out_what_was_there_but_only_for_the_same_plan(tmp_path):
    assert not break_off(tmp_path / "x", {"a": 1}, resume=True)
    assert break_off(tmp_path / "x", {"a": 1}, resume=True)
    assert not break_off(tmp_path / "x", {"a": 2}, resume=True)
    assert not (tmp_path / "x").exists()
    assert "partial" in refused(tmp_path, lambda: open_artefact(tmp_path / "x"))


def test_finished_or_foreign_folders_are_not_written_over(tmp_path):
    make(tmp_path / "x")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    assert "--overwrite" in refused(tmp_path, lambda: make(tmp_path / "x", text="new"))
    assert "no metarep artefact" in refused(tmp_path, lambda: make(tmp_path / "foreign", overwrite=True))
    assert "no metarep artefact" in refused(tmp_path, lambda: make(tmp_path / "file", overwrite=True))
    assert make(tmp_path / "x", text="new", overwrite=True).path.joinpath("sub/file.txt").read_text() == "new"


def test_an_overwrite_that_breaks_leaves_the_old_one(tmp_path):
    old = make(tmp_path / "x").digest
    break_off(tmp_path / "x", overwrite=True)
    assert open_artefact(tmp_path / "x", check_hashes=True).digest == old


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "x").mkdir()
    refuse_to_overwrite(tmp_path / "x", overwrite=False)
    assert open_artefact(make(tmp_path / "x").path, check_hashes=True).path == tmp_path / "x"


@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
def test_damaged_files_are_named(tmp_path, damage):
    make(tmp_path / "x")
    file = tmp_path / "x" / "sub" / "file.txt"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(b"hellO" if damage == "altered" else b"hel")
    assert str(file) in refused(tmp_path, lambda: open_artefact(tmp_path / "x", check_hashes=True))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format_version": 1}', "null"])
def test_a_manifest_that_is_none_is_named(tmp_path, text):
    make(tmp_path / "x")
    (tmp_path / "x" / MANIFEST).write_text(text)
    assert MANIFEST in refused(tmp_path, lambda: open_artefact(tmp_path / "x"))


def test_other_versions_kinds_and_foreign_folders_are_told_apart(tmp_path):
    make(tmp_path / "x")
    assert "expected a zoo" in refused(tmp_path, lambda: open_artefact(tmp_path / "x", "zoo"))
    assert "no folder" in refused(tmp_path, lambda: open_artefact(tmp_path / "nowhere"))
    (tmp_path / "foreign").mkdir()
    assert MANIFEST in refused(tmp_path, lambda: open_artefact(tmp_path / "foreign"))
    manifest = tmp_path / "x" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
    text = refused(tmp_path, lambda: open_artefact(tmp_path / "x"))
    assert "99" in text
    assert f"expected {FORMAT_VERSION}" in text


def test_inputs_are_found_again_and_checked(tmp_path):
    source, other = make(tmp_path / "a" / "source"), make(tmp_path / "other", text="other")
    made = make(tmp_path / "b" / "made", inputs={"zoo": source})
    assert made.input_path("zoo").samefile(source.path)
    made.require_input("zoo", source)
    assert "was not made from" in refused(tmp_path, lambda: made.require_input("zoo", other))
    assert "no input called" in refused(tmp_path, lambda: made.input_path("model"))


def test_write_whole_leaves_no_temporary_file(tmp_path):
    write_whole(tmp_path / "a.txt", "text")
    write_whole(tmp_path / "a.txt", b"bytes")
    assert snapshot(tmp_path) == {"a.txt": b"bytes"}
    assert partial_path(tmp_path / "x").name == "x.partial"
