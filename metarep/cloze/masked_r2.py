"""How much of the variance of hidden parameters is predicted: by parameter, by kind, by mode; with intervals and nulls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from metarep.cloze.imputers import Imputer, fit_linear_gaussian, fit_mean, fit_unit_norm
from metarep.cloze.masks import leave_one_out_masks, random_masks
from metarep.cloze.model import ClozeModel
from metarep.cloze.r2_draws import N_DRAWS, by_kind, dealt_squares, explained, left_squares, resamples, spread, total_squares
from metarep.cloze.settings import PretrainConfig
from metarep.cloze.tokens import Layout
from metarep.zoos.zoo import Zoo

LEAVE_ONE_OUT = "leave_one_out"


def predict_hidden(model: ClozeModel, values: torch.Tensor, mask: torch.Tensor, *, batch_size: int = 4096) -> torch.Tensor:
    """The expectation of every value (N, T) under the model; entries of visible ones mean little."""
    with torch.no_grad():
        parts = [
            model(values[i : i + batch_size], mask[i : i + batch_size]).expectation() for i in range(0, len(values), batch_size)
        ]
    return torch.cat(parts)


def r_squared(truth: np.ndarray, prediction: np.ndarray, classes: np.ndarray) -> float:
    """1 − residual / total sum of squares, for values (N,) of slot classes (N,).

    The total is taken about each class's own mean, so that telling a weight from a bias earns nothing.
    NaN where nothing varies.
    """
    n = np.bincount(classes)
    means = np.bincount(classes, truth) / np.maximum(n, 1)
    total = np.square(truth - means[classes]).sum()
    return float(1 - np.square(truth - prediction).sum() / total) if total > 0 else float("nan")


def masked_r2_table(model: ClozeModel, train: Zoo, test: Zoo, config: PretrainConfig, *, device: str = "cpu") -> list[dict]:
    """Rows of masked_r2.csv: the model, the mean and the linear-Gaussian imputer on the same hidden values.

    Beside a model that reads networks at canonical scale, "unit_norm" too: the imputer that exploits what the norm leaks.

    Two maskings of the test networks: "random", drawn as in pretraining, and "leave_one_out",
    each parameter hidden in turn. Values are in standard deviations of their slot class. The
    groups: all, kind, parameter (a slot class, units being interchangeable), mode.
    """
    layout = model.layout
    with torch.no_grad():
        train_values, test_values = model.read(train.params).cpu().numpy(), model.read(test.params).cpu()
    imputers: dict[str, Imputer] = {
        "cloze": lambda values, mask: (
            predict_hidden(model, torch.from_numpy(values).to(device), torch.from_numpy(mask).to(device)).cpu().numpy()
        ),
        "mean": fit_mean(train_values, layout),
        "linear_gaussian": fit_linear_gaussian(train_values, layout),
    }
    if model.scale == "canonical":
        mean, std = (figure.cpu().numpy()[layout.slot_class] for figure in (model.class_mean, model.class_std))
        imputers["unit_norm"] = fit_unit_norm(train_values, layout, mean, std)
    weights = resamples(N_DRAWS, len(test), seed=config.seed)
    rows = []
    for masking, values, mask in _maskings(test_values, layout, config):
        for name, impute in imputers.items():
            predicted, hidden = np.asarray(impute(values, mask)), mask
            if masking == LEAVE_ONE_OUT:
                predicted, hidden = predicted[mask].reshape(test_values.shape), np.ones(test_values.shape, dtype=bool)
            modes = test.columns.get("mode", np.full(len(test), "", dtype=object))
            for row in _grouped(test_values.numpy(), predicted, hidden, modes, weights, layout, config.seed):
                rows.append({"masking": masking, "predictor": name} | row)
    return rows


def _maskings(values: torch.Tensor, layout: Layout, config: PretrainConfig) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    generator = torch.Generator().manual_seed(config.seed)
    ratio = (config.mask_ratio_min, config.mask_ratio_max)
    mask = random_masks(layout, len(values), ratio=ratio, unit_share=config.unit_mask_share, generator=generator)
    yield "random", values.numpy(), mask.numpy()
    one_out = leave_one_out_masks(layout).repeat(len(values), 1)
    yield LEAVE_ONE_OUT, values.repeat_interleave(layout.n_tokens, dim=0).numpy(), one_out.numpy()


def _grouped(
    truth: np.ndarray,
    predicted: np.ndarray,
    hidden: np.ndarray,
    modes: np.ndarray,
    weights: np.ndarray,
    layout: Layout,
    seed: int,
) -> Iterator[dict]:
    """Rows (group, value, r2, low, high, null_p95, n_values) of what is hidden (N, T) of truth (N, T); weights (B, N)."""
    classes = np.arange(layout.n_classes)
    kinds = [np.unique(layout.slot_class[layout.kind == number]) for number in range(len(layout.kind_names))]
    everyone = np.ones(len(truth), dtype=bool)
    groups = [("all", "all", everyone, classes)]
    groups += [("kind", name, everyone, own) for name, own in zip(layout.kind_names, kinds, strict=True)]
    groups += [("parameter", name, everyone, [number]) for number, name in enumerate(layout.class_names)]
    groups += [("mode", mode, modes == mode, classes) for mode in sorted(set(modes) - {""})]
    sums: dict[bytes, tuple[np.ndarray, ...]] = {}
    for group, value, rows, own in groups:
        if rows.tobytes() not in sums:
            sums[rows.tobytes()] = _sums(truth[rows], predicted[rows], hidden[rows], layout.slot_class, weights[:, rows], seed)
        left, total, dealt, count = (part[:, own].sum(axis=1) for part in sums[rows.tobytes()])
        figures = spread(explained(left, total), explained(dealt, total[:1]))
        yield {"group": group, "value": value, "r2": figures.pop("value"), **figures, "n_values": int(count[0])}


def _sums(truth, predicted, hidden, slot_class, weights, seed: int) -> tuple[np.ndarray, ...]:
    """Squared residuals (B, C), squared deviations (B, C), dealt residuals (D, C) and counts (1, C) of every class."""
    left = left_squares(truth, predicted, slot_class, weights, hidden)
    total = total_squares(truth, slot_class, weights, hidden)
    return left, total, dealt_squares(truth, predicted, slot_class, hidden, seed=seed), by_kind(hidden, slot_class).sum(0)[None]
