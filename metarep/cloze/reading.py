"""How a model of one architecture reads another: which layer stands for which, and what slot classes look like there."""

from __future__ import annotations

import numpy as np
import torch

from metarep.cloze.tokens import Layout


def placed_layers(layout: Layout, source: Layout) -> np.ndarray:
    """(L,) int64: the layer of `source` that stands for each of the L layers of `layout`, by their share of the depth.

    The first stands for the first, the last for the last; halfway between two, the earlier one.
    """
    n, n_source = int(layout.layer.max()) + 1, int(source.layer.max()) + 1
    share = np.arange(n) / max(1, n - 1)
    return np.ceil(share * (n_source - 1) - 0.5).astype(np.int64)


def read_classes(
    layout: Layout, source: Layout, placed: np.ndarray, mean: torch.Tensor, std: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (C,) of the slot classes of `layout`, from those of `source`.

    Classes are matched by layer (as `placed`), kind, input and output; what `source` lacks takes its classes of that
    layer and kind, pooled as if they were equally many.
    """
    known = {key: number for number, key in enumerate(_keys(source, source.layer))}
    means, stds = [], []
    for layer, kind, *ends in _keys(layout, placed[layout.layer]):
        same = known.get((layer, kind, *ends))
        alike = [same] if same is not None else [number for key, number in known.items() if key[:2] == (layer, kind)]
        means.append(mean[alike].mean())
        spread = std[alike].square().mean() + (mean[alike] - means[-1]).square().mean()
        stds.append(std[same] if same is not None else spread.sqrt())
    return torch.stack(means), torch.stack(stds)


def _keys(layout: Layout, layer: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(layer, kind, input, output) of each slot class in order; `layer` (T,) says which layer a token counts to."""
    columns = np.stack([layer, layout.kind, layout.input_unit, layout.output_unit], axis=1)
    _, first = np.unique(layout.slot_class, return_index=True)
    return [tuple(int(value) for value in columns[at]) for at in first]
