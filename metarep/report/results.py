"""What a report is made of: the tables of a run, read once, and a few questions asked of them.

A stage that was not run leaves its tables empty; nothing here is computed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from metarep.artefact import MANIFEST, Artefact, open_artefact
from metarep.domains.multiplier.modes import MODES
from metarep.errors import MetarepError
from metarep.evaluation.agreement import wilson
from metarep.evaluation.representations import DESCRIPTIONS
from metarep.pipeline import RunConfig
from metarep.settings import load_config
from metarep.tables import read_csv
from metarep.zoos.zoo import Zoo, open_zoo

STAGES = {
    "model": ("log", "masked_r2"),
    "clusters": (
        "agreement",
        "probes",
        "chosen_k",
        "k_curve",
        "assignments",
        "contingency",
        "umap",
        "seeds",
        "descriptions",
        "rules",
        "unexplained",
    ),
    "scan": ("scan", "roc", "scores", "precision", "margin"),
    "transfer": ("transfer",),
}
"""The optional stages and their tables."""

ORACLE = "oracle"
UNTRAINED = "untrained_"
MAIN_CLUSTERER = "kmeans"
OTHER_OBJECTIVES = ("autoencoder-", "contrastive-", "latent-")
"""Embeddings of models that a run calls after these objectives are what the cloze is compared with."""

EMBEDDING_DESCRIPTIONS = {
    "pooled": "the mean hidden state of the cloze model that sees the whole network",
    "profile": "each parameter hidden in turn: what the cloze model predicts and how unsure it is",
    "states": "hidden states of the cloze model that sees the whole network, unit by unit",
    "surprisal": "how surprising each true value is to the cloze model that sees the others",
    "description": "how surprising each hidden unit is, token by token hidden: mean, largest, least",
    "activity": "how surely each hidden unit is off, told by the cloze model from the parameters: share of inputs, any, all",
    "beliefs": "the probability that each unit is off, input by input, told by the cloze model from the parameters",
    "patterns": "the probability of each pattern of two units on and off, told by the cloze model from the parameters",
    "effects": "what each unit contributes to the output, input by input, told by the cloze model from the parameters",
    "function": "these contributions summed over units: the network's output up to its bias, where it is linear",
    "certainty": "how unsure the cloze model is of each parameter, without what it predicts",
    "coupling": "which parameters determine each other, by the cloze model: each pair hidden together",
}


@dataclass(frozen=True)
class Results:
    """A run as a reader wants it: the zoo, every table by "stage/name", and how each artefact was made."""

    run: Path
    zoo: Zoo
    artefacts: Mapping[str, Artefact]
    tables: Mapping[str, list[dict]]
    metrics: Mapping[str, dict]
    settings: str
    timings: Mapping

    @cached_property
    def final(self) -> Zoo:
        """The networks that the analyses look at: the end of each run that did not diverge."""
        return self.zoo.final()

    @cached_property
    def labelled(self) -> Zoo:
        """The finished networks that have a mode; all are 2-2-1."""
        return self.final.select(self.final["mode"] != "")

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

    @cached_property
    def present_modes(self) -> list[str]:
        """The modes that occur among finished networks, in their usual order."""
        found = set(self.labelled["mode"])
        return [mode for mode in MODES if mode in found]

    @cached_property
    def chosen(self) -> dict[str, dict[str, dict]]:
        """{clusterer: {representation: row of agreement.csv with the mode, at the chosen k}}."""
        by_key = {(r["representation"], r["clusterer"], r["k"]): r for r in self._mode_agreement}
        found: dict[str, dict[str, dict]] = {}
        for choice in self.table("clusters/chosen_k"):
            key = (choice["representation"], choice["clusterer"], choice["k"])
            if key in by_key:
                found.setdefault(choice["clusterer"], {})[choice["representation"]] = by_key[key]
        return found

    def at_k(self, k: int) -> dict[str, dict]:
        """{representation: row of agreement.csv with the mode} of k-means with k clusters."""
        return {r["representation"]: r for r in self._mode_agreement if r["clusterer"] == MAIN_CLUSTERER and r["k"] == k}

    def curve(self, representation: str, clusterer: str = MAIN_CLUSTERER) -> list[tuple[int, float]]:
        """[(k, ARI with the mode)] of one clusterer, k ascending."""
        rows = [r for r in self._mode_agreement if r["representation"] == representation]
        return sorted((r["k"], r["ari"]) for r in rows if r["clusterer"] == clusterer)

    def most_telling(self, most: int) -> list[str]:
        """The representations that a crowded figure shows: the one shown, its control, raw and the oracle, then the
        best of the others by k-means, in the order of the tables.
        """
        rows = self.chosen.get(MAIN_CLUSTERER, {})
        first = [n for n in (self.shown, f"{UNTRAINED}{self.shown}", "raw", ORACLE) if n in rows]
        others = sorted((n for n in rows if n not in first), key=lambda n: -rows[n]["ari"])
        kept = {*first, *others[: max(0, most - len(first))]}
        return [n for n in rows if n in kept]

    def probe(self, target: str, metric: str) -> dict[str, dict]:
        """{representation: row of probes.csv}."""
        rows = self.table("clusters/probes")
        return {r["representation"]: r for r in rows if r["target"] == target and r["metric"] == metric}

    @cached_property
    def shown(self) -> str | None:
        """The cloze embedding in the maps and the gallery: the first that the settings name, so that no label has a say."""
        rows = self.chosen.get(MAIN_CLUSTERER, {})
        return next((name for name in rows if group_of(name) == "cloze"), None)

    @cached_property
    def _mode_agreement(self) -> list[dict]:
        return [row for row in self.table("clusters/agreement") if row["label"] == "mode"]


def read_run(run: Path | str) -> Results:
    """Reads a run's folder. Raises MetarepError where it has no zoo, and where a stage is damaged or of another zoo."""
    run = Path(run)
    if run.is_dir() and not (run / "zoo" / MANIFEST).is_file():
        expected = "a folder that `metarep run` wrote, with its finished zoo in it"
        raise MetarepError(f"{run} is no run to report on", expected=expected, fix="name that folder, or run it to its end")
    zoo = open_zoo(run / "zoo")
    artefacts = {"zoo": zoo.artefact}
    artefacts |= {f"targets/{name}": open_artefact(run / "targets" / name) for name in target_names(run)}
    tables: dict[str, list[dict]] = {}
    metrics: dict[str, dict] = {}
    for stage, names in STAGES.items():
        folder = run / stage
        if not (folder / MANIFEST).is_file():
            continue
        artefact = artefacts[stage] = open_artefact(folder, stage, check_hashes=True)
        artefact.require_input("source" if stage == "transfer" else "zoo", zoo.artefact)
        tables |= {f"{stage}/{name}": read_csv(folder / f"{name}.csv") for name in names if (folder / f"{name}.csv").is_file()}
        if (folder / "metrics.json").is_file():
            metrics[stage] = json.loads((folder / "metrics.json").read_text())
    settings, timings = run / "config.yaml", run / "timings.json"
    return Results(
        run,
        zoo,
        artefacts,
        tables,
        metrics,
        settings.read_text() if settings.is_file() else "",
        json.loads(timings.read_text()) if timings.is_file() else {},
    )


