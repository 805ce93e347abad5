"""Environments of marlenv (package `multi-agent-rlenv`), such as the Laser Learning Environment, as team environments.

All agents observe and act in each step, are paid as a team, and end together.
"""

from collections.abc import Sequence
from typing import Any, Unpack, final

import numpy as np
from gymnasium import spaces

from heliograph.adapters.arrays import MASK, AgentID
from heliograph.adapters.copies import copies_of
from heliograph.adapters.frames import ForeignStep
from heliograph.adapters.settings import StackedSettings
from heliograph.adapters.stacked import StackedEnv

__all__ = ["FromMarlenv", "state_of"]


class MarlenvSettings(StackedSettings, total=False):
    """Settings of `FromMarlenv`: those of `StackedSettings`, and what a vector of rewards is worth."""

    reward_weights: Sequence[float] | None


@final
class FromMarlenv(StackedEnv):
    """`num_envs` environments of marlenv made by `make()`, whose agents are `agent_0`, `agent_1`, ...

    Each agent gets the team's reward: once, not the sum over the agents. Where there are several objectives,
    `reward_weights` has the weight of each in it. Available actions are masks. Extras (a time ratio, the last action,
    ...) stand beside the observation in a Dict, where there are any.

    A step that is both `done` and `truncated`, as marlenv's TimeLimit says by default, terminates the episode, unless
    `time_limit_is_truncation` says otherwise. For other settings see `StackedSettings`.
    """

    def __init__(
        self,
        make: Any,
        *,
        reward_weights: Sequence[float] | None = None,
        **settings: Unpack[StackedSettings],
    ):
        with copies_of(make, num_envs=settings.get("num_envs", 1)) as envs:
            first = envs[0]
            if not hasattr(first, "observation_shape") or not hasattr(first, "reward_space"):
                raise TypeError(f"make() must return a MARLEnv of marlenv, not {type(first).__name__}")
            self._team: list[AgentID] = [f"agent_{n}" for n in range(first.n_agents)]
            self._weights = objective_weights(first, reward_weights)
            self._has_extras = first.extras_size > 0
            if first.action_space.is_discrete:
                if settings.setdefault("masks_in_infos", True) is False:
                    raise ValueError("masks_in_infos=False: available actions are always kept: leave it out")
                settings["masks_in_infos"] = True
            self._stuck: dict[int, set[AgentID]] = {}
            seen, act = observation_space(first), action_spaces(first)
            self._sizes = [int(space.n) if isinstance(space, spaces.Discrete) else 0 for space in act]
            super().__init__(envs, dict(zip(self._team, [(seen, space) for space in act], strict=True)), **settings)

    def _reset_one(self, env: Any, *, seed: int) -> ForeignStep:
        observation, _ = env.reset(seed=seed)
        return ForeignStep(
            observations=self._observations_of(observation),
            turn=list(self._team),
            infos=self._masks_of(env, observation),
        )

    def _step_one(self, env: Any, actions: dict[AgentID, Any]) -> ForeignStep:
        stuck = self._stuck[id(env)]
        step = env.step(np.stack([0 if agent in stuck else actions[agent] for agent in self._team]))
        reward = np.asarray(step.reward, np.float64)
        if reward.size != self._weights.size:
            raise ValueError(f"{env}: the reward {step.reward} has {reward.size} parts, not {self._weights.size}")
        cut = bool(step.truncated and not step.done)
        over = bool(step.done or step.truncated)
        return ForeignStep(
            observations=self._observations_of(step.obs),
            turn=[] if over else list(self._team),
            rewards=dict.fromkeys(self._team, float(reward.ravel() @ self._weights)),
            terminated=list(self._team) if over and not cut else [],
            truncated=list(self._team) if cut else [],
            infos={} if over else self._masks_of(env, step.obs),
            over=over,
        )

    def _observations_of(self, observation: Any) -> dict[AgentID, Any]:
        if not self._has_extras:
            return dict(zip(self._team, observation.data, strict=True))
        both = zip(self._team, observation.data, observation.extras, strict=True)
        return {agent: {"observation": own, "extras": extras} for agent, own, extras in both}

    def _masks_of(self, env: Any, observation: Any) -> dict[AgentID, dict]:
        """Actions available to each agent; who can do nothing is shown the step and not asked, and action 0 is sent."""
        infos: dict[AgentID, dict] = {}
        for agent, size, row in zip(self._team, self._sizes, observation.available_actions, strict=True):
            if size:
                available = np.asarray(row[:size], bool)
                infos[agent] = {MASK: available} if available.any() else {"acting": False}
        self._stuck[id(env)] = {agent for agent, info in infos.items() if MASK not in info}
        return infos


def state_of(env: Any) -> np.ndarray:
    """Return what a team that is told everything would see: marlenv's state and its extras side by side, `[S]`."""
    state = env.get_state()
    return np.concatenate([np.ravel(state.data), np.ravel(state.extras)]).astype(np.float32)


def objective_weights(env: Any, given: Sequence[float] | None) -> np.ndarray:
    """The weight of each objective in a reward; 1 where there is one."""
    size = int(env.reward_space.size)
    if given is None:
        if size != 1:
            raise ValueError(f"{env}: rewards have {size} parts: give the weight of each, reward_weights=[...]")
        return np.ones(1)
    weights = np.asarray(given, np.float64)
    if weights.shape != (size,) or not np.isfinite(weights).all():
        raise ValueError(f"reward_weights={given!r}: needs {size} finite numbers, one for each part of a reward")
    return weights


def observation_space(env: Any) -> spaces.Space:
    """Return what each agent sees: a Box, or a Dict of it and the extras."""
    seen = spaces.Box(-np.inf, np.inf, tuple(env.observation_shape), np.float32)
    if env.extras_size == 0:
        return seen
    return spaces.Dict(observation=seen, extras=spaces.Box(-np.inf, np.inf, tuple(env.extras_shape), np.float32))


def action_spaces(env: Any) -> list[spaces.Space]:
    """The action space of each agent: a discrete space, or its row of the bounds of a continuous one."""
    space = env.action_space
    if space.is_discrete:
        return [spaces.Discrete(int(part.size)) for part in space.spaces]
    if len(space.low) != env.n_agents:
        raise ValueError(f"{env}: bounds of actions have the shape {space.low.shape}: the first axis must be agents")
    return [
        spaces.Box(low.astype(np.float32), high.astype(np.float32))
        for low, high in zip(space.low, space.high, strict=True)
    ]
