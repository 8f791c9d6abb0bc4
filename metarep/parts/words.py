"""What was found of a network's parts, in sentences computed from the tables."""

from __future__ import annotations

import numpy as np

from metarep.parts.alike import Found

SIGNIFICANT = 0.05


def sentences(found: dict[str, Found], n_params: int, n_shuffles: int) -> tuple[str, ...]:
    """In plain words: how many parts, whether they are more alike than in shuffled copies, what the clusters hold."""
    counts = ", ".join(f"{len(one.cluster):,} {kind}s" for kind, one in found.items())
    said = [
        f"{n_params:,} parameters, read in windows: {counts}. Null: {n_shuffles} copies in which the values of each tensor are "
        "shuffled."
    ]
    for kind, one in found.items():
        said += [null_sentence(kind, row) for row in one.tests]
        if one.k_curve:
            said.append(cluster_sentence(kind, one))
    return tuple(said)


def null_sentence(kind: str, row: dict) -> str:
    """One statistic beside its null."""
    verdict = "more than in shuffled copies" if row["p"] <= SIGNIFICANT else "no more than in shuffled copies"
    return (
        f"{kind.capitalize()}s, {row['statistic']}: {number(row['value'])}, shuffled {number(row['null_p05'])} to "
        f"{number(row['null_p95'])} (p = {row['p']:.2f}): {verdict}."
    )


def cluster_sentence(kind: str, one: Found) -> str:
    """How many clusters, their shares, and how far they are more than the group that a part is in."""
    from sklearn.metrics import adjusted_mutual_info_score

    share = [float(np.mean(one.cluster == number)) for number in np.unique(one.cluster)]
    ami = adjusted_mutual_info_score(one.parts.groups.astype(str), one.cluster)
    stable = next(row for row in one.k_curve if row["chosen"])
    shares = ", ".join(f"{s:.0%}" for s in share)
    return (
        f"{kind.capitalize()}s fall into {len(share)} clusters ({shares}; the one recovered worst in resamples: Jaccard "
        f"{stable['least_jaccard']:.2f}); with the group that a {kind} is in they share an AMI of {ami:.2f}."
    )


def number(value: float | None) -> str:
    """Three significant digits."""
    return "–" if value is None else f"{value:.3g}".replace("-", "−")
