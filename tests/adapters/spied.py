"""A secret between two that a third overhears: two steps, hand-worked returns, in PettingZoo's form and in RLlib's."""

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.models.scripted import ScriptedOutput, say_symbol

TEAMS = {"eve": "spies", "alice": "ours", "bob": "ours"}
SECRETS = 4


class Spied(ParallelEnv):
    """Alice knows one of four secrets. In the second step Bob and Eve guess it.

    Eve gets 1 for a right guess, else 0; Alice and Bob 2 where Bob is right, and 1 less where Eve is.
    """

    metadata: dict[str, Any] = {"name": "spied"}  # noqa: RUF012
    possible_agents = ["eve", "bob", "alice"]  # noqa: RUF012

    def observation_space(self, agent: str) -> spaces.Space:
        return spaces.Box(0, 1, (SECRETS + 1,) if agent == "alice" else (1,), np.float32)

    def action_space(self, agent: str) -> spaces.Space:
        return spaces.Discrete(1 if agent == "alice" else SECRETS)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict, dict]:
        self.agents, self.time = list(self.possible_agents), 0
        self.secret = int(np.random.default_rng(seed).integers(SECRETS))
        return self._seen(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        self.time += 1
        over, live = self.time == 2, self.agents
        right = {agent: over and actions[agent] == self.secret for agent in ("eve", "bob")}
        ours = 2.0 * right["bob"] - right["eve"]
        rewards = {"eve": float(right["eve"]), "bob": ours, "alice": ours}
        if over:
            self.agents = []
        flags = dict.fromkeys(live, over)
        return self._seen(), rewards, flags, dict.fromkeys(live, False), {agent: {} for agent in live}

    def _seen(self) -> dict[str, np.ndarray]:
        shown = np.eye(SECRETS + 1, dtype=np.float32)[self.secret]
        return {agent: shown if agent == "alice" else np.zeros(1, np.float32) for agent in self.possible_agents}


class SpiedOfRLlib(MultiAgentEnv):
    """The same for RLlib."""

    def __init__(self, config: Any = None):
        super().__init__()
        self.inner = Spied()
        self.agents = self.possible_agents = list(Spied.possible_agents)
        self.observation_spaces = {a: self.inner.observation_space(a) for a in self.agents}
        self.action_spaces = {a: self.inner.action_space(a) for a in self.agents}

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[dict, dict]:
        return self.inner.reset(seed=seed)

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        seen, rewards, ended, cut, infos = self.inner.step(actions)
        over = ended["alice"]
        return seen, rewards, {**ended, "__all__": over}, {**cut, "__all__": False}, infos


def secret(env: Any, agent: str) -> int:
    """What Alice means."""
    return env.secret if agent == "alice" else -1


def only_alice(agent: str) -> bool:
    return agent == "alice"


def spied(**settings: Any) -> FromPettingZoo:
    """Two teams of which only Alice speaks, unless settings say otherwise."""
    return FromPettingZoo(Spied, **{"team_of": TEAMS, "speaking": only_alice, "meaning_fn": secret, **settings})


def plain(inputs: Any, memory: Any, heard: Any) -> ScriptedOutput:
    """Alice says the secret, and whoever hears it guesses it; who hears nothing guesses secret 0."""
    seen = inputs.observation
    if seen.shape[-1] > 1:
        action, said = seen.new_zeros(*seen.shape[:-1], 1), say_symbol(seen.argmax(-1), SECRETS)
    else:
        total = seen.new_zeros(*seen.shape[:-1], SECRETS) if heard is None else heard.total()
        action, said = say_symbol(total.argmax(-1), SECRETS), seen.new_zeros(*seen.shape[:-1], SECRETS)
    return ScriptedOutput(action_inputs=action, channel_input=said, memory=seen.new_zeros(*seen.shape[:-1], 0))