def target_names(run: Path) -> list[str]:
    """The run's finished target zoos: those that its settings name, or all where it has no settings."""
    if (run / "config.yaml").is_file():
        named: Iterable[str] = load_config(RunConfig, run / "config.yaml").targets
    else:
        named = sorted(folder.name for folder in (run / "targets").glob("*"))
    return [name for name in named if (run / "targets" / name / MANIFEST).is_file()]


def group_of(representation: str) -> str:
    """What a representation is in the comparison: "cloze", "untrained", "baseline" or "oracle"."""
    if representation in DESCRIPTIONS and representation.startswith(ORACLE):
        return "oracle"
    if representation.startswith(UNTRAINED):
        return "untrained"
    return "baseline" if representation in DESCRIPTIONS or representation.startswith(OTHER_OBJECTIVES) else "cloze"


def title_of(representation: str) -> str:
    """A representation's name as it stands in figures and sentences."""
    names = {
        "raw": "raw parameters",
        "canonical": "canonical parameters",
        "pca": "PCA of parameters",
        "weight_statistics": "weight statistics",
        "outputs": "outputs on a grid",
        "input_gradients": "gradients by inputs",
        "parameter_gradients": "gradients by parameters",
        "fisher": "Fisher information",
        "log_fisher": "log Fisher information",
        "contributions": "contributions of units",
        "loss": "loss alone",
        "oracle": "oracle (active areas)",
        "oracle_activity": "oracle (exact activity)",
        "oracle_patterns": "oracle (exact patterns)",
        "oracle_quadrants": "oracle (quadrant areas)",
        "linear_gaussian": "linear-Gaussian imputer",
        "unit_norm": "unit-norm imputer",
        "mean": "mean",
        "cloze": "cloze model",
    }
    if representation.startswith(UNTRAINED):
        return f"untrained {representation.removeprefix(UNTRAINED)}"
    if representation in names:
        return names[representation]
    model, dash, kind = representation.rpartition("-")
    if representation.startswith(OTHER_OBJECTIVES):
        return f"{model} ({kind})"
    return f"cloze {kind} ({model})" if dash else f"cloze {representation}"


