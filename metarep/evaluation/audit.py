"""The stage that audits embeddings: how far vectors move when networks are rewritten and compute what they did before.

Distances are Euclidean, each dimension in standard deviations over the zoo, and count in units of the distance to the nearest
network of another run. A vector that knows functions alone would move by 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metarep.artefact import open_artefact, write_whole, writing
from metarep.embeddings.registry import kind_named
from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed_tensors, network_vectors, read_zoo
from metarep.evaluation.resampling import interval, resamples
from metarep.evaluation.rewriting import REWRITINGS, Networks, Rewriting
from metarep.evaluation.settings import AuditConfig
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.networks.check import stated_of
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.zoo import Zoo, open_zoo, say_left_out

TABLE = "audit.csv"
COLUMNS = (
    *("representation", "rewriting", "metric", "value", "low", "high"),
    *("function", "n_networks", "n_runs", "output_change"),
)
N_INPUTS = 256
EQUAL = 1e-3
"""Outputs that move by a smaller share of their largest size are equal: networks are rewritten in float32."""

N_CHECKED = 5
"""Networks of an architecture that are run before and after each rewriting."""


MAX_VALUES = 20_000_000
"""Parameters that are held at once."""


def audit(
    config: AuditConfig,
    model: Path | str,
    zoo: Path | str,
    out: Path | str,
    *,
    draw: Callable[[Sequence[dict[str, Any]]], bytes] | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Rewrites some networks of a zoo in every way that is known of them, into `out`/audit.csv; returns `out`.

    `draw` makes the PNG of a figure from the rows of the table. Raises MetarepError for a kind that the model or the networks
    do not allow.
    """
    progress = progress or Progress()
    subjects = open_zoo(zoo).finite()
    say_left_out(subjects, progress)
    network_model, trained = load_model(model, device=device), open_artefact(model, "model")
    inputs = {"model": trained, "zoo": subjects.artefact}
    with writing(out, "audit", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        auditor = Auditor(config, network_model, subjects, tuple(trained.config.get("probe_range", (0.0, 1.0))))
        with progress.task("audit", len(auditor.audited) * len(REWRITINGS), "copies") as task:
            rows = auditor.rows(advance=task.advance)
        write_whole(folder / TABLE, to_csv(rows) if rows else ",".join(COLUMNS) + "\n")
        if draw is not None and rows:
            write_whole(folder / "audit.png", draw(rows))
    return Path(out)


def suitable_kind(subjects: Zoo, rows: np.ndarray) -> str:
    """The kind that `embed` takes by default, or `layers` where some networks have no hidden units."""
    sides = [
        any({"in", "out"} <= {member.side for member in units.members} for units in subjects.symmetries[number].groups)
        for number in np.unique(subjects.architecture[rows])
    ]
    return EmbedConfig().kind if all(sides) else "layers"


@dataclass(frozen=True)
class Moved:
    """What one network's copy is: its row in the zoo, how far its vector moved in units of the nearest distance, and the
    change of its outputs as a share of their largest size; NaN where they are not known."""

    row: int
    ratio: float
    output_change: float


class Auditor:
    """The vectors of a sample of networks, and those of their copies."""

    def __init__(self, config: AuditConfig, model: ClozeModel, subjects: Zoo, probe_range: tuple[float, float]):
        self.config, self.model, self.subjects = config, model, subjects
        self.generator = torch.Generator().manual_seed(config.seed)
        final = np.flatnonzero(subjects.is_final)
        chosen = np.random.default_rng(config.seed).permutation(final)[: max(config.n_networks, config.n_others)]
        self.audited = np.sort(chosen[: config.n_networks])
        self.embed = EmbedConfig(kind=config.kind or suitable_kind(subjects, chosen), tokens_per_batch=config.tokens_per_batch)
        self.vectors = self._vectors(np.sort(chosen))
        self.low, self.high = probe_range

    def rows(self, advance: Callable[[int], None] = lambda n: None) -> list[dict[str, Any]]:
        """The rows of the table, rewriting by rewriting; those that suit no network have none."""
        nearest = self._nearest()
        found = []
        for rewriting in REWRITINGS:
            moved = [one for networks in self._networks() for one in self._moved(rewriting, networks, nearest)]
            known = [one for one in moved if math.isfinite(one.ratio)]  # of the others no network is a neighbour
            found += self._rows(rewriting, known) if known else []
            advance(len(self.audited))
        return found

    def _vectors(self, rows: np.ndarray) -> dict[int, np.ndarray]:
        """Of each row of the zoo, in standard deviations of each dimension; vectors of one length have one scale."""
        kind, found = kind_named(self.embed.kind), {}
        for some in read_zoo(self.model, self.subjects, rows, self.embed):
            found |= dict(zip(some.rows.tolist(), network_vectors(kind, some.readout, self.embed), strict=True))
        lengths = {len(vector) for vector in found.values()}
        spread = {n: np.std([vector for vector in found.values() if len(vector) == n], axis=0) for n in lengths}
        self.scale = {n: 1 / np.where(value > 1e-6 * value.max(), value, np.inf) for n, value in spread.items()}
        return {row: vector * self.scale[len(vector)] for row, vector in found.items()}

    def _nearest(self) -> dict[int, float]:
        """The distance of each audited network to the nearest one of another run; of those that have none there is none."""
        rows, run = np.array(list(self.vectors)), self.subjects.run_id
        found = {}
        for row in self.audited.tolist():
            own = self.vectors[row]
            others = [self.vectors[other] for other in rows if run[other] != run[row] and len(self.vectors[other]) == len(own)]
            if others and (distance := min(float(np.linalg.norm(own - other)) for other in others)) > 0:
                found[row] = distance
        return found

    def _networks(self) -> Iterator[Networks]:
        """The audited networks by architecture, some at a time."""
        subjects = self.subjects
        for number in np.unique(subjects.architecture[self.audited]):
            same = self.audited[subjects.architecture[self.audited] == number]
            architecture = subjects.architectures[number]
            stated = stated_of(architecture, subjects.activation, subjects.output_activations[number])
            size = max(1, MAX_VALUES // max(1, architecture.n_params))
            for rows in np.split(same, range(size, len(same), size)):
                own = subjects.stacked(rows)
                symmetries, inputs = subjects.symmetries[number], self._inputs(own)
                yield Networks(torch.from_numpy(rows), architecture, symmetries, own, stated, inputs)

    def _inputs(self, tensors: dict[str, torch.Tensor]) -> torch.Tensor | None:
        """Inputs (S, n) in the range that the model's probes have, for networks whose first tensor is a matrix."""
        first = next(iter(tensors.values()))
        if first.ndim != 3:
            return None
        draw = torch.rand(N_INPUTS, first.shape[2], generator=torch.Generator().manual_seed(self.config.seed))
        return self.low + (self.high - self.low) * draw

    def _moved(self, rewriting: Rewriting, networks: Networks, nearest: dict[int, float]) -> Iterator[Moved]:
        kind, how = self.embed.kind, {"tokens_per_batch": self.embed.tokens_per_batch}
        number = {int(row): at for at, row in enumerate(networks.rows)}
        for copies in rewriting.make(networks, self.generator):
            plan = self.model.plan_of(copies.architecture, copies.symmetries)
            vectors = embed_tensors(self.model, plan, copies.tensors, copies.symmetries, kind, **how)
            own = networks.take(torch.tensor([number[int(row)] for row in copies.rows]))
            changes = self._output_changes(own, copies) if rewriting.keeps_function else []
            for at, row in enumerate(copies.rows.tolist()):
                before = self.vectors[row]
                if len(vectors[at]) == len(before):
                    distance = float(np.linalg.norm(vectors[at] * self.scale[len(before)] - before))
                    yield Moved(row, distance / nearest.get(row, math.nan), changes[at] if at < len(changes) else math.nan)

    def _output_changes(self, networks: Networks, copies: Networks) -> list[float]:
        """Of the first few networks, in float64; none where no forward pass is known."""
        before, after = networks.forward, copies.forward
        if before is None or after is None:
            return []
        probes = before.draw(N_INPUTS, torch.Generator().manual_seed(self.config.seed))
        if networks.inputs is not None and networks.inputs.shape == probes.shape:
            probes = networks.inputs
        changes = []
        for row in range(min(len(copies.rows), N_CHECKED)):
            own, other = ({name: value[row].double() for name, value in each.tensors.items()} for each in (networks, copies))
            with torch.no_grad():
                outputs, changed = before.outputs(own, probes), after.outputs(other, probes)
            changes.append(float((outputs - changed).abs().max() / outputs.abs().max().clamp_min(1e-30)))
        return changes

    def _rows(self, rewriting: Rewriting, moved: Sequence[Moved]) -> Iterator[dict[str, Any]]:
        run = self.subjects.run_id[[one.row for one in moved]]
        ratio = np.array([one.ratio for one in moved])
        change = np.array([one.output_change for one in moved])
        known = change[np.isfinite(change)]
        function = "assumed" if not len(known) else "equal" if known.max() <= EQUAL else "changed"
        weights = resamples(self.config.n_bootstraps, len(moved), seed=self.config.seed, groups=run)
        shared = {
            "n_networks": len(moved),
            "n_runs": len(set(run)),
            "output_change": float(known.max()) if len(known) else None,
        }
        for metric, quantile in (("median", 0.5), ("p90", 0.9)):
            draws = np.array([np.quantile(np.repeat(ratio, drawn.astype(int)), quantile) for drawn in weights])
            low, high = interval(draws[1:])
            value = {"metric": metric, "value": float(draws[0]), "low": low, "high": high}
            function = function if rewriting.keeps_function else "not kept"
            yield {"representation": self.embed.kind, "rewriting": rewriting.name, **value, "function": function, **shared}


def sentence(rows: Sequence[dict[str, Any]]) -> str:
    """What the table says in one sentence, or two where units are saved in an order that counts."""
    copies = {one.name: one.copies for one in REWRITINGS}
    medians = {row["rewriting"]: row for row in rows if row["metric"] == "median"}
    kept = [name for name in medians if name != "renumbered"]
    parts = [f"{copies[name]} {'move ' if at == 0 else ''}by {_spoken(medians[name])}" for at, name in enumerate(kept)]
    said = []
    if not medians:
        return "No way is known to rewrite these networks and keep their function, so nothing was audited."
    if parts:
        parts[0] += " of the distance to the nearest other network"
        text = "; ".join(parts)
        said.append(text[0].upper() + text[1:] + ".")
    if "renumbered" in medians:
        row = medians["renumbered"]
        said.append(
            f"No unit of {row['n_networks']} networks is known to be interchangeable, so their vectors depend on the order in "
            f"which units were saved: {copies['renumbered']} move by {_spoken(row)} of that distance."
        )
    return " ".join(said)


def _spoken(row: dict[str, Any]) -> str:
    value, low, high = (f"{row[name]:.2f}" for name in ("value", "low", "high"))
    return value if low == high == value else f"{value} [{low}, {high}]"
