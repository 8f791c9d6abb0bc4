"""The stage that writes the report of a run: one HTML page, which needs no network, and its figures as PNG.

The page is put together in three steps: read the run, draw the figures, fill the template.
What a stage that was not run would have shown is replaced by a note that says so.
"""

from __future__ import annotations

import base64
import io
import platform
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from metarep.artefact import write_whole, writing
from metarep.domains.multiplier.figures import scan_figures, scans
from metarep.domains.multiplier.modes import MAINLY_ON, MODE_NAMES, TOLERANCE
from metarep.progress import Progress
from metarep.report import description_figures, descriptions, figures, maps, probe_words, summary, wording
from metarep.report.results import (
    MAIN_CLUSTERER,
    STAGES,
    Results,
    cluster_rows,
    describe,
    group_of,
    mode_rows,
    read_run,
    title_of,
    typical_of_mode,
)
from metarep.report.settings import ReportConfig
from metarep.report.style import MODE_COLOURS
from metarep.zoos.zoo import Zoo

DPI = ReportConfig().dpi
MAX_CURVES = 11
PACKAGES = ("torch", "numpy", "numba", "scikit-learn", "umap-learn", "matplotlib", "pyarrow")
PROBES = ((probe_words.LINEAR_PROBE, "linear probe for the mode"), (probe_words.NEIGHBOUR_PROBE, "nearest neighbours"))
TRANSFER_METRICS = {
    "masked_r2": "masked R²",
    "linear_balanced_accuracy": "mode, linear probe:\nbalanced accuracy",
    "nearest_neighbours_balanced_accuracy": "mode, neighbours:\nbalanced accuracy",
    "clusters_ari": "k-means carried over:\nARI with the modes",
    "log10_valid_mse_r2": "error, linear probe: R²",
}
MODE_RULES = {
    "1": f"both units are on over less than {TOLERANCE:.0%} of the square",
    "2": f"one unit is on over less than {TOLERANCE:.0%} of the square, the other over more",
    "2.5": f"both are on over more than {1 - TOLERANCE:.0%}",
    "3": f"one is partly on, the other over more than {MAINLY_ON:.0%}",
    "4": f"both are partly on, neither over more than {MAINLY_ON:.0%}",
}


