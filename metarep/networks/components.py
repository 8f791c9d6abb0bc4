"""Several networks side by side in one set of names: an ensemble, actor and critic, a network and its moving average.

Prefixes are split where the names beneath them are a network's each: where all of them are words for networks that stand
beside others (`netG`, `netD`), where equal tensors repeat under prefixes that are no numbered layers (`model`,
`ema_model.module`; `left_fc1`, `right_fc1`), and under the numbers of a list whose name says that it holds networks
(`models.0`, `models.1`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from metarep.networks.order import EARLY, LATE, module_key

Shape = tuple[int, ...]
Path = tuple[str, ...]
Named = Mapping[Path, Shape]
"""Tensors by the components of their names."""

BESIDE = re.compile(
    r"(?:net_?)?(?:actors?|critics?|polic(?:y|ies)|pi|vf|qf|vs?|qs?|values?|adv(?:antage)?|generator|gen|discriminator|disc|[gd]|[gd]_[ab]"
    r"|users?|items?|quer(?:y|ies)|docs?|documents?|teacher|student|target|online|source|predictor_target|ema|shadow|[st]|dynamics|reward)"
    r"(?:_?(?:net(?:work)?s?|model|tower|encoder|mlp|function))?(?:_?(?:target|ema|old|main|local|online|copy))?_?[\dab]*",
    re.IGNORECASE,
)
"""First components of names that are each a network of its own where all of them are."""

LISTS = re.compile(
    r"(?:\w*_)?(?:models?|nets?|networks?|members?|ensembles?|experts_nets|critics?|actors?|q_?(?:fs?|s|nets?|networks?)?|qs|vs|policies"
    r"|learners|estimators|agents|generators|discriminators|[st])",
    re.IGNORECASE,
)
"""Lists of networks, by their last component."""

_NUMBER = re.compile(r"(.*?)_?\d+")


def components_of(named: Named) -> tuple[str, ...]:
    """The prefixes under which networks stand side by side, in their order; () where there is one network."""
    weights = {path: shape for path, shape in named.items() if len(shape) > 1 and len(path) > 1}
    if not weights or any(len(shape) > 1 and len(path) < 2 for path, shape in named.items()):
        return ()
    found = _split((), weights)
    return tuple(".".join(prefix) for prefix in found) if len(found) > 1 else _underscored(weights)


def component_of(name: str, components: Sequence[str]) -> int | None:
    """The number of the component that a dotted name belongs to, the one with the longest prefix; None for none."""
    found = [at for at, prefix in enumerate(components) if name == prefix or name.startswith(stem(prefix))]
    return max(found, key=lambda at: len(components[at]), default=None)


def stem(prefix: str) -> str:
    """What the dotted names of a component begin with: its prefix and a point, but for one that ends in "_"."""
    return prefix if prefix.endswith("_") else prefix + "."


def _split(prefix: Path, weights: Named) -> list[Path]:
    """The prefixes of the networks under one prefix: itself where it is one network."""
    children = _children(weights)
    while len(children) == 1 and all(len(path) > 2 for path in weights):
        ((first, weights),) = children.items()
        prefix, children = (*prefix, first), _children(weights)
    if len(children) < 2 or any(() in below for below in children.values()):
        return [prefix]
    several = max(len({path[:-1] for path in below}) for below in children.values()) > 1
    are_words = all(BESIDE.fullmatch(first) for first in children)
    if not several or not (are_words or _are_copies(children) or _are_listed(prefix, children)):
        return [prefix]
    return [found for first, below in children.items() for found in _split((*prefix, first), below)]


def _underscored(weights: Named) -> tuple[str, ...]:
    """The prefixes ("left_", "right_") of networks whose equal layers follow in the same names (left_fc1, right_fc1)."""
    for split in (str.partition, str.rpartition) if all(len(path) == 2 for path in weights) else ():
        networks: dict[str, dict[Path, Shape]] = {}
        for (module, leaf), shape in weights.items():
            prefix, _, layer = split(module, "_")
            networks.setdefault(prefix, {})[layer, leaf] = shape
        if _are_repeated(networks):
            return tuple(f"{prefix}_" for prefix in networks)
    return ()


def _are_repeated(networks: Mapping[str, Named]) -> bool:
    """Whether layers with names of their own repeat under words for networks, or under any that tell no place in one."""
    layers = {layer for below in networks.values() for layer, _ in below}
    named = len(layers) > 1 and all(re.search("[A-Za-z]", layer) for layer in layers)
    ends = any(key[0] in EARLY | LATE for key in module_key(tuple(networks)))
    are_words = all(BESIDE.fullmatch(prefix) or LISTS.fullmatch(_word(prefix) + "s") for prefix in networks)
    alike = len({tuple(sorted(below.items())) for below in networks.values()}) == 1
    return len(networks) > 1 and named and alike and (are_words or (_are_copies(networks) and not ends))


def _children(weights: Named) -> dict[str, dict[Path, Shape]]:
    found: dict[str, dict[Path, Shape]] = {}
    for (first, *rest), shape in weights.items():
        found.setdefault(first, {})[tuple(rest)] = shape
    return found


def _are_copies(children: Mapping[str, Named]) -> bool:
    """Whether the same tensors repeat under names that are no numbers of layers, past what only one of them has in front."""
    return (
        len({_word(first) for first in children}) == len(children)
        and len({tuple(_inner(below).items()) for below in children.values()}) == 1
    )


def _word(first: str) -> str:
    """A name without its number."""
    return match[1] if (match := _NUMBER.fullmatch(first)) else first


def _inner(below: Named) -> Named:
    """The tensors without the components that all of them share."""
    while below and all(len(path) > 2 for path in below) and len({path[0] for path in below}) == 1:
        below = {path[1:]: shape for path, shape in below.items()}
    return dict(sorted(below.items()))


def _are_listed(prefix: Path, children: Mapping[str, Named]) -> bool:
    numbered = all(first.isdigit() for first in children)
    alike = len({tuple(sorted(below)) for below in children.values()}) == 1
    return numbered and alike and bool(prefix) and bool(LISTS.fullmatch(prefix[-1]))
