"""How modes arise: the way through training, and what decides at birth.

Nothing was published about it. The snapshots are `n_snapshot_networks` networks of the recipe; the start is judged on the
networks that the experiments share.
"""

from __future__ import annotations

from metarep.domains.multiplier.birth import foretold, twin_modes
from metarep.domains.multiplier.dynamics import follow, sentences
from metarep.domains.multiplier.figures.flow import flow_figure
from metarep.domains.multiplier.modes import MULTIPLIER
from metarep.domains.multiplier.recipes import VARIANTS
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import read_runs
from metarep.evaluation.resampling import class_metric, share_of
from metarep.studies.multipliers import multipliers
from metarep.studies.rows import Row, share, spoken
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.recipe import Plan

RECIPE = VARIANTS["e09"]
MAX_TWINS = 1000


def run(context: Context) -> Result:
    """The dynamics of modes, as numbers, tables and a figure."""
    config = context.config
    draws = {"n_bootstraps": config.n_bootstraps, "seed": config.seed}
    family = {"variant": RECIPE.name, "n_networks": config.n_snapshot_networks}
    runs = read_runs(context.family("snapshots", n_snapshots=config.n_snapshots, **family))
    tables, metrics = follow(DynamicsConfig(**draws), runs)
    zoo = multipliers(context)
    tree = foretold(zoo, **draws)
    plan = Plan(MULTIPLIER, RECIPE.input_distribution, RECIPE.lr, RECIPE.n_steps)
    final, twin = twin_modes(zoo, plan, n=min(MAX_TWINS, len(zoo)), seed=config.seed)
    same = share_of((final == twin).sum(), len(final))
    likeness = class_metric(final, twin, seed=config.seed, n_draws=config.n_bootstraps)
    claims = (
        Claim.of("initial mode is the final one", metrics["kept_from_birth"], "share"),
        Claim.of("same start, other data: same final mode", same, "share"),
        Claim.of("final mode from the initialisation, balanced accuracy", tree, best=likeness["value"]),
    )
    caption = (
        f"The modes of {len(runs):,} networks over training. Bars: shares at that step; ribbons: networks on their way between "
        "two bars, in the colour of the mode they come from, strong where they change it."
    )
    return Result(
        claims,
        (*birth_sentences(same, tree, likeness), *sentences(metrics)),
        tables={name: tables[name] for name in ("transitions", "shares_over_time")},
        figures={"flow": Figure(flow_figure(runs.mode, runs.step), caption)},
        numbers={"dynamics": metrics},
        shown=("transitions",),
    )


def birth_sentences(same: Row, tree: Row, likeness: Row) -> tuple[str, ...]:
    """How much is decided at birth: twins, the predictor, and the gap between them."""
    decided = "The data decide the mode more than the initialisation"
    if same["low"] > 0.5:
        decided = "The initialisation decides the mode" + ("" if same["low"] > 0.9 else " in part")
    beyond = "above" if tree["low"] > tree["null"] else "not clearly above"
    gap = ": more of it is decided than the trees see" if likeness["low"] > tree["high"] else ""
    return (
        f"{decided}: trained from the same start on the data of another seed, {share(same)} of {same['of']:,} networks end in "
        "the same mode.",
        f"Boosted trees on the initial parameters and areas foretell it with a balanced accuracy of {spoken(tree)}, {beyond} "
        f"the {tree['null']:.2f} that permuted predictions reach; twins agree with {spoken(likeness)}{gap}.",
    )
