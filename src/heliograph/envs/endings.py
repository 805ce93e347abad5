"""How the parts of agents and whole episodes end, by the rules of an environment and by a time limit."""

from typing import Any, NamedTuple

__all__ = ["Endings", "endings"]

Flags = Any
"""A tensor or an array of booleans: what is computed here takes either."""


class Endings(NamedTuple):
    """Whose part ended in a step, `[B, N]`, by the rules or by being cut off, and which episodes are over, `[B]`."""

    terminated: Flags
    truncated: Flags
    episode_over: Flags


def endings(
    *, terminated: Flags, truncated: Flags | None, episode_over: Flags, elapsed: Any, time_limit: int | None
) -> Endings:
    """The endings of a step, of what the rules say and of how many env steps `[B]` each episode has lasted.

    An episode that the rules call over terminates all agents but those that they call truncated and not terminated; one
    that comes to the time limit truncates all that are left.
    """
    ended = terminated | episode_over[:, None]
    inside = None if truncated is None else truncated & ~terminated
    kept = ended if inside is None else ended & ~inside
    if time_limit is None:
        return Endings(kept, ended & ~ended if inside is None else inside, episode_over)
    at_limit = (elapsed >= time_limit) & ~episode_over
    cut = at_limit[:, None] & ~ended
    return Endings(kept, cut if inside is None else cut | inside, episode_over | at_limit)
