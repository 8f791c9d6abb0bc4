"""The hand-built scan for mode 3, as published, measured on thousands of networks.

Source of the score: section 6 of the design. It was published with an AUC of 1.00 on two hand-picked
positives against 2,000 random initialisations.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from metarep.artefact import canonical_json, write_whole, writing
from metarep.config import ScanConfig
from metarep.errors import MetarepError
from metarep.networks.spec import NetworkSpec
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoo.store import Zoo, load_zoo

MULTIPLIER = NetworkSpec((2, 2, 1))
POSITIVE = "3"
RANDOM = "random"
OTHERS = "other modes"
WEIGHTS = (4, 2, 2, 1)
"""Of the four parts of the score."""

MAX_ROC_POINTS = 400


def scan_score(spec: NetworkSpec, params: np.ndarray) -> np.ndarray:
    """The published score (N,) of 2-2-1 networks (N, P): high for networks built like the hand-crafted one.

    With W hidden weight, b hidden bias, v output weight, c output bias, u = W·(1,1)/‖W·(1,1)‖ and
    θ the angle between u and (1,1): s1 = σ(1 − |1 − θ/(3π/4)|), s2 = cosine of softmax(−u) and
    softmax(b), s3 = mean σ(−v), s4 = σ(c); the score is (4 s1 + 2 s2 + 2 s3 + s4) / 9. Raises
    MetarepError for another architecture.
    """
    if spec != MULTIPLIER:
        raise MetarepError("the scan reads 2-2-1 networks", met=spec, expected=str(MULTIPLIER))
    (weight, bias), (out_weight, out_bias) = spec.unpack(np.asarray(params, np.float64))
    image = weight.sum(axis=-1)
    u = image / np.maximum(np.linalg.norm(image, axis=-1, keepdims=True), 1e-300)
    theta = np.arccos(np.clip(u.sum(axis=-1) / math.sqrt(2), -1, 1))
    a, b = _softmax(-u), _softmax(bias)
    cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    parts = (
        _sigmoid(1 - np.abs(1 - theta / (3 * math.pi / 4))),
        cosine,
        _sigmoid(-out_weight).mean(axis=(-1, -2)),
        _sigmoid(out_bias)[..., 0],
    )
    return sum(w * part for w, part in zip(WEIGHTS, parts, strict=True)) / sum(WEIGHTS)


def random_initialisations(n: int, *, seed: int) -> np.ndarray:
    """(n, 9): 2-2-1 networks as PyTorch's `Linear` starts them, uniform in ±1/√fan_in."""
    rng = np.random.default_rng(seed)
    return MULTIPLIER.pack(
        [
            (rng.uniform(-1, 1, (n, o, i)) / math.sqrt(i), rng.uniform(-1, 1, (n, o)) / math.sqrt(i))
            for (o, i), _ in MULTIPLIER.shapes
        ]
    )


def scan(
    config: ScanConfig,
    zoo: Path | str,
    out: Path | str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Scores every finished 2-2-1 network of a zoo into the folder `out`, which it returns.

    How well mode 3 is told from random initialisations, from each other mode and from all of them:
    AUC with a bootstrap interval. Nothing is fitted, so all splits count.
    """
    progress = progress or Progress()
    networks = load_zoo(zoo)
    inputs = {"zoo": networks.artefact}
    final = networks.final()
    final = final.select(final["mode"] != "")
    if not (final["mode"] == POSITIVE).any():
        raise MetarepError(f"{zoo}: no 2-2-1 network of mode {POSITIVE} to find", fix="scan a larger zoo")
    with writing(out, "scan", config=config.resolved(), seed=config.seed, inputs=inputs, overwrite=overwrite) as folder:
        random = scan_score(MULTIPLIER, random_initialisations(config.n_random, seed=config.seed))
        score, mode = scan_score(final.spec, final.params), final["mode"]
        negatives = {RANDOM: random, **{m: score[mode == m] for m in sorted(set(mode) - {POSITIVE})}}
        negatives[OTHERS] = score[mode != POSITIVE]
        rows, curves = [], []
        with progress.task("scan", len(negatives), "comparisons") as task:
            for name, negative in negatives.items():
                if len(negative):
                    rows.append(auc_row(name, score[mode == POSITIVE], negative, config))
                    curves += roc_rows(name, score[mode == POSITIVE], negative)
                task.advance(1, name)
        write_whole(folder / "scan.csv", to_csv(rows))
        write_whole(folder / "roc.csv", to_csv(curves))
        write_whole(folder / "scores.csv", to_csv(score_rows(final, score, random)))
        write_whole(folder / "metrics.json", canonical_json({"positive": POSITIVE, "auc": rows}) + "\n")
    return Path(out)


def auc_row(name: str, positive: np.ndarray, negative: np.ndarray, config: ScanConfig) -> dict:
    """A row of scan.csv: the AUC and its 95 % bootstrap interval over networks of both classes."""
    rng = np.random.default_rng(config.seed)
    draws = [auc(rng.choice(positive, len(positive)), rng.choice(negative, len(negative))) for _ in range(config.n_bootstraps)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "positive": POSITIVE,
        "negative": name,
        "n_positive": len(positive),
        "n_negative": len(negative),
        "auc": auc(positive, negative),
        "auc_low": float(low),
        "auc_high": float(high),
    }


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties counting half."""
    labels = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
    return float(roc_auc_score(labels, np.r_[positive, negative]))


def roc_rows(name: str, positive: np.ndarray, negative: np.ndarray) -> list[dict]:
    """Rows of roc.csv, thinned to at most 400 points."""
    labels = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
    fpr, tpr, _ = roc_curve(labels, np.r_[positive, negative])
    kept = np.unique(np.linspace(0, len(fpr) - 1, MAX_ROC_POINTS).astype(int))
    return [{"negative": name, "fpr": float(fpr[i]), "tpr": float(tpr[i])} for i in kept]


def score_rows(zoo: Zoo, score: np.ndarray, random: np.ndarray) -> list[dict]:
    """Rows of scores.csv: every network, then the random initialisations as mode "random"."""
    named = zip(zoo["network_id"], zoo["mode"], score, strict=True)
    rows = [{"network_id": name, "mode": mode, "score": float(value)} for name, mode, value in named]
    return rows + [{"network_id": f"{RANDOM}-{i}", "mode": RANDOM, "score": float(v)} for i, v in enumerate(random)]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _softmax(x: np.ndarray) -> np.ndarray:
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)
