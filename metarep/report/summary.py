"""The report in plain words. Every sentence follows from the tables; none claims anything beforehand.

Two agreements differ "clearly" where their 95 % intervals do not overlap, which is stricter than
testing their difference. Of probes, less than 0.02 between them counts as level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metarep.domains.multiplier.figures import scans
from metarep.domains.multiplier.modes import MODE_NAMES
from metarep.evaluation.clusters import UMAP_PREFIX
from metarep.report import probe_words
from metarep.report.probe_words import LINEAR_PROBE
from metarep.report.results import MAIN_CLUSTERER, Results, best_of, group_of, mode_rows, title_of, untrained_of
from metarep.report.wording import (
    LEVEL,
    ari,
    auc,
    clusterer_title,
    compare,
    listed,
    num,
    relation,
    share,
    sign,
    target_title,
    times,
)

FEW_TEST_NETWORKS = 300
NEARLY_ALL = 0.99
"""Where one mode has so large a share of a target's networks, balanced accuracy hangs on the few others."""

MOSTLY = 0.9
"""Where shuffled predictions reach so large a part of an R², it says little of single networks."""

CHANCE_AUC = 0.5
PUBLISHED_AUC = "1.00 on two hand-picked networks"


@dataclass(frozen=True)
class Finding:
    """A topic and the sentences that the tables allow on it."""

    topic: str
    text: str


def findings(results: Results) -> list[Finding]:
    """Everything that can be said; topics whose stage was not run are left out."""
    makers = (caution, zoo, cloze, leader, pretraining, stability, arms, chance, ceiling, probes, scan, transfer, control)
    return [finding for finding in (make(results) for make in makers) if finding]


def headline(results: Results) -> str:
    """One sentence on the question of the run: do the cloze embeddings show the modes better than what is simpler?"""
    rows, name = results.chosen.get(MAIN_CLUSTERER, {}), results.shown
    if name is None:
        return f"{len(results.zoo):,} small networks were trained; no cloze embedding of them has been compared yet."
    parts = []
    for other in _rivals(rows, name):
        word = {1: "clearly better than", 0: "about as well as", -1: "clearly worse than"}[compare(rows[name], rows[other])]
        parts.append(f"{word} {title_of(other)} ({num(rows[other]['ari'])})")
    start = (
        f"Clusters of the {title_of(name)} embedding agree with the modes (adjusted Rand index {ari(rows[name])}, where 1 is"
    )
    return f"{start} perfect and 0 is chance) {listed(parts)}." if parts else f"{start} perfect and 0 is chance)."


def caution(results: Results) -> Finding | None:
    """Says so where there are too few test networks for the rest to mean much."""
    n = results.metrics.get("clusters", {}).get("n_test")
    if n is None or n >= FEW_TEST_NETWORKS:
        return None
    return Finding("Caution", f"The comparison rests on {n:,} test networks only; read the intervals before the figures.")


def zoo(results: Results) -> Finding:
    """How many networks there are, which modes they have, how well they multiply."""
    networks, rows = results.zoo, mode_rows(results)
    n_diverged = int((~networks["finite"]).sum())
    kept = "none diverged" if n_diverged == 0 else f"{n_diverged:,} diverged, are flagged and left out of what follows"
    variants = listed(sorted(set(networks["variant"])))
    text = f"The zoo holds {len(networks):,} networks ({', '.join(sorted(set(networks['spec'])))}; recipe {variants}); {kept}."
    if not rows:
        return Finding("The zoo", f"{text} Modes are defined for 2-2-1 networks, of which it has none.")
    most = max(rows, key=lambda row: row["n"])
    text += f" Mode {most['mode']} ({MODE_NAMES[most['mode']]}) is the most common, {share(most)}."
    if len(rows) > 1:
        least = min(rows, key=lambda row: row["n"])
        good, bad = (pick(rows, key=lambda row: row["mse_median"]) for pick in (min, max))
        text += f" Mode {least['mode']} is the rarest, {share(least)}."
        text += f" Mode {good['mode']} multiplies best (median error {good['mse_median']:.2g}),"
        text += f" mode {bad['mode']} worst ({bad['mse_median']:.2g}, {times(bad['mse_median'] / good['mse_median'])} that)."
    return Finding("The zoo", text)


