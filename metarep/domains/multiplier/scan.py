"""The stage that measures scans: how well each of them finds each mode, on thousands of networks.

A scan gives every 2-2-1 network a number that should be high for one mode. `published`
and `loss` have no mode of their own and are measured, as they stand, for every mode; they fit nothing, so every
finished network counts ("all"). `linear` and `embedding` look at training networks and are
measured on test networks; so are the others beside them ("test"), on the very same networks.
The published scan came with an AUC of 1.00 on two hand-picked positives against 2,000 random initialisations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metarep.artefact import Artefact, writing
from metarep.domains.multiplier.modes import MODES, MULTIPLIER
from metarep.domains.multiplier.scores import SCORES
from metarep.domains.multiplier.settings import ScanConfig
from metarep.embeddings.specs import embed_params
from metarep.embeddings.store import Embeddings, load_embeddings
from metarep.errors import MetarepError
from metarep.evaluation.roc import FPR_GRID, auc_row, on_grid
from metarep.model.pretraining import load_model
from metarep.model.transformer import untrained_like
from metarep.progress import Progress
from metarep.tables import write_tables
from metarep.zoos.zoo import Zoo, open_zoo

POSITIVE = "3"
"""The mode that the published scan was made for."""

RANDOM = "random"
OTHERS = "other modes"
LINEAR, EMBEDDING = "linear", "embedding"
ALL, TEST = "all", "test"
ANY = ""
"""The positive of a scan that has none of its own."""

Tables = Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class Scan:
    """The scores of one scan: for each positive mode, or for ANY, of networks (D, N) and of random starts (D, R).

    D is 1 unless the scan hangs on a draw. `networks` says on which networks it was measured, ALL or TEST.
    """

    name: str
    networks: str
    scores: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def of(self, positive: str) -> tuple[np.ndarray, np.ndarray] | None:
        """The scores with which to find one mode; None where the scan was not made for it."""
        return self.scores.get(positive, self.scores.get(ANY))

    def on(self, is_test: np.ndarray) -> Scan:
        """The same scan on the test networks of all (N,) only."""
        return Scan(self.name, TEST, {name: (own[:, is_test], random) for name, (own, random) in self.scores.items()})


def random_initialisations(n: int, *, seed: int) -> np.ndarray:
    """(n, 9): 2-2-1 networks as PyTorch's `Linear` starts them, uniform in ±1/√fan_in."""
    rng, shapes = np.random.default_rng(seed), [shape for shape, _ in MULTIPLIER.shapes]
    layers = [(rng.uniform(-1, 1, (n, o, i)), rng.uniform(-1, 1, (n, o)), math.sqrt(i)) for o, i in shapes]
    return MULTIPLIER.pack([(weight / root, bias / root) for weight, bias, root in layers])


