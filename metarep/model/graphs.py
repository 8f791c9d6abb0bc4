"""Steps of training as CUDA graphs: recorded once, then replayed in one launch, where there would be hundreds.

A recording reads its inputs where they lay when it was made, so what comes later is copied there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch

from metarep.model.batches import Batch

N_PLAIN = 3
"""Batches of a shape that are computed plainly before it is recorded; libraries set themselves up then."""
MAX_RECORDINGS = 4

Compute = Callable[[Batch, Sequence[torch.Tensor]], torch.Tensor]


class Recorder:
    """Calls a function of a batch and its masks, and replays it where batches of the same shape come again.

    The function must be the same one at each call, draw nothing and wait for nothing.
    """

    def __init__(self) -> None:
        self.seen: Counter[tuple] = Counter()
        self.recordings: dict[tuple, Recording] = {}

    def __call__(self, compute: Compute, batch: Batch, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        shape = shape_of(batch)
        self.seen[shape] += 1
        if shape not in self.recordings:
            if self.seen[shape] <= N_PLAIN or len(self.recordings) == MAX_RECORDINGS:
                return compute(batch, masks)
            self.recordings[shape] = Recording(compute, batch, masks)
        return self.recordings[shape].replay(batch, masks)


class Recording:
    """What a function does on the GPU for batches of one shape."""

    def __init__(self, compute: Compute, batch: Batch, masks: Sequence[torch.Tensor]):
        self.inputs, self.graph = inputs_of(batch, masks), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):  # other threads draw batches meanwhile
            self.result = compute(batch, masks)

    def replay(self, batch: Batch, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """The result for another batch."""
        for own, new in zip(self.inputs, inputs_of(batch, masks), strict=True):
            own.copy_(new, non_blocking=True)
        return self.run()

    def run(self) -> torch.Tensor:
        """The result for what lies in the inputs now."""
        self.graph.replay()
        return self.result.clone()


def inputs_of(batch: Batch, masks: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Every tensor that a step reads of a batch, in a fixed order."""
    found = list(masks)
    for segment in batch:
        found += [segment.values, segment.firsts, *([] if segment.guess is None else [segment.guess])]
        if segment.behaviour is not None:
            probes = segment.behaviour.probes
            found += [probes.inputs, probes.outputs, segment.behaviour.contributions]
    return found


def shape_of(batch: Batch) -> tuple:
    """What two batches have in common that one recording can serve."""
    behaviours = (None if one.behaviour is None else tuple(one.behaviour.contributions.shape) for one in batch)
    parts = zip(batch, behaviours, strict=True)
    return tuple((id(one.layout), len(one), one.moved, behaviour) for one, behaviour in parts)