def describe(representation: str) -> str:
    """A representation in a few words."""
    if representation.startswith(UNTRAINED):
        return f"as cloze {representation.removeprefix(UNTRAINED)}, from an encoder that was never trained"
    model, _, kind = representation.rpartition("-")
    text = (DESCRIPTIONS | EMBEDDING_DESCRIPTIONS).get(kind, "")
    return text.replace("the cloze model", f"the {model} model") if representation.startswith(OTHER_OBJECTIVES) else text


def best_of(rows: Mapping[str, dict], names: Iterable[str], key: str = "ari") -> str | None:
    """The name with the largest figure among those that have a row; None where there is none."""
    present = [name for name in names if name in rows]
    return max(present, key=lambda name: rows[name][key]) if present else None


def mode_rows(results: Results) -> list[dict]:
    """For each mode that occurs: n, share with its Wilson interval, and quartiles of the validation error."""
    networks, rows = results.labelled, []
    for mode in results.present_modes:
        error = networks["valid_mse"][networks["mode"] == mode]
        low, high = wilson(len(error), len(networks))
        q25, q50, q75 = np.quantile(error, [0.25, 0.5, 0.75])
        row = {"mode": mode, "n": len(error), "share": len(error) / len(networks), "low": low, "high": high}
        rows.append({**row, "mse_q25": float(q25), "mse_median": float(q50), "mse_q75": float(q75)})
    return rows


def typical_of_mode(results: Results, mode: str) -> int:
    """The row of `labelled` whose active areas, sorted, lie nearest to the mode's medians."""
    rows = np.flatnonzero(results.labelled["mode"] == mode)
    areas = np.sort(results.labelled["active_area"][rows], axis=1)
    return int(rows[np.abs(areas - np.median(areas, axis=0)).sum(axis=1).argmin()])


def cluster_rows(results: Results, representation: str) -> list[dict]:
    """For each cluster of k-means at the chosen k: n test networks, n by mode, and the network nearest to its centre."""
    members = [r for r in results.table("clusters/assignments") if r["representation"] == representation]
    counts: dict[int, dict[str, int]] = {}
    for row in results.table("clusters/contingency"):
        if row["representation"] == representation:
            counts.setdefault(row["cluster"], {})[row["mode"]] = row["n"]
    rows = []
    for number in sorted({r["cluster"] for r in members}):
        own = [r for r in members if r["cluster"] == number]
        nearest = min(own, key=lambda r: (r["split"] != "test", r["distance_to_centre"]))
        modes = counts.get(number, {})
        rows.append({"cluster": number, "n": sum(modes.values()), "modes": modes, "network_id": nearest["network_id"]})
    return rows


def untrained_of(rows: Mapping[str, dict], name: str, key: str = "ari") -> str | None:
    """The same embedding of the untrained encoder, or the best of the untrained ones where that was not made."""
    same = UNTRAINED + name
    return same if same in rows else best_of(rows, [n for n in rows if group_of(n) == "untrained"], key)
