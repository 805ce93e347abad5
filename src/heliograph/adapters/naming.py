"""Agents of a Python environment in the slots of a team: their roles, and what agents and roles are called.

Agents are told apart by their own ids, whatever these are; names of agents and roles are text, and no two are alike.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gymnasium import spaces

from heliograph.adapters.actions import ActionMap, acted
from heliograph.adapters.arrays import AgentID, Slot, Spaces, without_mask
from heliograph.adapters.spaces import ObservationMap, observed
from heliograph.names import NAMELESS, distinct, safe_names
from heliograph.types import Role

__all__ = ["agent_names", "default_role", "group_by_role"]

RULE = "an agent's role is its name without the number at its end, where spaces agree; role_of= decides otherwise"
"""How agents come to their roles by default, for those who are shown them."""
NUMBERED = re.compile(r"(.*?)[\W_]*\d+", re.DOTALL)
"""A name that ends in a number, with or without something between, as in agent_0, drone0, player-1 and "car 2"."""


def group_by_role(
    spaces_of: Mapping[Any, Spaces], role_of: Callable[[Any], Any] | None = None
) -> tuple[tuple[Role, ...], dict[AgentID, Slot]]:
    """Roles in the order in which they first appear, and the slot of every agent.

    The role of an agent is `role_of(agent)`, and its agents must have equal spaces. By default see `default_role`;
    where agents that share it differ in their spaces, `_a`, `_b`, ... are added to it.
    """
    groups: dict[Any, list[AgentID]] = {}
    for agent in spaces_of:
        groups.setdefault(default_role(agent) if role_of is None else role_of(agent), []).append(agent)
    names = list(safe_names(groups).values())
    parts: dict[str, list[AgentID]] = {}
    for given, name in zip(groups, names, strict=True):
        kinds = split_by_spaces(groups[given], spaces_of)
        if len(kinds) > 1 and role_of is not None:
            raise ValueError(f"role {given!r}: its agents {groups[given]} must have equal spaces")
        letters = [f"{name}_{letter(i)}" for i in range(len(kinds))] if len(kinds) > 1 else []
        parts |= dict(zip(distinct(letters, taken=[*parts, *names]) or [name], kinds, strict=True))
    return _roles(parts, spaces_of)


def default_role(agent: AgentID) -> str:
    """The name of an agent without the number at its end and what stands before that; "agent" where nothing is left.

    Of a tuple, the name is its parts side by side.
    """
    name = "_".join(map(str, agent)) if isinstance(agent, tuple) else str(agent)
    if not any(map(str.isalpha, name)):
        return NAMELESS
    found = NUMBERED.fullmatch(name)
    return found[1] if found else name


def agent_names(agents: Iterable[AgentID]) -> dict[AgentID, str]:
    """The text that names each agent: its id as text; a number is added where another agent's id is that very text."""
    given = list(agents)
    first = sorted(given, key=lambda agent: not isinstance(agent, str))
    names = dict(zip(first, distinct([str(agent) or NAMELESS for agent in first], fold=str), strict=True))
    return {agent: names[agent] for agent in given}


def letter(index: int) -> str:
    """A, b, ..., z, ba, bb, ...: what agents of one name and other spaces are told apart by."""
    rest, last = divmod(index, 26)
    return (letter(rest) if rest else "") + chr(ord("a") + last)


def split_by_spaces(agents: list[AgentID], spaces_of: Mapping[Any, Spaces]) -> list[list[AgentID]]:
    """Agents in lists of equal spaces."""
    kinds: list[list[AgentID]] = []
    for agent in agents:
        same = next((kind for kind in kinds if spaces_of[kind[0]] == spaces_of[agent]), None)
        kinds.append([agent]) if same is None else same.append(agent)
    return kinds


def _roles(
    parts: dict[str, list[AgentID]], spaces_of: Mapping[Any, Spaces]
) -> tuple[tuple[Role, ...], dict[AgentID, Slot]]:
    roles: list[Role] = []
    slots: dict[AgentID, Slot] = {}
    names = agent_names(spaces_of)
    for name, agents in parts.items():
        observation, action = spaces_of[agents[0]]
        seen, masked = without_mask(observation)
        sees, acts = _mapped(seen, action, name)
        called = tuple(names[agent] for agent in agents)
        role = Role(name=name, agents=called, observation_space=sees.space, action_space=acts.space)
        roles.append(role)
        slots |= {agent: Slot(agent, role, i, len(slots) + i, masked, sees, acts) for i, agent in enumerate(agents)}
    return tuple(roles), slots


def _mapped(observation: spaces.Space, action: spaces.Space, role: str) -> tuple[ObservationMap, ActionMap]:
    try:
        return observed(observation), acted(action)
    except ValueError as error:
        raise ValueError(f"role {role!r}: {error}") from error
