"""The settings of every adapter that turns Python environments into a team environment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from heliograph.adapters.surroundings import Asked
from heliograph.envs.base import BaseSettings, check_positive

__all__ = ["StackedSettings", "asked_of", "check_stacked", "of_base"]


class StackedSettings(BaseSettings, total=False):
    """Settings of every adapter that turns Python environments into a team environment.

    `role_of(agent)` names the role of an agent (default: its name without the number at its end; agents of one role
    must have equal spaces). `speaking(agent)` tells which may speak through a Heliograph channel (default: all).
    `team_of(agent)` names the team of an agent, any hashable value, where teams compete (default: all are one team), as
    does a mapping of roles or agents, {"eve": "spies", "alice": "ours", "bob": "ours"}, in which that of an agent goes
    before that of its role. `rivals_hear`: whether the topology may let agents hear other teams (default: yes).
    These and other functions of agents are given their very ids, which need not be text.
    `meaning_fn(env, agent)` is what the agent privately knows, `meaning_size` whole numbers (default: 1); without it,
    `infos[agent]["meaning"]` is read. `success_fn(env)` is asked when an episode ends, for `info["success"]`.
    `masks_in_infos`: which actions are legal stands in `infos[agent]["action_mask"]`; all are, after the reset, for an
    agent that has none there. None (the default) looks at the first reset for such masks; False leaves them unread.

    `state(env)` is what a critic may see of the whole (True: the environment's own `state()`), numbers in any shape;
    `positions(env, agent)` is where an agent is, for topologies that go by distance; `hearing(env, agent)` are the
    agents that it hears what they say now, `adjacency(env, agent)` its neighbours on a graph.

    `reset_options` are handed to `reset(options=)`. `time_limit_is_truncation`: an end in the very step of `time_limit`
    is the limit's, though the environment calls it terminated. `paid_after_end`: agents that terminate are paid on
    until the episode is over, and learn from that; else what they are paid afterwards does not count.

    `num_workers`: so many processes make and step the copies, side by side; 0 (the default) is this process.
    """

    role_of: Callable[[Any], Any] | None
    team_of: Callable[[Any], Any] | Mapping[Any, Any] | None
    rivals_hear: bool
    speaking: Callable[[Any], bool] | None
    meaning_fn: Callable[[Any, Any], int | Sequence[int]] | None
    meaning_size: int
    success_fn: Callable[[Any], bool] | None
    masks_in_infos: bool | None
    state: Callable[[Any], Any] | bool | None
    positions: Callable[[Any, Any], Any] | None
    hearing: Callable[[Any, Any], Iterable[Any]] | None
    adjacency: Callable[[Any, Any], Iterable[Any]] | None
    reset_options: dict[str, Any] | None
    time_limit_is_truncation: bool
    paid_after_end: bool
    num_workers: int


def check_stacked(settings: Mapping[str, Any], *, env: Any) -> None:
    """Raise ValueError where a setting cannot be what it is, alone or beside the others, for this environment."""
    check_positive("meaning_size", settings.get("meaning_size", 1))
    if settings.get("time_limit_is_truncation") and settings.get("time_limit") is None:
        raise ValueError("time_limit_is_truncation=True: set time_limit too, to the limit of the environment itself")
    if settings.get("rivals_hear") is False and settings.get("team_of") is None:
        raise ValueError("rivals_hear=False: all agents are one team; name the team of each by team_of= too")
    if settings.get("rivals_hear") is False and settings.get("adjacency") and not settings.get("hearing"):
        raise ValueError("rivals_hear=False beside adjacency=: say who hears whom by hearing= too, such as the same")
    if settings.get("state") is True and not callable(getattr(env, "state", None)):
        raise ValueError(f"state=True: {type(env).__name__} has no state(): hand in a function of the environment")


def asked_of(settings: Mapping[str, Any]) -> Asked:
    """The functions that tell of an environment's surroundings."""
    state = settings.get("state")
    own = state if callable(state) else (lambda env: env.state()) if state else None
    others = {name: settings.get(name) for name in ("positions", "hearing", "adjacency")}
    return Asked(state=own, **others)


def of_base(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings that every environment has."""
    return {name: value for name, value in settings.items() if name in BaseSettings.__annotations__}
