"""What a report is made of: the zoo and the tables of a run; a stage that was not run leaves its tables empty."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from metarep.artefact import MANIFEST, Artefact, open_artefact
from metarep.embeddings.store import Embeddings, load_embeddings
from metarep.errors import MetarepError
from metarep.evaluation.folds import CROSS_VALIDATED
from metarep.report.representations import (
    BASELINE,
    BASELINES,
    CLOZE,
    ORACLE,
    PREDICTORS,
    UNTRAINED,
    Compared,
    key_of,
    representation_of,
)
from metarep.report.wording import Score, plain, score_of
from metarep.tables import read_csv, where
from metarep.zoos.domain import Domain, domain_of
from metarep.zoos.readings import varies
from metarep.zoos.zoo import Zoo, open_zoo

ARCHITECTURE = "architecture"
"""The label that every zoo of several architectures has."""

KMEANS, NATIVE = "kmeans", "native"
MAIN_ARM = (KMEANS, NATIVE)
"""k-means on the representations themselves."""

STAGES = ("model", "masked_r2", "clusters", "units", "predictions", "audit", "transfer")
"""The stages of any zoo that a report shows, in order; what else lies in the run was added by its domain."""


@dataclass(frozen=True)
class Results:
    """The zoo, every table by "stage/name", how each artefact was made, and by which objective each further model learned."""

    run: Path
    zoo: Zoo
    domain: Domain | None
    artefacts: Mapping[str, Artefact]
    objectives: Mapping[str, str]
    tables: Mapping[str, list[dict]]
    metrics: Mapping[str, dict]
    settings: str
    timings: Mapping

    @property
    def name(self) -> str:
        """The name in the run's settings, or its folder's."""
        first = self.settings.partition("\n")[0] if self.settings.startswith("name: ") else ""
        return first.removeprefix("name: ").strip() or self.run.resolve().name

    def has(self, stage: str) -> bool:
        """Whether the stage was run."""
        return stage in self.artefacts

    def table(self, name: str) -> list[dict]:
        """The rows of "stage/name"; none where the stage was not run or had nothing to say."""
        return self.tables.get(name, [])

    def rows(self, name: str, **equal: Any) -> list[dict]:
        """Those rows of a table whose columns have some values."""
        return where(self.table(name), **equal)

    # -- what is known of the networks

    @cached_property
    def final(self) -> Zoo:
        """The networks that the analyses look at: the end of each run that did not diverge."""
        return self.zoo.final()

    @cached_property
    def row_of(self) -> dict[str, int]:
        """{network_id: row of `final`}."""
        return {str(name): row for row, name in enumerate(self.final["network_id"])}

    @cached_property
    def labels(self) -> dict[str, np.ndarray]:
        """The labels (N,) of finished networks, as text, that differ among them; the main one first; "" where there is none."""
        found = {name: self.final.label(name).astype(str) for name in self.zoo.labels}
        found[ARCHITECTURE] = np.array(self.final.architecture_names)[self.final.architecture]
        return {name: values for name, values in found.items() if len(set(values) - {""}) > 1}

    @cached_property
    def properties(self) -> dict[str, np.ndarray]:
        """The numeric properties (N,) of finished networks that differ among them; NaN where one is not known."""
        found = {name: self.final.number(name) for name in self.zoo.properties}
        return {name: values for name, values in found.items() if varies(values)}

    @cached_property
    def is_cross_validated(self) -> bool:
        """Whether there were so few runs that every network was measured in its turn."""
        return self.metrics.get("clusters", {}).get("evaluation_split") == CROSS_VALIDATED

    @cached_property
    def main_label(self) -> str | None:
        """The label that figures lead with; None where no label was compared with clusters."""
        compared = dict.fromkeys(row["label"] for row in self.table("clusters/agreement"))
        return next((name for name in (*self.labels, *compared) if name in compared or not compared), None)

    def values_of(self, label: str) -> list[str]:
        """The values of a label that occur, in the domain's order, those it does not name behind."""
        order = (self.domain.label_order.get(label, ()) if self.domain else ()) or ()
        found = set(self.labels.get(label, ())) - {""}
        return [*(value for value in order if value in found), *sorted(found - set(order), key=_by_number)]

    # -- scores of representations

    @cached_property
    def representations(self) -> dict[str, Compared]:
        """Everything that was compared, by key, in the order of the tables; behind it what `predict` alone was asked for."""
        compared, predicted = self.table("clusters/representations"), self.table("predictions/predictions")
        rows = {key_of(row): row for row in compared}
        rows |= {key_of(row): row for row in predicted if key_of(row) not in rows}
        return {key: representation_of(row, self.objectives) for key, row in rows.items()}

    @cached_property
    def assigned(self) -> dict[str, dict[str, dict]]:
        """{representation: {network_id: row of assignments.csv}}: the clusters of k-means at the chosen k."""
        found: dict[str, dict[str, dict]] = {}
        for row in self.table("clusters/assignments"):
            found.setdefault(key_of(row), {})[str(row["network_id"])] = row
        return found

    def title(self, name: str) -> str:
        """A representation, or a predictor, as figures and sentences call it."""
        known = self.representations.get(name) or PREDICTORS.get(name)
        return known.title if known else plain(name)

    def group(self, name: str) -> str:
        """What a representation is in the comparison."""
        return self.representations[name].group if name in self.representations else BASELINE

    @cached_property
    def arms(self) -> list[tuple[str, str]]:
        """(clusterer, space) of every way of clustering; k-means of the representations themselves comes first."""
        found = dict.fromkeys((row["clusterer"], row["space"]) for row in self.table("clusters/k_curve"))
        return sorted(found, key=lambda arm: (arm[1] != NATIVE, arm[0] != KMEANS))

    @cached_property
    def chosen(self) -> dict[tuple[str, tuple[str, str]], dict]:
        """{(representation, arm): row of k_curve.csv at the number of clusters that was chosen without labels}."""
        rows = self.rows("clusters/k_curve", chosen=1)
        return {(key_of(row), (row["clusterer"], row["space"])): row for row in rows}

    def agreement(
        self, label: str, *, arm: tuple[str, str] = MAIN_ARM, metric: str = "ari", k: int | None = None
    ) -> dict[str, Score]:
        """{representation: how its clusters agree with a label}, at the k chosen for each, or at one for all."""
        at = {"chosen": 1} if k is None else {"k": k}
        return scores_of(self.rows("clusters/agreement", label=label, clusterer=arm[0], space=arm[1], metric=metric, **at))

    def curve(self, name: str, label: str, arm: tuple[str, str]) -> list[tuple[int, float]]:
        """[(k, ARI with a label)] of one representation, k ascending."""
        rows = self.rows("clusters/agreement", label=label, clusterer=arm[0], space=arm[1], metric="ari")
        return sorted((row["k"], row["value"]) for row in rows if key_of(row) == name)

    def probes(self, target: str, probe: str, metric: str) -> dict[str, Score]:
        """{representation: what a probe for a label or a property scores}."""
        return scores_of(self.rows("clusters/probes", target=target, probe=probe, metric=metric))

    def predicted(self, target: str) -> dict[str, Score]:
        """{representation: R² of a property by a linear map}: by probes, and by the stage that predicts, which comes first."""
        rows = self.rows("predictions/predictions", target=target, regressor="linear", metric="r2")
        return self.probes(target, "linear", "r2") | scores_of(rows)

    @cached_property
    def shown(self) -> str | None:
        """The embedding in the maps and the gallery: the first that the settings name, so that no label has a say."""
        return next((name for name, one in self.representations.items() if one.group == CLOZE), None)

    @property
    def shown_folder(self) -> Path | None:
        """Where the embedding shown lies, if it is in the run."""
        one = self.representations.get(self.shown or "")
        folder = self.run / "embeddings" / one.model / one.kind if one else None
        return folder if folder and (folder / MANIFEST).is_file() else None

    @cached_property
    def shown_embeddings(self) -> Embeddings | None:
        """The embedding shown, of networks."""
        return None if self.shown_folder is None else load_embeddings(self.shown_folder)

    def shown_rows(self, table: str) -> list[dict]:
        """The rows of a table of the clusters stage that are about the embedding shown."""
        return [row for row in self.table(f"clusters/{table}") if key_of(row) == self.shown]

    def best(self, scores: Mapping[str, Score], group: str | tuple[str, ...]) -> str | None:
        """The representation of some group with the largest score; None where there is none."""
        groups = (group,) if isinstance(group, str) else group
        own = [name for name in scores if self.group(name) in groups]
        return max(own, key=lambda name: scores[name].value) if own else None

    def rivals(self, scores: Mapping[str, Score], name: str) -> list[str]:
        """What an embedding has to beat: raw parameters, its untrained self (or the best one), and the best baseline."""
        one, known = self.representations[name], self.representations.items()
        raw = [n for n, r in known if (r.name, r.group) == ("raw", BASELINE)]
        same = [n for n, r in known if n in scores and r.untrained and (r.model, r.kind) == (one.model, one.kind)]
        wanted = dict.fromkeys([*raw[:1], *(same[:1] or [self.best(scores, UNTRAINED)]), self.best(scores, BASELINES)])
        return [n for n in wanted if n in scores and n != name]

    def most_telling(self, scores: Mapping[str, Score], most: int) -> list[str]:
        """The representations that a crowded figure shows: the one shown, what it has to beat, the best oracle, then the best
        of the others, in the order of the tables.
        """
        first = [self.shown, *(self.rivals(scores, self.shown) if self.shown else ()), self.best(scores, ORACLE)]
        others = sorted(scores, key=lambda name: -scores[name].value)
        kept = [name for name in dict.fromkeys([*first, *others]) if name in scores][:most]
        return [name for name in scores if name in kept]

    def masked(self, masking: str, group: str | None = None) -> list[dict]:
        """The rows of masked_r2.csv under one masking (`masking_title`), of one group if it is named."""
        rows = [row for row in self.table("masked_r2/masked_r2") if masking_title(row) == masking]
        return [row for row in rows if group in (None, row["group"])]


