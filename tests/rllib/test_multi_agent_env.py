import functools
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.utils.pre_checks.env import check_multiagent_environments

from heliograph import testing
from heliograph.envs.identity import Identity
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.registry import UnknownNameError
from heliograph.rllib.multi_agent_env import FromMultiAgentEnv, ToMultiAgentEnv

BLIND_SUM = 2 * (2 / 3 - 1)  # stock RLlib sums over the agents


class Relay(MultiAgentEnv):
    """Runner 0 acts, then 1, then 2 (rewarded by the action, and 0.5 each time for runner 0), until `end` says so."""

    def __init__(self, config: dict[str, Any] | None = None):
        super().__init__()
        self.possible_agents = self.agents = [0, 1, 2]
        self.observation_spaces = {a: spaces.Box(0.0, 100.0, (1,)) for a in self.agents}
        self.action_spaces = {a: spaces.Discrete(3) for a in self.agents}
        self.config = config or {}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        self.time = 0
        return self._see(), {}

    def step(self, action_dict: dict) -> tuple[dict, dict, dict, dict, dict]:
        (agent, action), self.time = next(iter(action_dict.items())), self.time + 1
        rewards = {0: 0.5, agent: float(action)}
        terminateds, truncateds = {"__all__": False}, {"__all__": False}
        if self.time == 2 and self.config.get("leaves"):
            terminateds[1] = True
        if self.time == 5:
            (truncateds if self.config.get("cut") else terminateds)["__all__"] = True
        return self._see(), rewards, terminateds, truncateds, {"__common__": {"time": self.time}}

    def _see(self) -> dict[int, np.ndarray]:
        agent = self.time % 3
        if agent == 1 and self.time > 1 and self.config.get("leaves"):
            agent = 2
        return {agent: np.array([self.time], np.float32)}


def play(env: FromMultiAgentEnv, *, steps: int = 5) -> list:
    action = {role.name: torch.full((env.num_envs, len(role.agents)), 2) for role in env.roles}
    return [env.reset()] + [env.step(action) for _ in range(steps)]


def test_agents_with_an_observation_act_next() -> None:
    env = FromMultiAgentEnv(Relay, num_envs=2)
    assert env.agents == ("0", "1", "2") and [role.name for role in env.roles] == ["agent"]
    shown = play(env)
    assert [step.acting[0].int().argmax().item() for step in shown[:5]] == [0, 1, 2, 0, 1]
    assert all(step.acting[0].sum() == 1 for step in shown)
    assert shown[2].rewards[0].tolist() == [0.5, 2.0, 0.0]
    assert shown[5].episode_over.all() and shown[5].terminated.all() and not shown[5].truncated.any()
    assert shown[5].final_observations["agent"][0, 2].item() == 5


@pytest.mark.parametrize("leaves", [False, True])
def test_a_cut_truncates_those_who_have_not_left(leaves: bool) -> None:
    shown = play(FromMultiAgentEnv(Relay, env_config={"cut": True, "leaves": leaves}))
    assert shown[2].terminated[0].tolist() == [False, leaves, False]
    assert shown[5].truncated[0].tolist() == [True, not leaves, True] and shown[5].episode_over.all()
    assert not shown[4].observing[0, 1] or not leaves


def test_an_instance_is_one_copy() -> None:
    assert FromMultiAgentEnv(Relay()).reset().observing.tolist() == [[True, False, False]]
    with pytest.raises(ValueError, match="one copy"):
        FromMultiAgentEnv(Relay(), num_envs=2)
    with pytest.raises(TypeError, match="MultiAgentEnv"):
        FromMultiAgentEnv(dict)


def test_wrapped_environments_keep_the_contract() -> None:
    testing.check_env(functools.partial(FromMultiAgentEnv, Relay))


@pytest.mark.parametrize("make", [SpeakerListener, Identity, SwitchRiddle])
@pytest.mark.parametrize("vocab_size", [0, 3])
def test_ours_pass_the_checks_of_rllib(make: Any, vocab_size: int) -> None:
    check_multiagent_environments(ToMultiAgentEnv(make(), vocab_size=vocab_size))


