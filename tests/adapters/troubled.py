"""An environment whose agents can bring about whatever goes wrong in one, by the actions that they choose."""

import enum
import os
import signal
import sys
import time
import warnings
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv


class Deed(enum.IntEnum):
    """What an agent may choose; all but the first make trouble."""

    NOTHING = 0
    RAISE = 1
    RAISE_STRANGE = 2
    SHOW_NAN = 3
    WARN = 4
    EXIT = 5
    DIE = 6
    CRASH = 7
    HANG = 8


class Trouble(KeyError):
    """An exception that takes two arguments, as many do, and can be sent elsewhere as it is."""

    def __init__(self, what: str, number: int):
        super().__init__(what, number)


class Unsendable(Exception):
    """An exception that does not come back from a pickle."""

    def __init__(self, *, lock: Any):
        super().__init__("held by a lock")
        self.lock = lock


class Troubled(ParallelEnv):
    """Two agents and a helper who comes in step 2, in episodes of random length, that see random numbers."""

    metadata: ClassVar[dict[str, Any]] = {"name": "troubled"}
    render_mode = None
    possible_agents: ClassVar[list[str]] = ["walker_0", "walker_1", "helper_0"]

    def __init__(self, note: str | None = None, masked: bool = False):
        self.note, self.masked, self.agents = note, masked, list[str]()

    def observation_space(self, agent: str) -> spaces.Space:
        numbers = spaces.Box(-10.0, 10.0, (3,))
        return spaces.Dict(numbers=numbers, clock=spaces.Discrete(20)) if agent == "helper_0" else numbers

    def action_space(self, agent: str) -> spaces.Space:
        return spaces.Box(-1.0, 1.0, (2,)) if agent == "helper_0" else spaces.Discrete(len(Deed))

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        self.random = np.random.default_rng(seed)
        self.time, self.end = 0, int(self.random.integers(3, 8))
        self.agents = ["walker_0", "walker_1"]
        return self._seen(), self._infos()

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        self.time += 1
        old, shown = list(self.agents), {}
        for agent in old:
            if agent != "helper_0":
                shown |= self._do(agent, Deed(int(actions[agent])))
        if self.time == 2:
            self.agents.append("helper_0")
        over = dict.fromkeys(self.agents, self.time >= self.end)
        rewards = {agent: float(self.random.normal() + np.sum(actions[agent])) for agent in old}
        answer = {**self._seen(), **shown}, rewards, over, dict.fromkeys(self.agents, False), self._infos()
        self.agents = [agent for agent in self.agents if not over[agent]]
        return answer

    def close(self) -> None:
        self._note("closed")

    def _note(self, what: str) -> None:
        if self.note is not None:
            with open(self.note, "a") as file:
                file.write(f"{what} {os.getpid()}\n")

    def _seen(self) -> dict[str, Any]:
        numbers = {agent: self.random.uniform(-10, 10, 3).astype(np.float32) for agent in self.agents}
        return {a: {"numbers": n, "clock": self.time} if a == "helper_0" else n for a, n in numbers.items()}

    def _infos(self) -> dict[str, dict[str, Any]]:
        infos: dict[str, dict[str, Any]] = {agent: {"meaning": int(self.random.integers(9))} for agent in self.agents}
        if self.masked and self.end % 2:
            infos["walker_0"]["action_mask"] = [1] * len(Deed)
        return infos

    def _do(self, agent: str, deed: Deed) -> dict[str, Any]:
        if deed is Deed.RAISE:
            raise Trouble("of", 7)
        if deed is Deed.RAISE_STRANGE:
            raise Unsendable(lock=sys.stdout)
        if deed is Deed.WARN:
            warnings.warn(f"{agent} is careless", stacklevel=1)
        if deed is Deed.EXIT:
            sys.exit("enough")
        if deed is Deed.DIE:
            os._exit(3)
        if deed is Deed.CRASH:
            os.kill(os.getpid(), signal.SIGKILL)
        if deed is Deed.HANG:
            self._note("hanging")
        while deed is Deed.HANG:
            time.sleep(0.01)
        return {agent: np.full(3, np.nan, np.float32)} if deed is Deed.SHOW_NAN else {}


def walked(env: Troubled) -> bool:
    return env.end > 4


def whole(env: Troubled) -> list[float]:
    return [env.time, env.end]


def place(env: Troubled, agent: str) -> list[float]:
    return [env.time, len(agent)]


def others(env: Troubled, agent: str) -> list[str]:
    return [other for other in env.agents if other != agent]
