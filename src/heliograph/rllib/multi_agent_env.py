"""RLlib's `MultiAgentEnv`, both ways: its environments as team environments, and team environments for stock RLlib."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Unpack, final

import numpy as np
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from heliograph.adapters.answers import reset_answer, spaces_answer, step_answer
from heliograph.adapters.arrays import AgentID
from heliograph.adapters.closing import closed_on_failure, made
from heliograph.adapters.frames import ForeignStep
from heliograph.adapters.numbering import first_copy
from heliograph.adapters.stacked import StackedEnv, StackedSettings
from heliograph.adapters.talk import TalkAsAction, TalkSettings, TalkStep
from heliograph.envs.base import TeamEnv, check_positive
from heliograph.registry import check_settings, load

__all__ = ["FromMultiAgentEnv", "ToMultiAgentEnv"]

CHECK: tuple[int, dict] = (42, {})
"""The seed and options with which RLlib's checker (ray/rllib/utils/pre_checks/env.py) resets every environment.

Were that seed kept, all copies of a vector would play the same episodes for ever.
"""
ALL = "__all__"
COMMON = "__common__"


@final
class FromMultiAgentEnv(StackedEnv):
    """`num_envs` environments of RLlib: a class or function that makes one, or, for one copy, an instance.

    `env_config` is handed to the class or function, where given, as an `EnvContext` that numbers the copies.
    Agents that get an observation act next, as in RLlib.
    An episode is over where `__all__` says so in either dict, or as soon as nobody is in play: each agent that has been
    shown something has ended, and no other is shown anything in that step. An agent that has ended and is shown
    something again plays anew. For the other settings see `heliograph.adapters.settings.StackedSettings`.
    """

    def __init__(
        self,
        make: Callable[..., MultiAgentEnv] | MultiAgentEnv,
        *,
        env_config: Mapping[str, Any] | None = None,
        **settings: Unpack[StackedSettings],
    ):
        num_envs = settings.get("num_envs", 1)
        check_positive("num_envs", num_envs)
        envs = _envs(make, num_envs, env_config)
        with closed_on_failure(envs):
            self._adapt(envs, settings)

    def _adapt(self, envs: list[Any], settings: StackedSettings) -> None:
        first = envs[0]
        if not isinstance(first, MultiAgentEnv):
            raise TypeError(f"make() must return a MultiAgentEnv of RLlib, not {type(first).__name__}")
        agents = _agents_of(first)
        if not agents:
            raise ValueError(f"{first}: needs possible_agents, since a team has a fixed number of slots")
        self._in_play: dict[int, set[AgentID]] = {}
        known = spaces_answer(first, agents, sees=first.get_observation_space, does=first.get_action_space)
        super().__init__(envs, known, **settings)

    def _reset_one(self, env: MultiAgentEnv, *, seed: int) -> ForeignStep:
        observations, infos = reset_answer(env, env.reset(seed=seed, **self._reset_with))
        self._in_play[id(env)] = set(observations)
        return ForeignStep(observations=dict(observations), turn=list(observations), infos=_of_agents(infos))

    def _step_one(self, env: MultiAgentEnv, actions: dict[AgentID, Any]) -> ForeignStep:
        answer = step_answer(env, env.step(actions))
        in_play = self._in_play[id(env)]
        in_play.update(answer.observations)
        infos = _of_agents(answer.infos)
        if in_play and not (any(answer.terminated.values()) or any(answer.truncated.values())):
            turn = list(answer.observations)
            return ForeignStep(observations=answer.observations, turn=turn, rewards=answer.rewards, infos=infos)
        terminated, truncated = (_left(part, in_play) for part in (answer.terminated, answer.truncated))
        cut = bool(answer.truncated.get(ALL)) and not answer.terminated.get(ALL)
        if cut:
            truncated += [a for a in self._slots if a in in_play and a not in (*terminated, *truncated)]
        in_play.difference_update(terminated, truncated)
        over = cut or bool(answer.terminated.get(ALL)) or not in_play
        return ForeignStep(
            observations=answer.observations,
            turn=[] if over else [agent for agent in answer.observations if agent in in_play],
            rewards=answer.rewards,
            terminated=terminated,
            truncated=truncated,
            infos=infos,
            over=over,
        )


def _envs(make: Any, num_envs: int, env_config: Mapping[str, Any] | None) -> list[Any]:
    if isinstance(make, MultiAgentEnv):
        if num_envs != 1:
            raise ValueError(f"num_envs={num_envs}: an instance is one copy; hand in its class, or a function")
        return [make]
    if env_config is None:
        return made(make, num_envs)
    indices = itertools.count(first_copy())
    return made(lambda: make(EnvContext(env_config, 0, vector_index=next(indices), num_workers=0)), num_envs)


def _agents_of(env: MultiAgentEnv) -> list[AgentID]:
    """All agents that may ever appear: those listed, or, where none are, those that have spaces of their own."""
    listed = env.possible_agents or env.agents
    if listed:
        return list(listed)
    sees, does = env.observation_spaces or env.observation_space, env.action_spaces or env.action_space
    named = isinstance(sees, Mapping) and isinstance(does, Mapping) and sees.keys() == does.keys()
    return list(sees) if named else []


def _left(flags: Mapping[AgentID, bool], in_play: set[AgentID]) -> list[AgentID]:
    return [agent for agent, flag in flags.items() if flag and agent in in_play]


def _of_agents(infos: Mapping[AgentID, dict]) -> Mapping[AgentID, dict]:
    if COMMON not in infos:
        return infos
    return {agent: info for agent, info in infos.items() if agent != COMMON}


class ToMultiAgentEnv(MultiAgentEnv):
    """A team environment of one copy for stock RLlib algorithms, with messages as actions (see `TalkAsAction`).

    It is made from a `TeamEnv`, or from an `env_config` as RLlib hands it on, with the keys `env` (a name such as
    "speaker_listener", or a class or function), `env_settings`, and the settings of `TalkAsAction`:

        config.environment(ToMultiAgentEnv, env_config={"env": "speaker_listener", "vocab_size": 3})

    Without a seed in `env_settings` and none of RLlib's (`config.debugging(seed=...)`), episodes are drawn afresh.
    Only agents that take part in a step are in its observations. Rewards between an agent's turns accrue and come with
    its next observation; at the end all agents that have had a turn get a final observation and what they earned.
    All agents stay in play until the episode is over, since slots may be filled again.
    """

    def __init__(self, env: TeamEnv | Mapping[str, Any], **talk: Unpack[TalkSettings]):
        # RLlib makes many copies from one env_config: unless they are seeded, each must draw episodes of its own.
        self._draw_seed = not isinstance(env, TeamEnv) and "seed" not in env.get("env_settings", {})
        self.talk = TalkAsAction(env, **talk) if isinstance(env, TeamEnv) else _from_config(env)
        self.possible_agents = list(self.talk.agents)
        self.agents = list(self.talk.agents)
        self.observation_spaces, self.action_spaces = self.talk.observation_spaces, self.talk.action_spaces
        self._owed: dict[str, float] = {}
        self._met: set[str] = set()
        super().__init__()

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        """Begin a new episode; without a seed, the random stream goes on."""
        is_check = (seed, options) == CHECK
        if seed is None and self._draw_seed:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._draw_seed = is_check
        self._owed, self._met = dict.fromkeys(self.agents, 0.0), set()
        observations, _, infos = self._shown(self.talk.reset(seed=seed))
        return observations, infos

    def step(self, action_dict: Mapping[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """Move the team once."""
        turn = self.talk.step(action_dict)
        for agent, reward in turn.rewards.items():
            self._owed[agent] += reward
        observations, rewards, infos = self._shown(turn)
        terminateds = {agent: turn.terminated[agent] for agent in observations}
        truncateds = {agent: turn.truncated[agent] for agent in observations}
        cut = any(turn.truncated.values())
        return observations, rewards, terminateds | {ALL: turn.over and not cut}, truncateds | {ALL: cut}, infos

    def _shown(self, turn: TalkStep) -> tuple[dict, dict, dict]:
        """Observations, rewards and infos of the agents whose turn it is; at the end, of all that have had one."""
        agents = [agent for agent in turn.taking_part if not turn.over or agent in self._met]
        self._met.update(agents)
        rewards = {agent: self._owed[agent] for agent in agents}
        self._owed.update(dict.fromkeys(agents, 0.0))
        return {a: turn.observations[a] for a in agents}, rewards, {a: turn.infos[a] for a in agents}


def _from_config(config: Mapping[str, Any]) -> TalkAsAction:
    settings = dict(config)
    if "env" not in settings:
        raise ValueError(f"env_config has no 'env': name an environment; it has {sorted(settings)}")
    env, env_settings = settings.pop("env"), settings.pop("env_settings", {})
    check_settings(TalkAsAction, settings, what="ToMultiAgentEnv")
    make = load("env", env) if isinstance(env, str) else env
    return TalkAsAction(make(**env_settings), **settings)
