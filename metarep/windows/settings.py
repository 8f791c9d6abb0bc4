"""Settings of the window model, which reads networks of any architecture and size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from metarep.settings import Settings

WindowEmbedding = Literal["layers", "pooled", "surprisal"]
Part = Literal["network", "layer", "unit", "window"]


class WindowPretrainConfig(Settings):
    """The cloze test on windows of any networks, and the model that takes it."""

    seed: int = Field(0, ge=0)
    chunk: int = Field(4, ge=1, le=256, description="values in a token; 1 is a token a parameter")
    contexts: tuple[Annotated[int, Field(ge=8, le=4096)], ...] = Field(
        (64, 128), min_length=1, description="tokens in a window: the model learns on all of them and embeds in the largest"
    )
    overlap: float = Field(0.25, ge=0, lt=1, description="share of a window that the next one shows again")
    d_model: int = Field(64, ge=8)
    n_layers: int = Field(3, ge=1)
    n_heads: int = Field(4, ge=1)
    n_components: int = Field(2, ge=1, description="Gaussians in the distribution that is predicted for each value")
    units: Literal["canonical", "shuffled"] = Field(
        "canonical",
        description="order of interchangeable units in training: by size, or drawn anew for each copy (augmentation)",
    )
    scale_units: float = Field(0.0, ge=0, description="shuffled: standard deviation of the log scale drawn for each ReLU unit")
    n_copies: int = Field(1, ge=1, description="shuffled: copies of each training network, each in an order of its own")
    mask_ratio_min: float = Field(0.1, gt=0, le=1)
    mask_ratio_max: float = Field(0.6, gt=0, le=1)
    unit_mask_share: float = Field(0.2, ge=0, le=1, description="share of windows of which one unit is hidden whole")
    n_steps: int = Field(1500, ge=1)
    batch_size: int = Field(48, ge=1, description="windows")
    lr: float = Field(2e-3, gt=0)
    warmup_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    grad_clip: float = Field(1.0, gt=0)
    eval_every: int = Field(250, ge=1)
    max_windows: int = Field(40_000, ge=16, description="training windows held in memory, drawn evenly from the networks")
    max_valid_windows: int = Field(1500, ge=2)

    @model_validator(mode="after")
    def _coherent(self) -> WindowPretrainConfig:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is no multiple of n_heads {self.n_heads}")
        if self.mask_ratio_min > self.mask_ratio_max:
            raise ValueError("mask_ratio_min is above mask_ratio_max")
        if self.units == "canonical" and (self.scale_units or self.n_copies > 1):
            raise ValueError("scale_units and n_copies go with units=shuffled")
        return self


class WindowEmbedConfig(Settings):
    """Which vectors of networks, and of their parts."""

    kind: WindowEmbedding = Field(
        "layers",
        description="mean and spread of hidden states over each third of the depth; over the network; how surprised the model "
        "is of each third, every token hidden once",
    )
    parts: tuple[Part, ...] = Field(
        ("network",), min_length=1, description="networks, and layers, units or windows within them"
    )
    context: int | None = Field(None, ge=8, le=4096, description="tokens in a window; the model's largest if left out")
    untrained: bool = Field(False, description="a freshly initialised encoder: the control for what pretraining adds")
    name: str | None = Field(None, description="what the representation is called in every table; its kind if left out")
    tokens_per_batch: int = Field(8192, ge=64, description="tokens that are read at once; memory grows with it")
    seed: int = Field(0, ge=0, description="of the untrained encoder's initialisation")
