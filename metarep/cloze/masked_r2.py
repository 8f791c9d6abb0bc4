"""How much of the variance of hidden parameters is predicted: by parameter, by kind, by mode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from metarep.cloze.imputers import Imputer, fit_linear_gaussian, fit_mean, fit_unit_norm
from metarep.cloze.masks import leave_one_out_masks, random_masks
from metarep.cloze.model import ClozeModel
from metarep.config import PretrainConfig
from metarep.zoo.store import Zoo

COLUMNS = ("masking", "predictor", "group", "value", "r2", "n_values")


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
    rows = []
    for masking, values, mask, modes in _maskings(test_values, test["mode"], layout, config):
        for name, impute in imputers.items():
            prediction = np.asarray(impute(values, mask))
            rows += _grouped(masking, name, values, prediction, mask, modes, layout)
    return rows


def _maskings(values: torch.Tensor, modes: np.ndarray, layout, config: PretrainConfig) -> Iterator[tuple]:
    generator = torch.Generator().manual_seed(config.seed)
    ratio = (config.mask_ratio_min, config.mask_ratio_max)
    mask = random_masks(layout, len(values), ratio=ratio, unit_share=config.unit_mask_share, generator=generator)
    yield "random", values.numpy(), mask.numpy(), modes
    t = layout.n_tokens
    one_out = leave_one_out_masks(layout).repeat(len(values), 1)
    yield "leave_one_out", values.repeat_interleave(t, dim=0).numpy(), one_out.numpy(), np.repeat(modes, t)


def _grouped(masking: str, predictor: str, values, prediction, mask, modes, layout) -> list[dict]:
    groups = [("all", "all", mask)]
    groups += [("kind", kind, mask & (layout.kind == i)) for i, kind in enumerate(layout.kind_names)]
    groups += [("parameter", name, mask & (layout.slot_class == i)) for i, name in enumerate(layout.class_names)]
    groups += [("mode", mode, mask & (modes == mode)[:, None]) for mode in sorted(set(modes) - {""})]
    classes = np.broadcast_to(layout.slot_class, values.shape)
    return [
        dict(
            zip(
                COLUMNS,
                (masking, predictor, group, value, r_squared(values[m], prediction[m], classes[m]), int(m.sum())),
                strict=True,
            )
        )
        for group, value, m in groups
    ]
