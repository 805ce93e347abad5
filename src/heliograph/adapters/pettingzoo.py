"""PettingZoo, both ways: its environments as team environments, and team environments as its.

`FromPettingZoo` steps Python environments in a loop (the slow path). `ToParallel` and `ToAEC` put messages into actions
and observations (see `TalkAsAction`), so that an algorithm which knows no channel can use them.
"""

from collections.abc import Mapping
from typing import Any, Unpack, final

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv

from heliograph.adapters.answers import reset_answer, spaces_answer, step_answer
from heliograph.adapters.arrays import AgentID
from heliograph.adapters.copies import copies_of
from heliograph.adapters.frames import ForeignStep
from heliograph.adapters.picture import RENDERING, picture_of
from heliograph.adapters.stacked import StackedEnv, StackedSettings
from heliograph.adapters.talk import TalkAsAction, TalkSettings, TalkStep
from heliograph.envs.base import TeamEnv

__all__ = ["FromPettingZoo", "ToAEC", "ToParallel"]

NOBODY = frozenset[AgentID]()


@final
class FromPettingZoo(StackedEnv):
    """`num_envs` PettingZoo environments made by `make()`, of the parallel or of the AEC interface.

    The turns of an AEC environment are kept: in each env step one agent, the one selected, observes and acts; its
    reward arrives when it is selected again (or leaves), as `last()` tells it. Agents that PettingZoo calls truncated
    are truncated, not terminated. An environment need not inherit from PettingZoo's classes, if it has what they have.
    For settings see `StackedSettings`.
    """

    def __init__(self, make: Any, **settings: Unpack[StackedSettings]):
        with copies_of(make, num_envs=settings.get("num_envs", 1)) as envs:
            self._adapt(envs, settings)

    def _adapt(self, envs: list[Any], settings: StackedSettings) -> None:
        first = envs[0]
        if not is_pettingzoo(first):
            raise TypeError(
                f"make() must return a PettingZoo ParallelEnv or AECEnv, or what has their attributes, not "
                f"{type(first).__name__}"
            )
        if not getattr(first, "possible_agents", None):
            raise ValueError(f"{first}: needs possible_agents, since a team has a fixed number of slots")
        self._takes_turns = takes_turns(first)
        known = spaces_answer(
            first, first.possible_agents, sees=first.observation_space, does=first.action_space
        )  # fmt: skip
        super().__init__(envs, known, **settings)

    def _reset_one(self, env: Any, *, seed: int) -> ForeignStep:
        if self._takes_turns:
            env.reset(seed=seed, **self._reset_with)
            return _aec_frame(env)
        observations, infos = reset_answer(env, env.reset(seed=seed, **self._reset_with))
        observations, infos = self._of_agents(observations), self._of_agents(infos)
        turn = _live(env, observations)
        return ForeignStep(observations=observations, turn=turn, infos=infos, over=not turn)

    def _step_one(self, env: Any, actions: dict[AgentID, Any]) -> ForeignStep:
        if self._takes_turns:
            (action,) = actions.values()  # of the agent that was selected
            env.step(action)
            return _aec_frame(env)
        answer = step_answer(env, env.step(actions))
        observations, rewards, terminated, truncated, infos = map(self._of_agents, answer)
        some_left = any(terminated.values()) or any(truncated.values())
        left = {a for flags in (terminated, truncated) for a, flag in flags.items() if flag} if some_left else NOBODY
        live = _live(env, observations)
        vanished = [agent for agent in actions if agent not in live and agent not in left]
        if vanished:
            raise ValueError(f"{env}: {vanished} left the agents, but were neither terminated nor truncated")
        unpaid = [agent for agent in actions if agent not in rewards]
        if unpaid:
            raise ValueError(f"{env}: {unpaid} acted and got no reward: step() must tell each one's, 0 too")
        turn = [agent for agent in live if agent not in left]
        return ForeignStep(
            observations=observations,
            turn=turn,
            rewards=rewards,
            terminated=[agent for agent, flag in terminated.items() if flag] if some_left else [],
            truncated=[agent for agent, flag in truncated.items() if flag] if some_left else [],
            infos=infos,
            over=not turn,
        )

    def _of_agents(self, values: Mapping[AgentID, Any]) -> Mapping[AgentID, Any]:
        """Without further keys such as "common", which PettingZoo allows."""
        if values.keys() <= self._slots.keys():
            return values
        return {agent: value for agent, value in values.items() if agent in self._slots}


def is_pettingzoo(env: Any) -> bool:
    """Tell whether an environment has PettingZoo's interface, of one of its two kinds.

    By its class, or by what it has.
    """
    if isinstance(env, (AECEnv, ParallelEnv)):
        return True
    methods = ("reset", "step", "observation_space", "action_space")
    return hasattr(env, "possible_agents") and all(callable(getattr(env, name, None)) for name in methods)


def takes_turns(env: Any) -> bool:
    """Tell whether agents of such an environment move one after the other."""
    if isinstance(env, (AECEnv, ParallelEnv)):
        return isinstance(env, AECEnv)
    return callable(getattr(env, "agent_iter", None)) and callable(getattr(env, "last", None))


