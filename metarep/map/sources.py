"""What a map is made of: a zoo, embeddings of its networks, the clusters of these; found in the folders of a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from metarep.artefact import MANIFEST, Artefact, open_artefact
from metarep.embeddings.store import KIND, Embeddings, load_embeddings
from metarep.errors import MetarepError
from metarep.map.settings import MapConfig
from metarep.runner import CONFIG, artefacts_of
from metarep.zoos.domain import Domain, domain_of
from metarep.zoos.zoo import Zoo, open_zoo

CLUSTERS = "clusters"
MIN_NETWORKS = 3


@dataclass(frozen=True)
class Sources:
    """The networks (N) that all of the embeddings hold, these embeddings of networks, and the artefact of clusters, if any."""

    name: str
    zoo: Zoo
    domain: Domain | None
    embeddings: tuple[Embeddings, ...]
    clusters: Artefact | None

    @property
    def inputs(self) -> dict[str, Artefact]:
        """What the map is made from, by name."""
        found = {"zoo": self.zoo.artefact} | {f"embeddings_{i}": one.artefact for i, one in enumerate(self.embeddings)}
        return found | ({CLUSTERS: self.clusters} if self.clusters else {})

    def vectors(self, one: Embeddings) -> np.ndarray:
        """The vectors (N, D) float64 of the networks, in the order of the zoo."""
        row = {name: i for i, name in enumerate(one.network_id)}
        return one.vectors[[row[name] for name in self.zoo.network_id]].astype(np.float64)


def sources_of(paths: Sequence[Path | str], config: MapConfig) -> Sources:
    """The sources in folders: a run; or embeddings; or both a zoo and embeddings.

    Raises MetarepError where there are no embeddings, where they are of several zoos, and for names that none of them has.
    """
    found = [artefact for path in paths for artefact in _artefacts(Path(path))]
    by_kind = {kind: [one for one in found if one.kind == kind] for kind in (KIND, CLUSTERS, "zoo")}
    if not by_kind[KIND]:
        where = ", ".join(map(str, paths))
        expected = "the folder of a run, or of embeddings"
        raise MetarepError(f"{where} holds no embeddings to draw", expected=expected, fix="metarep embed MODEL ZOO makes some")
    chosen = [load_embeddings(one.path) for one in _chosen(by_kind[KIND], by_kind[CLUSTERS], config)]
    zoo = open_zoo(_zoo_folder(by_kind["zoo"], chosen[0]), check_hashes=False).finite()
    for one in chosen:
        one.artefact.require_input("zoo", zoo.artefact)
    held = np.logical_and.reduce([np.isin(zoo.network_id.astype(str), one.network_id.astype(str)) for one in chosen])
    if held.sum() < MIN_NETWORKS:
        raise MetarepError(
            "too few networks to draw", met=int(held.sum()), expected=f"at least {MIN_NETWORKS} in every embedding"
        )
    clusters = next((one for one in by_kind[CLUSTERS] if _is_of(one, zoo)), None)
    return Sources(_name(Path(paths[0])), zoo.select(held), domain_of(zoo), tuple(chosen), clusters)


def _name(path: Path) -> str:
    """The name in a run's settings, or a folder's."""
    settings = path / CONFIG
    named = yaml.safe_load(settings.read_text()) if settings.is_file() else {}
    return str((named or {}).get("name") or path.resolve().name)


def _artefacts(path: Path) -> list[Artefact]:
    if (path / MANIFEST).is_file() or not path.is_dir():
        return [open_artefact(path)]
    return [open_artefact(folder) for folder in artefacts_of(path)]


def _is_of(clusters: Artefact, zoo: Zoo) -> bool:
    return clusters.manifest["inputs"].get("zoo", {}).get("manifest_sha256") == zoo.artefact.digest


def _zoo_folder(zoos: Sequence[Artefact], first: Embeddings) -> Path:
    """The zoo that the first embedding was made from: one that was named, or where it lay then."""
    wanted = first.artefact.manifest["inputs"]["zoo"]["manifest_sha256"]
    return next((one.path for one in zoos if one.digest == wanted), None) or first.artefact.input_path("zoo")


def _chosen(embeddings: Sequence[Artefact], clusters: Sequence[Artefact], config: MapConfig) -> list[Artefact]:
    """The embeddings that are named, or the first of one trained model, in the order in which a run compared them."""
    compared = [one.input_path(name) for one in clusters for name in sorted(one.manifest["inputs"], key=_number)]
    place = {path.resolve(): at for at, path in enumerate(compared)}
    ordered = sorted(embeddings, key=lambda one: place.get(one.path.resolve(), len(place)))
    named = {one.config["name"] or one.config["kind"]: one for one in ordered}
    if config.embeddings:
        if unknown := [name for name in config.embeddings if name not in named]:
            raise MetarepError("no such embeddings", met=", ".join(unknown), expected="some of " + ", ".join(named))
        return [named[name] for name in config.embeddings]
    trained = [one for one in ordered if not one.config["untrained"]] or ordered
    own = trained[0].manifest["inputs"].get("model", {}).get("manifest_sha256")
    same = [one for one in trained if one.manifest["inputs"].get("model", {}).get("manifest_sha256") == own]
    return same[: config.n_embeddings]


def _number(name: str) -> int:
    """Inputs in the order of their numbers: embeddings_2 before embeddings_10."""
    tail = name.rpartition("_")[2]
    return int(tail) if tail.isdigit() else -1
