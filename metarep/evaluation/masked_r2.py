"""How much of the variance of masked values is predicted: by the model, by means, by a linear-Gaussian imputer.

All windows of one shape share the same masks. R² is that of values as the model sees them (standardised), about the mean of
their slot where networks share slots, else of their kind and role, so that telling a weight from a bias earns nothing.
Intervals resample runs; nulls permute predictions among windows of one shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from metarep.artefact import open_artefact, write_whole, writing
from metarep.errors import MetarepError
from metarep.evaluation.masked import Scored, WindowBlock, blocks_of, fit_block, masks_of, score
from metarep.evaluation.resampling import explained, resamples, steady, summary, total_squares
from metarep.evaluation.settings import MaskedR2Config
from metarep.model.layout import ROLES
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel
from metarep.networks.architecture import KINDS
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.zoo import Zoo, open_zoo

KIND = "masked_r2"
MAX_NAMED = 64
"""More slots, layers or architectures than this have no rows of their own."""

MAX_LABEL_VALUES = 12


def masked_r2(
    config: MaskedR2Config,
    model: Path | str,
    zoo: Path | str,
    out: Path | str,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Measures a model on the test networks of a zoo, into `out`/masked_r2.csv; returns `out`.

    Raises MetarepError for a model that predicts no values and for a zoo without test networks.
    """
    networks = open_zoo(zoo).finite()
    inputs = {"model": open_artefact(model, "model"), "zoo": networks.artefact}
    with writing(out, KIND, config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        train, test = (networks.final().where(split=split) for split in ("train", "test"))
        rows = masked_r2_rows(config, load_model(model, device=device), train, test, progress=progress)
        write_whole(folder / "masked_r2.csv", to_csv(rows))
    return Path(out)


def masked_r2_rows(
    config: MaskedR2Config, model: ClozeModel, train: Zoo, test: Zoo, *, progress: Progress | None = None
) -> list[dict]:
    """Rows (masking, ratio, predictor, group, member, metric, value, low, high, null, n, n_runs); n counts masked values.

    group: all, kind (of parameter), slot, layer, architecture, or a label of the zoo; member: which of these; metric: r2.
    """
    if model.head is None:
        raise MetarepError("this model was not trained to predict values", fix="pretrain with objective=cloze")
    blocks = blocks_of(config, model, train, test)
    if not blocks:
        raise MetarepError("the zoo has no test networks", fix="add networks or zoos")
    progress = progress or Progress()
    rows: list[dict] = []
    maskings = [(one, ratio) for one in config.maskings for ratio in (config.ratios if one == "random" else (None,))]
    found: dict[tuple[str, float | None], list[Scored]] = {masking: [] for masking in maskings}
    with progress.task("masked R²", len(maskings) * len(blocks), "maskings") as task:
        for block in blocks:
            fitted = fit_block(config, model, block)
            for (masking, ratio), scored in found.items():
                masks = masks_of(config, block, masking, ratio)
                if masks is not None:
                    scored.append(score(config, model, block, fitted, masks))
                task.advance(1, masking)
    for (masking, ratio), scored in found.items():
        if scored:
            cells = Cells(model, scored, slot_names(model, blocks), test)
            head = {"masking": masking, "ratio": "" if ratio is None else ratio}
            rows += [head | row for row in grouped(config, cells, test, scored)]
    return rows


def grouped(config: MaskedR2Config, cells: Cells, zoo: Zoo, found: Sequence[Scored]) -> Iterator[dict]:
    """Rows of one masking: over all networks by what is masked, and by the labels of networks."""
    everyone = np.unique(np.concatenate([one.network for one in found]))
    for predictor in [name for name in found[0].predicted if all(name in one.predicted for one in found)]:
        sums = cells.sums(found, predictor, everyone, config)
        for group, member, chosen in cells.groups():
            yield {"predictor": predictor, "group": group, "member": member, **cells.r2(sums, chosen)}
        for label in zoo.labels:
            names = zoo.label(label).astype(str)
            members = sorted(set(names[everyone]) - {""})
            for member in members if 1 < len(members) <= MAX_LABEL_VALUES else ():
                sums = cells.sums(found, predictor, everyone[names[everyone] == member], config)
                yield {"predictor": predictor, "group": label, "member": member, **cells.r2(sums, np.arange(len(cells.key)))}


class Cells:
    """Masked values by class, layer and architecture: all that is needed of them are sums over the networks of a cell."""

    def __init__(self, model: ClozeModel, found: Sequence[Scored], slots: dict[int, str], zoo: Zoo):
        self.slot_names, self.run, self.architecture_names = slots, zoo.run_id.astype(str), zoo.architecture_names
        self.n_classes = len(model.class_mean)
        self.n_layers = 1 + max(int(one.layer.max()) for one in found)
        self.key = np.unique(np.concatenate([np.unique(self._keys(one)) for one in found]))
        self.class_of, rest = self.key % self.n_classes, self.key // self.n_classes
        self.layer, self.architecture = rest % self.n_layers, rest // self.n_layers
        role_of: dict[int, int] = {}
        for one in found:
            role = np.broadcast_to(one.role, one.classes.shape)
            role_of |= dict(zip(one.classes.ravel().tolist(), role.ravel().tolist(), strict=True))
        self.role = np.array([role_of[number] for number in self.class_of.tolist()])

    def _keys(self, one: Scored) -> np.ndarray:
        return (one.architecture * self.n_layers + one.layer) * self.n_classes + one.classes

    def sums(self, found: Sequence[Scored], predictor: str, networks: np.ndarray, config: MaskedR2Config) -> dict:
        """Of some networks: counts, values, squares, squared residuals (B + 1, K) of resamples; residuals when permuted."""
        k = len(self.key)
        totals, permuted = np.zeros((4, len(networks), k)), np.zeros((config.n_permutations, k))
        rng = np.random.default_rng(config.seed)
        for one in found:
            rows = np.flatnonzero(np.isin(one.network, networks))
            if not len(rows):
                continue
            truth, predicted = one.truth[rows], one.predicted[predictor][rows]
            keys = self._keys(one)
            cell = np.searchsorted(self.key, keys if len(keys) == 1 else keys[rows])
            index = (np.searchsorted(networks, one.network[rows])[:, None] * k + cell).ravel()
            for total, part in zip(totals, (np.ones_like(truth), truth, truth**2, (truth - predicted) ** 2), strict=True):
                total += np.bincount(index, part.ravel(), total.size).reshape(total.shape)
            permuted += _by_cell(truth**2 + predicted**2, cell, k)
            for draw in permuted:
                draw -= 2 * _by_cell(truth * predicted[rng.permutation(len(rows))], cell, k)
        runs = self.run[networks]
        weights = resamples(config.n_bootstraps, len(networks), seed=config.seed, groups=runs)
        return {"totals": [weights @ total for total in totals], "permuted": permuted, "n_runs": len(set(runs.tolist()))}

    def r2(self, sums: dict, chosen: np.ndarray) -> dict:
        """The columns from metric to n_runs of some cells; NaN where their values do not vary."""
        _, member = np.unique(self.class_of[chosen], return_inverse=True)
        same = np.eye(member.max() + 1)[member]
        count, first, second = (total[:, chosen] @ same for total in sums["totals"][:3])
        left = sums["totals"][3][:, chosen].sum(axis=1)
        total = steady(total_squares(count, first, second).sum(axis=1), count.sum(axis=1))
        null = explained(sums["permuted"][:, chosen].sum(axis=1), total[:1])
        found = summary(explained(left, total), null, sums["n_runs"])
        return {"metric": "r2", **found, "n": round(count[0].sum()), "n_runs": sums["n_runs"]}

    def groups(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """(group, member, its cells), those that there are several of."""
        yield "all", "all", np.arange(len(self.key))
        there = set(self.class_of.tolist())
        slots = {number: name for number, name in self.slot_names.items() if number in there}
        parts = {
            "kind": (self.role, {role: f"{KINDS[role // len(ROLES)]} {ROLES[role % len(ROLES)]}" for role in self.role}),
            "slot": (self.class_of, slots),
            "layer": (self.layer, {layer: str(layer) for layer in self.layer}),
            "architecture": (self.architecture, {number: self.architecture_names[number] for number in self.architecture}),
        }
        for group, (numbers, names) in parts.items():
            for number, name in sorted(names.items()) if 1 < len(names) <= MAX_NAMED else ():
                yield group, name, np.flatnonzero(numbers == number)


def _by_cell(values: np.ndarray, cell: np.ndarray, k: int) -> np.ndarray:
    """Sums (K,) of values (R, E) by their cell (R or 1, E)."""
    if len(cell) == 1:
        return np.bincount(cell[0], values.sum(axis=0), k)
    return np.bincount(cell.ravel(), values.ravel(), k)


def slot_names(model: ClozeModel, blocks: Sequence[WindowBlock]) -> dict[int, str]:
    """The name of each class that is a slot."""
    every = {slots.key: slots for block in blocks for slots in block.shape.layout.slots if slots.key in model.first_class}
    return {model.first_class[key] + at: name for key, slots in every.items() for at, name in enumerate(slots.names())}
