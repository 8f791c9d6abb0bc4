"""The stage with crisp labels: the functions that networks learned, told apart. A table, sentences, a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from metarep.artefact import canonical_json, write_whole, writing
from metarep.cloze.embed import load_embeddings
from metarep.domains.functions.figures import functions_figure
from metarep.domains.functions.probe import FunctionsConfig, about, function_rows, parameter_representations, usable_counts
from metarep.evaluation.compare import embedded_in_all, require_different_names, vectors_of
from metarep.progress import Progress
from metarep.report.page import png_of
from metarep.report.probe_words import LINEAR_PROBE, NEIGHBOUR_PROBE
from metarep.report.results import UNTRAINED, best_of, group_of, title_of
from metarep.report.wording import listed, num
from metarep.tables import to_csv
from metarep.zoos.zoo import open_zoo

PROBES = {LINEAR_PROBE: "the linear probe", NEIGHBOUR_PROBE: "nearest neighbours"}
GOALS = {5: 1.0, 10: 0.95}
"""What is asked for: so many functions told apart with so much balanced accuracy."""

OF_OUTPUTS = "outputs"
"""The baseline that runs the networks; all others read their parameters."""


def functions(
    config: FunctionsConfig,
    zoo: Path | str,
    out: Path | str,
    *,
    embeddings: list[Path] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Probes every representation of a zoo's finished networks for their function into the folder `out`, which it returns.

    functions.csv has a row for each representation, number of functions and probe; findings.md says what it shows, and
    figures/functions.png draws it. Raises MetarepError for a zoo of fewer than two functions or of several architectures,
    and for embeddings of another zoo.
    """
    progress = progress or Progress()
    loaded = [load_embeddings(path) for path in embeddings or []]
    require_different_names(loaded)
    networks = open_zoo(zoo)
    final = networks.final()
    final = final.select(embedded_in_all(loaded, final["network_id"]))
    embedded = {e.name: vectors_of(e, networks.artefact, final["network_id"]) for e in loaded}
    representations = parameter_representations(config, final) | embedded
    counts = usable_counts(config.counts, len(set(final["task"])))
    inputs = {"zoo": networks.artefact, **{e.name: e.artefact for e in loaded}}
    with writing(out, "functions", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        rows: list[dict] = []
        with progress.task("functions", len(representations), "representations") as task:
            for name, x in representations.items():
                found = function_rows(x, final["task"], final["split"], counts, seed=config.seed)
                rows += [{"representation": name, **row} for row in found]
                task.advance(1, name)
        metrics = about(config, final, rows)
        write_whole(folder / "functions.csv", to_csv(rows))
        write_whole(folder / "metrics.json", canonical_json(metrics) + "\n")
        write_whole(folder / "findings.md", "\n".join(["# Functions told apart", "", *function_sentences(rows, metrics), ""]))
        (folder / "figures").mkdir()
        write_whole(folder / "figures" / "functions.png", png_of(functions_figure(rows), dpi=config.dpi))
    return Path(out)


def function_sentences(rows: Sequence[dict], about: Mapping) -> list[str]:
    """A paragraph on the networks, one for each number of functions, one on chance; from functions.csv and metrics.json."""
    by_count = {count: _of(rows, count) for count in dict.fromkeys(row["n_functions"] for row in rows)}
    text = (
        f"{about['n_networks']:,} networks {about['spec']}, {about['n_functions']} functions; balanced accuracy of probes on "
    )
    text += "held-out networks of the first so many functions by name, with 95 % intervals over these networks. The functions "
    text += f"were learned with a mean squared error of {num(about['valid_mse']['median'], 4)} (median)."
    nulls = [f"{num(max(r['null_p95'] for t in tables.values() for r in t.values()))} ({n})" for n, tables in by_count.items()]
    chance = f"Answers dealt out to other networks reach at most {listed(nulls)} in 95 of 100 deals, by number of functions."
    return [text, "", *(f"- {_count_sentences(count, tables)}" for count, tables in by_count.items()), f"- {chance}"]


def _of(rows: Sequence[dict], count: int) -> dict[str, dict[str, dict]]:
    """{probe: {representation: row}} of one number of functions."""
    own = [row for row in rows if row["n_functions"] == count]
    return {metric: {r["representation"]: r for r in own if r["metric"] == metric} for metric in PROBES}


def _count_sentences(count: int, tables: Mapping[str, Mapping[str, dict]]) -> str:
    """One number of functions: which representations reach its goal, if it has one, and how they stand by either probe."""
    n_test = next(iter(tables[LINEAR_PROBE].values()))["n_test"]
    parts = [f"**{count} functions** ({n_test:,} test networks)."]
    for metric, title in PROBES.items():
        said = f"By {title}"
        if count in GOALS:
            said += f", {num(GOALS[count])} is {goal_sentence(tables[metric], GOALS[count])}"
        parts += [f"{said}: {_standing(tables[metric])}."]
    return " ".join(parts)


def goal_sentence(rows: Mapping[str, dict], goal: float) -> str:
    """Which representations {name: row} reach a goal, and which fall short of it by no more than their interval."""
    reached = [title_of(name) for name, row in rows.items() if row["value"] >= goal]
    nearly = [title_of(name) for name, row in rows.items() if row["value"] < goal <= row["high"]]
    text = f"reached by {listed(reached)}" if reached else "reached by none"
    return f"{text}, within the interval of {listed(nearly)}" if nearly else text


def _standing(rows: Mapping[str, dict]) -> str:
    """The best cloze embedding and its untrained control, the best untrained and baseline of parameters, and the outputs."""
    own = best_of(rows, [name for name in rows if group_of(name) == "cloze"], "value")
    untrained = best_of(rows, [name for name in rows if group_of(name) == "untrained"], "value")
    baseline = best_of(rows, [name for name in rows if group_of(name) == "baseline" and name != OF_OUTPUTS], "value")
    names = dict.fromkeys([own, f"{UNTRAINED}{own}", untrained, baseline, OF_OUTPUTS])
    return listed([f"{title_of(name)} {_figure(rows[name])}" for name in names if name in rows])


def _figure(row: Mapping) -> str:
    return f"{num(row['value'], 3)} [{num(row['low'], 3)}, {num(row['high'], 3)}]"
