"""Networks as a model reads them, in blocks of windows of one shape: under which masks, and who predicts what is masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch

from metarep.embeddings.stage import model_plan
from metarep.evaluation.imputers import Predictor, fit_imputer, fit_mixture, n_alike, unit_orders
from metarep.evaluation.settings import MaskedR2Config
from metarep.model.batches import Segment
from metarep.model.layout import ROLES
from metarep.model.masks import MaskRule, fold_masks, leave_one_out_masks, random_masks
from metarep.model.transformer import ClozeModel
from metarep.model.windows import Plan, Shape
from metarep.zoos.zoo import Zoo

MIN_FIT_ROWS = 10
"""With fewer training rows of a shape the imputer knows no more than the mean."""

MAX_LEAVE_ONE_OUT = 8_000_000
"""Tokens read at most where each token of each network is masked alone."""


@dataclass(eq=False)
class WindowBlock:
    """R test windows of one shape, each of a network given by its row (R,) in the zoo, and training windows of that shape."""

    plan: Plan
    shape: Shape
    architecture: int
    test: Segment
    network: np.ndarray
    train: Segment | None
    orders: Callable[[], list[np.ndarray]]

    @cached_property
    def present(self) -> torch.Tensor:
        """(T, C) bool."""
        return self.shape.layout.present

    def values(self, model: ClozeModel, segment: Segment) -> np.ndarray:
        """(R, M) float64: the present values as the model sees them."""
        return model.normalise(segment.to(model.device)).cpu()[:, self.present].double().numpy()

    def classes(self, model: ClozeModel, segment: Segment) -> np.ndarray:
        """(R or 1, M): the class by which each value is standardised, a slot or a kind and role."""
        return model.classes(segment.to(model.device)).cpu().expand(-1, *self.present.shape)[:, self.present].numpy()

    @cached_property
    def of_value(self) -> dict[str, np.ndarray]:
        """(M,) each: the layer of each present value, and its kind and role as one number."""
        layout = self.shape.layout
        parts = {"layer": layout.layer, "role": layout.kind * len(ROLES) + layout.role}
        return {name: part.unsqueeze(1).expand(self.present.shape)[self.present].numpy() for name, part in parts.items()}


def blocks_of(config: MaskedR2Config, model: ClozeModel, train: Zoo, test: Zoo) -> list[WindowBlock]:
    """Test networks by architecture, whole or as windows of each shape, with training networks of the same architecture."""
    found = []
    for number in np.unique(test.architecture):
        rng, architecture = np.random.default_rng(config.seed), test.architectures[number]
        plan = model_plan(model, test, int(number))
        known = [at for at, one in enumerate(train.architectures) if one == architecture]
        rows = np.flatnonzero(np.isin(train.architecture, known)), np.flatnonzero(test.architecture == number)
        most = config.max_fit_windows, config.max_test_windows
        fitted, tested = (
            windows_of(zoo, plan, rng.permutation(some)[:n], n, rng)
            for zoo, some, n in zip((train, test), rows, most, strict=True)
        )
        for shape, (segment, network) in tested.items():
            orders = partial(unit_orders, plan, shape, test.symmetries[number])
            found.append(WindowBlock(plan, shape, int(number), segment, network, fitted.get(shape, (None,))[0], orders))
    return found


def windows_of(
    zoo: Zoo, plan: Plan, rows: np.ndarray, most: int, rng: np.random.Generator
) -> dict[Shape, tuple[Segment, np.ndarray]]:
    """At most about `most` windows of networks of one architecture by shape, each with the rows of its networks."""
    if not len(rows):
        return {}
    if plan.whole:
        values = plan.whole_values(zoo.stacked(rows))
        segment = Segment(plan.shapes[0].layout, values, torch.zeros(len(values), dtype=torch.int64))
        return {plan.shapes[0]: (segment, rows)}
    shapes = np.repeat(np.arange(len(plan.shapes)), [shape.n_windows for shape in plan.shapes])
    which = np.concatenate([np.arange(shape.n_windows) for shape in plan.shapes])
    found: dict[Shape, list] = {}
    for row in rows:
        values = plan.view_values(zoo.tensors(int(row)))
        chosen = rng.permutation(len(shapes))[: max(1, most // len(rows))]
        for number in np.unique(shapes[chosen]):
            shape = plan.shapes[number]
            firsts = shape.firsts[which[chosen[shapes[chosen] == number]]]
            shown = plan.window_values(shape, values, firsts).clone()
            found.setdefault(shape, []).append((shown, torch.from_numpy(firsts), np.full(len(firsts), row)))
    return {
        shape: (Segment(shape.layout, torch.cat(values), torch.cat(firsts)), np.concatenate(network))
        for shape, (values, firsts, network) in ((shape, zip(*parts, strict=True)) for shape, parts in found.items())
    }


def masks_of(config: MaskedR2Config, block: WindowBlock, masking: str, ratio: float | None) -> torch.Tensor | None:
    """(F, T, C) bool, True masked: the masks under which all windows of a block are read; None where there are none."""
    layout = block.shape.layout
    if masking == "one in eight":
        return fold_masks(layout)
    if masking == "leave one out":
        affordable = len(block.test) * layout.n_tokens**2 <= MAX_LEAVE_ONE_OUT
        return leave_one_out_masks(layout) if block.plan.whole and affordable else None
    few = block.test.take(slice(0, 1)).take(torch.zeros(config.n_patterns, dtype=torch.int64))
    rule = MaskRule((ratio, ratio), values=1.0)
    return random_masks(few, rule, generator=torch.Generator().manual_seed(config.seed))


@dataclass(frozen=True)
class Scored:
    """R windows of networks (R,): truth (R, E) of E masked values, predictions of it, its class (R or 1, E), layer and kind."""

    network: np.ndarray
    architecture: int
    truth: np.ndarray
    predicted: Mapping[str, np.ndarray]
    classes: np.ndarray
    layer: np.ndarray
    role: np.ndarray


@dataclass(frozen=True, eq=False)
class Fitted:
    """What is known of a block's training windows: the mean of each class (C,), and imputers by name."""

    mean: np.ndarray
    imputers: Mapping[str, Predictor]


