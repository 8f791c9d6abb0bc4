"""Networks worth a look, parts and the account of an import, as the report shows them."""

from types import SimpleNamespace

import numpy as np

from metarep.account import Entry
from metarep.embeddings.store import Embeddings
from metarep.report import look_section, parts_section
from metarep.report.look_section import nearest_of_another_run, outliers
from metarep.report.representations import BASELINE, CLOZE, key_of
from metarep.report.results import Results
from metarep.report.wording import Score
from metarep.report.zoo_section import account_blocks
from metarep.zoos.account import Account


def planted(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and runs: network 3 is far from all others, 10 and 20 coincide, and 5 has a copy in its own run, 6."""
    vectors = np.random.default_rng(0).normal(size=(n, 4))
    vectors[3] += 100
    vectors[20], vectors[6] = vectors[10], vectors[5]
    runs = np.array([f"run {i}" for i in range(n)])
    runs[6] = runs[5]
    return vectors, runs


def test_copies_within_a_run_are_no_neighbours():
    vectors, runs = planted()
    distance, other = nearest_of_another_run(vectors, runs)
    assert distance[10] == 0
    assert other[10] == 20
    assert distance[5] > 0
    assert distance.argmax() == 3
    assert not np.isfinite(nearest_of_another_run(vectors, np.full(60, "one"))[0]).any()


def results_of(vectors: np.ndarray, runs: np.ndarray) -> SimpleNamespace:
    names = np.array([f"net-{i}" for i in range(len(runs))])
    embeddings = SimpleNamespace(network_id=names, vectors=vectors)
    assert {"network_id", "vectors"} <= set(Embeddings.__dataclass_fields__)
    row_of = {name: row for row, name in enumerate(names)}
    about = {"shown": "layers", "title": lambda name: f"cloze {name}"}
    return SimpleNamespace(shown_embeddings=embeddings, row_of=row_of, final={"run_id": runs}, **about)


def test_the_odd_and_the_alike_are_named():
    section = look_section.section(results_of(*planted()))
    odd, alike = (block for block in section.blocks if block.kind == "table")
    assert odd.rows[0][0] == "net-3"
    assert alike.rows[0][:2] == ["net-10", "net-20"]
    assert (
        "Of 60 networks 1 is unusually far from the nearest one of another run, and 2 unusually near"
        in section.findings[0].text
    )
    alone, _ = planted(1020)
    own = look_section.section(
        results_of(
            np.repeat(np.arange(20) * 1000.0, 51)[:, None] + alone[:, :1] * 0.01, np.repeat(np.arange(20), 51).astype(str)
        )
    )
    assert "own training run" in own.blocks[0].text
    few = look_section.section(results_of(*(part[:8] for part in planted())))
    assert not few.findings


def test_networks_whose_distances_vary_over_decades_are_no_outliers():
    """A third lies more than 3 times the median away."""
    distances = 10 ** np.random.default_rng(0).normal(size=2000)
    assert (distances > 3 * np.median(distances)).mean() > 0.3
    assert outliers(distances) == (0, 0)
    assert outliers(np.concatenate([distances, [1e9, 1e-9, 0]])) == (1, 2)


def test_parts_are_said_with_what_chance_gives():
    row = {"part": "unit", "statistic": "similarity", "value": 0.9, "null_p05": 0.1, "null_p95": 0.5, "p": 0.01}
    rows = [row, row | {"part": "layer", "p": 0.5}]
    section = parts_section.section(SimpleNamespace(table=lambda name: rows))
    assert "similarity of units (0.90, p = 0.01)" in section.findings[0].text
    assert "layers" not in section.findings[0].text
    assert "None of 2 statistics" in parts_section.sentence([row | {"p": 0.2}, row | {"p": 0.5}])
    assert parts_section.section(SimpleNamespace(table=lambda name: [])).is_absent


def test_the_account_of_an_import_is_shown_with_its_doubts(tmp_path):
    account = Account()
    account.add(
        Entry("file", "a.txt", "no checkpoint", "it is text"), Entry("run", "", "runs guessed", "by folder", doubt=True)
    )
    account.write(tmp_path)
    results = SimpleNamespace(zoo=SimpleNamespace(artefact=SimpleNamespace(path=tmp_path)))
    _, text, table = account_blocks(results)
    assert "2 entries, 1 in doubt" in text.text
    assert ["files", "a.txt", "no checkpoint", "it is text"] in table.rows
    assert any(row[0] == "training runs (in doubt)" for row in table.rows)
    (tmp_path / "account.csv").unlink()
    assert account_blocks(results) == []


def test_what_predict_alone_was_asked_for_has_its_name_and_group():
    """Two representations side by side are no baseline, and their key is no title."""
    rows = [{"representation": "layers+weight_statistics", "model": "", "kind": "joint", "untrained": 0}]
    compared = {"representation": "layers", "model": "model", "kind": "layers", "untrained": 0, "origin": "embedding"}
    rows += [{"representation": "raw", "model": "", "kind": "raw", "untrained": 0}, compared]
    results = Results.__new__(Results)
    results.__dict__.update(objectives={}, table=lambda name: [compared] if name == "clusters/representations" else rows)
    joint, raw, layers = (key_of(row) for row in rows)
    assert list(results.representations) == [layers, joint, raw]
    scores = {name: Score(0.5, 0.4, 0.6, 0.1) for name in results.representations}
    assert results.rivals(scores, joint) == [raw]
    assert (results.title(joint), results.group(joint)) == ("layers+weight statistics", CLOZE)
    assert (results.title(raw), results.group(raw)) == ("raw parameters", BASELINE)