def cloze(results: Results) -> Finding | None:
    """How much of hidden parameters the model knows, beside the simple predictors."""
    rows = masked_rows(results, "leave_one_out")
    whole = {r["predictor"]: r for r in rows if r["group"] == "all"}
    r2 = {name: float(r["r2"]) for name, r in whole.items()}
    if "cloze" not in r2:
        return None
    rivals = listed([f"{num(r2[n])} for the {title_of(n)}" for n in ("linear_gaussian", "unit_norm", "mean") if n in r2])
    text = f"With one parameter of an unseen network hidden, the cloze model predicts it with R² {num(r2['cloze'])}"
    if "null_p95" in whole["cloze"]:
        low, high, null = (num(float(whole["cloze"][name])) for name in ("low", "high", "null_p95"))
        text += f" [{low}, {high}] (its predictions for other networks: at most {null})"
    text += f", against {rivals}." if rivals else "."
    if "linear_gaussian" in r2:
        gain = r2["cloze"] - r2["linear_gaussian"]
        text += {
            1: " So the parameters of a trained network tell of each other beyond linear relations.",
            0: " So it knows no more than linear relations tell.",
            -1: " So it knows less than linear relations tell.",
        }[sign(gain)]
    own = [r for r in rows if r["group"] == "mode" and r["predictor"] == "cloze"]
    modes = {r["value"]: float(r["r2"]) for r in own if not math.isnan(float(r["r2"]))}
    if len(modes) > 1:
        best, worst = max(modes, key=modes.get), min(modes, key=modes.get)
        text += f" It is best on networks of mode {best} ({num(modes[best])}) and worst on mode {worst} ({num(modes[worst])})."
    return Finding("The cloze test", text)


def leader(results: Results) -> Finding | None:
    """Which representation's clusters agree best with the modes, at the chosen k and at one k for all."""
    rows = results.chosen.get(MAIN_CLUSTERER, {})
    ranked = sorted((name for name in rows if group_of(name) != "oracle"), key=lambda name: -rows[name]["ari"])
    if not ranked:
        return None
    first = ranked[0]
    text = "With k chosen for each without looking at a label, k-means agrees best with the modes on"
    text += f" {title_of(first)} (ARI {ari(rows[first])}, k = {rows[first]['k']})"
    if len(ranked) > 1:
        second = ranked[1]
        clear = "clearly ahead of" if compare(rows[first], rows[second]) > 0 else "not clearly ahead of"
        text += f", {clear} {title_of(second)} ({ari(rows[second])}, k = {rows[second]['k']})"
    n_modes = len(results.present_modes)
    same = results.at_k(n_modes)
    best = best_of(same, [name for name in same if group_of(name) != "oracle"])
    if best:
        which = "the same leads" if best == first else f"{title_of(best)} leads"
        text += f". With k = {n_modes} for all, as many clusters as there are modes, {which} ({ari(same[best])})"
    return Finding("Which representation leads", text + ".")


def pretraining(results: Results) -> Finding | None:
    """The embedding named first against raw parameters, the encoder that was never trained and the best baseline."""
    rows, name = results.chosen.get(MAIN_CLUSTERER, {}), results.shown
    if name is None:
        return None
    others = [n for n in rows if group_of(n) == "cloze" and n != name]
    text = f"The embedding that the settings name first is {title_of(name)}, with {ari(rows[name])} (k = {rows[name]['k']})"
    figures = listed([f"{title_of(n)}: {num(rows[n]['ari'])}" for n in others])
    text += f"; the others are {figures}." if others else "."
    for other in _rivals(rows, name):
        text += f" It is {relation(rows[name], rows[other])} {title_of(other)} ({ari(rows[other])})."
    same = results.at_k(len(results.present_modes))
    rivals = [f"{num(same[n]['ari'])} for {title_of(n)}" for n in _rivals(same, name)] if name in same else []
    if rivals:
        text += f" With k = {len(results.present_modes)} for all it is {num(same[name]['ari'])}, against {listed(rivals)}."
    return Finding("Does pretraining help to see the modes?", text)


