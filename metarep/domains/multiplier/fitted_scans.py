"""Scans that have seen training networks: a linear classifier on parameters, and a few examples in an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metarep.artefact import Artefact
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.embeddings.specs import embed_params
from metarep.embeddings.store import Embeddings
from metarep.errors import MetarepError
from metarep.model.pretraining import load_model
from metarep.model.transformer import untrained_like
from metarep.zoos.zoo import Zoo

MAX_ITERATIONS = 500


@dataclass(frozen=True)
class ScanVectors:
    """Vectors of finished networks (N, D), of which those that are `held` (N,) mean something, and of random initialisations
    (R, D) by the same model.
    """

    artefact: Artefact
    name: str
    networks: np.ndarray
    held: np.ndarray
    random: np.ndarray


def linear_scores(
    params: np.ndarray, mode: np.ndarray, random: np.ndarray, positive: str, asked: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The log odds (N,) of being of mode `positive` for each (N, P) of `asked`: a logistic regression.

    It is fitted on training networks params (T, P) of mode (T,) and training initialisations random
    (R, P), one against the rest, both weighing alike, on standardised parameters as they stand.
    """
    labels = np.r_[mode == positive, np.zeros(len(random), bool)]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITERATIONS, class_weight="balanced"))
    model.fit(np.concatenate([params, random]), labels)
    return [model.decision_function(some) for some in asked]


def example_scores(
    train: np.ndarray, is_positive: np.ndarray, asked: Sequence[np.ndarray], n_examples: int, n_draws: int, *, seed: int
) -> list[np.ndarray]:
    """Minus the distance to the nearest of a few examples, (n_draws, N) for each (N, D) of `asked`.

    The examples are `n_examples` positives of the training vectors (T, D), drawn anew each time; their
    labels are the only ones used. Dimensions are standardised by all training vectors, constant ones left out.
    """
    rng = np.random.default_rng(seed)
    spread = train.std(axis=0)
    used = spread > 1e-9
    scale = np.where(used, spread, np.inf)
    positives = np.flatnonzero(is_positive)
    n_examples = min(n_examples, len(positives))
    draws = [train[rng.choice(positives, n_examples, replace=False)] / scale for _ in range(n_draws)]
    examples = np.concatenate(draws)
    distances = [cdist(some / scale, examples).reshape(len(some), n_draws, n_examples) for some in asked]
    return [-distance.min(axis=2).T for distance in distances]


def align(embeddings: Embeddings, networks: Zoo, random: np.ndarray, *, device: str = "cpu") -> ScanVectors:
    """The vectors of finished networks in the zoo's order, and those of random initialisations random (R, P).

    The model is found where the embeddings say it lay. Raises MetarepError where the embeddings are of
    another zoo or the model is gone.
    """
    if networks.artefact is not None:
        embeddings.artefact.require_input("zoo", networks.artefact)
    row_of = {name: row for row, name in enumerate(embeddings.network_id)}
    rows = np.array([row_of.get(name, -1) for name in networks["network_id"]])
    if (rows[networks["split"] == "test"] < 0).any():
        fix = "raise max_per_split, or leave it out"
        raise MetarepError(f"{embeddings.artefact.path} lacks test networks of the zoo", expected="all of them", fix=fix)
    config = embeddings.artefact.config
    model = load_model(embeddings.artefact.input_path("model"), device=device)
    if config["untrained"]:
        model = untrained_like(model, seed=config["seed"])
    settings = {name: config[name] for name in ("kind", "n_copies", "copy_scale", "seed")}
    vectors = embed_params(model, MULTIPLIER, random.astype(np.float32), **settings)
    return ScanVectors(embeddings.artefact, embeddings.name, embeddings.vectors[rows], rows >= 0, vectors)
