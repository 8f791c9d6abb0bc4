"""What probes read off the representations, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from metarep.report.results import Results, best_of, group_of, title_of, untrained_of
from metarep.report.wording import listed, num, relation

LINEAR_PROBE = "linear_balanced_accuracy"
NEIGHBOUR_PROBE = "nearest_neighbours_balanced_accuracy"


def probes(results: Results) -> str | None:
    """What can be read off the representations: the mode by two probes, the error by ridge regression."""
    parts = []
    for metric, title in ((LINEAR_PROBE, "a linear probe"), (NEIGHBOUR_PROBE, "nearest neighbours")):
        rows = results.probe("mode", metric)
        own = best_of(rows, [n for n in rows if group_of(n) == "cloze"], "mean")
        if own is None:
            continue
        text = f"From the best cloze embedding for it, {title_of(own)}, {title} tells the mode with balanced accuracy"
        text += f" {_probed(rows[own])} (dealt out anew: at most {num(rows[own]['null_p95'])})"
        against = [n for n in ("raw", untrained_of(rows, own, "mean")) if n in rows]
        against += [n for n in (best_of(rows, [n for n in rows if group_of(n) == "baseline"], "mean"),) if n not in against]
        said = [_against(rows, own, n) for n in against if n]
        exact = [f"{num(rows[n]['mean'], 3)} from {title_of(n)}" for n in rows if group_of(n) == "oracle"]
        text = f"{text}: {listed(said)}" if said else text
        parts.append(f"{text}; {listed(exact)}." if exact else f"{text}.")
    said = {
        ("log_error", "linear_r2"): "The logarithm of a network's error is read off linearly with R²",
        ("quadrant_code", LINEAR_PROBE): "The quadrant code is read off linearly with balanced accuracy",
    }
    for (target, metric), text in said.items():
        rows = results.probe(target, metric)
        own = best_of(rows, [n for n in rows if group_of(n) == "cloze"], "mean")
        rivals = [n for n in rows if group_of(n) == "baseline" and (n, target) != ("loss", "log_error")]  # which is the target
        best = best_of(rows, rivals, "mean")
        others = dict.fromkeys(n for n in ("raw", best, "oracle_quadrants") if n in rows)
        if own:
            against = [_against(rows, own, n) for n in others]
            parts.append(f"{text} {_probed(rows[own])} from {title_of(own)}" + (f": {listed(against)}." if against else "."))
    return " ".join(parts) or None


def _against(rows: Mapping[str, dict], own: str, other: str) -> str:
    """How one representation's figure lies to another's, by their intervals."""
    ends = ({"ari_low": rows[name]["low"], "ari_high": rows[name]["high"]} for name in (own, other))
    return f"{relation(*ends)} {title_of(other)} ({num(rows[other]['mean'], 3)})"


def _probed(row: dict) -> str:
    return f"{num(row['mean'], 3)} [{num(row['low'], 3)}, {num(row['high'], 3)}]"
