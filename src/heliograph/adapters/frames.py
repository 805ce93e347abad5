"""What a Python environment shows after a reset or a step, and what happened in one step of all copies."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from heliograph.adapters.arrays import AgentID, same

__all__ = ["ForeignStep", "Records"]


@dataclasses.dataclass(kw_only=True, slots=True)
class ForeignStep:
    """Record of what one Python environment shows after a reset or a step, agents named as it names them.

    `turn`: agents in play that observe now and are asked for an action. `infos[agent]` may hold `meaning`,
    `action_mask`, and `observing`, `acting`, `speaking`, which narrow what an agent in `turn` takes part in.
    """

    observations: Mapping[AgentID, Any]
    turn: list[AgentID]
    rewards: Mapping[AgentID, Any] = dataclasses.field(default_factory=dict)
    terminated: list[AgentID] = dataclasses.field(default_factory=list)
    truncated: list[AgentID] = dataclasses.field(default_factory=list)
    infos: Mapping[AgentID, dict] = dataclasses.field(default_factory=dict)
    over: bool = False

    def shows_same_as(self, other: "ForeignStep") -> bool:
        """Tell whether the same agents are asked, and all see the same."""
        return same((self.observations, self.turn), (other.observations, other.turn))


class Records:
    """The events of one step of all copies, `[B, N]`: `paid` by the environments, `rewards` of whoever learns.

    `last`: no step of its episode follows, since it is `over` or has come to the time limit. `is_quiet`: nobody's part
    and no episode ended; the flags, which are one array for all quiet steps, are written to after `disturb` alone.
    """

    def __init__(self, copies: int, agents: int):
        self._nothing = np.zeros((copies, agents), bool), np.zeros(copies, bool)
        self.begin()

    def begin(self) -> None:
        """A step begins, in which nothing has happened yet."""
        never, nowhere = self._nothing
        self.paid = self.rewards = np.zeros(never.shape)
        if not vars(self).get("is_quiet", False):
            self.terminated = self.truncated = never
            self.over = self.success = self.last = nowhere
            self.is_quiet = True

    def disturb(self) -> None:
        """Something has ended in this step, which the flags are about to tell."""
        if self.is_quiet:
            self.is_quiet = False
            never, nowhere = self._nothing
            self.terminated, self.truncated = never.copy(), never.copy()
            self.over, self.success = nowhere.copy(), nowhere.copy()
            self.last = self.over
