"""The report as a whole: one file, every stage optional, the same bytes again, nothing from outside."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from synthetic_run import PROFILE, UNTRAINED, cluster_tables, known, origin, write_run, write_zoo

from metarep.artefact import canonical_json, open_artefact, write_whole, writing
from metarep.errors import MetarepError
from metarep.formats.contents import Checkpoint
from metarep.networks.spec import NetworkSpec
from metarep.report import page
from metarep.report.clusters_section import cluster_rows, contingency_blocks
from metarep.report.page import report
from metarep.report.representations import CLOZE
from metarep.report.results import read_run
from metarep.report.settings import ReportConfig
from metarep.tables import to_csv
from metarep.zoos.shards import ShardWriter

VOID = {"meta", "img", "br", "link", "hr", "input"}
STAGES = ("model", "masked_r2", "clusters", "scan", "parts", "audit", "transfer")


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves out the drawing, which takes most of the time."""
    monkeypatch.setattr(page, "png_of", lambda figure, **_: b"no figure")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A synthetic run with every stage."""
    folder = write_run(tmp_path_factory.mktemp("run") / "run")
    (folder / "config.yaml").write_text("name: <script>alert(1)</script>\n")
    (folder / "timings.json").write_text('{"seconds": {"zoo": 12.5}, "machine": {"cpu": "a loom", "cores": 2}}')
    return folder


@pytest.fixture(scope="module")
def written(finished):
    """Its report, in small figures: the tests read the page, they do not look at it."""
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
    for reference in set(outline.references) - {"../parts/report.html"}:  # a page of the run beside it
        assert reference.startswith("data:image/png;base64,") or reference.removeprefix("#") in outline.ids
    assert "@import" not in text
    assert "url(" not in text
    assert "was not run" not in text
    names = {file.stem for file in (written / "figures").glob("*.png")}
    assert {
        "label-mode",
        "label-sign_pattern",
        "training",
        "masked_r2",
        "comparison",
        "by_k",
        "umap",
        "atlas",
        "contingency",
        "transfer",
    } <= names
    assert {"scan_table", "scan_roc"} <= names
    assert {"mode-3", "cluster-0", "cluster-1", "cluster-2"} <= names
    assert text.count("<img") == len(names)
    assert 'alt="Training and validation loss and masked R² by training step" style="max-width:' in text
    assert "12.5" not in text  # seconds would make the page differ from run to run
    assert "a loom, 2 cores" in text


def test_names_are_text_not_markup(written):
    text = (written / "report.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_the_same_run_gives_the_same_bytes_and_is_made_from_every_stage(finished, written):
    timings = finished / "timings.json"
    timings.write_text(timings.read_text().replace("12.5", "13.5"))  # another day, the same page
    first, second = written, report(finished, finished / "again", config=ReportConfig(dpi=40))
    for file in sorted(first.rglob("*")):
        if file.is_file() and file.name != "manifest.json":
            assert file.read_bytes() == (second / file.relative_to(first)).read_bytes()
    assert set(open_artefact(first, "report", check_hashes=True).manifest["inputs"]) == {"zoo", *STAGES}


@pytest.mark.parametrize("missing", [stage for stage in STAGES if stage != "masked_r2"])
def test_a_missing_stage_is_named_and_the_rest_stands(tmp_path, missing, undrawn):
    run = write_run(tmp_path / "run", stages=tuple(stage for stage in STAGES if stage != missing))
    text = (report(run) / "report.html").read_text()
    Outline(text)
    command = {"model": "pretrain", "clusters": "cluster"}.get(missing, missing)
    assert set(re.findall(r"was not run.*metarep ([\w-]+) runs it", text)) == {command}


def test_a_zoo_alone_is_enough_also_one_without_modes(tmp_path, undrawn):
    write_zoo(tmp_path / "wide" / "zoo", n=20, spec=NetworkSpec.parse("2-3-1"))
    text = (report(tmp_path / "wide") / "report.html").read_text()
    Outline(text)
    assert "mode 3" not in text
    assert len(re.findall(r"this stage was not run", text)) == 7
    assert text.count("<h2>") == 4  # in short, the zoo, what was not run, how it was made


def test_an_audit_without_rows_was_run_and_says_why(tmp_path, undrawn):
    run = write_run(tmp_path / "run", stages=())
    with writing(run / "audit", "audit", config={}, seed=0, inputs={"zoo": open_artefact(run / "zoo")}) as path:
        write_whole(path / "audit.csv", "representation,rewriting,metric,value\n")
    text = (report(run) / "report.html").read_text()
    assert "so nothing was audited" in text
    assert "metarep audit runs it" not in text


def imported_run(folder, n=60):
    """A run on a zoo of two architectures with a text and a number, which no domain knows."""
    rng = np.random.default_rng(0)
    label = np.array(["cat" if i % 3 else "dog" for i in range(n)], dtype=object)
    with writing(folder / "zoo", "zoo", config={}, seed=0) as path:
        writer = ShardWriter(path, 10**6)
        for i in range(n):
            tensors = {"fc.weight": torch.tensor(rng.standard_normal((3, 2 + i % 2)), dtype=torch.float32)}
            row = {"network_id": f"n{i}", "run_id": f"n{i}", "split": "train" if i % 4 else "test"}
            writer.add(row, Checkpoint(tensors).architecture, tensors, {"animal": label[i], "accuracy": float(rng.uniform())})
        writer.finish()
    names = np.array([f"n{i}" for i in range(n)], dtype=object)
    tables = cluster_tables(names, label, {PROFILE: 0.5, UNTRAINED: 0.4, "weight_statistics": 0.2}, 0.01)
    tables.pop("unexplained.csv")
    names_of = {"mode": "animal", "sign_pattern": "architecture", "log_error": "accuracy"}
    with writing(folder / "clusters", "clusters", config={}, seed=0, inputs={"zoo": open_artefact(folder / "zoo")}) as path:
        for name, rows in tables.items():
            renamed = [{k: names_of.get(v, v) if k in ("label", "target") else v for k, v in row.items()} for row in rows]
            write_whole(path / name, to_csv(renamed))
        write_whole(path / "metrics.json", canonical_json({"rule_for_k": "stable", "n_train": 45, "n_test": 15}))
    return folder


def test_an_imported_zoo_with_labels_and_properties_has_a_page(tmp_path, undrawn):
    out = report(imported_run(tmp_path / "run"))
    text = (out / "report.html").read_text()
    Outline(text)
    findings = (out / "findings.md").read_text()
    assert findings.startswith("Clusters of the cloze profile embedding agree with the animal")
    assert "predicts the accuracy with R²" in findings
    assert "mode" not in findings
    assert "2 architectures" in text
    assert read_run(tmp_path / "run").values_of("architecture") == ["linear 6", "linear 9"]
    names = {file.stem for file in (out / "figures").glob("*.png")}
    assert {"label-animal", "label-architecture", "comparison", "umap", "atlas", "contingency"} <= names


def test_what_was_left_out_has_a_row_a_reason_and_nothing_stands_below_no_heading(tmp_path, undrawn):
    run = tmp_path / "run"
    write_zoo(run / "zoo", n=20, spec=NetworkSpec.parse("2-3-1"))
    zoo = open_artefact(run / "zoo")
    compared = [known(PROFILE) | origin(PROFILE)]
    with writing(run / "clusters", "clusters", config={}, seed=0, inputs={"zoo": zoo}) as path:
        write_whole(path / "representations.csv", to_csv(compared))
        left = [{"what": "k", "name": k, "reason": "too many"} for k in (8, 9)]
        write_whole(path / "left_out.csv", to_csv([*left, {"what": "label", "name": "task_id", "reason": "all alike"}]))
        write_whole(path / "metrics.json", canonical_json({"rule_for_k": "stable", "n_train": 16, "n_test": 4, "notes": []}))
    text = (report(run) / "report.html").read_text()
    assert re.search(r"<td[^>]*>8, 9</td>", text)
    assert text.count("too many") == 1
    assert "How much depends on k" not in text


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


def test_the_typical_network_is_the_nearest_held_out_one(finished):
    results = read_run(finished)
    members = [row for row in results.table("clusters/assignments") if row["representation"] == PROFILE]
    for row in cluster_rows(results):
        own = [r for r in members if r["cluster"] == row["cluster"] and r["split"] == "test"]
        assert row["network_id"] == min(own, key=lambda r: r["distance_to_centre"])["network_id"]
        assert row["n"] == len(own)


def test_of_a_label_of_many_values_the_most_common_ones_are_counted():
    values = np.array([f"code {i}" for i in range(20)] + [f"code {i}" for i in range(5)], dtype=object)
    names = [f"n{i}" for i in range(len(values))]
    results = SimpleNamespace(
        main_label="code",
        labels={"code": values},
        values_of=lambda label: sorted(set(values)),
        row_of={name: i for i, name in enumerate(names)},
        representations={"own": SimpleNamespace(group=CLOZE)},
        assigned={"own": {name: {"cluster": i % 2, "split": "test"} for i, name in enumerate(names)}},
        title=str,
    )
    shown = [tick.get_text() for tick in contingency_blocks(results)[1].draw().axes[0].get_xticklabels()]
    assert len(shown) == 12
    assert {f"code {i}" for i in range(5)} <= set(shown)


def test_the_report_links_to_the_map_where_there_is_one(tmp_path, undrawn):
    folder = write_run(tmp_path / "run", stages=("model",))
    assert "map.html" not in (report(folder) / "report.html").read_text()
    with writing(folder / "map", "map", config={}, seed=0, inputs={"zoo": open_artefact(folder / "zoo")}) as path:
        write_whole(path / "map.html", "")
    again = report(folder, overwrite=True)
    (link,) = re.findall(r'href="([^"]*map\.html)"', (again / "report.html").read_text())
    assert (again / link).is_file()
