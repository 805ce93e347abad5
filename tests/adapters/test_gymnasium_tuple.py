from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from heliograph import testing
from heliograph.adapters.gymnasium_tuple import FromGymnasiumTuple
from heliograph.testing import random_actions

LIMIT = 4


class Meadow(gymnasium.Env):
    """Two agents see the step and their last action, and are paid it; the second leaves at step 2 where `apart`."""

    def __init__(self, *, apart: bool = False, team_reward: bool = False, masks: bool = False, ends_at: int = LIMIT):
        self.apart, self.team_reward, self.masks, self.ends_at = apart, team_reward, masks, ends_at
        self.action_space = spaces.Tuple((spaces.Discrete(3), spaces.MultiDiscrete([3, 2])))
        self.observation_space = spaces.Tuple((spaces.Box(0, 9, (2,)), spaces.Box(0, 9, (3,))))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.time, self.seed, self.got = 0, seed, []
        return self._see((0, (0, 0))), self._info()

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(tuple(action)), action
        self.time += 1
        self.got.append(action)
        reward = [int(action[0]), np.float64(action[1].sum())]
        gone = [self.time >= self.ends_at, self.time >= (2 if self.apart else self.ends_at)]
        terminated = gone if self.apart else gone[0]
        return self._see(action), sum(reward) if self.team_reward else reward, terminated, False, self._info()

    def _see(self, action: Any) -> Any:
        return np.array([self.time, action[0]], np.float32), np.array([self.time, *action[1]], np.float32)

    def _info(self) -> dict:
        return {"action_mask": [np.array([1, 0, 1]), np.array([0, 1, 1, 1, 0])]} if self.masks else {}


def twos(env: FromGymnasiumTuple) -> dict[str, torch.Tensor]:
    copies = env.num_envs
    return {"agent_a": torch.full((copies, 1), 2), "agent_b": torch.ones(copies, 1, 2, dtype=torch.long)}


def test_the_contract_is_kept() -> None:
    def make(**given: Any) -> FromGymnasiumTuple:
        return FromGymnasiumTuple(lambda: Meadow(apart=True, masks=True), masks_in_infos=True, **given)

    for check in ("check_spaces", "check_masks", "check_endings", "check_auto_reset", "check_seeding"):
        testing.CHECKS[check](make)


def test_each_agent_is_shown_and_paid_its_part() -> None:
    env = FromGymnasiumTuple(Meadow, num_envs=2)
    assert [(role.name, role.agents) for role in env.roles] == [("agent_a", ("agent_0",)), ("agent_b", ("agent_1",))]
    env.reset()
    step = env.step(twos(env))
    assert step.rewards.tolist() == [[2.0, 2.0]] * 2
    assert step.observations["agent_a"][1, 0].tolist() == [1.0, 2.0]
    assert step.observations["agent_b"][1, 0].tolist() == [1.0, 1.0, 1.0]
    assert env.envs[0].seed != env.envs[1].seed


def test_the_reward_of_the_team_is_everybodys_and_told_once_each() -> None:
    env = FromGymnasiumTuple(lambda: Meadow(team_reward=True))
    env.reset()
    assert env.step(twos(env)).rewards.tolist() == [[4.0, 4.0]]


def test_one_who_has_left_is_paid_nothing_and_idles() -> None:
    env = FromGymnasiumTuple(lambda: Meadow(apart=True))
    env.reset()
    steps = [env.step(twos(env)) for _ in range(LIMIT)]
    assert [step.terminated[0].tolist() for step in steps] == [[False] * 2, [False, True], [False] * 2, [True, True]]
    assert [step.rewards[0].tolist() for step in steps] == [[2, 2], [2, 2], [2, 0], [2, 0]]
    assert not steps[2].observing[0, 1] and steps[-1].episode_over.all() and not steps[-2].episode_over.any()


def test_an_end_in_the_step_of_the_limit_truncates_where_it_is_said() -> None:
    for given, ends_at, cut in ((True, LIMIT, True), (False, LIMIT, False), (True, LIMIT - 1, False)):
        env = FromGymnasiumTuple(
            lambda at=ends_at: Meadow(ends_at=at), time_limit=LIMIT, time_limit_is_truncation=given
        )
        env.reset()
        step = [env.step(twos(env)) for _ in range(ends_at)][-1]
        assert step.episode_over.all()
        assert step.truncated.all().item() is cut and step.terminated.all().item() is not cut


def test_masks_of_all_stand_in_the_info() -> None:
    env = FromGymnasiumTuple(lambda: Meadow(masks=True), masks_in_infos=True)
    mask = env.reset().action_mask
    assert mask["agent_a"][0, 0].tolist() == [True, False, True]
    assert mask["agent_b"][0, 0].tolist() == [False, True, True, True, False]


def test_what_cannot_be_adapted_is_named() -> None:
    class Alone(Meadow):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = spaces.Discrete(2)

    class Uneven(Meadow):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = spaces.Tuple((spaces.Discrete(2),))

    class Unpaid(Meadow):
        def step(self, action: Any) -> Any:
            seen, reward, *ends = super().step(action)
            return seen, reward[:1], *ends

    with pytest.raises(ValueError, match="alone has nobody to talk to"):
        FromGymnasiumTuple(Alone)
    with pytest.raises(ValueError, match="2 parts of observations and 1 of actions"):
        FromGymnasiumTuple(Uneven)
    with pytest.raises(TypeError, match=r"must return a gymnasium.Env, not int"):
        FromGymnasiumTuple(lambda: 3)
    with pytest.raises(ValueError, match="make is a Meadow, not callable"):
        FromGymnasiumTuple(Meadow())
    env = FromGymnasiumTuple(Unpaid)
    env.reset()
    with pytest.raises(ValueError, match="rewards are 1, but there are 2 agents"):
        env.step(twos(env))


def test_foraging_is_what_it_is_by_itself() -> None:
    pytest.importorskip("lbforaging")

    def make() -> gymnasium.Env:
        return gymnasium.make("Foraging-8x8-2p-2f-v3", disable_env_checker=True)

    env, raw, generator = (
        FromGymnasiumTuple(make, time_limit=50, time_limit_is_truncation=True),
        make(),
        torch.Generator(),
    )
    assert env.roles[0].agents == ("agent_0", "agent_1") and env.roles[0].action_space == spaces.Discrete(6)
    env.start_generator.manual_seed(5)
    seed = int(torch.randint(2**31 - 1, (1,), generator=torch.Generator().manual_seed(5)))
    step, (seen, _) = env.reset(), raw.reset(seed=seed)
    for time in range(1, 51):
        assert np.array_equal(step.observations["agent"][0].numpy(), np.stack(seen))
        actions = random_actions(env, step=step, generator=generator)
        step, (seen, rewards, over, _, _) = env.step(actions), raw.step(actions["agent"][0].tolist())
        assert np.allclose(step.rewards[0].numpy(), rewards) and step.episode_over.item() is over
        if over:
            assert step.truncated.all().item() is (time == 50)
            assert np.array_equal(step.final_observations["agent"][0].numpy(), np.stack(seen))
            break
    assert over
