"""The domain of small convolutional networks that learned scikit-learn's digits."""

from __future__ import annotations

from metarep.domains.digits.settings import DigitsConfig
from metarep.zoos.domain import Builder, Domain, later, register

DOMAIN = register(
    Domain(
        name="digits",
        title="convolutional networks that learned handwritten digits",
        labels={
            "design": "the architecture by name",
            "activation": "the function behind each hidden layer",
            "optimiser": "what trained the network",
        },
        properties={
            "epoch": "the epoch after which the network was kept",
            "test_accuracy": "the accuracy on test pictures",
            "test_loss": "the cross-entropy on test pictures",
            "train_accuracy": "the accuracy on the network's own training pictures",
            "train_loss": "the cross-entropy on the network's own training pictures",
            "gap": "training accuracy less test accuracy",
            "lr": "the learning rate",
            "weight_decay": "the weight decay",
            "init_scale": "the factor on the initial weights",
            "batch_size": "pictures in a batch",
            "train_share": "the share of the training pictures that the network saw",
            "label_noise": "the share of these that had a random label",
        },
        inputs=later("metarep.domains.digits.training:unlabelled_pictures"),
        builders={
            "digits": Builder("scikit-learn's digits", DigitsConfig, later("metarep.domains.digits.build:build_digits")),
        },
    )
)
