"""The teams of a Python environment's agents, as a function or a mapping of the user names them."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from heliograph.adapters.arrays import AgentID, Slot
from heliograph.names import distinct, plain_name
from heliograph.registry import UnknownNameError

__all__ = ["teams_of"]

ALONE = "team"
"""What the team is called where there is only one."""


def teams_of(slots: Mapping[AgentID, Slot], team_of: Any) -> tuple[tuple[str, ...], list[int]]:
    """Names of the teams in the order in which they first appear, and the number of each agent's team.

    Names are letters, digits and `_`, no two of them alike. Raises ValueError for agents without a team.
    """
    if team_of is None:
        return (ALONE,), [0] * len(slots)
    name = _looked_up(slots, team_of) if isinstance(team_of, Mapping) else team_of
    if not callable(name):
        raise ValueError(f"team_of={team_of!r}: must be a function of an agent, or a mapping of roles or agents")
    given = [_checked(agent, name(agent)) for agent in slots]
    teams = list(dict.fromkeys(given))
    numbers = {team: number for number, team in enumerate(teams)}
    return tuple(distinct([plain_name(team) or ALONE for team in teams])), [numbers[team] for team in given]


def _looked_up(slots: Mapping[AgentID, Slot], teams: Mapping[Any, Any]) -> Callable[[AgentID], Any]:
    """The mapping as a function of agents: by an agent's id, by its name, then by its role."""
    names = {agent: slot.role.agents[slot.place] for agent, slot in slots.items()}
    roles = {slot.role.name for slot in slots.values()}
    for key in teams:
        if not (key in names or key in roles or key in names.values()):
            valid = [*dict.fromkeys([*sorted(roles), *names.values()])]
            raise UnknownNameError(what="role or agent in team_of", name=str(key), valid=valid)

    def team(agent: AgentID) -> Any:
        for key in (agent, names[agent], slots[agent].role.name):
            if key in teams:
                return teams[key]
        given = dict(teams)
        raise ValueError(f"team_of={given!r}: agent {agent!r} has no team; name its team, or that of its role")

    return team


def _checked(agent: AgentID, team: Any) -> Any:
    if team is None or not isinstance(team, Hashable):
        raise ValueError(f"team_of: the team of agent {agent!r} is {team!r}: must be a name, or any hashable value")
    return team
