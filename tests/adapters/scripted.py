"""Environments that follow a script: who comes and goes when, who is paid what, and how an end is told."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st
from pettingzoo import AECEnv, ParallelEnv
from ray.rllib.env.multi_agent_env import MultiAgentEnv

SEEN, DONE = spaces.Box(0.0, 100.0, (1,)), spaces.Discrete(2)
PLACE = spaces.Box(0.0, 100.0, (2,))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """An agent is first shown something after step `first` (0: the reset), and ends in step `last`."""

    first: int
    last: int
    cut: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script:
    """Parts of each agent, what each is paid in each step (None: no key), and how the end of the episode is told."""

    parts: tuple[tuple[Part, ...], ...]
    pay: tuple[tuple[float | None, ...], ...]
    told: str

    @property
    def agents(self) -> list[int]:
        return list(range(len(self.parts)))

    def shown(self, time: int) -> list[int]:
        """Agents that observe after a step, the last time for those whose part ends in it."""
        return [a for a in self.agents if any(p.first <= time <= p.last for p in self.parts[a])]

    def ending(self, time: int, *, cut: bool) -> list[int]:
        return [a for a in self.agents if any(p.last == time and p.cut == cut for p in self.parts[a])]

    def in_play(self, time: int) -> list[int]:
        """Agents that are asked in the next step."""
        return [a for a in self.agents if any(p.first <= time < p.last for p in self.parts[a])]

    @property
    def length(self) -> int:
        """The step after which nobody is in play."""
        return next(time for time in range(1, len(self.pay) + 1) if not self.in_play(time))


@st.composite
def scripts(draw: Any, *, told: tuple[str, ...], paid: Any) -> Script:
    """Scripts of one to three agents and up to seven steps, in which somebody is in play from the reset on."""
    steps = draw(st.integers(2, 7))
    parts = []
    for agent in range(draw(st.integers(1, 3))):
        borders = sorted(draw(st.sets(st.integers(0 if agent else 1, steps), max_size=4)))
        borders = borders if agent else [0, *borders[:3]]
        pairs = zip(borders[::2], borders[1::2], strict=False)
        parts.append(tuple(Part(first=a, last=b, cut=draw(st.booleans())) for a, b in pairs))
    if not parts[0]:
        parts[0] = (Part(first=0, last=steps, cut=False),)
    parts = [tuple(_apart(own)) for own in parts]
    pay = [tuple(draw(paid) for _ in parts) for _ in range(steps)]
    return Script(parts=tuple(parts), pay=tuple(pay), told=draw(st.sampled_from(told)))


def _apart(parts: tuple[Part, ...]) -> list[Part]:
    """Without parts that begin in the step in which another ends, which no interface can tell."""
    return [p for i, p in enumerate(parts) if i == 0 or p.first > parts[i - 1].last]


class OfRLlib(MultiAgentEnv):
    """A script with RLlib's interface; `before` holds whose actions came in each step of the episode before."""

    def __init__(self, script: Script):
        super().__init__()
        self.script, self.asked = script, list[list[int]]()
        self.possible_agents = self.agents = script.agents
        self.observation_spaces = dict.fromkeys(self.agents, SEEN)
        self.action_spaces = dict.fromkeys(self.agents, DONE)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[dict, dict]:
        self.time, self.before, self.asked = 0, self.asked, []
        return self._see(), {}

    def step(self, action_dict: Any) -> tuple[dict, dict, dict, dict, dict]:
        self.time += 1
        self.asked.append(sorted(action_dict))
        script, over = self.script, self.time == self.script.length
        flags = [dict.fromkeys(script.ending(self.time, cut=cut), True) for cut in (False, True)]
        if script.told != "nothing":
            for flag in flags:
                flag["__all__"] = False
        if over and script.told in ("terminated", "truncated"):
            flags[script.told == "truncated"]["__all__"] = True
        rewards = {a: pay for a, pay in enumerate(script.pay[self.time - 1]) if pay is not None}
        return self._see(), rewards, *flags, {}

    def _see(self) -> dict[int, np.ndarray]:
        return {a: np.array([self.time], np.float32) for a in self.script.shown(self.time)}


class OfParallel(ParallelEnv):
    """A script with PettingZoo's parallel interface; agents that act are always paid."""

    metadata: ClassVar[dict[str, Any]] = {"name": "scripted"}
    render_mode = None

    def __init__(self, script: Script):
        self.inner = OfRLlib(script)
        self.possible_agents, self.agents = script.agents, []

    @property
    def before(self) -> list[list[int]]:
        return self.inner.before

    def observation_space(self, agent: Any) -> spaces.Space:
        return SEEN

    def action_space(self, agent: Any) -> spaces.Space:
        return DONE

    def reset(self, seed: Any = None, options: Any = None) -> tuple[dict, dict]:
        observations, infos = self.inner.reset()
        self.agents = list(observations)
        return observations, infos

    def step(self, actions: dict) -> tuple[dict, dict, dict, dict, dict]:
        observations, rewards, terminated, truncated, infos = self.inner.step(actions)
        self.agents = self.inner.script.in_play(self.inner.time)
        return observations, {**dict.fromkeys(actions, 0.0), **rewards}, terminated, truncated, infos


