"""Environments of foreign interfaces made for these tests."""

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv

NUM_STEPS = 6


class Crowd(ParallelEnv):
    """Agents that come and go: bird_0 is cut at step 2, bird_1 appears at step 3, fish_0 ends the episode at step 6.

    An observation is the step and the last action; rewards are the agent's last action. fish_0 is silent at step 4.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "crowd"}
    render_mode = None
    possible_agents: ClassVar[list[str]] = ["bird_0", "fish_0", "bird_1"]

    def __init__(self, faults: dict[str, Any] | None = None):
        self.faults = faults or {}
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> spaces.Space:
        return spaces.Box(0.0, 100.0, (3 if agent == "fish_0" else 2,))

    def action_space(self, agent: str) -> spaces.Space:
        return spaces.Discrete(4)

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        self.time, self.last, self.agents, self.got_seed = 0, {}, ["bird_0", "fish_0"], seed
        return self._see(), self._infos()

    def step(self, actions: dict[str, int]) -> tuple[dict, dict, dict, dict, dict]:
        assert set(actions) == set(self.agents)
        self.time += 1
        self.last = actions
        old = list(self.agents)
        if self.time == 3:
            self.agents.append("bird_1")
        observations, infos = self._see(), self._infos()
        terminated = {agent: self.time == NUM_STEPS for agent in self.agents}
        truncated = {agent: self.time == 2 and agent == "bird_0" for agent in self.agents}
        self.agents = [a for a in self.agents if not (terminated[a] or truncated[a])]
        rewards = {agent: float(actions.get(agent, 0)) for agent in old}
        for part, values in zip(("observations", "rewards"), (observations, rewards), strict=True):
            if self.time == 1:
                values.update(self.faults.get(part, {}))
        for agent in self.faults.get("missing", []):
            observations.pop(agent, None)
        for agent in self.faults.get("unpaid", []):
            rewards.pop(agent, None)
        return observations, rewards, terminated, truncated, infos

    def _see(self) -> dict[str, np.ndarray]:
        see = {agent: [self.time, self.last.get(agent, 9), 1][: 3 if agent == "fish_0" else 2] for agent in self.agents}
        return {agent: np.array(values, np.float32) for agent, values in see.items()}

    def _infos(self) -> dict[str, dict]:
        infos: dict[str, dict] = {agent: {"meaning": self.time} for agent in self.agents}
        if self.time == 4:
            infos["fish_0"]["speaking"] = False
        return infos


class Counting(AECEnv):
    """Two players add 0 to 2 in turn; who makes the sum 6 or more leaves with +1, the other then with -1.

    The observation is the sum, and which actions keep it below 10 (all but one, to show a mask).
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "counting", "is_parallelizable": False}
    render_mode = None

    def __init__(self, limit: int | None = None):
        super().__init__()
        self.limit = limit
        self.possible_agents = ["player_0", "player_1"]
        self.agents = []

    def observation_space(self, agent: str) -> spaces.Space:
        mask = spaces.Box(0, 1, (3,), np.int8)
        return spaces.Dict(observation=spaces.Box(0.0, 100.0, (1,)), action_mask=mask)

    def action_space(self, agent: str) -> spaces.Space:
        return spaces.Discrete(3)

    def observe(self, agent: str) -> dict[str, np.ndarray]:
        mask = np.array([agent == "player_0", 1, 1], np.int8)
        return {"observation": np.array([self.sum], np.float32), "action_mask": mask}

    def reset(self, seed: int | None = None, options: dict | None = None) -> None:
        self.sum = self.turns = 0
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self.agent_selection = self.agents[0]

    def step(self, action: int | None) -> None:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        self.sum += action
        self.turns += 1
        other = self.agents[1 - self.agents.index(agent)]
        self.rewards[other] = 0.25
        if self.sum >= 6:
            self.rewards = {agent: 1.0, other: -1.0}
            self.terminations = dict.fromkeys(self.agents, True)
        if self.turns == self.limit:
            self.truncations = dict.fromkeys(self.agents, True)
        self.agent_selection = other
        self._accumulate_rewards()