def _live(env: Any, observations: Mapping[AgentID, Any]) -> list[AgentID]:
    """Agents in play: those that it lists, or, where it has no list, those that it shows something."""
    return list(getattr(env, "agents", observations))


def _aec_frame(env: Any) -> ForeignStep:
    """Let agents that have left step out, and show the next agent what it sees."""
    observations: dict[AgentID, Any] = {}
    rewards: dict[AgentID, Any] = {}
    infos: dict[AgentID, dict] = {}
    shown = ForeignStep(observations=observations, turn=[], rewards=rewards, infos=infos)
    while env.agents:
        agent = env.agent_selection
        observation, rewards[agent], terminated, truncated, infos[agent] = env.last()
        if observation is not None:
            observations[agent] = observation
        if not (terminated or truncated):
            shown.turn = [agent]
            return shown
        shown.terminated += [agent] * bool(terminated)
        shown.truncated += [agent] * bool(truncated)
        env.step(None)
    shown.over = True
    return shown


class ToParallel(ParallelEnv):
    """A team environment of one copy as a PettingZoo `ParallelEnv`, with messages as actions (see `TalkAsAction`).

    All agents stay live until the episode is over, since slots may be filled again. `infos[agent]` tells whether the
    agent is `observing`, `acting` and `speaking` now; one that is not is shown zeros, and its action is ignored.
    """

    def __init__(self, env: TeamEnv, *, render_mode: str | None = None, **talk: Unpack[TalkSettings]):
        self.talk = TalkAsAction(env, **talk)
        self.render_mode, self._picture = render_mode, picture_of(self.talk, mode=render_mode)
        self.metadata = {"name": type(env).__name__, **RENDERING, "is_parallelizable": True}
        self.possible_agents = list(self.talk.agents)
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> spaces.Space:
        """Return what an agent sees and hears."""
        return self.talk.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """Return what an agent does and says."""
        return self.talk.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Begin a new episode."""
        turn = self.talk.reset(seed=seed)
        self.agents = list(self.possible_agents)
        return turn.observations, turn.infos

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """Move the team once."""
        turn = self.talk.step(actions)
        if turn.over:
            self.agents = []
        return turn.observations, turn.rewards, turn.terminated, turn.truncated, turn.infos

    def render(self) -> np.ndarray | None:
        """An RGB picture [H, W, 3] of the present state with what was just said, where `render_mode` is "rgb_array"."""
        return None if self._picture is None else self._picture.draw()

    def close(self) -> None:
        """There is nothing to close."""


class ToAEC(AECEnv):
    """A team environment of one copy as a PettingZoo `AECEnv`, with messages as actions (see `TalkAsAction`).

    In each step of the team those who take part in it have their turns, one after the other, before it moves; none of
    them sees what the others chose. Agents that neither observe, act nor speak have no turn.
    """

    def __init__(self, env: TeamEnv, *, render_mode: str | None = None, **talk: Unpack[TalkSettings]):
        super().__init__()
        self.talk = TalkAsAction(env, **talk)
        self.render_mode, self._picture = render_mode, picture_of(self.talk, mode=render_mode)
        self.metadata = {"name": type(env).__name__, **RENDERING, "is_parallelizable": False}
        self.possible_agents = list(self.talk.agents)
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> spaces.Space:
        """Return what an agent sees and hears."""
        return self.talk.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """Return what an agent does and says."""
        return self.talk.action_spaces[agent]

    def observe(self, agent: str) -> Any:
        """Return what an agent sees in the present step of the team."""
        return self._turn.observations[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin a new episode."""
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self._show(self.talk.reset(seed=seed))
        while not self._queue:
            self._move({})
        self._select()

    def step(self, action: Any) -> None:
        """Take the turn of the selected agent; the team moves after the last turn of its step."""
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        self._chosen[agent] = action
        if not self._queue:
            self._move(self._chosen)
            while not self._queue:
                self._move({})
        self._select()
        self._accumulate_rewards()

    def render(self) -> np.ndarray | None:
        """An RGB picture [H, W, 3] of the present state with what was just said, where `render_mode` is "rgb_array"."""
        return None if self._picture is None else self._picture.draw()

    def close(self) -> None:
        """There is nothing to close."""

    def _show(self, turn: TalkStep) -> None:
        self._turn = turn
        self._queue = list(self.agents) if turn.over else list(turn.taking_part)
        self._chosen: dict[str, Any] = {}
        self.terminations, self.truncations = dict(turn.terminated), dict(turn.truncated)
        self.infos = {agent: dict(info) for agent, info in turn.infos.items()}

    def _move(self, chosen: dict[str, Any]) -> None:
        turn = self.talk.step(chosen)
        for agent, reward in turn.rewards.items():
            self.rewards[agent] += reward
        self._show(turn)

    def _select(self) -> None:
        self.agent_selection = self._queue.pop(0)
