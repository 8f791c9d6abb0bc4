"""How modes arise: the way through training, and what decides at birth.

Nothing was published about it. The snapshots are `n_snapshot_networks` networks of the recipe; the start is judged on the
networks that the experiments share. How far any predictor could get is measured by twins: the same initialisation trained on
the data of another seed. Where twins differ, the data decided.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from sklearn.ensemble import HistGradientBoostingClassifier

from metarep.domains.multiplier.domain import MODE_COLOURS
from metarep.domains.multiplier.dynamics import follow, sentences, transition_counts
from metarep.domains.multiplier.modes import MODES, MULTIPLIER, label_modes
from metarep.domains.multiplier.recipes import VARIANTS
from metarep.domains.multiplier.settings import DynamicsConfig
from metarep.domains.multiplier.trajectories import read_runs
from metarep.evaluation.resampling import class_metric, share_of
from metarep.report.style import bare, drawing, spread_apart
from metarep.studies.multipliers import multipliers
from metarep.studies.rows import Row, share, spoken
from metarep.studies.study import Claim, Context, Figure, Result
from metarep.training.engines import train_fast
from metarep.training.recipe import TrainingPlan
from metarep.zoos.zoo import Zoo

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
    plan = TrainingPlan(MULTIPLIER, RECIPE.input_distribution, RECIPE.lr, RECIPE.n_steps)
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


N_ROUNDS = 80
"""Of boosting."""


def initial_features(params: np.ndarray) -> np.ndarray:
    """(N, 16): quantities of 2-2-1 initialisations (N, 9), each invariant to the order of units and of inputs.

    Exact active areas and, unit by unit with the smaller area first, the sum and the difference of the incoming weights, bias
    and output weight; quadrant areas; whether the units tilt to the same side; the output bias.
    """
    params = np.asarray(params, np.float64)
    labels = label_modes(MULTIPLIER, params)
    (weight, bias), (out, out_bias) = MULTIPLIER.unpack(params)
    tilt = weight[..., 0] - weight[..., 1]
    units = np.stack([labels.active_area, weight.sum(axis=-1), np.abs(tilt), bias, out[:, 0]], axis=-1)
    order = np.argsort(labels.active_area, axis=1, kind="stable")
    units = np.take_along_axis(units, order[:, :, None], axis=1).reshape(len(params), -1)
    return np.concatenate([units, labels.quadrant_area, np.sign(tilt.prod(axis=1))[:, None], out_bias], axis=1)


def foretold(zoo: Zoo, *, n_bootstraps: int, seed: int) -> dict[str, float]:
    """The balanced accuracy, with interval and null, of boosted trees that name the final modes of test networks from their
    initialisations, fitted on the training networks of a zoo of finished 2-2-1 networks.
    """
    x, mode = initial_features(zoo.init_params), zoo["mode"].astype(str)
    train, test = (zoo["split"] == part for part in ("train", "test"))
    trees = HistGradientBoostingClassifier(
        max_iter=N_ROUNDS, max_leaf_nodes=15, l2_regularization=1.0, class_weight="balanced", random_state=0
    )
    predicted = trees.fit(x[train], mode[train]).predict(x[test])
    return class_metric(mode[test], predicted, seed=seed, n_draws=n_bootstraps)


def twin_modes(zoo: Zoo, plan: TrainingPlan, *, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Final modes (n,) of networks and of their twins: the same start, the data of another network.

    The n networks are drawn without replacement; data go round among them, so that none keeps its own.
    """
    networks = zoo.select(np.random.default_rng([seed, 4]).permutation(len(zoo))[:n])
    other = np.roll(networks["seed"], 1).astype(np.uint32)
    trained = train_fast(plan, other, networks.init_params)
    sound = ~trained.diverged
    return networks["mode"][sound], label_modes(MULTIPLIER, trained.params).mode[sound]


BAR = 0.12
"""Half the width of a bar, where two bars stand 1 apart."""

GAP = 0.018
"""Between the modes of a bar, in shares of all networks."""

N_BARS = 7


def flow_columns(step: np.ndarray) -> np.ndarray:
    """The initialisation and N_BARS − 1 columns of `step` (T,) that are about evenly spaced in the step's logarithm.

    The first of them lies at 1/128 of the training: hardly any network changes its mode before.
    """
    wanted = np.geomspace(max(step[-1] / 128, 1), step[-1], N_BARS - 1)
    nearest = np.abs(np.log(step[1:, None]) - np.log(wanted)).argmin(axis=0) + 1
    return np.unique(np.r_[0, nearest])


def flow_figure(mode: np.ndarray, step: np.ndarray) -> Drawing:
    """Shares of the modes (N, T) at chosen steps, and between them a ribbon for every transition, as wide as its share."""
    columns = flow_columns(step)
    chosen = mode[:, columns]
    share = (chosen[:, :, None] == np.array(MODES, dtype=object)).mean(axis=0)
    bottom = np.cumsum(share + GAP, axis=1) - share - GAP
    last = len(columns) - 1
    with drawing(11.5, 6) as figure:
        ax = figure.subplots()
        for i, name in enumerate(MODES):
            ax.bar(range(last + 1), share[:, i], 2 * BAR, bottom[:, i], color=MODE_COLOURS[name], zorder=3)
        for x in range(last):
            _ribbons(ax, x, transition_counts(chosen[:, x], chosen[:, x + 1]) / len(mode), bottom[x], bottom[x + 1])
        for x, align, end in ((-BAR - 0.06, "right", 0), (last + BAR + 0.06, "left", last)):
            here = np.flatnonzero(share[end])
            for y, i in zip(spread_apart(bottom[end, here] + share[end, here] / 2, 0.075), here, strict=True):
                ax.text(x, y, f"mode {MODES[i]}\n{share[end, i]:.1%}", ha=align, va="center", linespacing=1.05)
        labels = ["0\n(initialisation)", *(f"{step[c]:,}" for c in columns[1:])]
        ax.set(xticks=range(last + 1), xticklabels=labels, yticks=[], xlabel="training step, about evenly spaced in logarithm")
        ax.set(xlim=(-1.02, last + 1.02), ylim=(-0.01, 1 + GAP * (len(MODES) - 1) + 0.01))
        bare(ax, "left", "bottom")
        moved = (chosen[:, 1:] != chosen[:, :-1]).any(axis=1).mean()
        ax.set_title(f"{len(mode):,} networks between the modes; {moved:.0%} change theirs between two of these steps")
    return figure


def _ribbons(ax: Axes, x: int, shares: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """A ribbon for each transition (5, 5) from bar x to bar x + 1; those that change the mode lie above and are stronger."""
    starts = left[:, None] + np.cumsum(shares, axis=1) - shares
    ends = right + np.cumsum(shares, axis=0) - shares
    along = np.linspace(0, 1, 40)
    rise = along**2 * (3 - 2 * along)
    for i, j in np.argwhere(shares):
        low = starts[i, j] + (ends[i, j] - starts[i, j]) * rise
        look = {"alpha": 0.28, "zorder": 1} if i == j else {"alpha": 0.8, "zorder": 2}
        at = x + BAR + (1 - 2 * BAR) * along
        ax.fill_between(at, low, low + shares[i, j], color=MODE_COLOURS[MODES[i]], lw=0, **look)