def _by_number(value: str) -> list[float | str]:
    """A key that sorts "16" before "128" and "linear 810" before "linear 1,650"."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)", value.replace(",", ""))
    return [float(part) if number % 2 else part for number, part in enumerate(parts)]


def masking_title(row: Mapping) -> str:
    """What a row of masked_r2.csv masks: "one in eight", "random, 50%"."""
    ratio = row.get("ratio")
    return f"{row['masking']}, {ratio:.0%}" if ratio not in (None, "") and ratio == ratio else row["masking"]


def scores_of(rows: Iterable[Mapping]) -> dict[str, Score]:
    """{representation: its score} of tidy rows."""
    return {key_of(row): score_of(row) for row in rows}


def read_run(run: Path | str) -> Results:
    """Reads a run's folder. Raises MetarepError where it has no zoo, and where a stage is damaged or of another zoo."""
    run = Path(run)
    zoo = open_zoo(zoo_folder(run))
    domain = domain_of(zoo)
    artefacts = {"zoo": zoo.artefact} | {f"targets/{name}": one for name, one in _finished(run / "targets").items()}
    tables: dict[str, list[dict]] = {}
    metrics: dict[str, dict] = {}
    added = [name for name in _finished(run) if name not in (*STAGES, "zoo", "report")]
    for stage in (*STAGES, *added):
        folder = run / stage
        if not (folder / MANIFEST).is_file():
            continue
        artefact = artefacts[stage] = open_artefact(folder, check_hashes=True)
        artefact.require_input("source" if stage == "transfer" else "zoo", zoo.artefact)
        tables |= {f"{stage}/{file.stem}": read_csv(file) for file in sorted(folder.glob("*.csv"))}
        if (folder / "metrics.json").is_file():
            metrics[stage] = json.loads((folder / "metrics.json").read_text())
    objectives = {name: one.config.get("objective", "cloze") for name, one in _finished(run / "models").items()}
    settings, timings = (_text(run / name) for name in ("config.yaml", "timings.json"))
    made = json.loads(timings or "{}")
    return Results(run, zoo, domain, artefacts, objectives, tables, metrics, settings, made)


