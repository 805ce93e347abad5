"""`FromMarlenv` on an environment of the interface, and on those of the package where it is installed."""

import types
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from heliograph import testing
from heliograph.adapters.marlenv import FromMarlenv, state_of
from heliograph.testing import random_actions

NUM_STEPS = 3
LIMITED = {"time_limit": NUM_STEPS, "time_limit_is_truncation": True}


def space(*sizes: int) -> Any:
    parts = [types.SimpleNamespace(size=size) for size in sizes]
    return types.SimpleNamespace(is_discrete=True, spaces=parts)


class Ferry:
    """Two agents see the step, have 3 actions (the second none at step 1) and earn what both chose, and its square."""

    def __init__(self, *, objectives: int = 1, extras: int = 0, done: bool = True, truncated: bool = False):
        self.n_agents, self.observation_shape, self.extras_shape, self.extras_size = 2, (2,), (extras,), extras
        self.action_space = space(3, 3)
        self.reward_space = types.SimpleNamespace(size=objectives)
        self.done, self.truncated = done, truncated

    def reset(self, *, seed: int | None = None) -> Any:
        self.seed, self.time = seed, 0
        return self._see(), self.get_state()

    def step(self, actions: np.ndarray) -> Any:
        assert actions.shape == (2,) and actions.dtype.kind == "i"
        self.time += 1
        both, last = float(actions.sum()), self.time == NUM_STEPS
        reward = np.array([both, both**2][: self.reward_space.size], np.float32)
        ends = {"done": self.done and last, "truncated": self.truncated and last}
        return types.SimpleNamespace(obs=self._see(), reward=reward, **ends)

    def get_state(self) -> Any:
        return types.SimpleNamespace(data=np.full((2, 2), self.time), extras=np.array([0.5]))

    def _see(self) -> Any:
        available = np.array([[1, 1, 0], [1, 1, 1] if self.time != 1 else [0, 0, 0]], bool)
        extras = np.full((2, self.extras_size), self.time / NUM_STEPS, np.float32)
        data = np.array([[self.time, 0], [self.time, 1]], np.float32)
        return types.SimpleNamespace(data=data, extras=extras, available_actions=available)


def ones(env: FromMarlenv) -> dict[str, torch.Tensor]:
    return {"agent": torch.ones(env.num_envs, 2, dtype=torch.long)}


def test_the_contract_is_kept() -> None:
    for check in ("check_spaces", "check_masks", "check_auto_reset", "check_seeding"):
        testing.CHECKS[check](lambda **given: FromMarlenv(lambda: Ferry(extras=1), **given))


def test_the_team_is_paid_once_and_limited_to_what_is_available() -> None:
    env = FromMarlenv(Ferry, num_envs=2)
    step = env.reset()
    assert step.action_mask["agent"][0].tolist() == [[True, True, False], [True, True, True]]
    assert env.envs[0].seed != env.envs[1].seed
    step = env.step(ones(env))
    assert step.rewards.tolist() == [[2.0, 2.0]] * 2  # the return of the team is the mean over its agents
    assert step.acting[0].tolist() == [True, False] and step.observing.all()  # one has nothing to choose from
    assert env.step(ones(env)).acting.all()
    env.close()  # there is nothing to close


@pytest.mark.parametrize(
    ("done", "truncated", "limit", "cut"),
    [(True, False, {}, False), (False, True, {}, True), (True, True, {}, False), (True, True, LIMITED, True)],
)
def test_ends_and_limits_are_told_apart(done: bool, truncated: bool, limit: dict[str, Any], cut: bool) -> None:
    env = FromMarlenv(lambda: Ferry(done=done, truncated=truncated), **limit)
    env.reset()
    steps = [env.step(ones(env)) for _ in range(NUM_STEPS)]
    assert [bool(step.episode_over) for step in steps] == [False, False, True]
    assert steps[-1].truncated.tolist() == [[cut, cut]] and steps[-1].terminated.tolist() == [[not cut, not cut]]
    assert steps[-1].final_observations["agent"][0].tolist() == [[3.0, 0.0], [3.0, 1.0]]


def test_extras_stand_beside_the_observation() -> None:
    env = FromMarlenv(lambda: Ferry(extras=1))
    assert set(env.roles[0].observation_space.spaces) == {"observation", "extras"}
    env.reset()
    assert env.step(ones(env)).observations["agent"]["extras"][0, 1].tolist() == pytest.approx([1 / 3])
    assert state_of(env.envs[0]).tolist() == [1, 1, 1, 1, 0.5]


def test_objectives_are_weighed() -> None:
    env = FromMarlenv(lambda: Ferry(objectives=2), reward_weights=[1.0, -0.5])
    env.reset()
    assert env.step(ones(env)).rewards.tolist() == [[0.0, 0.0]]
    with pytest.raises(ValueError, match="rewards have 2 parts: give the weight of each, reward_weights="):
        FromMarlenv(lambda: Ferry(objectives=2))
    with pytest.raises(ValueError, match=r"reward_weights=\[1.0\]: needs 2 finite numbers"):
        FromMarlenv(lambda: Ferry(objectives=2), reward_weights=[1.0])


def test_what_cannot_be_adapted_is_named() -> None:
    with pytest.raises(TypeError, match="must return a MARLEnv of marlenv, not int"):
        FromMarlenv(lambda: 3)
    with pytest.raises(ValueError, match="masks_in_infos=False"):
        FromMarlenv(Ferry, masks_in_infos=False)


def test_continuous_actions_have_their_rows_of_the_bounds() -> None:
    class Steered(Ferry):
        def __init__(self) -> None:
            super().__init__()
            low, high = np.array([[-1.0], [-2.0]]), np.array([[1.0], [2.0]])
            self.action_space = types.SimpleNamespace(is_discrete=False, low=low, high=high)

        def step(self, actions: np.ndarray) -> Any:
            assert actions.shape == (2, 1)
            return super().step(np.zeros(2, int))

    env = FromMarlenv(lambda: Steered(), role_of=lambda agent: agent)
    bounds = [spaces.Box(-1.0, 1.0, (1,)), spaces.Box(-2.0, 2.0, (1,))]
    assert [role.action_space for role in env.roles] == bounds
    assert env.reset().action_mask is None
    env.step({"agent_0": torch.zeros(1, 1, 1), "agent_1": torch.zeros(1, 1, 1)})


def test_a_step_is_that_of_the_package() -> None:
    catalog = pytest.importorskip("marlenv.catalog")

    def make() -> Any:
        return catalog.MStepsMatrix(5)

    env, raw, generator = FromMarlenv(make), make(), torch.Generator().manual_seed(0)
    step, (seen, _) = env.reset(), raw.reset(seed=0)
    for _ in range(10):
        assert np.allclose(step.observations["agent"][0], seen.data)
        assert step.action_mask["agent"][0].tolist() == seen.available_actions.tolist()
        actions = random_actions(env, step=step, generator=generator)
        step, told = env.step(actions), raw.step(actions["agent"][0].numpy())
        assert step.rewards[0].tolist() == pytest.approx([told.reward.item()] * 2)
        assert bool(step.episode_over) is told.is_terminal
        seen = raw.reset(seed=0)[0] if told.is_terminal else told.obs