def fit_block(config: MaskedR2Config, model: ClozeModel, block: WindowBlock) -> Fitted:
    """Means and imputers of the training windows of a block; where there are next to none, means alone."""
    n_values, n_classes = int(block.present.sum()), len(model.class_mean)
    train = np.zeros((0, n_values)) if block.train is None else block.values(model, block.train)
    known = np.zeros((1, n_values), np.int64) if block.train is None else block.classes(model, block.train)
    count, total = (
        np.bincount(np.broadcast_to(known, train.shape).ravel(), weights.ravel(), n_classes)
        for weights in (np.ones_like(train), train)
    )
    imputers: dict[str, Predictor] = {}
    if len(train) >= MIN_FIT_ROWS:
        orders, n_units = block.orders(), n_alike(block.plan, block.shape)
        imputers["linear_gaussian"] = fit_imputer(train, orders, n_units).predict
        mixture = fit_mixture(train, orders, n_units, config.n_gaussians) if config.n_gaussians else None
        imputers |= {} if mixture is None else {"mixture": mixture}
    return Fitted(total / np.maximum(count, 1), imputers)


def score(config: MaskedR2Config, model: ClozeModel, block: WindowBlock, fitted: Fitted, masks: torch.Tensor) -> Scored:
    """What each predictor says of the values of a block under each of some masks (F, T, C)."""
    z, classes = block.values(model, block.test), block.classes(model, block.test)
    predictors = plain_predictors(block, fitted, classes)
    flat = [(mask, mask[block.present].numpy()) for mask in masks if bool(mask.any())]
    predicted = {"cloze": [cloze(config, model, block, mask) for mask, _ in flat]}
    predicted |= {name: [of(z, masked) for _, masked in flat] for name, of in predictors.items()}
    index = np.concatenate([np.flatnonzero(masked) for _, masked in flat])
    layer, role = (block.of_value[name][index] for name in ("layer", "role"))
    found = {name: np.concatenate(parts, axis=1) for name, parts in predicted.items()}
    return Scored(block.network, block.architecture, z[:, index], found, classes[:, index], layer, role)


def plain_predictors(block: WindowBlock, fitted: Fitted, classes: np.ndarray) -> dict[str, Predictor]:
    """The mean of the class (R or 1, M), the mean of what a window shows of the same kind and role, and the imputers."""
    role, mean = block.of_value["role"], fitted.mean[classes]
    same = (role[:, None] == np.unique(role)).astype(np.float64)

    def class_mean(z: np.ndarray, masked: np.ndarray) -> np.ndarray:
        return np.broadcast_to(mean, z.shape)[:, masked]

    def window_mean(z: np.ndarray, masked: np.ndarray) -> np.ndarray:
        seen = same * ~masked[:, None]
        shown = (z @ seen) / np.maximum(seen.sum(axis=0), 1) @ same.T
        return np.where(same @ seen.sum(axis=0) > 0, shown, mean)[:, masked]

    return {"mean": class_mean, "window mean": window_mean, "linear_gaussian": class_mean, **fitted.imputers}


def cloze(config: MaskedR2Config, model: ClozeModel, block: WindowBlock, mask: torch.Tensor) -> np.ndarray:
    """What the model says of the values that mask (T, C) hides, (R, masked)."""
    touched, own, segment = mask.any(dim=1), mask.to(model.device), block.test.to(model.device)
    parts = []
    with torch.no_grad():
        for some in segment.split(max(1, config.tokens_per_batch // block.shape.layout.n_tokens)):
            masks = own.expand(len(some), *own.shape)
            some = model.guessed(some, masks)
            states = model.encode([some], [masks])[0]
            parts.append(model.predicted(states, some, at=(slice(None), touched)).expectation()[:, own[touched]].cpu())
    return torch.cat(parts).double().numpy()
