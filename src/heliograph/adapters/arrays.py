"""Agents of a Python environment in the slots of a team, and what they see in arrays over all copies."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from heliograph.adapters.actions import ActionMap, acted
from heliograph.adapters.spaces import ObservationMap, observed
from heliograph.types import Role, Tree

AgentID = Hashable
Spaces = tuple[spaces.Space, spaces.Space]
"""An agent's observation space and action space."""
MASK = "action_mask"


class Slot(NamedTuple):
    """Where an agent stands: its role, its place there, its number in the team, and whether it observes a mask.

    `sees` and `acts` map what it observes (without the mask) and what it does to the spaces of its role.
    """

    agent: AgentID
    role: Role
    place: int
    number: int
    masked: bool
    sees: ObservationMap
    acts: ActionMap


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
        sees, acts = _mapped(seen, action, name)
        names = tuple(map(str, agents))
        role = Role(name=name, agents=names, observation_space=sees.space, action_space=acts.space)
        roles.append(role)
        slots |= {agent: Slot(agent, role, i, len(slots) + i, masked, sees, acts) for i, agent in enumerate(agents)}
    return tuple(roles), slots


def _mapped(observation: spaces.Space, action: spaces.Space, role: str) -> tuple[ObservationMap, ActionMap]:
    try:
        return observed(observation), acted(action)
    except ValueError as error:
        raise ValueError(f"role {role!r}: {error}") from error


def without_mask(space: spaces.Space) -> tuple[spaces.Space, bool]:
    """PettingZoo's Dict of `observation` and `action_mask` taken apart, and whether it was one."""
    if not (isinstance(space, spaces.Dict) and MASK in space.spaces):
        return space, False
    rest = {key: part for key, part in space.spaces.items() if key != MASK}
    return (rest["observation"] if list(rest) == ["observation"] else spaces.Dict(rest)), True


def take_mask(observation: Mapping[str, Any]) -> tuple[Any, Any]:
    """An observation taken apart in the same way, and its mask; None where it has none."""
    rest = {key: part for key, part in observation.items() if key != MASK}
    return (rest["observation"] if list(rest) == ["observation"] else rest), observation.get(MASK)


def empty(space: spaces.Space, batch: tuple[int, ...]) -> Tree:
    """Zeros for a batch of observations: float32, whole numbers as int64, images as uint8."""
    if isinstance(space, spaces.Dict):
        return {key: empty(part, batch) for key, part in space.spaces.items()}
    dtype = np.dtype(space.dtype)
    kept = np.float32 if dtype.kind == "f" else dtype if dtype == np.uint8 or dtype.kind == "b" else np.int64
    return np.zeros((*batch, *(space.shape or ())), kept)


def clear(arrays: Tree, index: tuple[int, ...]) -> None:
    """Store zeros."""
    for part in arrays.values() if isinstance(arrays, dict) else [arrays]:
        clear(part, index) if isinstance(part, dict) else part.__setitem__(index, 0)
