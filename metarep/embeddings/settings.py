"""Settings of embeddings."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from metarep.settings import Settings

Part = Literal["network", "layer", "unit", "window"]


def _is_known(kind: str) -> str:
    from metarep.embeddings.registry import kind_names

    if kind not in kind_names():
        raise ValueError(f"one of {', '.join(kind_names())}")
    return kind


Kind = Annotated[str, AfterValidator(_is_known)]
"""The name of a kind of embedding that there is."""


class EmbedConfig(Settings):
    """Which vectors of which networks, and of which of their parts."""

    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {
        "What is embedded": ("kind", "parts", "untrained", "name", "max_per_split"),
        "How": ("n_copies", "copy_scale", "tokens_per_batch", "seed"),
    }

    kind: Kind = Field("states", description="the kind of embedding; `metarep embed --kinds` lists them")
    parts: tuple[Part, ...] = Field(("network",), min_length=1, description="whole networks, layers, units or windows")
    untrained: bool = Field(False, description="use a freshly initialised encoder: the control for what pretraining adds")
    name: str | None = Field(None, description="name of the representation in every table; its kind by default")
    max_per_split: int | None = Field(
        None, ge=1, description="embed only the first so many finished networks of each split; by default all, snapshots too"
    )
    n_copies: int = Field(0, ge=0, description="average over so many random symmetric copies of each network; 0: as it is")
    copy_scale: float = Field(0.5, ge=0, description="copies: standard deviation of the log scale drawn for each ReLU unit")
    tokens_per_batch: int = Field(16_384, ge=64, description="tokens that are read at once; memory grows with it")
    seed: int = Field(0, ge=0, description="of the untrained encoder's initialisation, and of copies")
