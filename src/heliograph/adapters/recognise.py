"""Whose interface an environment has, and which adapter takes it; no other library is imported to find out.

An object of a library exists only where that library has been imported, so its classes are looked up among what is.
"""

import enum
import importlib
import sys
from typing import Any

from gymnasium import spaces

from heliograph.adapters.pettingzoo import is_pettingzoo
from heliograph.envs.base import TeamEnv


class Interface(enum.Enum):
    """The interfaces that are told apart, by the library that defines them."""

    TEAM_ENV = "heliograph TeamEnv"
    RLLIB = "RLlib MultiAgentEnv"
    PETTINGZOO = "PettingZoo ParallelEnv or AECEnv"
    OPENSPIEL = "pyspiel.Game"
    VMAS = "vmas Environment"
    MARLENV = "marlenv MARLEnv"
    GYMNASIUM_TUPLE = "gymnasium.Env with Tuple spaces"
    GYMNASIUM = "gymnasium.Env of one agent"


BASES: tuple[tuple[str, str, Interface], ...] = (
    ("ray.rllib.env.multi_agent_env", "MultiAgentEnv", Interface.RLLIB),  # before gymnasium.Env, which it is too
    ("pettingzoo", "ParallelEnv", Interface.PETTINGZOO),
    ("pettingzoo", "AECEnv", Interface.PETTINGZOO),
    ("pyspiel", "Game", Interface.OPENSPIEL),
    ("vmas.simulator.environment", "Environment", Interface.VMAS),
    ("marlenv", "MARLEnv", Interface.MARLENV),
    ("gymnasium", "Env", Interface.GYMNASIUM),
)
"""Module and name of a base class, and the interface that its objects have; the first that fits counts."""

ADAPTERS: dict[Interface, str] = {
    Interface.PETTINGZOO: "heliograph.adapters.pettingzoo:FromPettingZoo",
    Interface.OPENSPIEL: "heliograph.adapters.openspiel:FromOpenSpiel",
    Interface.VMAS: "heliograph.adapters.vmas:FromVMAS",
    Interface.MARLENV: "heliograph.adapters.marlenv:FromMarlenv",
    Interface.GYMNASIUM_TUPLE: "heliograph.adapters.gymnasium_tuple:FromGymnasiumTuple",
}
"""Import paths of the adapters that need no Ray."""


def interface_of(made: Any) -> Interface | None:
    """The interface of an environment; None where it has none that is known."""
    if isinstance(made, TeamEnv):
        return Interface.TEAM_ENV
    found = next((interface for module, name, interface in BASES if _is_a(made, module, name)), None)
    if found is None and is_pettingzoo(made):
        return Interface.PETTINGZOO
    if found is Interface.GYMNASIUM and isinstance(made.action_space, spaces.Tuple):
        return Interface.GYMNASIUM_TUPLE
    return found


def adapter_for(interface: Interface) -> type[TeamEnv] | None:
    """The adapter of an interface; None where there is none here."""
    if interface not in ADAPTERS:
        return None
    module, _, name = ADAPTERS[interface].partition(":")
    return getattr(importlib.import_module(module), name)


def remedy(made: Any, *, name: str) -> str:
    """Return what to hand in instead of an object that no adapter takes."""
    given = type(getattr(made, "unwrapped", made)).__name__
    if interface_of(made) is Interface.GYMNASIUM:
        sees, does = made.observation_space, made.action_space
        if isinstance(sees, spaces.Dict) and isinstance(does, spaces.Dict) and sees.keys() == does.keys():
            return (
                f"env={name} made a {given}, a gymnasium.Env with Dict spaces of {list(does)}: where these are its "
                "agents, hand it in as a PettingZoo ParallelEnv or an RLlib MultiAgentEnv, for which its package may "
                "have a wrapper"
            )
        return (
            f"env={name} made a {given}, a gymnasium.Env of one agent, who has nobody to talk to: train it with "
            "RLlib's own algorithms; one for several agents has Tuple spaces with a part for each, or is a PettingZoo "
            "ParallelEnv"
        )
    known = [f"a {interface.value}" for interface in (Interface.RLLIB, *ADAPTERS)]
    return f"env={name} made a {given}: must be a heliograph TeamEnv class, {', '.join(known[:-1])}, or {known[-1]}"


def _is_a(made: Any, module: str, name: str) -> bool:
    base = getattr(sys.modules.get(module), name, None)
    return isinstance(base, type) and isinstance(made, base)
