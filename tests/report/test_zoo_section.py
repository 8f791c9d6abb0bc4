"""What is said of a zoo: how common labels are, and by which the first property differs."""

from synthetic_run import write_run

from metarep.report.results import read_run
from metarep.report.zoo_section import findings


def test_medians_are_told_where_they_differ(tmp_path):
    results = read_run(write_run(tmp_path / "run", stages=()))
    assert "goes from" in findings(results)[-1].text
    results.properties[next(iter(results.properties))][:] = 1.0
    assert len(findings(results)) == 1