def stability(results: Results) -> Finding | None:
    """Whether other resamples and other pretraining seeds give the same clusters, at the chosen k of the embedding shown."""
    name, parts = results.shown, []
    for clusterer, rows in results.chosen.items():
        if name not in rows or clusterer.startswith(UMAP_PREFIX):
            continue
        row = rows[name]
        text = f"With {clusterer_title(clusterer)} (k = {row['k']}) bootstraps agree with an ARI of {num(row['stability_ari'])}"
        pairs = [r for r in results.table("clusters/seeds") if name in (r["representation"], r["other"])]
        pairs = [r for r in pairs if r["clusterer"] == clusterer]
        same = [r for r in pairs if r["k"] == r.get("other_k", r["k"]) == row["k"]]
        text += f" and pretraining seeds with {_least_of(same)}" if same else ""
        chosen = [r for r in pairs if r.get("chosen")]
        if any(r["k"] != r["other_k"] for r in chosen):
            text += f"; where each pretraining seed chooses its own k, they agree with {_least_of(chosen)}"
        parts.append(text + ".")
    return Finding(f"Is {title_of(name)} stable?", " ".join(parts)) if parts else None


def _least_of(pairs: Sequence[Mapping]) -> str:
    """The agreement of the two pretraining seeds that agree least."""
    worst = min(pairs, key=lambda row: row["ari"])
    other_k = worst.get("other_k", worst["k"])
    ks = f", k = {worst['k']} and {other_k}" if worst["k"] != other_k else ""
    null = num(max(row["null_ari_p95"] for row in pairs), 3)
    return f"{ari(worst)} at the least of {len(pairs)} pairs{ks} (permuted: at most {null})"


def arms(results: Results) -> Finding | None:
    """The best of the other clusterers, by the cloze embeddings, beside the same on what they are compared with."""
    best = {
        clusterer: best_of(own, [n for n in own if group_of(n) == "cloze"])
        for clusterer, own in results.chosen.items()
        if clusterer != MAIN_CLUSTERER
    }
    best = {clusterer: n for clusterer, n in best.items() if n}
    if not best:
        return None
    clusterer = max(best, key=lambda c: results.chosen[c][best[c]]["ari"])
    own, name = results.chosen[clusterer], best[clusterer]
    text = f"Of the other ways to cluster, {clusterer_title(clusterer)} agrees best on a cloze embedding: {ari(own[name])} on"
    others = [*_rivals(own, name), *(n for n in own if group_of(n) == "oracle")]
    rivals = [f"{num(own[n]['ari'])} on {title_of(n)}" for n in others]
    text += f" {title_of(name)}, against {listed(rivals)}." if rivals else f" {title_of(name)}."
    return Finding("Other clusterers", text)


def chance(results: Results) -> Finding | None:
    """Whether the agreements lie above those of permuted labels."""
    rows = results.chosen.get(MAIN_CLUSTERER, {})
    if not rows:
        return None
    below = [name for name, row in rows.items() if row["ari_low"] <= row["null_ari_p95"]]
    highest = max(row["null_ari_p95"] for row in rows.values())
    null = f"what permuted labels reach in 95 of 100 draws (at most {num(highest, 3)})"
    if not below:
        return Finding("Chance", f"All {len(rows)} representations lie above {null}, interval included.")
    names = listed([title_of(name) for name in below])
    return Finding("Chance", f"Not clearly above {null}: {names}. The other {len(rows) - len(below)} are.")


