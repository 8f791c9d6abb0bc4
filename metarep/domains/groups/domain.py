"""The domain of networks that compose the elements of a finite group: their units have exact labels."""

from __future__ import annotations

from metarep.domains.groups.settings import GroupsConfig
from metarep.zoos.domain import Builder, Domain, later, register

HERE = "metarep.domains.groups"

DOMAIN = register(
    Domain(
        name="groups",
        title="networks that compose the elements of a finite group",
        activation="relu",
        inputs=later(f"{HERE}.units:one_hot_pairs"),
        labels={
            "group": "the group",
            "irreps": "the irreducible representations that the units use",
            "width": "how many hidden units there are",
        },
        properties={
            "test_accuracy": "the accuracy on pairs that the network did not train on",
            "test_loss": "the cross-entropy on these",
            "train_accuracy": "the accuracy on the pairs that the network trained on",
            "train_loss": "the cross-entropy on these",
            "weight_decay": "the weight decay",
            "train_share": "the share of all pairs that the network trained on",
            "n_irreps": "how many irreducible representations the units use",
            "purity": "the mean share of a unit's energy that its representation holds",
            "alive": "the share of the units that do anything",
        },
        builders={
            "groups": Builder("composition in finite groups", GroupsConfig, later(f"{HERE}.build:build_groups"), device=True)
        },
        unit_labels={
            "irrep": later(f"{HERE}.units:unit_irreps"),
            "dimension": later(f"{HERE}.units:unit_dimensions"),
        },
        unit_properties={"purity": later(f"{HERE}.units:unit_purities")},
    )
)