def compared_runs(runs: Iterable[Path]) -> list[Path]:
    """The folders of runs that are set side by side. Raises MetarepError for one without a comparison, and where two have one
    name.
    """
    found: dict[str, Path] = {}
    for run in map(Path, runs):
        if not (run / "clusters" / MANIFEST).is_file():
            what = f"{run} is no run with a comparison"
            raise MetarepError(what, expected="a finished clusters stage", fix="run it to its end")
        if run.name in found:
            raise MetarepError("two runs have one name", met=run.name, fix="rename one folder")
        found[run.name] = run
    return list(found.values())


def zoo_folder(run: Path) -> Path:
    """Where the run's zoo lies: in its folder, or where its stages were made from. Raises MetarepError for no run."""
    if (run / "zoo" / MANIFEST).is_file():
        return run / "zoo"
    for file in (run / "clusters" / MANIFEST, run / "model" / MANIFEST, *sorted(run.glob(f"embeddings/*/*/{MANIFEST}"))):
        if file.is_file():
            return open_artefact(file.parent).input_path("zoo")
    expected = "a folder that `metarep run` wrote, with its finished zoo in it"
    raise MetarepError(f"{run} is no run to report on", expected=expected, fix="name that folder, or run it to its end")


def _finished(folder: Path) -> dict[str, Artefact]:
    return {one.name: open_artefact(one) for one in sorted(folder.glob("*")) if (one / MANIFEST).is_file()}


def _text(file: Path) -> str:
    return file.read_text() if file.is_file() else ""