def scan(
    config: ScanConfig,
    zoo: Path | str,
    out: Path | str,
    *,
    embeddings: Path | str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Measures every scan on a zoo's finished 2-2-1 networks into the folder `out`, which it returns.

    `embeddings` of that zoo add the scan by examples; without them it is left out, and
    metrics.json says so. Raises MetarepError for a zoo without networks that have a mode.
    """
    networks = open_zoo(zoo)
    inputs = {"zoo": networks.artefact}
    final = labelled(networks) if "mode" in networks else None
    if final is None or len(set(final["mode"])) < 2:
        fix = "scan a larger zoo of 2-2-1 networks; `metarep cluster` compares representations of any zoo"
        raise MetarepError(f"{zoo}: no 2-2-1 networks of two modes or more", fix=fix)
    if embeddings is not None:
        loaded = load_embeddings(embeddings)
        inputs[loaded.name] = loaded.artefact
    with writing(out, "scan", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        tables, about = measure(config, final, embeddings=embeddings, device=device, progress=progress)
        write_tables(folder, tables, about)
    return Path(out)


def labelled(networks: Zoo) -> Zoo:
    """The finished networks that have a mode."""
    final = networks.final()
    return final.select(final["mode"] != "")


def measure(
    config: ScanConfig,
    networks: Zoo,
    *,
    embeddings: Path | str | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[Tables, dict[str, Any]]:
    """The tables of the stage for finished networks that have a mode, and what metrics.json says.

    scan: an AUC a row. roc: the curves at fixed shares of negatives.
    """
    progress = progress or Progress()
    random = random_initialisations(config.n_random, seed=config.seed)
    embedded = align(load_embeddings(embeddings), networks, random, device=device) if embeddings is not None else None
    is_test = networks["split"] == "test"
    label_free = label_free_scans(networks.params, random)
    fitted = fitted_scans(config, networks, random, embedded) if is_test.any() else []
    beside = [one.on(is_test) for one in label_free] if is_test.any() else []
    tables: dict[str, list[dict]] = {"scan": [], "roc": []}
    work = [*label_free, *beside, *fitted]
    with progress.task("scan", len(work), "scans") as task:
        for one in work:
            mode = networks["mode"] if one.networks == ALL else networks["mode"][is_test]
            tables["scan"] += auc_rows(one, mode, config)
            if one not in beside:
                tables["roc"] += roc_rows(one, mode)
            task.advance(1, one.name)
    return tables, _about(config, [*label_free, *fitted], embedded, networks)


def _about(config: ScanConfig, scans: list[Scan], embedded: ScanVectors | None, networks: Zoo) -> dict[str, Any]:
    missing = "" if embedded else "no embeddings were given, so the scan by examples in an embedding was left out"
    about = {"positive": POSITIVE, "scans": [one.name for one in scans], "embedding": embedded.name if embedded else None}
    about |= {"n_networks": len(networks), "n_test": int((networks["split"] == "test").sum()), "left_out": missing}
    return about | {name: getattr(config, name) for name in ("n_examples", "n_example_draws", "n_random")}


def label_free_scans(params: np.ndarray, random: np.ndarray) -> list[Scan]:
    """The scans that fit nothing, of networks params (N, P)."""
    return [Scan(name, ALL, {ANY: (score(params)[None], score(random)[None])}) for name, score in SCORES.items()]


def fitted_scans(config: ScanConfig, networks: Zoo, random: np.ndarray, embedded: ScanVectors | None) -> list[Scan]:
    """The scans that see training networks, on test networks, for every mode that has training networks."""
    train, test = networks["split"] == "train", networks["split"] == "test"
    mode = networks["mode"][train]
    present = [m for m in MODES if (mode == m).any() and (mode != m).any()]
    # Initialisations to fit on; those to measure on have another seed.
    rest = random_initialisations(config.n_random, seed=config.seed + 1_000_003)
    linear = {m: linear_scores(networks.params[train], mode, rest, m, [networks.params[test], random]) for m in present}
    scans = [Scan(LINEAR, TEST, {m: (own[None], start[None]) for m, (own, start) in linear.items()})]
    if embedded is not None:
        train = train & embedded.held
        vectors, mode, asked = embedded.networks[train], networks["mode"][train], [embedded.networks[test], embedded.random]
        how = {"n_examples": config.n_examples, "n_draws": config.n_example_draws, "seed": config.seed}
        scans.append(Scan(EMBEDDING, TEST, {m: tuple(example_scores(vectors, mode == m, asked, **how)) for m in present}))
    return scans


def contests(one: Scan, mode: np.ndarray) -> Iterator[tuple[dict, np.ndarray, np.ndarray]]:
    """The columns that name it, scores (D, P) of a mode, and scores (D, Q) of what it is told from: random starts, each other
    mode, all of them; for every mode that is there, mode (N,), and that the scan can look for.
    """
    for positive in (m for m in MODES if (mode == m).any() and one.of(m) is not None):
        own, random = one.of(positive)
        rivals = {RANDOM: random, **{m: own[:, mode == m] for m in MODES if m != positive}, OTHERS: own[:, mode != positive]}
        for negative, others in rivals.items():
            if others.shape[1]:
                names = {"scan": one.name, "positive": positive, "negative": negative, "networks": one.networks}
                yield names, own[:, mode == positive], others


def auc_rows(one: Scan, mode: np.ndarray, config: ScanConfig) -> list[dict]:
    """Rows of scan.csv: the AUC of each mode against each class, of networks of modes (N,)."""
    rows = []
    for row, scores, others in contests(one, mode):
        found = auc_row("auc", scores, others, config.n_bootstraps, seed=config.seed)
        rows.append(row | {"n_positive": scores.shape[1], "n_negative": others.shape[1]} | found)
    return rows


def roc_rows(one: Scan, mode: np.ndarray) -> list[dict]:
    """Rows of roc.csv: the share of positives found at fixed shares of negatives."""
    rows = []
    for row, scores, others in contests(one, mode):
        curve = zip(FPR_GRID.tolist(), on_grid(scores, others).tolist(), strict=True)
        rows += [row | {"fpr": x, "tpr": y} for x, y in curve]
    return rows


class ScanScore(NamedTuple):
    """A score, and the share of random initialisations that score lower, in percent."""

    value: float
    percentile: float


def portray(params: np.ndarray, config: ScanConfig) -> dict[str, ScanScore]:
    """What the scans without labels say of one network params (9,), set against config.n_random initialisations."""
    random = random_initialisations(config.n_random, seed=config.seed)
    values = {name: (float(score(params[None])[0]), score(random)) for name, score in SCORES.items()}
    return {name: ScanScore(value, 100 * float((others < value).mean())) for name, (value, others) in values.items()}


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
