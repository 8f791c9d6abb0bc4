"""The report as a whole: one file, every stage optional, the same bytes again, nothing from outside."""

import re
from html.parser import HTMLParser

import pytest
from synthetic_run import transfer_rows, write_run, write_zoo

from metarep.artefact import open_artefact, writing
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.report import page
from metarep.report.page import report
from metarep.report.results import cluster_rows, read_run
from metarep.report.settings import ReportConfig

VOID = {"meta", "img", "br", "link", "hr", "input"}
STAGES = ("model", "clusters", "scan", "transfer")


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves out the drawing, which takes most of the time."""
    monkeypatch.setattr(page, "png_of", lambda figure, **_: b"no picture")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A synthetic run with every stage."""
    folder = write_run(tmp_path_factory.mktemp("run") / "run")
    (folder / "config.yaml").write_text("name: <script>alert(1)</script>\n")
    (folder / "timings.json").write_text('{"seconds": {"zoo": 12.5}, "machine": {"cpu": "a loom", "cores": 2}}')
    return folder


@pytest.fixture(scope="module")
def written(finished):
    """Its report, in small pictures: the tests read the page, they do not look at it."""
    return report(finished, config=ReportConfig(dpi=40))


class Outline(HTMLParser):
    """Checks that tags are balanced and gathers what a page refers to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.ids = [], [], set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.references += [attrs[key] for key in ("src", "href") if key in attrs]
        self.ids.add(attrs.get("id"))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            assert attrs["alt"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_one_file_that_shows_every_stage_and_needs_no_network(written):
    text = (written / "report.html").read_text()
    outline = Outline(text)
    for reference in outline.references:
        assert reference.startswith("data:image/png;base64,") or reference.removeprefix("#") in outline.ids
    assert "@import" not in text
    assert "url(" not in text
    assert "was not run" not in text
    names = {file.stem for file in (written / "figures").glob("*.png")}
    assert {"zoo", "training", "masked_r2", "comparison", "by_k", "umap", "atlas", "contingency", "scan", "transfer"} <= names
    assert {"scan_table", "scan_roc", "scan_margin"} <= names
    assert {"mode-3", "cluster-0", "cluster-1", "cluster-2"} <= names
    assert text.count("<img") == len(names)
    assert "12.5" not in text  # seconds would make the page differ from run to run
    assert "a loom, 2 cores" in text


def test_names_are_text_not_markup(written):
    text = (written / "report.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_the_same_run_gives_the_same_bytes_and_is_made_from_every_stage(finished, written, tmp_path):
    timings = finished / "timings.json"
    timings.write_text(timings.read_text().replace("12.5", "13.5"))  # another day, the same page
    first, second = written, report(finished, tmp_path / "again", config=ReportConfig(dpi=40))
    for file in sorted(first.rglob("*")):
        if file.is_file() and file.name != "manifest.json":
            assert file.read_bytes() == (second / file.relative_to(first)).read_bytes()
    assert set(open_artefact(first, "report", check_hashes=True).manifest["inputs"]) == {"zoo", *STAGES}


@pytest.mark.parametrize("missing", STAGES)
def test_a_missing_stage_is_named_and_the_rest_stands(tmp_path, missing, undrawn):
    run = write_run(tmp_path / "run", stages=tuple(stage for stage in STAGES if stage != missing))
    text = (report(run) / "report.html").read_text()
    Outline(text)
    command = {"model": "pretrain", "clusters": "cluster"}.get(missing, missing)
    assert set(re.findall(r"was not run.*<code>metarep ([\w-]+)</code>", text)) == {command}


def test_a_zoo_alone_is_enough_also_one_without_modes(tmp_path, undrawn):
    write_zoo(tmp_path / "wide" / "zoo", n=20, spec=NetworkSpec.parse("2-3-1"))
    text = (report(tmp_path / "wide") / "report.html").read_text()
    Outline(text)
    assert "Modes are defined for 2-2-1 networks only" in text
    assert text.count("was not run") == 5  # the comparison and the maps are of one stage


def test_other_folders_other_zoos_and_finished_reports_are_refused(tmp_path, undrawn):
    run = write_run(tmp_path / "run", stages=("scan",))
    (tmp_path / "foreign").mkdir()
    for path in ("foreign", "nowhere"):
        with pytest.raises(MetarepError, match=path):
            report(tmp_path / path)
    assert not (tmp_path / "foreign" / "report").exists()
    report(run)
    with pytest.raises(MetarepError, match="already finished"):
        report(run)
    with writing(run / "zoo", "zoo", config={"other": 1}, seed=1, overwrite=True) as folder:
        for file in ("shard-00000.parquet",):
            (folder / file).write_bytes((run / "zoo" / file).read_bytes())
    with pytest.raises(MetarepError, match="was not made from"):
        report(run, overwrite=True)


def test_transfer_that_an_earlier_version_made_is_named(tmp_path, monkeypatch):
    old = [{("null" if name == "null_p95" else name): value for name, value in row.items()} for row in transfer_rows()]
    monkeypatch.setattr("synthetic_run.transfer_rows", lambda: old)
    with pytest.raises(MetarepError, match=r"earlier version.*null_p95"):
        report(write_run(tmp_path / "run"))


def test_the_typical_network_is_the_nearest_held_out_one(finished):
    results = read_run(finished)
    for row in cluster_rows(results, "profile"):
        own = [r for r in results.table("clusters/assignments") if r["representation"] == "profile"]
        own = [r for r in own if r["cluster"] == row["cluster"] and r["split"] == "test"]
        assert row["network_id"] == min(own, key=lambda r: r["distance_to_centre"])["network_id"]
        assert row["n"] == len(own)
