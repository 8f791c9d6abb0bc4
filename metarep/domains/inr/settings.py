"""Settings of the sine networks that hold signals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from metarep.settings import Settings

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` puts its files."""


class InrConfig(Settings):
    """Sine networks (SIRENs: Sitzmann et al., 2020), each fitted to one signal from its coordinates alone."""

    seed: int = Field(0, ge=0, description="of every draw")
    n_networks: int = Field(2000, ge=1, description="one for each signal; of few pictures, several for one")
    signals: Literal["sines", "digits", "fashion-mnist"] = Field(
        "sines", description="a·sin(bx) with a and b between 0 and 10, scikit-learn's digits, or the pictures of Fashion-MNIST"
    )
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field((32, 32), min_length=1, description="of the hidden layers")
    frequency: float = Field(
        30.0, gt=0, description="factor in front of what goes into a sine; it is multiplied into the weights"
    )
    n_points: int = Field(256, ge=2, description="points of a curve, evenly spaced; pictures have those of their pixels")
    n_steps: int = Field(1500, ge=1, description="full-batch steps of Adam at most")
    lr: float = Field(1e-3, gt=0, description="learning rate of Adam")
    weight_decay: float = Field(1e-4, ge=0, description="added to the gradient, as in torch.optim.Adam")
    enough: float = Field(1e-4, ge=0, description="mean squared error at which a network is kept and trained no further")
    folder: Path | None = Field(
        None, description="where the four files of Fashion-MNIST lie; by default where Debian puts them"
    )