class OfAEC(AECEnv):
    """Agents move in a given order, and all are paid in each move; all end with the last one."""

    metadata: ClassVar[dict[str, Any]] = {"name": "scripted", "is_parallelizable": False}
    render_mode = None

    def __init__(self, *, order: list[int], pay: list[list[float]], cut: bool):
        super().__init__()
        self.order, self.pay, self.cut = order, pay, cut
        self.possible_agents, self.agents = list(range(len(pay[0]))), []

    def observation_space(self, agent: Any) -> spaces.Space:
        return SEEN

    def action_space(self, agent: Any) -> spaces.Space:
        return DONE

    def observe(self, agent: Any) -> np.ndarray:
        return np.array([self.time], np.float32)

    def reset(self, seed: Any = None, options: Any = None) -> None:
        self.time, self.agents = 0, list(self.possible_agents)
        self.rewards, self._cumulative_rewards = (dict.fromkeys(self.agents, 0.0) for _ in range(2))
        self.terminations, self.truncations = (dict.fromkeys(self.agents, False) for _ in range(2))
        self.infos = {agent: {} for agent in self.agents}
        self.agent_selection = self.order[0]

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self.rewards = dict(enumerate(self.pay[self.time]))
        self.time += 1
        self._accumulate_rewards()
        if self.time == len(self.order):
            ends = dict.fromkeys(self.agents, True)
            self.truncations, self.terminations = (ends, self.terminations) if self.cut else (self.truncations, ends)
        else:
            self.agent_selection = self.order[self.time]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """What happens in a move: whom it pays, whom it ends (True: by truncation), and a number that picks who is next."""

    pay: tuple[float, ...]
    ends: tuple[tuple[int, bool], ...]
    next: int


@st.composite
def moves(draw: Any, *, agents: int) -> tuple[Move, ...]:
    """One to seven moves of a game of so many agents, any of whom may end in any of them."""
    pay = st.tuples(*[st.integers(-3, 3).map(float)] * agents)
    ends = st.dictionaries(st.integers(0, agents - 1), st.booleans(), max_size=2).map(lambda d: tuple(d.items()))
    rare = st.one_of(st.just(()), ends)
    return tuple(draw(st.lists(st.builds(Move, pay=pay, ends=rare, next=st.integers(0, 3)), min_size=1, max_size=7)))


class OfMortals(AECEnv):
    """Agents move in a drawn order and end when their script says so; those left end with the last move.

    The ended have their turn without an action at once, where `ended_first`, else when they happen to be selected.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "mortals", "is_parallelizable": False}
    render_mode = None

    def __init__(self, script: tuple[Move, ...], *, ended_first: bool):
        super().__init__()
        self.script, self.ended_first = script, ended_first
        self.possible_agents, self.agents = list(range(len(script[0].pay))), []

    def observation_space(self, agent: Any) -> spaces.Space:
        return PLACE

    def action_space(self, agent: Any) -> spaces.Space:
        return DONE

    def observe(self, agent: Any) -> np.ndarray:
        return np.array([self.time, agent], np.float32)

    def reset(self, seed: Any = None, options: Any = None) -> None:
        self.time, self.agents = 0, list(self.possible_agents)
        self.rewards, self._cumulative_rewards = (dict.fromkeys(self.agents, 0.0) for _ in range(2))
        self.terminations, self.truncations = (dict.fromkeys(self.agents, False) for _ in range(2))
        self.infos = {agent: {} for agent in self.agents}
        self._skip_agent_selection, self.agent_selection = None, self.script[0].next % len(self.agents)

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            if self.agents and not self.ended_first:
                self.agent_selection = self._pick(self.agents)
            return
        move = self.script[self.time]
        self._cumulative_rewards[agent] = 0.0
        self.rewards = {a: move.pay[a] for a in self.agents}
        self.time += 1
        self._accumulate_rewards()
        last = self.time == len(self.script)
        for ending, cut in [*move.ends, *[(a, False) for a in self.agents]] if last else move.ends:
            if ending in self.agents and not (self.terminations[ending] or self.truncations[ending]):
                (self.truncations if cut else self.terminations)[ending] = True
        living = [a for a in self.agents if not (self.terminations[a] or self.truncations[a])]
        self.agent_selection = self._pick(living if living and self.ended_first else self.agents)
        if self.ended_first:
            self._deads_step_first()

    def _pick(self, agents: list[int]) -> int:
        return agents[self.script[min(self.time, len(self.script) - 1)].next % len(agents)]
