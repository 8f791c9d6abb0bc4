"""Pretraining by several processes, and in pieces, gives what one process gives from whole batches."""

import multiprocessing
import os
import socket

import numpy as np
import pytest
import torch
from small_networks import TINY, imported_zoo, prepared_for, whole_networks

from metarep.errors import MetarepError
from metarep.model.pretraining import draw_batch, load_model, pretrain
from metarep.model.settings import PretrainConfig
from metarep.model.team import ALONE, Team
from metarep.tables import read_csv

SETTINGS = TINY | {"behaviour_weight": 1.0, "unmasked_share": 0.5, "decoder": True, "bottleneck": 3}
SETTINGS |= {"n_steps": 6, "eval_every": 3, "activation": "relu"}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return imported_zoo(tmp_path_factory.mktemp("team"), ["2-2-1"])


def losses(model):
    return np.array([[row["train_loss"], row["valid_loss"]] for row in read_csv(model / "log.csv")])


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def one_of_two(rank, port, zoo, out):
    """What torchrun would start."""
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    pretrain(PretrainConfig(**SETTINGS), [zoo], out)


def drawn(**more):
    config = PretrainConfig(**SETTINGS | more)
    prepared = prepared_for(config, whole_networks("2-2-1", 32))
    batch, masks, _ = draw_batch(config, prepared.model, prepared.train, 0)
    return prepared.objective, batch, masks


@pytest.mark.parametrize("n_processes", [1, 3])
def test_pieces_are_the_whole_batch_and_their_losses_add_up_to_its_own(n_processes):
    objective, batch, masks = drawn()
    found = [piece for rank in range(n_processes) for piece in Team("cpu", rank, n_processes).pieces(batch, masks, 2)]
    assert len(found) == 2 * n_processes
    assert sum(len(one) for segments, _ in found for one in segments) == sum(map(len, batch))
    counts = objective.counts(batch, masks)
    whole = objective.loss(batch, masks, generator=torch.Generator())
    torch.testing.assert_close(sum(objective.share(*piece, counts) for piece in found), whole)
    unweighted = sum(objective.loss(*piece, generator=torch.Generator()) for piece in found) / len(found)
    assert abs(float(unweighted - whole)) > 1e-6  # means of unequal shares are another loss


def test_what_needs_whole_batches_and_batches_that_are_too_small_are_refused():
    objective, batch, masks = drawn(objective="contrastive", behaviour_weight=0.0, decoder=False)
    with pytest.raises(MetarepError, match="needs whole batches"):
        objective.counts(batch, masks)
    with pytest.raises(MetarepError, match="too small to be shared"):
        list(ALONE.pieces(batch, masks, 1000))


def test_two_processes_and_pieces_have_the_loss_curve_of_one(zoo, tmp_path):
    alone = pretrain(PretrainConfig(**SETTINGS), [zoo], tmp_path / "alone")
    pieces = pretrain(PretrainConfig(**SETTINGS, accumulate=3), [zoo], tmp_path / "pieces")
    np.testing.assert_allclose(losses(pieces), losses(alone), rtol=1e-4)
    context, port = multiprocessing.get_context("fork"), free_port()
    started = [context.Process(target=one_of_two, args=(rank, port, zoo, tmp_path / "two")) for rank in range(2)]
    for one in started:
        one.start()
    for one in started:
        one.join(120)
    assert [one.exitcode for one in started] == [0, 0]
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(alone), rtol=1e-4)
    states = [load_model(tmp_path / name).state_dict() for name in ("alone", "two")]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-2, atol=1e-4)
