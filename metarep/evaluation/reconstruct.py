"""The stage that decodes networks: how much of them and of what they do comes back, beside simpler codes of the same width.

- "decoder": vectors of the model, through its bottleneck, decoded.
- "pca": principal components of the normalised values in canonical order, as many as the bottleneck is wide.
- "nearest": the training network whose vector is nearest.
- "mean": the mean training network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from metarep.artefact import Artefact, open_artefact, write_whole, writing
from metarep.errors import MetarepError
from metarep.evaluation.resampling import accuracy, class_metric, explained, interval, resamples
from metarep.evaluation.settings import ReconstructConfig
from metarep.model.data import WholeNetworks, forward_of
from metarep.model.pretraining import load_model
from metarep.model.reconstruction import Reconstruction
from metarep.model.settings import PretrainConfig
from metarep.networks.tensor_symmetry import canonical
from metarep.progress import Progress
from metarep.tables import to_csv
from metarep.zoos.domain import domain_of
from metarep.zoos.zoo import Zoo, open_zoo

Tensors = Mapping[str, torch.Tensor]

STEPS = 7
"""Networks on the way from one to another."""


def reconstruct(
    config: ReconstructConfig,
    model: Path | str,
    zoo: Path | str,
    out: Path | str,
    *,
    draw: Callable[[Sequence[Sequence[np.ndarray]], int, tuple[float, float]], bytes] | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Decodes the test networks of a zoo, into `out`/reconstruction.csv; returns `out`.

    `draw` makes the PNG of a figure from rows of networks' outputs on a grid of their inputs, the number of inputs and their
    range. Raises MetarepError for a model without a decoder, and for networks of several or of another architecture.
    """
    progress = progress or Progress()
    network_model, trained = load_model(model, device=device), open_artefact(model, "model")
    subjects = open_zoo(zoo).finite().final()
    inputs = {"model": trained, "zoo": subjects.artefact}
    how = {"config": config.resolved(), "seed": config.seed, "inputs": inputs, "overwrite": overwrite}
    with writing(out, "reconstruction", **how) as folder, progress.task("reconstruct", 1, "zoo") as task, torch.no_grad():
        decoding = Decoding(config, network_model, trained, subjects)
        write_whole(folder / "reconstruction.csv", to_csv(decoding.rows()))
        if draw is not None and decoding.is_drawn:
            for name, rows in (("between", decoding.between()), ("sampled", decoding.sampled())):
                write_whole(folder / f"{name}.png", draw(rows, decoding.forward.n_inputs, decoding.range))
        task.advance(1)
    return Path(out)


