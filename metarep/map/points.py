"""Points: the networks of a map, or their units or layers, with all that is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow
import pyarrow.csv
from matplotlib.colors import to_hex

from metarep.embeddings.store import Embeddings, load_embeddings
from metarep.errors import MetarepError
from metarep.map.places import Places, all_places
from metarep.map.settings import MapConfig
from metarep.map.sources import Sources
from metarep.report.style import cluster_colour, colours_of
from metarep.report.wording import plain
from metarep.zoos.columns import FEW_RUNS
from metarep.zoos.readings import varies
from metarep.zoos.zoo import Zoo

PARTS = ("unit", "layer")
"""Parts of networks that a map can show beside networks."""

NOT_SHOWN = frozenset(("finite", "shard", "row", "architecture", "network_id", "n_params", "sha256"))
"""Columns that say how a zoo is stored, and what is shown otherwise."""


MAX_EXACT = 2**24
"""Whole numbers beyond it, such as seeds, are shown as texts: the page holds numbers in 32 bits."""


@dataclass(frozen=True)
class Column:
    """What is known of points (N,): texts, "" for none, or numbers, NaN for none.

    `group` is label, property, cluster or fact; `colours` {text: colour} are in the order of a legend; `words` say what it is.
    """

    name: str
    group: str
    values: np.ndarray
    colours: Mapping[str, str] = field(default_factory=dict)
    words: str = ""


@dataclass(frozen=True)
class Points:
    """Points (N) of one kind of part, by embedding. Parts have an owner (N,), a row of the networks, and a name in it."""

    part: str
    columns: tuple[Column, ...]
    places: dict[str, Places]
    owner: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.places.values())).nearest)

    @property
    def said(self) -> list[str]:
        """What there is to say of which points are shown, and of where they lie."""
        places = [f"{self.part}s by {name}: {places.note}" for name, places in self.places.items() if places.note]
        return [*self.notes, *places]


def shuffled(zoo: Zoo, seed: int) -> Zoo:
    """The networks in a seeded order, so that the points of no family are drawn over all others."""
    return zoo.select(np.random.default_rng(seed).permutation(len(zoo)))


def networks(sources: Sources, config: MapConfig, advance: Callable[[int], None]) -> Points:
    """The networks as points."""
    fitted = fitted_rows(sources.zoo)
    places = all_places({one.name: sources.vectors(one) for one in sources.embeddings}, fitted, config, advance)
    columns = (*label_columns(sources), *property_columns(sources.zoo), *cluster_columns(sources), *fact_columns(sources.zoo))
    return Points("network", columns, places)


def fitted_rows(zoo: Zoo) -> np.ndarray:
    """The rows that positions are fitted on: finished training networks, or all finished ones of fewer than FEW_RUNS runs."""
    few = len(set(zoo.run_id)) < FEW_RUNS
    rows = np.flatnonzero(zoo.is_final & (few | (zoo.split == "train")))
    return rows if len(rows) > 1 else np.arange(len(zoo))


def label_columns(sources: Sources) -> Iterator[Column]:
    """The labels of networks, and the architecture where there are several."""
    zoo, domain = sources.zoo, sources.domain
    for name in zoo.labels:
        order = (domain.label_order.get(name, ()) if domain else ()) or ()
        given = (domain.label_colours.get(name, {}) if domain else {}) or {}
        yield _category(
            name, "label", zoo.label(name).astype(str), order, given, (domain.labels if domain else {}).get(name, "")
        )
    if len(set(zoo.architecture.tolist())) > 1:
        names = np.array(zoo.architecture_names)[zoo.architecture]
        yield _category("architecture", "label", names, (), {}, "networks of one architecture have tensors of the same shapes")


def property_columns(zoo: Zoo) -> Iterator[Column]:
    """The numeric properties of networks, and their size where it differs."""
    for name in zoo.properties:
        yield Column(plain(name), "property", zoo.number(name))
    n_params = np.array([one.n_params for one in zoo.architectures], float)[zoo.architecture]
    if varies(n_params):
        yield Column("parameters", "property", n_params)


def cluster_columns(sources: Sources) -> Iterator[Column]:
    """For each embedding, the k-means clusters of a run, "" for networks that were neither fitted on nor measured."""
    if sources.clusters is None:
        return
    names = ("representation", "model", "untrained", "network_id", "cluster")
    as_texts = pyarrow.csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pyarrow.string()))
    table = pyarrow.csv.read_csv(sources.clusters.path / "assignments.csv", convert_options=as_texts).to_pydict()
    keys = list(zip(*(table[name] for name in names[:3]), strict=True))
    for one in sources.embeddings:
        wanted = (one.name, one.model, str(int(one.untrained)))
        of = {i: c for key, i, c in zip(keys, table["network_id"], table["cluster"], strict=True) if key == wanted}
        values = np.array([of.get(str(name), "") for name in sources.zoo.network_id], dtype=object)
        numbers = sorted({*of.values()}, key=int)
        if numbers:
            colours = {text: to_hex(cluster_colour(int(text))) for text in numbers} | {"": "#D8D8D8"}
            words = "k-means on the embedding; networks in grey were not among those that were clustered"
            yield Column(f"cluster of {one.name}", "cluster", values, colours, words)


def fact_columns(zoo: Zoo) -> Iterator[Column]:
    """What else the zoo says of each network, where it differs among them."""
    known = {*zoo.labels, *zoo.properties, *NOT_SHOWN}
    for name, values in zoo.columns.items():
        if name in known or values.ndim > 1 or (len(values) and isinstance(values[0], np.ndarray)):
            continue
        if values.dtype.kind in "iu" and np.abs(values.astype(float)).max() > MAX_EXACT:
            yield Column(plain(name), "fact", values.astype(str))
        elif values.dtype.kind in "fiu":
            numbers = values.astype(float)
            if varies(numbers):
                yield Column(plain(name), "fact", numbers)
        elif len(texts := set(values.astype(str))) > 1:
            few = len(texts) <= 200
            yield _category(name, "fact", values.astype(str)) if few else Column(plain(name), "fact", values.astype(str))


def _category(name, group, values, order=(), given=None, words="") -> Column:
    found = set(values.tolist())
    ordered = [value for value in order if value in found]
    counts = {value: int((values == value).sum()) for value in found - set(ordered) - {""}}
    ordered += sorted(counts, key=lambda value: (-counts[value], value))
    colours = colours_of(ordered, given or {})
    return Column(plain(name), group, values, {value: colours[value] for value in [*ordered, ""] if value in found}, words)


def parts_of(sources: Sources, part: str, config: MapConfig) -> Points | None:
    """The units or layers as points, of the embeddings that hold such vectors of one length; None where none does."""
    held = [found for one in sources.embeddings if (found := _parts(one, part)) is not None]
    if not held:
        return None
    row = {str(name): i for i, name in enumerate(sources.zoo.network_id)}
    owner = np.array([row.get(str(name), -1) for name in held[0].network_id])
    same = [one for one in held if np.array_equal(_identity(one), _identity(held[0]))]
    chosen, notes = _few_enough(owner, len(sources.zoo), part, config)
    owner = owner[chosen]
    known_fitted = np.isin(owner, fitted_rows(sources.zoo))
    fitted = np.flatnonzero(known_fitted) if known_fitted.sum() > 1 else np.arange(len(owner))
    places = all_places({one.name: one.vectors[chosen].astype(float) for one in same}, fitted, config)
    return Points(part, tuple(_part_columns(sources, held[0], chosen, owner, part)), places, owner, notes)


def _parts(one: Embeddings, part: str) -> Embeddings | None:
    try:
        return load_embeddings(one.artefact.path, part=part)
    except MetarepError:
        return None  # it has none, or vectors that cannot be compared


def _identity(one: Embeddings) -> np.ndarray:
    return np.array([one.network_id.astype(str), one.group.astype(str), one.index.astype(str)])


def _few_enough(owner: np.ndarray, n_networks: int, part: str, config: MapConfig) -> tuple[np.ndarray, tuple[str, ...]]:
    """The rows of the parts that are shown, in a seeded order, and what there is to say."""
    rng = np.random.default_rng(config.seed)
    rows = rng.permutation(np.flatnonzero(owner >= 0))
    if len(rows) <= config.max_parts:
        return rows, ()
    counts = np.bincount(owner[rows], minlength=n_networks)
    order = rng.permutation(n_networks)
    kept = order[np.cumsum(counts[order]) <= config.max_parts]
    said = f"{part}s of {len(kept):,} of {n_networks:,} networks, chosen at random: all would be {len(rows):,} points"
    return rows[np.isin(owner[rows], kept)], (said,)


def _part_columns(sources: Sources, one: Embeddings, chosen: np.ndarray, owner: np.ndarray, part: str) -> Iterator[Column]:
    """What is known of the parts themselves; the columns of their networks are those of their owners."""
    group, index = one.group[chosen].astype(str), one.index[chosen]
    domain, zoo = sources.domain, sources.zoo
    if part == "unit" and domain and len(set(group)) == 1:
        for name, make in domain.unit_labels.items():
            order, given = domain.label_order.get(name, ()), domain.label_colours.get(name, {})
            yield _category(name, "label", make(zoo)[owner, index].astype(str), order, given)
        for name, make in domain.unit_properties.items():
            yield Column(plain(name), "property", make(zoo)[owner, index].astype(float))
    if len(set(group)) > 1:
        yield _category("group", "fact", np.array([text.removeprefix("units of ") for text in group]))
    yield Column("index", "fact", index.astype(float))