def test_only_agents_that_take_part_are_shown_and_their_rewards_wait() -> None:
    env = ToMultiAgentEnv(SpeakerListener(rounds=2), vocab_size=3, speakers=["speaker"])
    shown, _ = env.reset(seed=0)
    assert list(shown) == ["speaker_0"]
    goal = int(shown["speaker_0"][:3].argmax())
    shown, rewards, *_ = env.step({"speaker_0": 1})
    assert list(shown) == list(rewards) == ["listener_0"] and rewards["listener_0"] == 0.0
    shown, rewards, terminateds, *_ = env.step({"listener_0": goal})
    assert rewards == {"speaker_0": 1.0} and not terminateds["__all__"]
    wrong = (int(shown["speaker_0"][:3].argmax()) + 1) % 3
    assert env.step({"speaker_0": 1})[1] == {"listener_0": 1.0}
    shown, rewards, terminateds, truncateds, _ = env.step({"listener_0": wrong})
    assert rewards == {"speaker_0": -1.0, "listener_0": -1.0} and set(shown) == {"speaker_0", "listener_0"}
    assert all(terminateds.values()) and not any(truncateds.values())


def test_a_time_limit_truncates_with_final_observations_and_rewards() -> None:
    env = ToMultiAgentEnv(SpeakerListener(rounds=9, time_limit=4), vocab_size=3)
    env.reset(seed=0)
    for _ in range(2):
        env.step({"speaker_0": 0})
        shown, rewards, terminateds, truncateds, _ = env.step({"listener_0": np.array([0, 0])})
    assert truncateds == {"speaker_0": True, "listener_0": True, "__all__": True} and not any(terminateds.values())
    assert set(shown) == set(rewards) == {"speaker_0", "listener_0"} and shown["speaker_0"][:3].sum() == 1


def test_it_is_made_from_a_config_and_refuses_unknown_settings() -> None:
    env = ToMultiAgentEnv({"env": "speaker_listener", "env_settings": {"goals": 5}, "vocab_size": 5})
    assert env.action_spaces["speaker_0"] == spaces.Discrete(5)
    with pytest.raises(UnknownNameError, match="vocab_size"):
        ToMultiAgentEnv({"env": "speaker_listener", "vocabulary_size": 5})
    with pytest.raises(ValueError, match="env_config has no 'env'"):
        ToMultiAgentEnv({})


def goals(env: ToMultiAgentEnv, count: int = 12) -> list[int]:
    return [int(env.reset()[0]["speaker_0"][:3].argmax()) for _ in range(count)]


def test_copies_made_from_one_config_play_different_episodes_though_rllib_checks_them_with_one_seed() -> None:
    envs = [ToMultiAgentEnv({"env": "speaker_listener"}) for _ in range(2)]
    for env in envs:
        check_multiagent_environments(env)
    assert goals(envs[0]) != goals(envs[1])
    for env in envs:
        env.reset(seed=7)
    assert goals(envs[0]) == goals(envs[1])


def test_a_round_trip_keeps_rewards() -> None:
    there = FromMultiAgentEnv(lambda: ToMultiAgentEnv(SpeakerListener(rounds=3)), seed=1)
    there.reset()
    earned = torch.zeros(2)
    for _ in range(6):
        goal = there.view().meaning[0, 0, 0]
        step = there.step({"speaker": torch.zeros(1, 1, dtype=torch.long), "listener": goal.view(1, 1)})
        earned += step.rewards[0]
    assert step.episode_over.all() and earned.tolist() == [3.0, 3.0]


@pytest.mark.slow
@pytest.mark.ray
def test_stock_ppo_learns_to_talk(ray_session: None) -> None:
    from ray.rllib.algorithms.ppo import PPOConfig

    config = (
        PPOConfig()
        .environment(ToMultiAgentEnv, env_config={"env": "speaker_listener", "vocab_size": 3, "speakers": ["speaker"]})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=16)
        .multi_agent(policies={"speaker_0", "listener_0"}, policy_mapping_fn=lambda agent, episode, **_: agent)
        .rl_module(model_config={"fcnet_hiddens": [32], "vf_share_layers": False})
        .training(train_batch_size_per_learner=256, minibatch_size=64, num_epochs=8, lr=0.01, gamma=1.0)
        .training(entropy_coeff=0.01)
        .debugging(seed=0, log_level="ERROR")
    )
    algo = config.build_algo()
    try:
        returns = [algo.train()["env_runners"]["episode_return_mean"] for _ in range(14)]
    finally:
        algo.stop()
    assert returns[-1] > BLIND_SUM + 1.0, returns
