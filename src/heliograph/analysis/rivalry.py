"""Signs of rivals in what is called one team: where one agent or role gains, another loses."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heliograph.rollouts.statistics import Episodes
from heliograph.types import Role

__all__ = ["NUM_EPISODES", "Opposed", "Watch", "opposed"]

NUM_EPISODES = 100
"""Episodes that are looked at before anything is said."""
MOST_AGENTS = 64
"""Agents of one role that are compared with each other, the first of them."""
ROLES_OPPOSED, AGENTS_OPPOSED = -0.4, -0.9
"""Correlations of returns below which two roles, or two agents of one role, are called opposed.

Of 100 independent returns the correlation has a standard error of 0.1. Agents of one role have one policy, and
compete for a moment where they share a road or a prey; they are rivals only where one's gain is the other's loss.
"""
OFTEN = 0.1
"""Share of episodes in which one must have gained (above 0) and the other lost: cars that are all paid less than 0, and
workers who each earn what they carried, are not rivals, however little one has in common with another.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opposed:
    """Two agents or roles, and the correlation of their returns."""

    first: str
    second: str
    correlation: float

    def __str__(self) -> str:
        """A warning, with what to do."""
        found = f"their returns have the correlation {self.correlation:.2f} over {NUM_EPISODES} episodes"
        return (
            f"{self.first} and {self.second} are one team, but one tends to lose what the other gains ({found}): the "
            "one is taught to help the other, and verdicts are about both together. Where they are rivals, name the "
            "team of each by team_of="
        )


def opposed(returns: Float[Tensor, "E N"], roles: Sequence[Role], *, present: Bool[Tensor, "E N"]) -> Opposed | None:
    """The two that are most opposed, two roles or else two agents of one role; None where none are.

    Returns of a role are means over its agents that were present.
    """
    earned = torch.where(present, returns, torch.nan).double().numpy(force=True)
    parts = np.split(earned, np.cumsum([len(role.agents) for role in roles])[:-1], axis=1)
    of_roles = np.stack([_mean(part) for part in parts], 1)
    found = [_most(of_roles, [f"role {role.name!r}" for role in roles], below=ROLES_OPPOSED)]
    for role, part in zip(roles, parts, strict=True):
        agents = [f"agent {agent!r}" for agent in role.agents[:MOST_AGENTS]]
        found.append(_most(part[:, :MOST_AGENTS], agents, below=AGENTS_OPPOSED))
    return next((pair for pair in found if pair is not None), None)


def _mean(part: Float[np.ndarray, "E A"]) -> Float[np.ndarray, " E"]:
    there = ~np.isnan(part)
    sums: np.ndarray = np.nansum(part, 1)
    return np.where(there.any(1), sums / np.maximum(there.sum(1), 1), np.nan)


def _most(columns: Float[np.ndarray, "E K"], names: Sequence[str], *, below: float) -> Opposed | None:
    pairs = [(_correlation(columns[:, i], columns[:, j]), i, j) for i, j in _pairs(columns.shape[1])]
    lowest = min((pair for pair in pairs if pair[0] < below), default=None)
    return None if lowest is None else Opposed(first=names[lowest[1]], second=names[lowest[2]], correlation=lowest[0])


def _pairs(number: int) -> Iterable[tuple[int, int]]:
    return ((i, j) for i in range(number) for j in range(i + 1, number))


def _correlation(one: Float[np.ndarray, " E"], other: Float[np.ndarray, " E"]) -> float:
    """Return the correlation over the episodes in which both have a return; 0 where that says nothing about rivals."""
    both = ~np.isnan(one) & ~np.isnan(other)
    one, other = one[both], other[both]
    if len(one) < NUM_EPISODES // 2 or not one.std() > 0 or not other.std() > 0:
        return 0.0
    if np.mean((one > 0) & (other < 0) | (one < 0) & (other > 0)) < OFTEN:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


class Watch:
    """Collects the first episodes of a run, and looks at them once."""

    def __init__(self, roles: Sequence[Role]):
        self._roles, self._seen, self._over = roles, list[Episodes](), False

    def look(self, episodes: Episodes) -> Opposed | None:
        """Take in more episodes; the finding when there are enough for the first time, and it is one."""
        if self._over:
            return None
        self._seen.append(episodes)
        if sum(map(len, self._seen)) < NUM_EPISODES:
            return None
        returns = torch.cat([episodes.agent_returns.cpu() for episodes in self._seen])[:NUM_EPISODES]
        present = torch.cat([episodes.present.cpu() for episodes in self._seen])[:NUM_EPISODES]
        self._over, self._seen = True, []
        return opposed(returns, self._roles, present=present)
