"""Settings of the cloze model and of how it is pretrained."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from metarep.settings import Settings


class PretrainConfig(Settings):
    """The cloze model and how it is trained."""

    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {
        "Objective": ("objective", "decoder", "bottleneck", "temperature", "view_noise", "view_scale", "teacher_momentum"),
        "Tokens and windows": ("chunk", "context", "overlap", "positions", "slot_vectors", "max_windows", "max_valid_windows"),
        "Masks": ("mask_ratio_min", "mask_ratio_max", "mask_growth", "unit_mask_share", "value_mask_share"),
        "Behaviour": (*("behaviour_weight", "unmasked_share", "jitter", "n_probes", "probe_range", "probes", "activation"),),
        "Symmetry": ("units", "scale_units", "further_symmetries"),
        "Model": ("d_model", "n_layers", "n_heads", "head", "n_components", "n_gaussians", "gaussian_rank"),
        "Optimisation": (
            *("n_steps", "batch_size", "accumulate", "lr", "warmup_steps", "weight_decay", "grad_clip", "eval_every"),
            *("max_train_networks", "max_valid_networks", "seed"),
        ),
    }

    seed: int = Field(0, ge=0, description="of the initialisation and of every draw")
    objective: Literal["cloze", "autoencoder", "contrastive", "latent"] = Field(
        "cloze",
        description="what the encoder learns by: predicting masked values; reconstructing parameters from a bottleneck; "
        "recognising networks that compute the same function; predicting the states of a slower copy of itself",
    )
    decoder: bool = Field(False, description="cloze: whole networks are reconstructed from a bottleneck, too")
    bottleneck: int = Field(8, ge=1, description="width of the bottleneck of an autoencoder or a decoder")
    temperature: float = Field(0.2, gt=0, description="contrastive: divides the cosine similarities")
    view_noise: float = Field(0.3, ge=0, description="contrastive: standard deviation of the function-preserving noise")
    view_scale: float = Field(0.5, ge=0, description="contrastive: standard deviation of the log scale drawn for each unit")
    teacher_momentum: float = Field(0.99, ge=0, lt=1, description="latent: share of the teacher that stays at each step")

    chunk: int | None = Field(
        None,
        ge=1,
        le=256,
        description="values in a token; by default 1 where every network has at most `context` values, else 4",
    )
    context: int = Field(128, ge=8, le=4096, description="most tokens in a window; a smaller network is one window")
    overlap: float = Field(0.25, ge=0, lt=1, description="share of a window that the next one shows again")
    positions: Literal["relational", "indexed"] = Field(
        "relational", description="relational: attention sees which units two tokens share; indexed: units are numbered"
    )
    slot_vectors: bool = Field(
        False, description="each slot has a vector that multiplies its values, and one that reads its predictions off"
    )
    max_windows: int = Field(
        40_000,
        ge=16,
        description="training windows held in memory, drawn evenly from networks larger than one window; others take their "
        "place once as many were shown",
    )
    max_valid_windows: int = Field(1500, ge=2, description="the same for validation and for the final test of masked R²")

    mask_ratio_min: float = Field(0.1, gt=0, le=1, description="least share of a window's tokens that is masked")
    mask_ratio_max: float = Field(0.6, gt=0, le=1, description="largest share of a window's tokens that is masked")
    mask_growth: float = Field(
        0.0, ge=0, le=1, description="share of the steps in which the largest ratio grows from mask_ratio_min to mask_ratio_max"
    )
    unit_mask_share: float = Field(0.2, ge=0, le=1, description="share of windows in which one whole unit is masked instead")
    value_mask_share: float = Field(
        0.0, ge=0, le=1, description="share of windows in which single values are masked, not tokens"
    )

    behaviour_weight: float = Field(
        0.0, ge=0, description="weight of predicting what each hidden unit contributes at probe inputs; 0 is off"
    )
    unmasked_share: float = Field(0.3, ge=0, lt=1, description="share of unmasked windows, where behaviour is predicted")
    jitter: float = Field(
        0.0,
        ge=0,
        description="largest noise, in standard deviations of each slot, added to unmasked networks before their behaviour is "
        "computed; 0 is off",
    )
    n_probes: int = Field(25, ge=2, le=4096, description="probe inputs a step")
    probe_range: tuple[float, float] = Field((0.0, 1.0), description="probe inputs are uniform between these two numbers")
    probes: Path | None = Field(
        None,
        description="a .npy file of probe inputs (n, *input shape), or the name of a domain that has some; used instead of "
        "probe_range",
    )
    activation: str | None = Field(
        None, description="activation of networks that are plain chains; known for zoos that metarep trained"
    )

    units: Literal["shuffled", "raw", "canonical"] = Field(
        "shuffled", description="order of interchangeable units: random at each step, as stored, or sorted by size"
    )
    scale_units: float = Field(0.0, ge=0, description="standard deviation of the log scale drawn for each ReLU unit; 0 is off")
    further_symmetries: bool = Field(
        True,
        description="draw at random, with units=shuffled, what else is known to leave a network's function as it is: signs of "
        "units behind odd activations, rotations of queries and keys, values and outputs, and LoRA factors, shifts of logits",
    )

    d_model: int = Field(64, ge=8, description="width of the transformer")
    n_layers: int = Field(4, ge=1, description="blocks")
    n_heads: int = Field(4, ge=1, description="attention heads; d_model is a multiple of it")
    head: Literal["mixture", "gaussian", "squared", "rectified"] = Field(
        "mixture", description="distribution of a masked value; rectified: exactly 0, or a mixture"
    )
    n_components: int = Field(4, ge=1, description="Gaussians in the distribution of a masked value")
    n_gaussians: int = Field(
        0,
        ge=0,
        description="Gaussians in a mixture over all values of a unit, fitted before the first step: the model sees and "
        "corrects what it says of masked values; 0 is none",
    )
    gaussian_rank: int = Field(16, ge=1, description="rank of these Gaussians")

    n_steps: int | None = Field(
        None, ge=1, description="optimiser steps; by default 20 a training window, at least 300 and at most 4000"
    )
    batch_size: int = Field(
        128, ge=1, description="windows a step; with n_steps left open at most four times as many as there are, or 16"
    )
    accumulate: int = Field(1, ge=1, description="pieces of a batch whose gradients are added up, one after another")
    lr: float = Field(2e-3, gt=0, description="largest learning rate of AdamW")
    warmup_steps: int = Field(200, ge=0, description="steps of linear warm-up; a half cosine follows")
    weight_decay: float = Field(0.01, ge=0, description="of matrices")
    grad_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    eval_every: int = Field(250, ge=1, description="steps between validations and checkpoints")
    max_train_networks: int | None = Field(None, ge=1, description="use only the first so many training networks of each zoo")
    max_valid_networks: int = Field(2000, ge=1, description="validation networks that fit into one window")

    @model_validator(mode="after")
    def _coherent(self) -> PretrainConfig:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is no multiple of n_heads {self.n_heads}")
        if self.mask_ratio_min > self.mask_ratio_max:
            raise ValueError("mask_ratio_min is above mask_ratio_max")
        if self.behaviour_weight and self.objective != "cloze":
            raise ValueError("behaviour_weight goes with objective=cloze")
        if self.n_gaussians and self.objective != "cloze":
            raise ValueError("n_gaussians goes with objective=cloze")
        if self.jitter and not self.behaviour_weight:
            raise ValueError("jitter is for networks whose behaviour is predicted; set behaviour_weight above 0")
        if self.probe_range[0] >= self.probe_range[1]:
            raise ValueError("probe_range is empty")
        if self.units == "canonical" and self.scale_units:
            raise ValueError("scale_units changes the sizes that units=canonical sorts by; choose units=shuffled")
        return self
