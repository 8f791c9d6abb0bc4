"""Settings of how one network is taken apart."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from metarep.settings import Settings


class PartsConfig(Settings):
    """The parts inside one network."""

    seed: int = Field(0, ge=0, description="of shuffles, clusters and resamples")
    n_shuffles: int = Field(19, ge=4, description="copies of the network with shuffled parameters: the null")
    context: int | None = Field(None, ge=8, le=4096, description="tokens in a window; by default as in pretraining")
    ks: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        (2, 3, 4, 5, 6, 7, 8, 10, 12), min_length=1, description="numbers of clusters tried; a third as many as parts at most"
    )
    n_bootstraps: int = Field(4, ge=2, description="resamples by which the stability of clusters is measured")
    n_alike: int = Field(50, ge=1, description="pairs of parts that are listed, the most alike first")
    max_fit_parts: int = Field(3000, ge=20, description="parts that clusters are fitted on; the others are assigned")
    tokens_per_batch: int = Field(8192, ge=64, description="tokens that are read at once; memory grows with it")
    dpi: int = Field(160, ge=40, le=600, description="pixels per inch of the figures")
