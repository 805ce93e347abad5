"""Searching settings with Ray Tune itself: a grid, ASHA, and population based training, on `CommPPOConfig`.

This example
------------
hands Heliograph's algorithm to `tune.Tuner`, as you would hand it RLlib's own PPO: by its class, or by its name,
`"CommPPO"`, which importing `heliograph.rllib.ppo` registers. `heliograph sweep` does the first two for you, and leaves
run folders that `evaluate`, `report` and `compare` read; this leaves Tune's own folders, with RLlib's checkpoints.

| search | what it does                                                                                       |
|--------|----------------------------------------------------------------------------------------------------|
| grid   | trains every setting to the end                                                                    |
| asha   | stops, at 4, 16, ... iterations, those that are weak beside others at the same iteration           |
| pbt    | lets the weak half take over weights and optimiser state of the strong half, with a changed lr     |

How to run
----------
    python examples/ray_tune.py --search grid
    python examples/ray_tune.py --search pbt --iterations 30
    python examples/ray_tune.py --search asha --out results; tensorboard --logdir results

Results to expect
-----------------
On two cores the grid of two learning rates takes about 40 seconds; 1e-3 is far ahead of 1e-5 after 20 iterations.
"""

import argparse
import math
import pathlib
import tempfile

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler

from heliograph import CommPPO, CommPPOConfig

METRIC = "env_runners/episode_return_mean"


def config() -> CommPPOConfig:
    """Speaker and listener, three goals; every setting may be a choice of Tune's."""
    return (
        CommPPOConfig()
        .environment("speaker_listener", env_config={"goals": 3})
        .communication(model="cnet", model_settings={"size": 32}, channel="dru", channel_settings={"bits": 2})
        .env_runners(num_envs_per_env_runner=512)
        .training(lr=tune.grid_search([1e-3, 1e-5]), train_batch_size_per_learner=2048, minibatch_size=512)
        .debugging(seed=0, log_level="ERROR")
    )


def scheduler(search: str) -> TrialScheduler | None:
    """What decides during training."""
    if search == "asha":
        return ASHAScheduler(time_attr="training_iteration", grace_period=4, reduction_factor=4)
    if search == "pbt":
        return PopulationBasedTraining(
            time_attr="training_iteration",  # the default counts seconds
            perturbation_interval=5,
            quantile_fraction=0.5,
            hyperparam_mutations={"lr": tune.loguniform(1e-4, 1e-2)},
        )
    return None


def main(iterations: int = 20, search: str = "grid", out: str | None = None) -> dict[str, float]:
    """Search, and return the last mean return of every trial by its folder (in `out`, or else a temporary one)."""
    if not ray.is_initialized():
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    tuner = tune.Tuner(
        CommPPO if search == "pbt" else "CommPPO",
        param_space=config(),
        tune_config=tune.TuneConfig(metric=METRIC, mode="max", scheduler=scheduler(search)),
        run_config=tune.RunConfig(
            name=search,
            storage_path=str(pathlib.Path(out or tempfile.mkdtemp()).resolve()),
            stop={"training_iteration": iterations},
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=5 if search == "pbt" else 0),
            verbose=1,
        ),
    )
    found = {}
    for result in tuner.fit():
        assert result.error is None and result.metrics is not None
        found[result.path] = float(result.metrics["env_runners"]["episode_return_mean"])
    for path, value in found.items():
        print(f"{value:+.2f}  {path}")
    return {path: value for path, value in found.items() if not math.isnan(value)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Ray Tune on Heliograph's PPO.")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--search", choices=("grid", "asha", "pbt"), default="grid")
    parser.add_argument("--out", help="folder of the results (default a temporary one)")
    given = parser.parse_args()
    main(given.iterations, given.search, given.out)
