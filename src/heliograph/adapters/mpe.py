"""Communication tasks of the multi-agent particle environments (package `mpe2`) as team environments.

All come with built-in symbols; a Heliograph channel can be used beside them, or alone (`builtin_symbols=False`).
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any, Unpack

from gymnasium import spaces
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.adapters.stacked import StackedSettings

__all__ = ["goal_of", "make_crypto", "make_reference", "make_speaker_listener", "secret_of"]

NUM_MOVES = 5


def make_speaker_listener(
    *, builtin_symbols: bool = True, env_settings: dict[str, Any] | None = None, **settings: Unpack[StackedSettings]
) -> FromPettingZoo:
    """`simple_speaker_listener_v4`: a speaker sees which landmark is the goal, a listener must go there.

    The speaker's action is one of 3 symbols, which the listener observes one step later; `builtin_symbols=False`
    leaves it nothing to do but speak through the channel. Only the speaker may speak; its meaning is the goal's index.
    An episode is truncated after 25 steps. `env_settings` go to mpe2, others to `FromPettingZoo`.
    """
    settings.setdefault("speaking", _is_speaker)
    muted = None if builtin_symbols else {"speaker_0": 1}
    return _make("simple_speaker_listener_v4", muted, env_settings, settings)


def make_reference(
    *, builtin_symbols: bool = True, env_settings: dict[str, Any] | None = None, **settings: Unpack[StackedSettings]
) -> FromPettingZoo:
    """`simple_reference_v3`: each of two agents sees which landmark is the other's goal.

    An action is one of 5 moves and one of 10 symbols (move + 5 x symbol); `builtin_symbols=False` leaves the moves.
    An agent's meaning is the index of the goal that it sees. An episode is truncated after 25 steps. `env_settings`
    go to mpe2, others to `FromPettingZoo`.
    """
    muted = None if builtin_symbols else {"agent_0": NUM_MOVES, "agent_1": NUM_MOVES}
    return _make("simple_reference_v3", muted, env_settings, settings)


def make_crypto(
    *, builtin_symbols: bool = True, env_settings: dict[str, Any] | None = None, **settings: Unpack[StackedSettings]
) -> FromPettingZoo:
    """`simple_crypto_v3`: Alice tells Bob, with whom she shares a key, one bit that Eve, who overhears, must not learn.

    Two teams: `ours` (Alice and Bob) and `spies` (Eve). Bob and Eve guess in every step, each a 0 too much or too
    little costing 1: a wrong guess costs its agent 2; Alice and Bob get what Eve's costs her, less what Bob's costs.
    Alice's action is one of 4 symbols, which both observe one step later; `builtin_symbols=False` leaves her nothing
    to do but speak through the channel. Only she may speak; her meaning is the secret (0 or 1).
    An episode is truncated after 25 steps. `env_settings` go to mpe2, others to `FromPettingZoo`.
    """
    settings.setdefault("speaking", _is_alice)
    settings.setdefault("meaning_fn", secret_of)
    settings.setdefault("team_of", {"eve": "spies", "alice": "ours", "bob": "ours"})
    muted = None if builtin_symbols else {"alice_0": 1}
    return _make("simple_crypto_v3", muted, env_settings, settings)


def secret_of(env: ParallelEnv, agent: str) -> int:
    """The index of the landmark that Alice tells of in `simple_crypto_v3`, as she alone knows it; -1 for the others."""
    world = env.unwrapped.world
    return world.landmarks.index(world.agents[0].goal_a) if _is_alice(agent) else -1


def goal_of(env: ParallelEnv, agent: str) -> int:
    """The index of the landmark that an agent of these tasks sees as a goal; -1 for the listener, which sees none."""
    world = env.unwrapped.world
    goal = next(body for body in world.agents if body.name == agent).goal_b if agent != "listener_0" else None
    return -1 if goal is None else world.landmarks.index(goal)


class Muted(BaseParallelWrapper):
    """A particle environment whose agents can only choose their first actions, so that they say symbol 0 for ever."""

    def __init__(self, env: ParallelEnv, num_actions: dict[str, int]):
        super().__init__(env)
        self._spaces = {agent: spaces.Discrete(size) for agent, size in num_actions.items()}

    def action_space(self, agent: str) -> spaces.Space:
        """The moves without the symbols."""
        return self._spaces[agent] if agent in self._spaces else self.env.action_space(agent)


def _make(
    name: str, muted: dict[str, int] | None, env_settings: dict[str, Any] | None, settings: StackedSettings
) -> FromPettingZoo:
    env_settings = env_settings or {}
    if muted and env_settings.get("continuous_actions"):
        raise ValueError("builtin_symbols=False needs discrete actions: leave continuous_actions out")
    make = functools.partial(_make_one, _module(name).parallel_env, muted, env_settings)
    settings.setdefault("meaning_fn", goal_of)
    return FromPettingZoo(make, **settings)


def _make_one(make: Callable[..., ParallelEnv], muted: dict[str, int] | None, env_settings: dict) -> ParallelEnv:
    env = make(**env_settings)
    return Muted(env, muted) if muted else env


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"mpe2.{name}")
    except ImportError as error:
        raise ImportError("the multi-agent particle environments need mpe2: pip install 'heliograph[envs]'") from error


def _is_alice(agent: str) -> bool:
    return agent.startswith("alice")


def _is_speaker(agent: str) -> bool:
    return agent.startswith("speaker")