def ceiling(results: Results) -> Finding | None:
    """How far from the oracle the best cloze embedding is, at the chosen k and at one k for both."""
    rows, name = results.chosen.get(MAIN_CLUSTERER, {}), results.shown
    if "oracle" not in rows:
        return None
    row = rows["oracle"]
    text = f"The oracle, k-means on the exact active areas from which modes are defined, reaches {ari(row)} (k = {row['k']})."
    if name:
        word = relation(rows[name], row)
        text += f" The {title_of(name)} embedding is {word} that{_part(rows[name], row)}."
        n_modes = len(results.present_modes)
        same = results.at_k(n_modes)
        if {"oracle", name} <= set(same):
            text += f" With k = {n_modes} for both it is {num(same[name]['ari'])} against {num(same['oracle']['ari'])}."
    if "oracle_activity" in rows:
        exact = rows["oracle_activity"]
        text += " The numbers of activity, computed by running the network in place of read from parameters, reach"
        text += f" {ari(exact)} (k = {exact['k']})."
    exact = results.metrics.get("clusters", {}).get("unit_states_with_mode")
    if exact:
        text += f" What each unit does, off, on everywhere or bent, agrees with the modes with {ari(exact)}: clusters that find"
        text += " exactly this reach no more."
    return Finding("The ceiling", text)


def probes(results: Results) -> Finding | None:
    """What can be read off the representations; see `probe_words`."""
    text = probe_words.probes(results)
    return Finding("Probes", text) if text else None


def scan(results: Results) -> Finding | None:
    """The published score's AUC for mode 3 against random starts and each other mode, then the other scans beside it."""
    rows = {row["negative"]: row for row in scans.on_most_networks(results.table("scan/scan"))}
    if not rows:
        return None
    parts = []
    if "random" in rows:
        row = rows["random"]
        parts.append(
            f"The published score, reported with an AUC of {PUBLISHED_AUC}, tells {int(row['n_positive']):,} trained networks"
            f" of mode 3 from {int(row['n_negative']):,} random starts with an AUC of {auc(row)}, {_versus_chance(row)}."
        )
    modes = {name: row for name, row in rows.items() if name in MODE_NAMES}
    if modes:
        extremes = dict.fromkeys(pick(modes, key=lambda name: modes[name]["auc"]) for pick in (max, min))
        said = [f"{auc(modes[mode])} for mode {mode}, {_versus_chance(modes[mode])}" for mode in extremes]
        word = "the highest and lowest AUC are" if len(said) > 1 else "the AUC is"
        parts.append(f"Against other trained modes {word} {', and '.join(said)}.")
    if "other modes" in rows:
        row = rows["other modes"]
        parts.append(f"Against all other modes at once it reaches {auc(row)}, {_versus_chance(row)}.")
    parts += [text for text in (scans.comparison(results),) if text]
    return Finding("The hand-built scan", " ".join(parts))


def transfer(results: Results) -> Finding | None:
    """What holds on unseen seeds and on every other zoo."""
    targets = transfer_targets(results)
    parts = [_carried(results, target, own) for target, own in targets.items() if target != control_name(results)]
    return Finding("Transfer", " ".join(parts)) if parts else None


def control(results: Results) -> Finding | None:
    """Whether the control, random initialisations, fails as it should."""
    name = control_name(results)
    own = transfer_targets(results).get(name)
    if not own:
        return None
    parts = []
    if "masked_r2" in own.get("cloze", {}):
        value = own["cloze"]["masked_r2"]["value"]
        word = "as it should be, worse than the mean" if value < 0 else "which is more than the mean tells"
        parts.append(f"the cloze model predicts hidden parameters with R² {num(value)}, {word}")
    for representation, metrics in own.items():
        if LINEAR_PROBE in metrics:
            row = metrics[LINEAR_PROBE]
            word = "above" if row["low"] > row["null_p95"] else "not clearly above"
            parts.append(
                f"the linear probe on {title_of(representation)} reads modes with balanced accuracy {num(row['value'])}, {word}"
                f" its null of {num(row['null_p95'])}"
            )
    return Finding("Negative control", f"On random initialisations {'; '.join(parts)}.") if parts else None


