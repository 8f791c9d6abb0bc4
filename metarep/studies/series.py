"""The series of studies: their names, members and settings, as the command line takes them."""

from __future__ import annotations

from metarep.studies.settings import BeyondConfig, ExperimentConfig, QuestionConfig
from metarep.studies.study import Study, StudySeries

EXPERIMENTS = StudySeries(
    "experiment",
    "experiments",
    ExperimentConfig,
    "How does a network multiply two numbers?",
    "Experiments on networks of one to nine parameters: what training finds, what was published, and what mathematics says "
    "is best.",
    (
        Study("1", "e01", "Linear, no activation", "the best that a plane can do"),
        Study("2", "e02", "A ReLU on the output", "what one fold adds, and how often it dies"),
        Study("3", "e03", "One hidden layer of two", "what each step does to the unit square"),
        Study("4", "e04", "The clean mode-3 network", "the published network comes back from its seed"),
        Study("5", "e05", "Trained further on the square", "how the skew changes, and where the error goes"),
        Study("6", "e06", "The hand-crafted network", "which of its four choices costs most"),
        Study("7", "e07", "Trained further from the hand-crafted one", "what training moves"),
        Study("8", "e08", "Other starting biases", "which minimum is found from where"),
        Study("9", "e09", "Thousands from scratch", "which algorithms are found, how often, how good"),
        Study("10", "e10", "The scan", "whether the hand-built score finds mode 3"),
        Study("optima", "optima", "Which algorithm is best", "the lowest local minimum in each mode"),
        Study("dynamics", "dynamics", "How the modes arise", "when networks pass from one algorithm to another"),
    ),
    published=(
        "e04/figures/stages.png",
        "e09/figures/typical_by_mode.png",
        "e10/figures/roc.png",
        "optima/figures/best_of_modes.png",
        "dynamics/figures/flow.png",
    ),
)
"""The ten of the notes in their order, then what they left open. Each depends on all settings."""

ASKED = ("seed", "n_networks", "pretrain", "n_bootstraps")
QUESTIONS = StudySeries(
    "question",
    "questions",
    QuestionConfig,
    "How much material, does it transfer, what input, is it too hard?",
    "What the notes left open about learning from parameters alone, each with an experiment: models pretrained for the "
    "purpose, networks held out, nulls beside the metrics.",
    tuple(
        Study(name, folder, title, shows, (*ASKED, folder))
        for name, folder, title, shows in (
            ("1", "size", "How big must the subject material be?", "zoo sizes against model sizes"),
            ("2", "sources", "Does it transfer?", "what is carried over from which zoo to which"),
            ("3", "input", "What should the input look like?", "designs of it side by side"),
            ("4", "ceiling", "Is the task too hard?", "how much of a masked parameter the others say at all"),
        )
    ),
)

READ, OWN = ("seed", "model", "zoo", "n_networks", "pretrain", "n_bootstraps"), ("seed", "n_bootstraps")
BEYOND = StudySeries(
    "beyond",
    "beyond",
    BeyondConfig,
    "What does a model of tiny networks see in larger ones?",
    "Models held to what they have never seen the like of: one of 2-2-1 networks to parts of larger ones, where truth is "
    "planted or ablation is the check; others to architectures left out, to convolutional networks and to size.",
    tuple(
        Study(name, name, title, shows, settings)
        for name, title, shows, settings in (
            (
                "planted",
                "Blocks planted in a wide layer",
                "which a model of 2-2-1 networks finds and names",
                (*READ, "planted"),
            ),
            ("trained", "The parts of trained networks", "what becomes of the error where one is ablated", (*READ, "trained")),
            ("architectures", "Architectures that were left out", "what a model carries over to them", (*OWN, "architectures")),
            ("digits", "Convolutional networks", "accuracy, epoch and gap from frozen embeddings", (*OWN, "digits")),
            ("large", "Large networks", "time and memory by size", (*OWN, "digits", "large")),
        )
    ),
)
"""Models other than that of 2-2-1 networks are pretrained by the studies themselves."""
