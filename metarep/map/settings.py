"""Settings of the map."""

from __future__ import annotations

from pydantic import Field

from metarep.settings import Settings


class MapConfig(Settings):
    """Which embeddings the map shows, where their points lie, and how much of the networks it carries."""

    embeddings: tuple[str, ...] = Field((), description="names of embeddings as in tables; by default the first of one model")
    n_embeddings: int = Field(4, ge=1, description="how many embeddings are shown where none are named")
    umap: bool = Field(True, description="place points by UMAP, and not by principal components alone, which is faster")
    umap_neighbors: int = Field(30, ge=2, description="neighbours of UMAP")
    n_neighbors: int = Field(8, ge=1, description="nearest neighbours in the card of a point")
    max_parts: int = Field(
        200_000, ge=100, description="units or layers that are shown; of more, those of a seeded choice of networks"
    )
    picture_megabytes: float = Field(6.0, ge=0, description="room for the small images of weights; 0 leaves them out")
    seed: int = Field(0, ge=0, description="of UMAP, of what is chosen, and of the order in which points are drawn")
