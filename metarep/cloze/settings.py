"""Settings of the cloze model and its embeddings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from metarep.settings import Settings

Embedding = Literal[
    "pooled",
    "states",
    "profile",
    "certainty",
    "surprisal",
    "description",
    "activity",
    "beliefs",
    "patterns",
    "effects",
    "function",
    "coupling",
]


class PretrainConfig(Settings):
    """The cloze model and how it is trained."""

    seed: int = Field(0, ge=0)
    objective: Literal["cloze", "autoencoder", "contrastive", "latent"] = Field(
        "cloze",
        description="what the encoder learns by: predicting hidden values; telling the network back from a narrow vector; "
        "recognising networks of one function; predicting a slower copy's hidden states",
    )
    bottleneck: int = Field(8, ge=1, description="autoencoder: width of the vector from which the network is told back")
    temperature: float = Field(0.2, gt=0, description="contrastive: divides the cosine similarities")
    view_noise: float = Field(0.3, ge=0, description="contrastive: standard deviation of the function-preserving noise")
    view_scale: float = Field(0.5, ge=0, description="contrastive: standard deviation of the log scale drawn for each unit")
    teacher_momentum: float = Field(0.99, ge=0, lt=1, description="latent: share of the teacher that stays at each step")
    d_model: int = Field(64, ge=8)
    n_layers: int = Field(4, ge=1)
    n_heads: int = Field(4, ge=1)
    head: Literal["mixture", "gaussian", "squared", "rectified"] = Field(
        "mixture", description="what is predicted for a hidden value; rectified: exactly 0, or a mixture"
    )
    n_components: int = Field(8, ge=1, description="Gaussians in a mixture")
    positions: Literal["relational", "indexed"] = Field(
        "relational", description="relational: attention sees which units two tokens share; indexed: unit numbers"
    )
    tokens: Literal["parameters", "behaviour", "outputs", "gradients"] = Field(
        "parameters",
        description="what is hidden and predicted: parameters, or at probe inputs each hidden unit's contribution (behaviour), "
        "the outputs, or their derivatives by the inputs",
    )
    behaviour_weight: float = Field(
        0.0, ge=0, description="of predicting from the parameters what each hidden unit contributes at probe inputs; 0 is off"
    )
    whole_share: float = Field(0.3, ge=0, lt=1, description="share of networks shown whole, where behaviour is predicted")
    jitter: float = Field(
        0.0,
        ge=0,
        description="most noise, in standard deviations of each kind of parameter, that networks shown whole are given before "
        "their behaviour is computed; 0 is off",
    )
    n_probes: int = Field(5, ge=2, le=64, description="behaviour: probe inputs along each input, midpoints of equal cells")
    probe_range: tuple[float, float] = Field((0.0, 1.0), description="behaviour: from where to where the probes reach")
    mask_ratio_min: float = Field(0.1, gt=0, le=1)
    mask_ratio_max: float = Field(0.6, gt=0, le=1)
    unit_mask_share: float = Field(0.2, ge=0, le=1, description="share of networks of which a whole unit is hidden")
    units: Literal["shuffled", "as_written", "canonical"] = Field(
        "shuffled",
        description="hidden units: in a random order at each step; in the order that they stand in; canonical: the model "
        "always reads them sorted",
    )
    scale: Literal["as_written", "canonical"] = Field(
        "as_written",
        description="canonical: the model reads networks whose hidden units have incoming parameters of norm 1, always",
    )
    scale_units: float = Field(0.0, ge=0, description="standard deviation of the log scale drawn for each unit; 0 is off")
    n_steps: int = Field(4000, ge=1)
    batch_size: int = Field(256, ge=1)
    lr: float = Field(2e-3, gt=0)
    warmup_steps: int = Field(200, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    grad_clip: float = Field(1.0, gt=0)
    eval_every: int = Field(250, ge=1)
    max_valid_networks: int = Field(2000, ge=1)
    max_train_networks: int | None = Field(None, ge=1, description="use only so many training networks")

    @model_validator(mode="before")
    @classmethod
    def _older_names(cls, data: Any) -> Any:
        """What `permute_units` said in older files."""
        if not isinstance(data, dict) or not isinstance(data.get("permute_units"), bool):
            return data
        rest = {key: value for key, value in data.items() if key != "permute_units"}
        return {"units": "shuffled" if data["permute_units"] else "as_written"} | rest

    @model_validator(mode="after")
    def _coherent(self) -> PretrainConfig:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is no multiple of n_heads {self.n_heads}")
        if self.behaviour_weight and self.objective != "cloze":
            raise ValueError("behaviour_weight is for objective=cloze alone")
        if self.jitter and not self.behaviour_weight:
            raise ValueError("jitter is for networks whose behaviour is asked for; set behaviour_weight above 0")
        if self.behaviour_weight and self.tokens != "parameters":
            raise ValueError(f"behaviour_weight 0 where tokens are {self.tokens}: it is for tokens=parameters")
        if self.head == "rectified" and self.tokens != "behaviour":
            raise ValueError(f"a rectified head predicts exact zeros, which {self.tokens} do not have; choose tokens=behaviour")
        if self.units == "canonical" and self.positions == "relational":
            raise ValueError("units=canonical is for positions=indexed; what tokens share knows no order")
        if self.scale == "canonical" and self.scale_units:
            raise ValueError("scale_units scales units, which scale=canonical takes back")
        if self.scale == "canonical" and self.tokens != "parameters":
            raise ValueError("scale=canonical is for tokens=parameters; what a network does has no other scale")
        if self.mask_ratio_min > self.mask_ratio_max:
            raise ValueError("mask_ratio_min is above mask_ratio_max")
        return self


class EmbedConfig(Settings):
    """Which embedding of which networks."""

    kind: Embedding = Field(
        "profile",
        description="hidden states pooled, or unit by unit; each token hidden in turn: prediction and entropy, entropy alone, "
        "surprisal, surprisal by unit; what units are believed to do, alone and together; which tokens determine each other",
    )
    untrained: bool = Field(False, description="a freshly initialised encoder: the control for what pretraining adds")
    name: str | None = Field(None, description="what the representation is called in every table; its kind if left out")
    max_per_split: int | None = Field(
        None, ge=1, description="embed only the first so many finished networks of each split; all, snapshots too, if left out"
    )
    n_copies: int = Field(
        0,
        ge=0,
        description="the mean over so many random copies of each network, its units in another order and rescaled; 0: the "
        "network itself, its units in canonical order",
    )
    copy_scale: float = Field(0.5, ge=0, description="copies: standard deviation of the log scale drawn for each unit")
    batch_size: int = Field(512, ge=1)
    seed: int = Field(0, ge=0, description="of the untrained encoder's initialisation, and of copies")
