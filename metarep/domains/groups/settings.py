"""Settings of the networks that compose the elements of a group, and what is drawn for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator, model_validator

from metarep.domains.groups.group import KNOWN, group_named
from metarep.errors import MetarepError
from metarep.settings import Settings


class GroupsConfig(Settings):
    """Networks that learn to compose the elements of finite groups (Chughtai, Chan and Nanda, 2023)."""

    seed: int = Field(0, ge=0, description="of every draw")
    n_networks: int = Field(200, ge=1, description="each of which has weight decay, share and first weights of its own")
    groups: tuple[str, ...] = Field(
        ("S4",), min_length=1, description="groups in turn: C29 cyclic, D12 dihedral (24 elements), S4, A5, Q8"
    )
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field((64,), min_length=1, description="hidden units, in turn")
    weight_decay: tuple[float, float] = Field((0.3, 3.0), description="of AdamW, drawn evenly in its logarithm between these")
    train_share: tuple[float, float] = Field((0.6, 0.95), description="of all pairs, drawn evenly between these two")
    n_steps: int = Field(3000, ge=1, description="full-batch steps")
    lr: float = Field(0.02, gt=0, description="learning rate of AdamW")
    relabelled: bool = Field(False, description="number the elements of the group in an order of its own in each network")

    @field_validator("groups")
    @classmethod
    def _are_known(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for name in groups:
                group_named(name)
        except MetarepError as error:
            raise ValueError(f"each is {KNOWN}") from error
        return groups

    @model_validator(mode="after")
    def _coherent(self) -> GroupsConfig:
        (least, most), (few, many) = self.weight_decay, self.train_share
        if not 0 < least <= most or not 0 < few <= many < 1:
            raise ValueError("weight_decay lies above 0 and train_share between 0 and 1, the smaller number first")
        return self


@dataclass(frozen=True)
class DrawnNetwork:
    """The settings of one network, given by its number; `seed` is that of its first weights, pairs and order of elements."""

    number: int
    seed: int
    group: str
    width: int
    weight_decay: float
    train_share: float


def draw_settings(number: int, config: GroupsConfig) -> DrawnNetwork:
    """Those of one network, by the zoo's seed and its number alone; groups take turns, and widths when each group had one."""
    rng = np.random.default_rng([config.seed, number])
    turn, which = divmod(number, len(config.groups))
    return DrawnNetwork(
        number=number,
        seed=int(rng.integers(2**31)),
        group=config.groups[which],
        width=config.widths[turn % len(config.widths)],
        weight_decay=float(np.exp(rng.uniform(*np.log(config.weight_decay)))),
        train_share=float(rng.uniform(*config.train_share)),
    )


def order_of_elements(seed: int, n: int) -> np.ndarray:
    """(n,): which element stands where in a relabelled network, by its own seed."""
    return np.random.default_rng([seed, n]).permutation(n)
