"""The stage that takes one network apart: its units, layers and windows, which of them are alike, and a page of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metarep.artefact import Artefact, open_artefact, writing
from metarep.embeddings.store import FILE, Embeddings, EmbeddingWriter, load_embeddings
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.parts.alike import Alike, find_alike
from metarep.parts.figures import layers_figure, map_figure, similarity_figure
from metarep.parts.page import Captioned, Findings, sentences, write_findings
from metarep.parts.reading import read_parts
from metarep.parts.settings import PartsConfig
from metarep.parts.source import Subject, open_source
from metarep.progress import Progress
from metarep.tables import rows_of
from metarep.zoos.domain import domain_of
from metarep.zoos.zoo import Zoo, open_zoo

MAX_LAYERS_SHOWN = 400
"""Layers whose similarities are drawn."""


def parts(
    config: PartsConfig,
    model: Path | str,
    network: Path | str,
    out: Path | str,
    *,
    network_id: str | None = None,
    architecture: Path | str | None = None,
    typical_of: Path | str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Takes a network apart, a checkpoint file or one of a zoo by its id, into the folder `out`, which it returns.

    `architecture` is a YAML that says of a file's tensors what their names do not; `typical_of` are embeddings of the zoo, in
    which the network is then the one nearest to the middle of its architecture. Writes embeddings.parquet, parts.csv,
    alike.csv, tests.csv, k_curve.csv, figures and report.html. Raises MetarepError for damaged files and NaN.
    """
    out, progress = Path(out), progress or Progress()
    if typical_of is not None:
        network_id = typical_network(open_zoo(network), load_embeddings(typical_of))
    source = open_source(network, network_id, architecture=architecture)
    artefact, network_model = open_artefact(model, "model"), load_model(model, device=device)
    inputs, settings = {"model": artefact} | source.inputs, config.resolved()
    if typical_of is None:
        settings |= source.settings
    else:
        inputs["embeddings"] = open_artefact(typical_of)
    with writing(out, "parts", config=settings, seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        read, found = read_parts(config, network_model, source, progress), {}
        with progress.task("compare parts", len(read), "kinds") as task:
            for kind, one in read.items():
                found[kind] = find_alike(config, one)
                task.advance(1, kind)
        with EmbeddingWriter(folder / FILE, "states") as writer:
            for kind, one in read.items():
                for group in dict.fromkeys(one.groups) if kind == "unit" else ("",):
                    rows = one.groups == group if kind == "unit" else np.ones(len(one), dtype=bool)
                    writer.add(source.name, kind, one.vectors[rows], group=group, index=one.index[rows])
        known = known_of_domain(config, network_model, artefact, source, progress)
        own = findings(config, source, found)
        write_findings(folder, source.name, own if known is None else own.and_also(known), dpi=config.dpi)
    return out


def typical_network(zoo: Zoo, embeddings: Embeddings) -> str:
    """The finished network of the most frequent architecture whose vector is nearest to the median, in standard deviations."""
    final = zoo.final()
    numbers, counts = np.unique(final.architecture, return_counts=True)
    names = final.network_id[final.architecture == numbers[counts.argmax()]].astype(str)
    known = np.isin(embeddings.network_id.astype(str), names)
    vectors = embeddings.vectors[known].astype(np.float64)
    offset = (vectors - np.median(vectors, axis=0)) / np.maximum(vectors.std(axis=0), 1e-9)
    return str(embeddings.network_id[known][np.square(offset).sum(axis=1).argmin()])


def known_of_domain(
    config: PartsConfig, model: ClozeModel, artefact: Artefact, source: Subject, progress: Progress
) -> Findings | None:
    """What the domain of the zoo that the model was pretrained on finds in the network, if it looks for anything."""
    if "zoo" not in artefact.manifest["inputs"]:
        return None
    if not artefact.input_path("zoo").is_dir():
        progress.say("the zoo that the model was pretrained on is gone, and what its domain knows is not looked for")
        return None
    zoo = open_zoo(artefact.input_path("zoo"))
    domain = domain_of(zoo)
    return domain.parts(config, model, zoo, source, progress) if domain and domain.parts else None


def findings(config: PartsConfig, source: Subject, found: dict[str, Alike]) -> Findings:
    """Tables, figures and sentences."""
    figures = {
        f"map_{kind}s": Captioned(
            map_figure(one, f"{kind.capitalize()}s of {source.name} by cluster"),
            f"The {kind}s of the network, a strip for each symmetry group in order, with how many there are, each {kind} "
            "where it was saved; colours are clusters of what the arrangement of the parameters adds to its vector.",
        )
        for kind, one in found.items()
        if one.k_curve
    }
    if several := [one for one in found.values() if len(one.parts) > 1]:
        figures["similarity"] = Captioned(
            similarity_figure(several),
            "How alike each part is to the part nearest to it (cosine), and the same in copies with shuffled tensors.",
        )
    if 2 <= len(found["layer"].parts) <= MAX_LAYERS_SHOWN:
        figures["layers"] = Captioned(layers_figure(found["layer"]), "The similarity of each two layers.")
    return Findings(
        sentences(found, source.architecture.n_params, config.n_shuffles),
        tests=[row for one in found.values() for row in one.tests],
        tables={
            "alike": [row for one in found.values() for row in alike_rows(one, config.n_alike)],
            "parts": [row for one in found.values() for row in part_rows(one)],
            "k_curve": [{"part": kind, **row} for kind, one in found.items() for row in one.k_curve],
        },
        figures=figures,
        shown=("alike",),
    )


def part_rows(one: Alike) -> list[dict[str, Any]]:
    """A row for each part: its group, cluster (from 1, 0 where none was made), the part nearest to it, and how near."""
    groups, index, near = one.parts.groups, one.parts.index, one.nearest
    columns = {"part": [one.parts.kind] * len(groups), "group": groups, "index": index, "cluster": one.cluster + 1}
    columns |= {"nearest_group": np.where(near >= 0, groups[near], "")}
    columns |= {"nearest_index": np.where(near >= 0, index[near], None)}
    return rows_of(columns | {"similarity": one.similarity, "p": one.p})


def alike_rows(one: Alike, n: int) -> list[dict[str, Any]]:
    """The most alike pairs, each once, the nearest first."""
    pairs: dict[frozenset, int] = {}
    for i in np.argsort(-one.similarity, kind="stable"):
        if one.nearest[i] >= 0:
            pairs.setdefault(frozenset((int(i), int(one.nearest[i]))), int(i))
    rows = np.array(list(pairs.values())[:n], dtype=int)
    near, groups, index = one.nearest[rows], one.parts.groups, one.parts.index
    columns = {"part": [one.parts.kind] * len(rows), "group": groups[rows], "index": index[rows]}
    columns |= {"other_group": groups[near], "other_index": index[near], "similarity": one.similarity[rows], "p": one.p[rows]}
    same = one.cluster[rows] == one.cluster[near] if one.k_curve else [None] * len(rows)
    return rows_of(columns | {"same_cluster": same})
