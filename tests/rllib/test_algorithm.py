"""CommPPO as an RLlib algorithm, through Ray: runners, learners, evaluation, checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heliograph.rllib.ppo import CommPPO, CommPPOConfig
from heliograph.rllib.qlearning import CommDQNConfig

pytestmark = pytest.mark.usefixtures("ray_session")


def config(**runners: Any) -> CommPPOConfig:
    """A small configuration."""
    return (
        CommPPOConfig()
        .environment("speaker_listener", env_config={"goals": 3})
        .communication(model="cnet", model_settings={"size": 16}, channel="symbols")
        .env_runners(num_envs_per_env_runner=32, **runners)
        .training(train_batch_size_per_learner=256, minibatch_size=128, num_epochs=2)
        .debugging(seed=0, log_level="ERROR")
    )


def difference(first: dict, second: dict) -> float:
    """The largest difference between two module states."""
    pairs = [(first[m][k], second[m][k]) for m in first for k in first[m]]
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max(initial=0)) for a, b in pairs)


@pytest.mark.parametrize("num_env_runners", [0, 2])
def test_env_runners(num_env_runners: int) -> None:
    algorithm = config(num_env_runners=num_env_runners).build_algo()
    try:
        results = [algorithm.train() for _ in range(2)]
    finally:
        algorithm.stop()
    runners = results[-1]["env_runners"]
    assert runners["num_env_steps_sampled_lifetime"] >= 512
    assert -1 <= runners["episode_return_mean"] <= 1
    assert runners["episode_len_mean"] == 2
    assert {"entropy_bits", "mutual_information_bits", "success_rate"} <= set(runners)
    assert set(runners["agent_episode_returns_mean"]) == {"speaker_0", "listener_0"}
    assert {"speaker", "listener", "__all_modules__"} <= set(results[-1]["learners"])
    assert results[-1]["learners"]["__all_modules__"]["first_ratio_error"] <= 1e-5


def test_remote_env_runners_explore_as_far_as_all_of_them_have_come() -> None:
    settings = (
        CommDQNConfig()
        .environment("switch_riddle")
        .communication(model="cnet", model_settings={"size": 8}, channel="dru")
        .env_runners(num_env_runners=2, num_envs_per_env_runner=8)
        .training(epsilon=[[0, 0.5], [1000, 0.0]])
    )
    algorithm = settings.build_algo()
    try:
        first = algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"]
        algorithm.train()
        found = algorithm.env_runner_group.foreach_env_runner(lambda x: x.sampler.epsilon, local_env_runner=False)
    finally:
        algorithm.stop()
    assert first > 0 and found == pytest.approx([0.5 * (1 - first / 1000)] * 2)


def test_evaluation_plays_a_fixed_number_of_episodes() -> None:
    settings = config().evaluation(evaluation_interval=1, evaluation_duration=50, evaluation_num_env_runners=1)
    algorithm = settings.build_algo()
    try:
        result = algorithm.train()
    finally:
        algorithm.stop()
    found = result["evaluation"]["env_runners"]
    assert found["num_episodes"] >= 50
    assert -1 <= found["episode_return_mean"] <= 1


def test_evaluation_runs_beside_training() -> None:
    settings = config().evaluation(
        evaluation_interval=1, evaluation_num_env_runners=1, evaluation_parallel_to_training=True,
        evaluation_duration=40,
    )  # fmt: skip
    algorithm = settings.build_algo()
    try:
        result = algorithm.train()
    finally:
        algorithm.stop()
    assert result["evaluation"]["env_runners"]["num_episodes"] >= 40
    assert result["env_runners"]["num_env_steps_sampled_lifetime"] == 256


def test_a_checkpoint_continues_bit_by_bit(tmp_path: Path) -> None:
    algorithm = config().build_algo()
    algorithm.train()
    path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    algorithm.train()
    expected = algorithm.learner_group._learner.module.get_state()
    algorithm.restore_from_path(path)
    algorithm.train()
    assert difference(expected, algorithm.learner_group._learner.module.get_state()) == 0.0
    algorithm.stop()
    other = CommPPO.from_checkpoint(path)
    try:
        other.train()
        found = other.learner_group._learner.module.get_state()
    finally:
        other.stop()
    assert difference(expected, found) == 0.0
