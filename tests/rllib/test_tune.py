"""Ray Tune on `CommPPOConfig`: population based training hands on weights, and really changes the learning rate."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from ray import tune
from ray.rllib.core.rl_module import RLModule
from ray.tune.schedulers import PopulationBasedTraining

from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.session import quiet

HIGH, LOW, CHANGED = 1e-2, 1e-9, 1e-12
LR = "learners/speaker/default_optimizer_learning_rate"


def config() -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment("speaker_listener", env_config={"goals": 3})
        .communication(model="cnet", model_settings={"size": 8}, channel="dru", channel_settings={"bits": 2})
        .env_runners(num_envs_per_env_runner=32)
        .training(lr=tune.grid_search([HIGH, LOW]), train_batch_size_per_learner=64, minibatch_size=64, num_epochs=1)
        .debugging(seed=0, log_level="ERROR")
    )


def weights(checkpoint: pathlib.Path) -> np.ndarray:
    path = checkpoint / "learner_group" / "learner" / "rl_module"
    modules = [RLModule.from_checkpoint(path / name) for name in ("speaker", "listener")]
    return np.concatenate([value.numpy(force=True).ravel() for module in modules for value in module.parameters()])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray, about its own loggers
def test_population_based_training_changes_the_lr_and_hands_on_weights(
    ray_session: None, tmp_path: pathlib.Path
) -> None:
    """The trial of the higher lr always counts as better, so that the other one takes over its weights."""
    pbt = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        quantile_fraction=0.5,
        resample_probability=1.0,
        hyperparam_mutations={"lr": lambda: CHANGED},
        synch=True,
    )
    with quiet():
        results = tune.Tuner(
            "CommPPO",
            param_space=config(),
            tune_config=tune.TuneConfig(scheduler=pbt, metric=LR, mode="max"),
            run_config=tune.RunConfig(
                name="pbt",
                storage_path=str(tmp_path),
                stop={"training_iteration": 2},
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
            ),
        ).fit()
    assert not results.errors
    donor, heir = results
    assert (donor.config["lr"], heir.config["lr"]) == (HIGH, CHANGED)
    assert heir.metrics["learners"]["speaker"]["default_optimizer_learning_rate"] == CHANGED
    handed_on = [weights(path) for path in sorted(pathlib.Path(donor.path).glob("checkpoint_*"))]
    inherited = weights(pathlib.Path(heir.checkpoint.path))
    assert np.abs(handed_on[0] - handed_on[-1]).max() > 1e-4, "the donor went on learning"
    nearest = min(np.abs(inherited - given).max() for given in handed_on)
    assert nearest < 1e-8, "the heir has weights of the donor (the later ones on a busy machine), its own lr is tiny"
    assert list(pathlib.Path(heir.path).glob("events.out.tfevents.*")), "TensorBoard's files"


def test_the_name_is_found_without_importing_all_of_rllib() -> None:
    """Looking up an unregistered name imports every algorithm of RLlib, and with them Pillow."""
    code = (
        "import sys\nsys.modules['PIL'] = None\nimport heliograph.rllib.ppo\n"
        "from ray.tune.registry import get_trainable_cls\n"
        "assert get_trainable_cls('CommPPO') is heliograph.rllib.ppo.CommPPO\n"
        "assert 'ray.rllib.algorithms.dreamerv3' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
