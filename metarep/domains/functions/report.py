"""The stage with crisp labels: the functions that networks learned, told apart. A table, sentences, a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from metarep.artefact import write_whole, writing
from metarep.domains.functions.probe import OUTPUTS, FunctionsConfig, about, function_rows, representations, usable_counts
from metarep.embeddings.store import load_embeddings
from metarep.evaluation.arena import embedded_in_all
from metarep.progress import Progress
from metarep.report.dots import MARKERS, Series, lines_figure
from metarep.report.representations import BASELINE, CLOZE, LOOKS, UNTRAINED, Compared, key_of, representation_of
from metarep.report.style import INK, png_of
from metarep.report.wording import Score, listed, num, score_of, spoken
from metarep.tables import write_tables
from metarep.zoos.zoo import open_zoo

PROBES = {"linear": "the linear probe", "nearest_neighbours": "the nearest-neighbour probe"}
GOALS = {5: 1.0, 10: 0.95}
"""The balanced accuracy that is asked for, by the number of functions."""


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
    networks = open_zoo(zoo)
    final = embedded_in_all(loaded, networks.final())
    compared = representations(config, final, loaded)
    counts = usable_counts(config.counts, len(set(final["task"])))
    inputs = {"zoo": networks.artefact, **{f"embeddings_{i}": e.artefact for i, e in enumerate(loaded)}}
    with writing(out, "functions", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        rows: list[dict] = []
        with progress.task("functions", len(compared), "representations") as task:
            for one in compared:
                found = function_rows(one.vectors, final["task"], final["split"], counts, seed=config.seed)
                rows += [one.columns | {"origin": one.origin} | row for row in found]
                task.advance(1, one.name)
        metrics = about(config, final)
        write_tables(folder, {"functions": rows}, metrics)
        write_whole(folder / "findings.md", "\n".join(["# Functions told apart", "", *function_sentences(rows, metrics), ""]))
        (folder / "figures").mkdir()
        write_whole(folder / "figures" / "functions.png", png_of(functions_figure(rows), dpi=config.dpi))
    return Path(out)


def functions_figure(rows: Sequence[dict]) -> Figure:
    """Balanced accuracy (95 % interval) by number of functions, a line a representation, a panel a probe; ticks are what
    predictions reach that are permuted among networks. Baselines are dark, the others in the colours of their groups.
    """
    panels = {}
    for probe, title in PROBES.items():
        own = [row for row in rows if row["probe"] == probe]
        known = {key_of(row): representation_of(row, {}) for row in own}
        series = []
        for place, (name, one) in enumerate(known.items()):
            look = INK if one.group == BASELINE else LOOKS[one.group].colour, MARKERS[place % len(MARKERS)]
            series.append(Series.of(one.title, [row for row in own if key_of(row) == name], "n_functions", *look))
        panels[title.removeprefix("the ")] = ("functions to tell apart", series)
    return lines_figure(panels, ylim=(0, 1.03), ylabel="balanced accuracy")


def function_sentences(rows: Sequence[dict], about: Mapping) -> list[str]:
    """A paragraph on the networks, one for each number of functions, one on chance; from functions.csv and metrics.json."""
    text = (
        f"{about['n_networks']:,} networks {about['spec']}, {about['n_functions']} functions; balanced accuracy of probes on "
        "held-out networks of the first functions by name, with 95 % intervals over these networks. The functions were learned "
        f"with a mean squared error of {num(about['valid_mse']['median'], 4)} (median)."
    )
    counts = dict.fromkeys(row["n_functions"] for row in rows)
    nulls = [f"{num(max(row['null'] for row in rows if row['n_functions'] == n))} ({n})" for n in counts]
    chance = f"Predictions permuted among networks reach at most {listed(nulls)}, by number of functions."
    return [text, "", *(f"- {_count_sentences(rows, count)}" for count in counts), f"- {chance}"]


def _count_sentences(rows: Sequence[dict], count: int) -> str:
    """One number of functions: which representations reach its goal, if it has one, and how they compare by either probe."""
    own = [row for row in rows if row["n_functions"] == count]
    parts = [f"**{count} functions** ({own[0]['n_test']:,} test networks)."]
    for probe, title in PROBES.items():
        probed = [row for row in own if row["probe"] == probe]
        goal = f", {num(GOALS[count])} is {goal_sentence(probed, GOALS[count])}" if count in GOALS else ""
        parts.append(f"By {title}{goal}: {_standing(probed)}.")
    return " ".join(parts)


def goal_sentence(rows: Sequence[dict], goal: float) -> str:
    """Which representations reach a goal, and which fall short of it by no more than their interval."""
    titles = {representation_of(row, {}).title: score_of(row) for row in rows}
    reached = [title for title, score in titles.items() if score.value >= goal]
    nearly = [title for title, score in titles.items() if score.value < goal <= score.high]
    text = f"reached by {listed(reached)}" if reached else "reached by none"
    return f"{text}, within the interval of {listed(nearly)}" if nearly else text


def _standing(rows: Sequence[dict]) -> str:
    """The best cloze embedding and its untrained control, the best untrained and baseline of parameters, and the outputs."""
    ranked = sorted(((representation_of(row, {}), score_of(row)) for row in rows), key=lambda pair: -pair[1].value)

    def best(suits: Callable[[Compared], bool]) -> list[tuple[Compared, Score]]:
        return [pair for pair in ranked if suits(pair[0])][:1]

    cloze = best(lambda one: one.group == CLOZE)
    shown = [*cloze, *best(lambda r: any(r.untrained and (r.model, r.kind) == (one.model, one.kind) for one, _ in cloze))]
    shown += best(lambda one: one.group == UNTRAINED)
    shown += [*best(lambda one: one.group == BASELINE and one.name != OUTPUTS), *best(lambda one: one.name == OUTPUTS)]
    said = {one.title: f"{one.title} {spoken(score, 3)}" for one, score in shown}
    return listed(list(said.values()))