class Decoding:
    """Training and test networks with their vectors, and every code of them."""

    def __init__(self, config: ReconstructConfig, model, trained: Artefact, subjects: Zoo):
        if model.rebuilder is None:
            raise MetarepError("the model has no decoder", fix="pretrain it with --set decoder=true or objective=autoencoder")
        if len(subjects.architectures) != 1:
            met = f"{len(subjects.architectures)} architectures"
            raise MetarepError("a decoder is for networks of one architecture", met=met, fix="choose one with --include")
        self.config, self.subjects = config, subjects
        symmetries, pretrained = subjects.symmetries[0], PretrainConfig(**trained.config)
        plan, self.forward = model.plan_of(subjects.architectures[0], symmetries), forward_of(subjects, 0, pretrained)
        train, self.test = (
            np.flatnonzero(subjects.split == split)[:most]
            for split, most in (("train", config.max_fit_networks), ("test", config.max_test_networks))
        )
        if len(train) < 2 or len(self.test) < 2:
            raise MetarepError("too few networks to reconstruct", met=f"{len(train)} to fit on and {len(self.test)} to decode")
        self.fitted, self.truth = (canonical(subjects.stacked(rows), symmetries, n_lead=1) for rows in (train, self.test))
        self.codec = Reconstruction(model, WholeNetworks(self.fitted, plan, symmetries, self.forward))
        n_decoded = model.rebuilder[-1].out_features
        if plan.shapes[0].layout.present.numel() != n_decoded:
            raise MetarepError("the decoder is for another architecture", met=f"{n_decoded} values a network")
        self.fitted_vectors, self.vectors = (self.codec.vectors(some) for some in (self.fitted, self.truth))
        self.fitted_values = self.codec.values(self.fitted)
        low, high = pretrained.probe_range
        generator = torch.Generator().manual_seed(config.seed)
        n_inputs = 1 if self.forward is None else self.forward.n_inputs
        self.inputs = low + (high - low) * torch.rand(config.n_inputs, n_inputs, generator=generator)
        self.range = low, high

    @property
    def is_drawn(self) -> bool:
        """Whether networks have a picture: their outputs over one or two inputs."""
        return self.forward is not None and self.forward.n_inputs <= 2 and self.forward.n_outputs == 1

    def codes(self) -> dict[str, torch.Tensor]:
        """What each code makes of the test networks: their normalised values (N, T · C)."""
        width, truth = self.vectors.shape[1], self.codec.values(self.truth).numpy()
        fitted = self.fitted_values.numpy()
        pca = PCA(min(width, *fitted.shape)).fit(fitted)
        nearest = NearestNeighbors(n_neighbors=1).fit(self.fitted_vectors.numpy()).kneighbors(self.vectors.numpy())[1][:, 0]
        return {
            "decoder": self.codec.model.rebuilder(self.vectors),
            "pca": torch.from_numpy(pca.inverse_transform(pca.transform(truth)).astype(np.float32)),
            "nearest": self.fitted_values[nearest],
            "mean": self.fitted_values.mean(dim=0).expand(len(truth), -1),
        }

    def rows(self) -> list[dict]:
        """Rows (code, width, metric, value, low, high, null, n, n_runs): R² of normalised values, of outputs, and by label of
        the domain how many networks keep theirs.
        """
        run = self.subjects.run_id[self.test].astype(str)
        weights = resamples(self.config.n_bootstraps, len(run), seed=self.config.seed, groups=run)
        about = {"width": self.vectors.shape[1], "n": len(run), "n_runs": len(set(run.tolist()))}
        rows = []
        for code, values in self.codes().items():
            target, networks = self.codec.nearest_order(values, self.truth), self.codec.networks(values)
            rows.append({"code": code, "metric": "parameter_r2", **_r2(values, target, weights, about["n_runs"]), **about})
            if self.forward is not None:
                found, truth = (self.forward.outputs(some, self.inputs).flatten(1) for some in (networks, self.truth))
                rows.append({"code": code, "metric": "output_r2", **_r2(found, truth, weights, about["n_runs"]), **about})
            for label, kept in self._labels_of(networks).items():
                known = self.subjects.label(label)[self.test]
                scores = class_metric(known, kept, score=accuracy, seed=self.config.seed, groups=run)
                rows.append({"code": code, "metric": f"{label} kept", **scores, **about})
        return rows

    def _labels_of(self, networks: Tensors) -> dict[str, np.ndarray]:
        """The labels that the domain gives to networks, of those that the zoo has."""
        domain = domain_of(self.subjects)
        if domain is None or domain.columns_of is None or "spec" not in self.subjects:
            return {}
        names = [one.name for one in self.subjects.architectures[0].tensors]
        params = np.concatenate([networks[name].flatten(1).numpy() for name in names], axis=1)
        columns = domain.columns_of(self.subjects.spec, params)
        return {name: columns[name].astype(str) for name in self.subjects.labels if name in columns}

    def between(self) -> list[list[np.ndarray]]:
        """Rows of networks' outputs on a grid: decoded on the straight line from one test network's vector to another's."""
        pairs = np.random.default_rng(self.config.seed).permutation(len(self.test))[: 2 * self.config.n_drawn].reshape(-1, 2)
        shares = torch.linspace(0, 1, STEPS)[:, None]
        return [self._drawn(self.vectors[a] + shares * (self.vectors[b] - self.vectors[a])) for a, b in pairs]

    def sampled(self) -> list[list[np.ndarray]]:
        """The same of vectors drawn from a Gaussian mixture that was fitted to those of training networks."""
        n = min(self.config.n_components, len(self.fitted_vectors) // 2)
        density = GaussianMixture(n, reg_covar=1e-4, random_state=self.config.seed).fit(self.fitted_vectors.double().numpy())
        drawn = np.random.default_rng(self.config.seed).permutation(density.sample(STEPS * self.config.n_drawn)[0])
        return [self._drawn(some) for some in torch.from_numpy(drawn).float().split(STEPS)]

    def _drawn(self, vectors: torch.Tensor) -> list[np.ndarray]:
        axis = torch.linspace(*self.range, 48)
        grid = torch.cartesian_prod(*[axis] * self.forward.n_inputs).view(-1, self.forward.n_inputs)
        return list(self.forward.outputs(self.codec.decoded(vectors), grid)[..., 0].numpy())


def _r2(found: torch.Tensor, truth: torch.Tensor, weights: np.ndarray, n_runs: int) -> dict[str, float]:
    """The share of the variance of values (N, V) about their means that is explained, and its interval."""
    found, truth = found.double().numpy(), truth.double().numpy()
    left = np.square(truth - found).sum(axis=1)
    n, first, second = weights.sum(axis=1), weights @ truth, weights @ np.square(truth)
    draws = explained(weights @ left, (second - np.square(first) / n[:, None]).sum(axis=1))
    low, high = interval(draws[1:], n_runs)
    return {"value": float(draws[0]), "low": low, "high": high, "null": 0.0}


def sentence(rows: Sequence[Mapping]) -> str:
    """How much of the test networks the decoder brings back, beside principal components of the same width."""
    ours, pca = ({row["metric"]: row for row in rows if row["code"] == code} for code in ("decoder", "pca"))
    parts = []
    for metric, row in ours.items():
        ends = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        parts.append(f"{metric.replace('_r2', ' R²')} {ends} (principal components {pca[metric]['value']:.2f})")
    return f"decoded from {rows[0]['width']} numbers a network: {', '.join(parts)}"
