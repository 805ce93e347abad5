"""Gymnasium environments for several agents: Tuple spaces with a part for each, and a list of rewards.

This is the form of Level-Based Foraging (`lbforaging`), the Multi-Robot Warehouse (`rware`) and their descendants.
"""

import copy
from typing import Any, Unpack, final

import gymnasium
import numpy as np
from gymnasium import spaces

from heliograph.adapters.arrays import MASK, AgentID
from heliograph.adapters.copies import copies_of
from heliograph.adapters.frames import ForeignStep
from heliograph.adapters.settings import StackedSettings
from heliograph.adapters.stacked import StackedEnv

__all__ = ["FromGymnasiumTuple"]


@final
class FromGymnasiumTuple(StackedEnv):
    """`num_envs` Gymnasium environments made by `make()` whose spaces are Tuples with a part for each agent.

    The agents are `agent_0`, `agent_1`, ...; a reward is a sequence with one number for each, or the team's number,
    which all get. `terminated` and `truncated` are one flag, or one for each agent: who has left is no longer asked,
    and an idle action stands in its place. `info["action_mask"]`, where it is there, has one mask for each agent.

    Such environments tend to report their time limit as *terminated*, as if nothing could have been earned afterwards:
    `time_limit=50, time_limit_is_truncation=True` says that an end in that step is the limit's. For other settings see
    `StackedSettings`.
    """

    def __init__(self, make: Any, **settings: Unpack[StackedSettings]):
        with copies_of(make, num_envs=settings.get("num_envs", 1)) as envs:
            first = envs[0]
            spaces_of = spaces_by_agent(first)
            self._agents: list[AgentID] = list(spaces_of)
            self._idle: dict[AgentID, Any] = {agent: idle_action(pair[1]) for agent, pair in spaces_of.items()}
            self._gone: dict[int, set[AgentID]] = {}
            super().__init__(envs, spaces_of, **settings)

    def _reset_one(self, env: Any, *, seed: int) -> ForeignStep:
        observations, info = env.reset(seed=seed, **self._reset_with)
        self._gone[id(env)] = set()
        seen = self._by_agent(env, "observations", observations)
        return ForeignStep(observations=seen, turn=list(self._agents), infos=self._infos(env, info))

    def _step_one(self, env: Any, actions: dict[AgentID, Any]) -> ForeignStep:
        chosen = tuple(actions.get(agent, self._idle[agent]) for agent in self._agents)
        observations, rewards, terminated, truncated, info = env.step(chosen)
        gone = self._gone[id(env)]
        left = {flag: self._who(env, name, told) - gone for flag, name, told in _ends(terminated, truncated)}
        present = [agent for agent in self._agents if agent not in gone]
        seen, paid = self._by_agent(env, "observations", observations), self._by_agent(env, "rewards", rewards)
        gone |= left[True] | left[False]
        turn = [agent for agent in present if agent not in gone]
        return ForeignStep(
            observations={agent: seen[agent] for agent in present},
            turn=turn,
            rewards={agent: paid[agent] for agent in present},
            terminated=[agent for agent in present if agent in left[True]],
            truncated=[agent for agent in present if agent in left[False] - left[True]],
            infos=self._infos(env, info),
            over=not turn,
        )

    def _by_agent(self, env: Any, what: str, values: Any) -> dict[AgentID, Any]:
        """One value for each agent; of rewards also the team's, which all get."""
        if what == "rewards" and np.ndim(values) == 0:
            return dict.fromkeys(self._agents, values)
        if len(values) != len(self._agents):
            raise ValueError(f"{env}: {what} are {len(values)}, but there are {len(self._agents)} agents")
        return dict(zip(self._agents, values, strict=True))

    def _who(self, env: Any, name: str, flags: Any) -> set[AgentID]:
        """The agents whose flag is set."""
        if np.ndim(flags) == 0:
            return set(self._agents) if flags else set()
        return {agent for agent, flag in self._by_agent(env, name, flags).items() if flag}

    def _infos(self, env: Any, info: dict[str, Any]) -> dict[AgentID, dict]:
        if MASK not in info:
            return {}
        return {agent: {MASK: mask} for agent, mask in self._by_agent(env, "action masks", info[MASK]).items()}


def _ends(terminated: Any, truncated: Any) -> tuple[tuple[bool, str, Any], ...]:
    return (True, "terminated", terminated), (False, "truncated", truncated)


def spaces_by_agent(env: Any) -> dict[str, tuple[spaces.Space, spaces.Space]]:
    """Observation and action space of `agent_0`, `agent_1`, ...; refuses what is no environment of this form."""
    if not isinstance(env, gymnasium.Env):
        raise TypeError(f"make() must return a gymnasium.Env, not {type(env).__name__}")
    seen, act = env.observation_space, env.action_space
    if not (isinstance(seen, spaces.Tuple) and isinstance(act, spaces.Tuple)):
        raise ValueError(
            f"{env}: its spaces must be Tuples with a part for each agent, not {seen} and {act}; an agent alone has "
            "nobody to talk to: train it with RLlib's own algorithms; several agents in one environment are best "
            "written as a PettingZoo ParallelEnv"
        )
    if len(seen.spaces) != len(act.spaces):
        sizes = f"{len(seen.spaces)} parts of observations and {len(act.spaces)} of actions"
        raise ValueError(f"{env}: its spaces have {sizes}: there must be one for each agent")
    return {f"agent_{n}": pair for n, pair in enumerate(zip(seen.spaces, act.spaces, strict=True))}


def idle_action(space: spaces.Space) -> Any:
    """An action in the place of an agent that has left: the first choice, in other spaces one that is in them."""
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        return space.start
    own = copy.deepcopy(space)  # the environment's is not to be drawn from
    own.seed(0)
    return own.sample()