def report(
    run: Path | str,
    out: Path | str | None = None,
    *,
    config: ReportConfig | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes `report.html`, `findings.md` and `figures/*.png` of a run into the folder `out`, which it returns.

    `out` is `run`/report if left out. Needs the run's zoo; every other stage may be missing. Raises
    MetarepError for a folder that is no run, for a damaged stage and for one of another zoo.
    """
    config, progress = config or ReportConfig(), progress or Progress()
    results = read_run(run)
    out = Path(run) / "report" if out is None else Path(out)
    with writing(out, "report", config=config.resolved(), seed=None, inputs=results.artefacts, overwrite=overwrite) as folder:
        (folder / "figures").mkdir()
        images = {}
        makers = figure_makers(results)
        with progress.task("report", len(makers), "figures") as task:
            for name, make in makers.items():
                data = png_of(make(), dpi=config.dpi)
                write_whole(folder / "figures" / f"{name}.png", data)
                images[name] = "data:image/png;base64," + base64.b64encode(data).decode()
                task.advance(1, name)
        write_whole(folder / "report.html", render(results, images))
        write_whole(folder / "findings.md", findings_text(results))
    return out


def findings_text(results: Results) -> str:
    """The page's plain words as Markdown: the headline, then a paragraph a topic."""
    paragraphs = [summary.headline(results)]
    for finding in all_findings(results):
        paragraphs.append(f"**{finding.topic}{'' if finding.topic.endswith('?') else '.'}** {finding.text}")
    return "\n\n".join(paragraphs) + "\n"


def all_findings(results: Results) -> list[summary.Finding]:
    """The findings of the summary, then what the clusters stand for."""
    return summary.findings(results) + descriptions.findings(results)


def png_of(figure: Figure, *, dpi: int = DPI) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def render(results: Results, images: Mapping[str, str]) -> str:
    """The page, with images {name: data URI}."""
    environment = Environment(
        loader=PackageLoader("metarep", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"num": lambda value, digits=2: wording.num(float(value), digits), "title_of": title_of}
    environment.globals |= {
        "describe": describe,
        "group_of": group_of,
        "negative_title": scans.negative_title,
        "clusterer_title": wording.clusterer_title,
    }
    return environment.get_template("report.html").render(context(results), images=images)


def context(results: Results) -> dict[str, Any]:
    """Everything that the template shows, apart from the images."""
    final = results.final
    return {
        "results": results,
        "headline": summary.headline(results),
        "findings": all_findings(results),
        "glance": glance(results),
        "modes": [row | {"name": MODE_NAMES[row["mode"]], "rule": MODE_RULES[row["mode"]]} for row in mode_rows(results)],
        "n_networks": len(results.zoo),
        "n_final": len(final),
        "n_diverged": int((~results.zoo["finite"]).sum()),
        "specs": sorted(set(results.zoo["spec"])),
        "families": families(results),
        "comparison": comparison_rows(results),
        "arms": list(results.chosen),
        "rule_for_k": results.metrics.get("clusters", {}).get("rule_for_k", ""),
        "n_test": results.metrics.get("clusters", {}).get("n_test", 0),
        "n_train": results.metrics.get("clusters", {}).get("n_train", 0),
        "gallery": gallery_rows(results),
        "unexplained": descriptions.unexplained_text(left := descriptions.shown_rows(results, "unexplained")),
        "splits": descriptions.mode_table(left),
        "colours": MODE_COLOURS,
        "scan_rows": scans.on_most_networks(results.table("scan/scan")),
        "scan_negatives": scans.scan_table(results)[0],
        "scan_table": scans.scan_table(results)[1],
        "n_examples": results.metrics.get("scan", {}).get("n_examples", ""),
        "transfer_rows": transfer_rows(results),
        "made": made_rows(results),
        "machine": machine_text(results),
        "packages": package_versions(),
    }


def figure_makers(results: Results) -> dict[str, Callable[[], Figure]]:
    """What draws each figure, by its name; only the figures whose stages were run."""
    makers: dict[str, Callable[[], Figure]] = {}
    networks = results.labelled
    if results.present_modes:
        makers["zoo"] = lambda: figures.zoo_figure(mode_rows(results), networks["mode"], networks["valid_mse"])
    for mode in results.present_modes:
        params = networks.params[typical_of_mode(results, mode)]
        makers[f"mode-{mode}"] = lambda p=params: maps.small_figure(networks.spec, p)
    if results.table("model/log"):
        makers["training"] = lambda: figures.training_figure(results.table("model/log"))
    if masked := summary.masked_rows(results, "leave_one_out"):
        makers["masked_r2"] = lambda: figures.masked_figure(masked)
    if chosen := results.chosen.get(MAIN_CLUSTERER):
        probes = [(title, results.probe("mode", metric)) for metric, title in PROBES]
        makers["comparison"] = lambda: figures.comparison_figure(chosen, [entry for entry in probes if entry[1]])
        for clusterer, name in ((MAIN_CLUSTERER, "by_k"), ("gmm", "by_k_gmm")):
            if rows := results.chosen.get(clusterer):
                makers[name] = partial(k_figure_of, results, clusterer, rows)
        makers |= map_makers(results)
    if results.has("scan"):
        makers |= scan_makers(results)
    if rows := results.table("transfer/transfer"):
        titles = {name: target_label(results, name) for name in summary.transfer_targets(results)}
        makers["transfer"] = lambda: figures.transfer_figure(rows, titles, TRANSFER_METRICS)
    return makers


def k_figure_of(results: Results, clusterer: str, chosen: Mapping[str, dict]) -> Figure:
    """The ARI of one clusterer by k, of so many representations as a figure can hold."""
    drawn = results.most_telling(MAX_CURVES)
    curves = {name: results.curve(name, clusterer) for name in drawn if name in chosen}
    return figures.k_figure(curves, chosen, len(results.present_modes))


def scan_makers(results: Results) -> dict[str, Callable[[], Figure]]:
    """What draws the published score, then all scans side by side."""
    rows, curves, margin = (results.table(f"scan/{name}") for name in ("scan", "roc", "margin"))
    makers: dict[str, Callable[[], Figure]] = {}
    if own := scans.on_most_networks(rows):
        scores = [row for row in results.table("scan/scores") if row["scan"] == scans.PUBLISHED]
        makers["scan"] = lambda: figures.scan_figure(scores, scans.on_most_networks(curves), own)
        makers["scan_roc"] = lambda: scan_figures.roc_figure(curves, rows)
    makers["scan_table"] = lambda: scan_figures.heat_figure(rows)
    if margin:
        makers["scan_margin"] = lambda: scan_figures.margin_figure(margin)
    return makers


def map_makers(results: Results) -> dict[str, Callable[[], Figure]]:
    """What draws the maps and the gallery of the clusters stage."""
    makers: dict[str, Callable[[], Figure]] = {}
    networks = results.labelled
    row_of = {name: i for i, name in enumerate(networks["network_id"])}
    places = umap_places(results, row_of)
    if results.shown in places:
        xy, rows = places[results.shown]
        few = networks.select(rows)
        makers["umap"] = lambda: maps.umap_figure(xy, few["mode"], clusters_of(results, few), few["valid_mse"])
    if len(places) > 1:
        makers["atlas"] = lambda: maps.atlas_figure({n: (xy, networks["mode"][rows]) for n, (xy, rows) in places.items()})
    cloze = [name for name in results.chosen[MAIN_CLUSTERER] if group_of(name) == "cloze"]
    cloze = sorted(cloze, key=lambda name: (name != results.shown, cloze.index(name)))[:3]
    if rows := descriptions.shown_rows(results, "descriptions"):
        captions = {row["cluster"]: f"{row['most'].partition(' ')[2]}\nn = {row['n']:,}" for row in gallery_rows(results)}
        makers["effects"] = lambda: description_figures.effects_figure(rows, captions)
    if left := descriptions.shown_rows(results, "unexplained"):
        makers["unexplained"] = lambda: description_figures.unexplained_figure(left)
    if cloze:
        tables = {name: cluster_rows(results, name) for name in cloze}
        makers["contingency"] = lambda: maps.contingency_figure(tables, results.present_modes)
        for row in tables[results.shown]:
            params = networks.params[row_of[row["network_id"]]]
            makers[f"cluster-{row['cluster']}"] = lambda p=params: maps.small_figure(networks.spec, p)
    return makers


def umap_places(results: Results, row_of: Mapping[str, int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{representation: (coordinates (N, 2), rows of `labelled` (N,))} of those that have a map."""
    by_name: dict[str, list[dict]] = {}
    for row in results.table("clusters/umap"):
        by_name.setdefault(row["representation"], []).append(row)
    return {
        name: (np.array([(r["x"], r["y"]) for r in rows], float), np.array([row_of[r["network_id"]] for r in rows]))
        for name, rows in by_name.items()
    }


def clusters_of(results: Results, networks: Zoo) -> np.ndarray:
    """The k-means clusters (N,) of the shown embedding for some networks."""
    assigned = {
        r["network_id"]: r["cluster"] for r in results.table("clusters/assignments") if r["representation"] == results.shown
    }
    return np.array([assigned[name] for name in networks["network_id"]])


def gallery_rows(results: Results) -> list[dict]:
    """The clusters of the shown embedding, each with its most common mode and what sets it apart in words."""
    rows = cluster_rows(results, results.shown) if results.shown else []
    described, rules = (descriptions.shown_rows(results, name) for name in ("descriptions", "rules"))
    for row in rows:
        own, rule = ([r for r in table if r["cluster"] == row["cluster"]] for table in (described, rules))
        row["apart"] = descriptions.apart(own) if own else ""
        row["rule"] = descriptions.rule_sentence(rule[0]) if rule else ""
        mode = max(row["modes"], key=row["modes"].get, default="")
        row["most"] = f"{row['modes'][mode] / row['n']:.0%} mode {mode}" if row["n"] else ""
    return rows


def glance(results: Results) -> list[tuple[str, str]]:
    """The figures at the head of the page: (value, what it is)."""
    entries = [(f"{len(results.zoo):,}", "networks trained")]
    r2 = {r["predictor"]: r["r2"] for r in summary.masked_rows(results, "leave_one_out") if r["group"] == "all"}
    if "cloze" in r2:
        entries.append((wording.num(float(r2["cloze"])), "R² of the cloze model on a hidden parameter"))
    chosen = results.chosen.get(MAIN_CLUSTERER, {})
    for name in (results.shown, "raw", "oracle"):
        if name in chosen:
            entries.append((wording.num(chosen[name]["ari"]), f"ARI with the modes, {title_of(name)}"))
    for row in scans.on_most_networks(results.table("scan/scan")):
        if row["negative"] == "random":
            entries.append((wording.num(float(row["auc"])), "AUC of the hand-built scan, mode 3 against random starts"))
    return entries


def families(results: Results) -> list[dict]:
    """For each variant and architecture of the zoo: networks, runs, steps, how many diverged."""
    zoo, rows = results.zoo, []
    for variant, spec in sorted(set(zip(zoo["variant"], zoo["spec"], strict=True))):
        own = (zoo["variant"] == variant) & (zoo["spec"] == spec)
        row = {"variant": variant, "spec": spec, "n": int(own.sum()), "runs": len(set(zoo["run_id"][own]))}
        rows.append(row | {"steps": int(zoo["step"][own].max()), "diverged": int((~zoo["finite"][own]).sum())})
    return rows


def comparison_rows(results: Results) -> list[dict]:
    """The table of representations, the best agreement first: every clusterer at its chosen k, and the probes."""
    rows = []
    for name, row in results.chosen.get(MAIN_CLUSTERER, {}).items():
        arms = {arm: chosen.get(name) for arm, chosen in results.chosen.items()}
        probes = {metric: results.probe("mode", metric).get(name) for metric, _ in PROBES}
        error = results.probe("log10_valid_mse", "linear_r2").get(name)
        rows.append(row | {"arms": arms, "probes": probes, "error": error})
    return sorted(rows, key=lambda row: -row["ari"])


def transfer_rows(results: Results) -> list[dict]:
    """The rows of transfer.csv with their figures as numbers."""
    columns = ("value", "low", "high", "null_p95")
    rows = [row | {name: float(row[name]) for name in columns} for row in results.table("transfer/transfer")]
    return [row | {"target_title": wording.target_title(row["target"])} for row in rows]


def target_label(results: Results, target: str) -> str:
    """A target's name with the number of its networks."""
    n = max(int(row["n"]) for row in results.table("transfer/transfer") if row["target"] == target)
    control = "\n(negative control)" if target == summary.control_name(results) else ""
    return f"{wording.target_title(target)}, {n:,}{control}"


def made_rows(results: Results) -> list[dict]:
    """For each artefact: its kind, seed, code version, hash and what it was made from.

    How long it took stands in timings.json alone, so that the same settings give the same page.
    """
    rows = []
    for name, artefact in results.artefacts.items():
        manifest = artefact.manifest
        inputs = {key: entry["manifest_sha256"][:10] for key, entry in manifest["inputs"].items()}
        row = {"name": name, "seed": manifest["seed"], "version": manifest["code_version"], "digest": artefact.digest[:10]}
        rows.append(row | {"inputs": inputs, "config": manifest["config"]})
    order = ["zoo", "targets", "model", "embeddings", *list(STAGES)[1:]]
    return sorted(rows, key=lambda row: order.index(row["name"].partition("/")[0]))


def machine_text(results: Results) -> str:
    """The machine on which the run was made, if it was written down."""
    machine = results.timings.get("machine", {})
    words = {"cores": "{} cores", "python": "Python {}", "device": "device {}"}
    return ", ".join(words.get(key, "{}").format(value) for key, value in machine.items())


def package_versions() -> dict[str, str]:
    """The versions of what the figures depend on, as installed where the report is written."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
