"""Networks in memory and small models of them, for tests."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from metarep.model.batches import Segment
from metarep.model.data import TrainingData, WholeNetworks
from metarep.model.fitting import fit_statistics
from metarep.model.objectives import build_objective
from metarep.model.optimiser import build_optimiser
from metarep.model.pretraining import Prepared, TrainingState, build_model, copy_of
from metarep.model.settings import PretrainConfig
from metarep.model.transformer import ClozeModel
from metarep.model.windows import Plan, plan_of
from metarep.networks.architecture import Architecture, read_architecture
from metarep.networks.chain_forward import Chain, chain_forward
from metarep.networks.inference import symmetries_of
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry_groups import Symmetries
from metarep.zoos.importing import import_networks
from metarep.zoos.parameters import architecture_of_spec
from metarep.zoos.settings import ImportConfig

TINY = {"d_model": 16, "n_layers": 2, "n_heads": 2, "n_components": 2, "batch_size": 16, "warmup_steps": 2, "lr": 5e-3}


def parts_of(network: str | Architecture) -> tuple[Architecture, Symmetries]:
    """The architecture and symmetries of a spec such as "2-2-1", ReLU behind its hidden layers, or of an architecture."""
    if isinstance(network, Architecture):
        return network, symmetries_of(network)
    architecture = architecture_of_spec(NetworkSpec.parse(network))
    return architecture, symmetries_of(architecture, relu=True)


def plan_for(network: str | Architecture, *, chunk: int = 1, context: int = 128, overlap: float = 0.25, **how) -> Plan:
    """How networks are read."""
    return plan_of(*parts_of(network), chunk=chunk, context=context, overlap=overlap, **how)


def architecture_with(shapes: dict[str, tuple[int, ...]]) -> Architecture:
    """The architecture that tensors of these names and shapes have."""
    return read_architecture([(name, shape, "float32") for name, shape in shapes.items()])


def small_cnn() -> Architecture:
    """Two convolutions, a norm and a linear layer, and two tensors of which nothing is known."""
    shapes = {"conv1.weight": (6, 1, 3, 3), "conv1.bias": (6,)}
    shapes |= {"bn1.weight": (6,), "bn1.bias": (6,), "bn1.running_mean": (6,), "bn1.running_var": (6,)}
    shapes |= {"conv2.weight": (8, 6, 3, 3), "conv2.bias": (8,), "fc.weight": (10, 32), "fc.bias": (10,)}
    return architecture_with(shapes | {"odd.thing": (3, 2, 2, 2, 2), "odd.scalar": ()})


def numbered(architecture: Architecture) -> dict[str, torch.Tensor]:
    """A network (1, *shape) whose parameters are 1, 2, 3 …"""
    tensors, at = {}, 1
    for tensor in architecture.tensors:
        tensors[tensor.name] = torch.arange(at, at + tensor.size, dtype=torch.float32).reshape(1, *tensor.shape)
        at += tensor.size
    return tensors


def random_tensors(network: str | Architecture, n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """n networks (n, *shape) of standard normal parameters."""
    generator = torch.Generator().manual_seed(seed)
    return {t.name: torch.randn(n, *t.shape, generator=generator) for t in parts_of(network)[0].tensors}


def whole_networks(
    network: str | Architecture, n: int = 32, *, seed: int = 0, activation: str | None = "relu", chunk: int = 1, **how
) -> WholeNetworks:
    """n random networks that are one window each."""
    architecture, symmetries = parts_of(network)
    forward: Chain | None = None if activation is None else chain_forward(architecture, symmetries, activation=activation)
    plan = plan_for(network, chunk=chunk, **how)
    return WholeNetworks(random_tensors(network, n, seed), plan, symmetries, forward)


def window_segments(plan: Plan, tensors: dict[str, torch.Tensor]) -> list[Segment]:
    """Every window of networks (B, *shape), a segment a shape, network by network."""
    values = plan.view_values(tensors)
    found = []
    for shape in plan.shapes:
        shown = plan.window_values(shape, values, shape.firsts)
        firsts = torch.from_numpy(shape.firsts).repeat(len(shown))
        found.append(Segment(shape.layout, shown.flatten(0, 1), firsts))
    return found


def model_for(config: PretrainConfig, *sources: WholeNetworks, plans: Sequence[Plan] = (), loud: bool = True) -> ClozeModel:
    """A model that is ready to learn from these networks; `loud` draws what starts at 0, where no test would see it."""
    cohorts = [SimpleNamespace(rows=np.arange(len(one)), plan=one.plan, forward=one.forward) for one in sources]
    cohorts += [SimpleNamespace(rows=np.arange(100), plan=plan, forward=None) for plan in plans]
    torch.manual_seed(0)
    model = build_model(config, cohorts, (*(one.plan for one in sources), *plans)[0].views[0].chunk)
    if sources:
        fit_statistics(config, model, TrainingData(list(sources)))
    if loud:
        torch.nn.init.normal_(model.relation_bias)
    return model.eval()


def prepared_for(config: PretrainConfig, *sources: WholeNetworks) -> Prepared:
    """Everything that training on these networks starts from; they validate too."""
    model, data = model_for(config, *sources, loud=False), TrainingData(list(sources))
    return Prepared(config, model, build_objective(config, model, sources[0] if len(sources) == 1 else None), data, data)


def fresh_state(prepared: Prepared) -> TrainingState:
    """Training at step 0."""
    objective = prepared.objective
    optimiser = build_optimiser(prepared.config, objective)
    return TrainingState(objective, optimiser, copy_of(objective.encoder), float("inf"), 0, [])


def imported_zoo(folder: Path, names: Sequence[str], n: int = 40, *, reverse: bool = False) -> Path:
    """A zoo of n random networks of each spec, imported from files; with `reverse` the units of the first layer in reverse."""
    (folder / "files").mkdir(parents=True)
    for number, name in enumerate(names):
        tensors = {key: value / value[0, 0].numel() ** 0.5 for key, value in random_tensors(name, n, seed=number).items()}
        if reverse:
            tensors["0.weight"], tensors["0.bias"] = tensors["0.weight"].flip(1), tensors["0.bias"].flip(1)
            tensors["2.weight"] = tensors["2.weight"].flip(2)
        for row in range(n):
            torch.save({key: value[row].clone() for key, value in tensors.items()}, folder / "files" / f"{name}-{row}.pt")
    return import_networks(ImportConfig(), [folder / "files"], folder / "zoo")
