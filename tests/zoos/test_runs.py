"""Which run a file is of, by its name and its folders."""

import pytest

from metarep.zoos.runs import Guess, guess_run


@pytest.mark.parametrize(
    ("network_id", "run", "epoch"),
    [
        ("cnn_seed3/epoch_12", "cnn_seed3", 12),
        ("cnn_seed3/ep4", "cnn_seed3", 4),
        ("cnn_seed3/step=2000", "cnn_seed3", 2000),
        ("cnn_seed3/checkpoint-750/model", "cnn_seed3", 750),
        ("cnn_seed3/checkpoint_000002/weights", "cnn_seed3", None),
        ("cnn_seed3/weights/epoch=7-step=900-val_loss=0.31-v2", "cnn_seed3", 7),
        ("cnn_seed3/epochs/9", "cnn_seed3", 9),
        ("iter_5/cnn_seed3", "cnn_seed3", 5),
        ("cnn_seed3_iter500", "cnn_seed3", 500),
        ("cnn_seed3_best", "cnn_seed3", None),
        ("cnn_seed3_last_acc0.93", "cnn_seed3", None),
        ("cnn_seed3-ema", "cnn_seed3", None),
        ("cnn_seed3_fp16", "cnn_seed3", None),
        ("best/cnn_seed3", "cnn_seed3", None),
        ("a/cnn_seed3/pytorch_model", "a/cnn_seed3", None),
        ("seed_3/17", "seed_3", None),
        ("trial_9/encoder", "trial_9", None),
        ("a/version_4/checkpoints/last", "a/version_4", None),
        ("wandb/run-2024_ab12/files/model_2", "wandb/run-2024_ab12", None),
        ("cnn_seed3_e12", "cnn_seed3", 12),
        ("cnn_seed3_best_val", "cnn_seed3", None),
        ("cnn_seed3_model_best", "cnn_seed3", None),
        ("cnn_seed3_checkpoint", "cnn_seed3", None),
        ("rl_model_4000_steps", "", 4000),
        ("best", "", None),
    ],
)
def test_what_tells_states_of_one_run_apart_is_stripped(network_id, run, epoch):
    assert guess_run(network_id) == Guess(run, epoch)


@pytest.mark.parametrize("network_id", ["n07", "folder/n07", "seed_3/mnist", "bestiary", "e5-small", "laststep2x", "lr1e-3"])
def test_other_names_tell_nothing(network_id):
    assert guess_run(network_id) == Guess(None)


def test_seeds_and_hyperparameters_are_different_runs():
    names = ["seed_0/best", "seed_1/best", "lr0.1/seed_0/best", "lr0.2/seed_0/best", "mlp_w8_epoch3", "mlp_w16_epoch3"]
    assert len({guess_run(name).run for name in names}) == len(names)
