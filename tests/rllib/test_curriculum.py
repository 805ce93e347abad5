"""Curricula and transfer in training: what runners play, resuming bit by bit, and evaluation of the task itself."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heliograph.experiments.settings import settings_from
from heliograph.registry import UnknownNameError
from heliograph.rllib.ppo import CommPPO, CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.records import read_progress
from heliograph.rllib.runs.train import resume, train
from heliograph.storage.run_folder import RunFolderError, read_config, read_run
from heliograph.storage.team_file import export

RISING = {"p_arrive": {"by": "iteration", "points": [[0, 0.1], [4, 0.3]]}}
ANYWAY = {"by": "metric", "metric": "success_rate", "at_least": 0.0, "values": [0.1, 0.2, 0.3]}
HELD = {"by": "iteration", "points": [[0, 10], [2, 20]], "between": "hold"}
SETTINGS = {"vision": 0}
BATCH = {"train_batch_size_per_learner": 160, "minibatch_size": 80, "num_epochs": 1}


def config(curriculum: Any = RISING, *, settings: dict | None = None, **runners: Any) -> CommPPOConfig:
    """Eight copies of the easy junction, 20 steps each an iteration."""
    return (
        CommPPOConfig()
        .environment("traffic_junction", env_config={**SETTINGS, **(settings or {})}, curriculum=curriculum)
        .communication(model="commnet", model_settings={"size": 8}, channel="continuous")
        .env_runners(num_envs_per_env_runner=8, **runners)
        .training(**BATCH)
        .debugging(seed=0, log_level="ERROR")
    )


def weights(trainer: LocalTrainer) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in trainer.learner.module["car"].state_dict().items()}


def test_a_runner_plays_what_the_iteration_says() -> None:
    trainer = LocalTrainer(config())
    env = trainer.env_runner.env
    assert env.p_arrive == 0.3
    for expected in (0.1, 0.15, 0.2, 0.25, 0.3, 0.3):
        assert trainer.train().env_runner["curriculum_p_arrive"] == pytest.approx(expected)
        assert trainer.env_runner.env is env and env.p_arrive == pytest.approx(expected)


def test_a_metric_that_is_reached_leads_to_the_next_value() -> None:
    trainer = LocalTrainer(config({"p_arrive": ANYWAY}))
    assert [trainer.train().env_runner["curriculum_p_arrive"] for _ in range(4)] == [0.1, 0.2, 0.3, 0.3]
    never = LocalTrainer(config({"p_arrive": {**ANYWAY, "at_least": 2.0}}))
    assert [never.train().env_runner["curriculum_p_arrive"] for _ in range(3)] == [0.1, 0.1, 0.1]


def test_a_metric_counts_only_in_iterations_in_which_episodes_end() -> None:
    given = config({"p_arrive": ANYWAY}).env_runners(rollout_fragment_length=5, num_envs_per_env_runner=32)
    trainer = LocalTrainer(given)
    found = [trainer.train().env_runner["curriculum_p_arrive"] for _ in range(9)]
    assert found == [0.1] * 4 + [0.2] * 4 + [0.3]


def test_other_settings_than_adjustable_ones_build_the_environment_anew() -> None:
    trainer = LocalTrainer(config({"steps": HELD}))
    lengths = [trainer.train().env_runner["episode_len_mean"] for _ in range(3)]
    assert lengths == [10, 10, 20] and trainer.env_runner.env.steps == 20


@pytest.mark.parametrize("curriculum", [RISING, {"p_arrive": ANYWAY, "steps": HELD}])
def test_resumed_equals_uninterrupted(curriculum: Any, tmp_path: Path) -> None:
    whole, resumed = LocalTrainer(config(curriculum)), LocalTrainer(config(curriculum))
    for _ in range(2):
        whole.train()
    whole.save(tmp_path / "state.safetensors")
    expected = [whole.train() for _ in range(2)]
    resumed.restore(tmp_path / "state.safetensors")
    found = [resumed.train() for _ in range(2)]
    names = ("curriculum_p_arrive", "episode_return_mean")
    assert [[p.env_runner[n] for n in names] for p in found] == [[p.env_runner[n] for n in names] for p in expected]
    assert all(torch.equal(a, b) for a, b in zip(weights(whole).values(), weights(resumed).values(), strict=True))


def test_what_is_evaluated_is_what_the_curriculum_ends_at(tmp_path: Path) -> None:
    chosen = {"env": "traffic_junction", "env_settings": SETTINGS, "curriculum": {**RISING, "steps": HELD}}
    small = {"num_envs_per_env_runner": 8, **BATCH}
    team = {"model": "commnet", "model_settings": {"size": 8}, "channel": "continuous", "algorithm_settings": small}
    settings = settings_from({**chosen, **team, "iterations": 2, "evaluation_episodes": 8})
    summary = train(settings, out=tmp_path / "run")
    assert summary["episode_len_mean"] == 20
    rows = read_progress(tmp_path / "run")
    assert [row["curriculum_p_arrive"] for row in rows] == [0.1, 0.15] and rows[0]["curriculum_steps"] == 10
    env = read_config(tmp_path / "run")["env"]
    assert env["settings"] == {"vision": 0, "p_arrive": 0.3, "steps": 20}
    assert read_run(tmp_path / "run").env.settings["p_arrive"] == 0.3
    resume(tmp_path / "run", iterations=3)
    assert [row["curriculum_p_arrive"] for row in read_progress(tmp_path / "run")] == [0.1, 0.15, 0.2]


def test_bad_curricula_are_refused_before_training() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'p_arrive'"):
        LocalTrainer(config({"p_arive": ANYWAY}))
    with pytest.raises(ValueError, match=r"p_arrive=0.1: its curriculum ends at 0.3"):
        LocalTrainer(config(settings={"p_arrive": 0.1}))
    with pytest.raises(ValueError, match="with cars=3 agents"):
        LocalTrainer(config({"cars": {"by": "iteration", "points": [[0, 3], [2, 5]], "between": "hold"}}))
    with pytest.raises(ValueError, match="did you mean 'success_rate'"):
        settings_from({"curriculum": {"p_arrive": {**ANYWAY, "metric": "sucess_rate"}}})


@pytest.mark.usefixtures("ray_session")
def test_remote_runners_follow_and_a_checkpoint_goes_on(tmp_path: Path) -> None:
    curriculum = {"p_arrive": {**ANYWAY, "values": [0.1, 0.15, 0.2, 0.3]}}
    given = config(curriculum, num_env_runners=1)
    given.evaluation(evaluation_interval=1, evaluation_duration=8, evaluation_duration_unit="episodes")

    def rates(algo: CommPPO, *, evaluating: bool) -> list[float]:
        group = algo.eval_env_runner_group if evaluating else algo.env_runner_group
        return group.foreach_env_runner(lambda runner: runner.env.p_arrive, local_env_runner=evaluating)

    whole = given.build_algo()
    for expected in (0.1, 0.15):
        assert whole.train()["env_runners"]["curriculum_p_arrive"] == expected
        assert rates(whole, evaluating=False) == [expected] and rates(whole, evaluating=True) == [0.3]
    path = whole.save_to_path(str(tmp_path / "checkpoint"))
    again = CommPPO.from_checkpoint(path)
    for expected in (0.2, 0.3):
        results = [algo.train() for algo in (whole, again)]
        assert [r["env_runners"]["curriculum_p_arrive"] for r in results] == [expected] * 2
    states = [algo.learner_group.get_state()["learner"]["rl_module"]["car"] for algo in (whole, again)]
    assert all(np.array_equal(states[0][key], states[1][key]) for key in states[0])
    for algo in (whole, again):
        algo.stop()


def trained(tmp_path: Path) -> Path:
    """A team file from the easy junction."""
    chosen = {"env": "traffic_junction", "env_settings": {**SETTINGS, "p_arrive": 0.1}, "iterations": 1}
    small = {"num_envs_per_env_runner": 8, **BATCH}
    team = {"model": "commnet", "model_settings": {"size": 8}, "channel": "continuous", "algorithm_settings": small}
    train(settings_from({**chosen, **team, "evaluation_episodes": 8}), out=tmp_path / "run")
    return export(tmp_path / "run", tmp_path / "team.safetensors")


def test_policies_of_another_run_start_on_a_changed_environment(tmp_path: Path) -> None:
    team = trained(tmp_path)
    changed = config({}, settings={"p_arrive": 0.3, "steps": 40, "cars": 8}).communication(load_policies={"car": team})
    trainer = LocalTrainer(changed)
    assert trainer.team.layout.agents[-1] == "car_7"
    before = read_run(team).team.policies["car"].state_dict()
    assert all(torch.equal(before[key], value) for key, value in trainer.team.policies["car"].state_dict().items())
    trainer.train()
    assert any(not torch.equal(before[k], v) for k, v in trainer.team.policies["car"].state_dict().items())
    with pytest.raises(RunFolderError, match=r"'car' cannot take the weights.*env='traffic_junction'.*same model"):
        LocalTrainer(config({}, settings={"vision": 1}).communication(load_policies={"car": copy.copy(team)}))
