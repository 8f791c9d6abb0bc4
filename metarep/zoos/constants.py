"""Tensors that are equal in all networks of an architecture: no network learned them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from metarep.networks.architecture import OTHER, Architecture, readable

MIN_NETWORKS, MIN_RUNS = 3, 2
"""Of so many networks and runs a tensor has to be equal bit for bit."""


@dataclass
class Constants:
    """Watches the networks of one architecture; of the tensors that have been equal so far it keeps a hash."""

    n_networks: int = 0
    hashes: dict[str, bytes] = field(default_factory=dict)

    def observe(self, architecture: Architecture, tensors: Mapping[str, torch.Tensor]) -> None:
        """One more network."""
        first = self.n_networks == 0
        names = [tensor.name for tensor in architecture.tensors if readable(tensor)] if first else list(self.hashes)
        for name in names:
            digest = hashlib.blake2b(tensors[name].reshape(-1).view(torch.uint8).numpy(), digest_size=16).digest()
            if self.hashes.setdefault(name, digest) != digest:
                del self.hashes[name]
        self.n_networks += 1

    def equal(self, architecture: Architecture, n_runs: int) -> tuple[list[str], list[str]]:
        """Names of tensors that are equal in all networks: of those of no known kind, and of others.

        None where there are too few networks or runs to tell, and where nothing differs.
        """
        weights = [tensor for tensor in architecture.tensors if readable(tensor)]
        if self.n_networks < MIN_NETWORKS or n_runs < MIN_RUNS or len(self.hashes) == len(weights):
            return [], []
        found = [tensor for tensor in weights if tensor.name in self.hashes]
        unknown = [tensor.name for tensor in found if tensor.kind == OTHER]
        return unknown, [tensor.name for tensor in found if tensor.kind != OTHER]