def _carried(results: Results, target: str, own: Mapping[str, dict]) -> str:
    """Sentences on one target of transfer."""
    modes = {m: n for m, n in results.metrics["transfer"]["modes"].get(target, {}).items() if n}
    text = f"On {target_title(target)}"
    if "masked_r2" in own.get("cloze", {}):
        text += f" the cloze model's masked R² is {_carried_r2(own)}; "
    main, n = max(modes, key=modes.get), sum(modes.values())
    if modes[main] >= NEARLY_ALL * n:
        own = {name: metrics["linear_accuracy"] for name, metrics in own.items() if LINEAR_PROBE in metrics}
        said = [f"{num(row['value'])} from {title_of(name)}" for name, row in own.items()]
        few = f"all but {n - modes[main]:,} of its {n:,}" if n > modes[main] else f"all its {n:,}"
        return f"{text}{few} networks are of mode {main}, and the share that the linear probe gets right is {listed(said)}."
    said = []
    for name, row in ((name, metrics[LINEAR_PROBE]) for name, metrics in own.items() if LINEAR_PROBE in metrics):
        word = "shuffled predictions" if row["low"] > row["null_p95"] else "not clearly above shuffled predictions"
        said.append(f"{num(row['value'])} from {title_of(name)} ({word}: at most {num(row['null_p95'])})")
    return f"{text}the linear probe reads modes with balanced accuracy {listed(said)}."


def _carried_r2(own: Mapping[str, dict]) -> str:
    """The masked R² on a target with what it has to be read beside."""
    row = own["cloze"]["masked_r2"]
    beside = ["worse than the mean of those networks"] if row["value"] < 0 else []
    if "linear_gaussian" in own:
        beside.append(f"linear-Gaussian imputer: {num(own['linear_gaussian']['masked_r2']['value'])}")
    text = num(row["value"]) + (f" ({'; '.join(beside)})" if beside else "")
    if row["value"] > 0 and row["null_p95"] > MOSTLY * row["value"]:
        much = "it" if row["value"] - row["null_p95"] < LEVEL else "most of it"
        text += f", but its predictions for other networks of that zoo reach up to {num(row['null_p95'])}, so {much} is"
        text += " knowledge of the family, not of the network"
    return text


def transfer_targets(results: Results) -> dict[str, dict[str, dict[str, dict]]]:
    """{target: {representation: {metric: {value, low, high, null_p95}}}}, in the order in which they were tested."""
    found = results.metrics.get("transfer", {}).get("targets", {})
    order = dict.fromkeys(row["target"] for row in results.table("transfer/transfer"))
    return {name: found[name] for name in order if name in found}


def control_name(results: Results) -> str:
    """The target that should fail."""
    return results.metrics.get("transfer", {}).get("control", "")


def masked_rows(results: Results, masking: str) -> list[dict]:
    """The rows of masked_r2.csv under one masking, "random" or "leave_one_out"."""
    return [row for row in results.table("model/masked_r2") if row.get("masking") == masking]


def _rivals(rows: Mapping[str, dict], name: str) -> list[str]:
    """What a cloze embedding has to beat: raw parameters, its untrained self, and the best baseline."""
    baseline = best_of(rows, [n for n in rows if group_of(n) == "baseline"])
    return list(dict.fromkeys(n for n in ("raw", untrained_of(rows, name), baseline) if n in rows))


def _part(a: Mapping, b: Mapping) -> str:
    return f" and reaches {a['ari'] / b['ari']:.0%} of it" if compare(a, b) < 0 and b["ari"] > 0 else ""


def _versus_chance(row: Mapping) -> str:
    if row["auc_low"] > CHANCE_AUC:
        return "above chance"
    return "worse than chance" if row["auc_high"] < CHANCE_AUC else "no better than chance"
