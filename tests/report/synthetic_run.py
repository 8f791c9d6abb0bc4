"""A small run folder whose figures are chosen, not computed: every stage in the formats of the design, in a second.

To look at a page: python tests/report/synthetic_run.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np

from metarep.artefact import canonical_json, open_artefact, write_whole, writing
from metarep.domains.multiplier.domain import DOMAIN, columns_of
from metarep.domains.multiplier.modes import MODES, MULTIPLIER
from metarep.domains.multiplier.scan import random_initialisations
from metarep.networks.spec import NetworkSpec
from metarep.tables import to_csv
from metarep.zoos.columns import Contents, write_columns

PROFILE, UNTRAINED = "profile", "profile (untrained)"
ARI = {PROFILE: 0.5, UNTRAINED: 0.3, "raw": 0.1, "canonical": 0.2, "oracle": 0.7}
SCAN_AUC = 0.8
CONTROL = "random_initialisations"
LABELS = {"mode": 0.0, "sign_pattern": -0.05}
"""Labels that clusters are compared with, and by how much they agree more than with the modes."""


def known(representation):
    """The columns that say what a representation is."""
    name, _, other = representation.partition(" (")
    model, _, kind = name.rpartition("/")
    is_embedding = bool(model or other) or name in ("profile", "pooled", "certainty", "states")
    columns = {"model": (model or "model") if is_embedding else "", "kind": kind, "untrained": int(bool(other))}
    return {"representation": representation} | columns


def origin(representation):
    """Where a representation comes from, and what it is."""
    oracle = representation.startswith("oracle")
    found = "embedding" if known(representation)["model"] else "oracle" if oracle else "baseline"
    return {"origin": found, "description": f"what {representation} is", "n_dimensions": 8}


def write_run(
    folder: Path,
    *,
    ari=None,
    scan_auc=SCAN_AUC,
    null_ari=0.01,
    n=200,
    stages=("model", "masked_r2", "clusters", "scan", "parts", "audit", "transfer"),
):
    """Writes a run; `ari` {representation: agreement of k-means with the modes} decides what the report has to say."""
    names, mode = write_zoo(folder / "zoo", n=n)
    source = open_artefact(folder / "zoo")
    makers = {
        "model": lambda: {"log.csv": log_rows()},
        "masked_r2": lambda: {"masked_r2.csv": masked_rows()},
        "clusters": lambda: cluster_tables(names, mode, ari or ARI, null_ari),
        "scan": lambda: scan_tables(scan_auc),
        "parts": lambda: {"tests.csv": parts_rows()},
        "audit": lambda: {"audit.csv": audit_rows()},
        "transfer": lambda: {"transfer.csv": transfer_rows()},
    }
    metrics = {
        "clusters": {"rule_for_k": "the largest stable k", "n_train": n - len(names[::4]), "n_test": len(names[::4])},
        "scan": {"positive": "3"},
        "transfer": transfer_metrics(),
    }
    for stage in stages:
        inputs = {"source" if stage == "transfer" else "zoo": source}
        with writing(folder / stage, stage, config={}, seed=0, inputs=inputs) as path:
            for name, rows in makers[stage]().items():
                write_whole(path / name, to_csv(rows))
            if stage in metrics:
                write_whole(path / "metrics.json", canonical_json(metrics[stage]))
    return folder


def write_zoo(path: Path, *, n: int, n_diverged: int = 3, spec: NetworkSpec = MULTIPLIER):
    """Writes a zoo of random starts, of which the last ones diverged; returns ids and modes of the finished ones."""
    rng = np.random.default_rng(0)
    params = random_initialisations(n, seed=0) if spec == MULTIPLIER else rng.standard_normal((n, spec.n_params))
    params[n - n_diverged :] = np.nan
    own = columns_of(spec, params)
    names = np.array([f"e09-{i}" for i in range(n)], dtype=object)
    columns = {
        "network_id": names,
        "run_id": names,
        "seed": np.arange(n),
        "variant": ["e09"] * n,
        "spec": [str(spec)] * n,
        "step": np.full(n, 4000),
        "snapshot_of": [""] * n,
        "params": params.astype(np.float32),
        "log_error": rng.normal(-2.5, 0.3, n),
        "finite": np.arange(n) < n - n_diverged,
        "split": ["test" if i % 4 == 0 else "train" for i in range(n)],
        **own,
    }
    labels = tuple(name for name in DOMAIN.labels if len(set(own[name]) - {""}) > 1)
    with writing(path, "zoo", config={}, seed=0) as folder:
        write_columns(folder / "shard-00000.parquet", columns, Contents("multiplier", labels, ("log_error",)))
    return names[: n - n_diverged], own["mode"][: n - n_diverged]


def log_rows():
    """A pretraining curve."""
    steps = range(100, 1100, 100)
    return [
        {"step": s, "train_loss": 1 + 30 / s, "valid_loss": 1 + 40 / s, "valid_r2": 0.8 - 20 / s, "lr": 1e-3} for s in steps
    ]


def masked_rows():
    """Masked R² of three predictors."""
    level = {"cloze": 0.8, "mean": 0.0, "linear_gaussian": 0.5}
    groups = [("all", "all"), ("kind", "weight"), ("kind", "bias"), ("slot", "w0[·,0]"), ("slot", "b1[0]")]
    groups += [("mode", mode) for mode in MODES]
    return [
        {"masking": masking, "ratio": ratio, "predictor": p, "group": g, "member": m, "metric": "r2"}
        | {"value": r2 - 0.1 * (m == "1"), "low": r2 - 0.15, "high": r2 + 0.05, "null": -r2, "n": 100}
        for masking, ratio in (("leave one out", None), ("random", 0.5))
        for p, r2 in level.items()
        for g, m in groups
    ]


def seed_row(k, other_k, value, chosen):
    """A row of seeds.csv."""
    row = {"representation": PROFILE, "model": "model", "other": "seed1/profile", "other_model": "seed1"}
    row |= {"clusterer": "kmeans", "space": "native", "k": k, "other_k": other_k, "chosen": chosen, "metric": "ari"}
    return row | {"value": value, "low": value - 0.02, "high": value + 0.02, "null": 0.01, "n": 50}


def cluster_tables(names, mode, ari, null_ari):
    """The tables of the comparison: three clusters of every representation, intervals of ±0.05."""
    tables = {f"{name}.csv": [] for name in ("representations", "agreement", "probes", "k_curve", "assignments", "umap")}
    tables["seeds.csv"] = [seed_row(*row) for row in ((2, 2, 0.9, 0), (3, 3, 0.8, 0), (3, 5, 0.6, 1))]
    rng = np.random.default_rng(1)
    cluster = rng.integers(0, 3, len(names))
    for number, (representation, value) in enumerate(ari.items()):
        base = known(representation)
        tables["representations.csv"].append(base | origin(representation))
        for clusterer, space in (("kmeans", "native"), ("hdbscan", "umap")):
            for k in (2, 3, 5):
                arm = base | {"clusterer": clusterer, "space": space, "k": k, "chosen": int(k == 3)}
                tables["k_curve.csv"].append(arm | {"stability": 0.95})
                tables["agreement.csv"] += agreement_rows(arm, value - 0.01 * abs(k - 3), null_ari)
        tables["probes.csv"] += probe_rows(base, 0.9 - 0.05 * number)
        for i, name in enumerate(names):
            split = "test" if i % 4 == 0 else "train"
            place = {"network_id": name, "cluster": int(cluster[i]), "distance_to_centre": float(i + 1), "split": split}
            tables["assignments.csv"].append(base | place)
            if split == "test":
                tables["umap.csv"].append(base | {"network_id": name, "x": float(rng.normal()), "y": float(cluster[i])})
        if number == 0:
            tables |= {name: [base | row for row in rows] for name, rows in description_tables(range(3)).items()}
    return {name: rows for name, rows in tables.items() if rows}


def agreement_rows(arm, ari, null):
    """Rows of agreement.csv."""
    return [
        arm
        | {"label": label, "metric": metric, "value": ari + more}
        | {"low": ari + more - 0.05, "high": ari + more + 0.05, "null": null, "n": 50, "n_runs": 50}
        for label, more in LABELS.items()
        for metric in ("ari", "ami")
    ]


def probe_rows(base, accuracy):
    """Rows of probes.csv."""
    found = []
    for target in LABELS:
        for probe in ("linear", "nearest_neighbours"):
            scores = {"value": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.01, "null": 0.22, "n": 50, "n_runs": 50}
            found.append(base | {"target": target, "probe": probe, "metric": "balanced_accuracy"} | scores)
    scores = {"value": 0.6, "low": 0.58, "high": 0.62, "null": -0.5, "n": 50, "n_runs": 50}
    return [*found, base | {"target": "log_error", "probe": "linear", "metric": "r2"} | scores]


def description_tables(clusters):
    """descriptions.csv, rules.csv and unexplained.csv: the fact sets the first cluster apart, the number the last one."""
    tables = {"descriptions.csv": [], "rules.csv": []}
    for cluster in clusters:
        fact, number = float(cluster == 0), 0.8 * cluster - 0.8
        rows = [
            effect_row(cluster, "both units are off everywhere", fact, is_fact=1),
            effect_row(cluster, "output bias", number),
        ]
        tables["descriptions.csv"] += rows
        tables["rules.csv"].append(rule_row(cluster, "the output bias is above 0.5", 0.9 - 0.3 * cluster))
    return tables | {"unexplained.csv": unexplained_rows()}


def effect_row(cluster, name, effect, *, is_fact=0, n=20):
    """A row of descriptions.csv, its interval ±0.1."""
    row = {"cluster": cluster, "rank": 1, "property": name, "family": "areas" if is_fact else "sizes and directions"}
    row |= {"is_fact": is_fact, "said": 1 + (not is_fact), "effect_train": effect, "effect": effect}
    row |= {"effect_low": effect - 0.1, "effect_high": effect + 0.1, "inside": 0.9, "inside_low": 0.8, "inside_high": 0.95}
    return row | {"outside": -0.2 if not is_fact else 0.1, "n": n}


def rule_row(cluster, rule, precision, *, n_caught=30):
    """A row of rules.csv whose recall is 0.9."""
    row = {"cluster": cluster, "rule": rule, "n": 20, "n_caught": n_caught, "share": 0.3, "f1_train": 0.9}
    row |= {"precision": precision, "precision_low": precision - 0.1, "precision_high": precision + 0.1}
    return row | {"recall": 0.9, "recall_low": 0.8, "recall_high": 0.95}


def unexplained_rows(*, best=0.3, p=0.005, start_p=0.3, everything=0.9):
    """unexplained.csv: the labels tell 0.4 and 0.5, the error `best` of the rest, the start of training 0.1."""

    def row(kind, name, share, p, scope="all", family=""):
        figures = {"what": kind, "scope": scope, "property": name, "family": family, "share": share}
        figures |= {"low": share - 0.02, "high": share + 0.02, "null": 0.01, "p": p, "n": 50, "n_clusters": 3}
        return figures | {"bits": 1.5}

    rows = [row("labels", "mode", 0.4, 0.005), row("labels", "mode + quadrant_code", 0.5, 0.005)]
    rows += [row("step", "error", best, p, family="error"), row("step", "output bias", 0.1, p, family="sizes and directions")]
    rows.append(row("everything", "every property", everything, float("nan")))
    for scope in ("all", "mode 3"):
        rows.append(row("property", "error", best, p, scope, "error"))
        rows.append(row("property", "output bias at the start", 0.1, start_p, scope, "initialisation"))
    return rows


def scan_tables(auc):
    """The scans' tables; the curves only look like curves. `auc` is the published score's; the linear scan has 0.1 more."""
    negatives = ("random", "1", "2", "other modes")
    tables = {"scan.csv": [], "roc.csv": []}
    at = np.linspace(0, 1, 20)
    for scan, networks, value in (("published", "all", auc), ("published", "test", auc), ("linear", "test", auc + 0.1)):
        figures = {"auc": value, "auc_low": value - 0.04, "auc_high": value + 0.04}
        for positive in ("2", "3"):
            row = {"scan": scan, "positive": positive, "networks": networks}
            sizes = {"n_positive": 60, "n_negative": 50}
            tables["scan.csv"] += [row | {"negative": n} | sizes | figures for n in negatives]
            curve = [{"fpr": float(x), "tpr": float(x**0.5)} for x in at]
            tables["roc.csv"] += [row | {"negative": n} | point for n in negatives for point in curve]
    return tables


MODES_READ, RIGHT = ("mode", "linear", "balanced_accuracy"), ("mode", "linear", "accuracy")
MASKED, ERROR = ("", "", "masked_r2"), ("log_error", "linear", "r2")
TRANSFER = {
    ("unseen_seeds", "cloze", MASKED): (0.8, -0.7),
    ("unseen_seeds", "linear_gaussian", MASKED): (0.5, -0.5),
    ("unseen_seeds", PROFILE, MODES_READ): (0.85, 0.2),
    ("unseen_seeds", PROFILE, RIGHT): (0.8, 0.3),
    ("unseen_seeds", PROFILE, ERROR): (0.7, -0.3),
    ("e07", "cloze", MASKED): (0.81, 0.81),
    ("e07", PROFILE, MODES_READ): (0.4, 0.4),
    ("e07", PROFILE, RIGHT): (0.4, 0.4),
    (CONTROL, "cloze", MASKED): (-2.3, -2.4),
    (CONTROL, PROFILE, MODES_READ): (0.21, 0.2),
}
"""{(target, representation, (label, probe, metric)): (value, the same with predictions permuted)}."""


def transfer_rows():
    """transfer.csv, with intervals of ±0.05."""
    return [
        {"representation": r, "model": "model", "kind": "", "target": t, "label": label, "probe": probe, "metric": metric}
        | {"value": v, "low": v - 0.05, "high": v + 0.05, "null": null, "n": 50}
        for (t, r, (label, probe, metric)), (v, null) in TRANSFER.items()
    ]


def parts_rows():
    """tests.csv of the parts of one network."""
    row = {"statistic": "mean similarity of the nearest part", "value": 0.6, "null_p05": 0.1, "null_p95": 0.4, "p": 0.05}
    return [{"part": part} | row for part in ("unit", "layer")]


def audit_rows():
    """audit.csv, with intervals of ±0.05."""
    how = {"function": "equal", "n_networks": 50, "n_runs": 50, "output_change": 0.0}
    return [
        {"representation": PROFILE, "rewriting": name, "metric": metric, "value": v, "low": v - 0.05, "high": v + 0.05, **how}
        for name, median in (("permuted", 0.0), ("widened", 0.4))
        for metric, v in (("median", median), ("p90", 2 * median))
    ]


def transfer_metrics():
    """The transfer stage's metrics.json."""
    counts = {"unseen_seeds": {"2": 20, "3": 30}, "e07": {"3": 50}, CONTROL: {"1": 10, "3": 40}}
    return {"control": CONTROL, "label": "mode", "targets": counts}


if __name__ == "__main__":
    write_run(Path(sys.argv[1]))
