"""Agents of a Python environment in the slots of a team: their roles, and what agents and roles are called."""

from collections.abc import Callable, Mapping
from typing import Any

from heliograph.adapters.arrays import AgentID, Slot, Spaces, without_mask
from heliograph.envs.base import check_observation_space
from heliograph.types import Role

__all__ = ["default_role", "group_by_role"]


def group_by_role(
    spaces_of: Mapping[Any, Spaces], role_of: Callable[[str], str] | None = None
) -> tuple[tuple[Role, ...], dict[AgentID, Slot]]:
    """Roles in the order in which they first appear, and the slot of every agent.

    The role of an agent is `role_of(name)`, and its agents must have equal spaces. By default it is the name up to
    the last underscore; where agents that share it differ in their spaces, `_a`, `_b`, ... are added to it.
    """
    groups: dict[str, list[AgentID]] = {}
    for agent in spaces_of:
        groups.setdefault(default_role(str(agent)) if role_of is None else role_of(str(agent)), []).append(agent)
    parts: dict[str, list[AgentID]] = {}
    for name, agents in groups.items():
        kinds = split_by_spaces(agents, spaces_of)
        if len(kinds) > 1 and role_of is not None:
            raise ValueError(f"role {name!r}: its agents {agents} must have equal spaces")
        letters = [name] if len(kinds) == 1 else [f"{name}_{chr(ord('a') + i)}" for i in range(len(kinds))]
        parts |= dict(zip(letters, kinds, strict=True))
    return _roles(parts, spaces_of)


def default_role(agent: str) -> str:
    """The name up to the last underscore; "agent" for a name that is a number."""
    return "agent" if agent.isdigit() else agent.rpartition("_")[0] or agent


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
    for name, agents in parts.items():
        observation, action = spaces_of[agents[0]]
        seen, masked = without_mask(observation)
        check_observation_space(seen, name)
        names = tuple(map(str, agents))
        role = Role(name=name, agents=names, observation_space=seen, action_space=action)
        roles.append(role)
        slots |= {agent: Slot(agent, role, i, len(slots) + i, masked) for i, agent in enumerate(agents)}
    return tuple(roles), slots
