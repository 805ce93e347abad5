"""Settings of RLlib whose effect is no weight: what a run asks for, what it tells, and what is called."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from heliograph.rllib.ppo import CommPPO, CommPPOConfig
from heliograph.rllib.stock_settings import SETTINGS, Effect, Heeded

ASKED: dict[str, dict[str, Any]] = {
    "num_cpus_per_env_runner": {"num_env_runners": 1, "num_cpus_per_env_runner": 2},
    "custom_resources_per_env_runner": {"num_env_runners": 1, "custom_resources_per_env_runner": {"lamp": 1}},
    "num_cpus_per_learner": {"num_learners": 1, "num_cpus_per_learner": 3},
    "num_gpus_per_learner": {"num_learners": 1, "num_gpus_per_learner": 1},
    "custom_resources_per_learner": {"num_learners": 1, "custom_resources_per_learner": {"lamp": 1}},
    "num_cpus_for_main_process": {"num_cpus_for_main_process": 4},
    "custom_resources_for_main_process": {"custom_resources_for_main_process": {"lamp": 1}},
    "placement_strategy": {"placement_strategy": "SPREAD"},
    "evaluation_num_env_runners": {"evaluation_interval": 1, "evaluation_num_env_runners": 2},
}
"""What Tune is asked for."""
CALLED = (
    "callbacks_class", "on_algorithm_init", "on_train_result", "on_evaluate_start", "on_evaluate_end",
    "on_environment_created", "on_sample_end",
)  # fmt: skip
SEEN_HERE = {
    "log_level", "min_sample_timesteps_per_iteration", "evaluation_interval", "evaluation_duration",
    "evaluation_duration_unit", "evaluation_config", "custom_evaluation_function",
}  # fmt: skip
OF_RLLIB = {
    "env_runner_cls", "on_checkpoint_loaded", "create_local_env_runner", "create_env_on_local_worker",
    "validate_env_runners_after_construction", "sample_timeout_s", "evaluation_parallel_to_training",
    "evaluation_sample_timeout_s", "evaluation_unhealthy_workers_timeout_s",
    "evaluation_error_after_n_consecutive_skips", "on_env_runners_recreated", "min_time_s_per_iteration",
    "min_train_timesteps_per_iteration", "custom_stats_cls_lookup", "restart_failed_env_runners",
    "ignore_env_runner_failures", "max_num_env_runner_restarts", "delay_between_env_runner_restarts_s",
    "env_runner_health_probe_timeout_s", "env_runner_restore_timeout_s", "num_gpus_per_env_runner", "local_gpu_idx",
}  # fmt: skip
"""Read by RLlib itself, in code that runs here unchanged: processes, their health, and the loop around a step."""


def config() -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment("speaker_listener")
        .communication(model="feedforward", model_settings={"size": 8}, channel="symbols")
        .env_runners(num_envs_per_env_runner=16)
        .training(train_batch_size_per_learner=32, minibatch_size=32)
        .debugging(seed=0, log_level="ERROR")
    )


def noting(name: str, fired: set[str]) -> Callable[..., None]:
    """A function, as copies of a configuration share those."""
    return lambda **kwargs: fired.add(name)


def asked(**given: Any) -> Any:
    found = CommPPO.default_resource_request(config().update_from_dict(given))
    return found.bundles, found.strategy


def test_all_of_them_are_named_here() -> None:
    heeded = {n for n, s in SETTINGS.items() if isinstance(s, Heeded) and s.effect is not Effect.LEARNING}
    assert heeded == {*ASKED, *CALLED, *SEEN_HERE, *OF_RLLIB}


@pytest.mark.parametrize("name", ASKED)
def test_resources_are_asked_for(name: str) -> None:
    assert asked(**ASKED[name]) != asked(**{key: value for key, value in ASKED[name].items() if key != name})


@pytest.mark.filterwarnings("ignore")  # of Ray, about its own loggers
def test_what_is_called_and_told(ray_session: None) -> None:
    fired: set[str] = set()
    functions = {name: noting(name, fired) for name in CALLED if name.startswith("on_")}

    def judged(algorithm: Any, runners: Any) -> Any:
        fired.add("custom_evaluation_function")
        return {}, 0, 0

    given = config().callbacks(**functions).evaluation(evaluation_interval=1, evaluation_duration=12)
    given.reporting(min_sample_timesteps_per_iteration=64)
    algorithm = given.build_algo()
    found = algorithm.train()
    assert found["env_runners"]["num_env_steps_sampled"] >= 64
    assert found["evaluation"]["env_runners"]["num_episodes"] == 12
    assert logging.getLogger("ray.rllib").level == logging.ERROR
    algorithm.stop()
    assert fired == set(functions)
    own = config().evaluation(evaluation_interval=1, custom_evaluation_function=judged).build_algo()
    own.train()
    own.stop()
    assert "custom_evaluation_function" in fired
