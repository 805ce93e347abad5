"""What the hooks of an environment return: what agents see, and what happened in a step."""

import dataclasses
import enum

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.envs.state import merge
from heliograph.types import Edges, Tree

__all__ = ["FinalViews", "Outcome", "View"]


@dataclasses.dataclass(kw_only=True)
class Outcome:
    """Record of what happened in a step: rewards, agents whose part ended, copies whose episode ended.

    An episode that is over terminates all agents but those in `truncated`: the agents that a wrapped environment cut
    off by a limit of its own. (The user's `time_limit` is counted by the base class.)
    """

    rewards: Float[Tensor, "B N"]
    terminated: Bool[Tensor, "B N"]
    episode_over: Bool[Tensor, " B"]
    truncated: Bool[Tensor, "B N"] | None = None
    info: dict[str, Tensor] = dataclasses.field(default_factory=dict)

    def only_in(self, copies: Bool[Tensor, " B"]) -> "Outcome":
        """The same in the copies of the mask; no reward, no ending and no info in the others."""
        agents = copies[:, None]
        return Outcome(
            rewards=torch.where(agents, self.rewards, 0.0),
            terminated=self.terminated & agents,
            episode_over=self.episode_over & copies,
            truncated=None if self.truncated is None else self.truncated & agents,
            info={name: merge(copies, value, torch.zeros_like(value)) for name, value in self.info.items()},
        )


@dataclasses.dataclass(kw_only=True)
class View:
    """Record of what the agents see now, who takes part in this step, and what an analyst may know.

    `state` is what a team with full information would see; it defaults to all observations side by side.
    `meaning` is what each agent privately knows (-1: nothing); never an input of a network.
    """

    observations: dict[str, Tree]
    observing: Bool[Tensor, "B N"]
    acting: Bool[Tensor, "B N"]
    speaking: Bool[Tensor, "B N"]
    meaning: Int[Tensor, "B N Z"]
    state: Float[Tensor, "B S"] | None = None
    hearing: Edges | None = None
    action_mask: dict[str, Bool[Tensor, "B _A _n"]] | None = None
    positions: Float[Tensor, "B N D"] | None = None
    adjacency: Edges | None = None


class FinalViews(enum.Enum):
    """Endings of a copy after which `step` shows what its finished episode came to: all, or where a part was cut off.

    Nobody learns from what was seen after an episode has ended by its rules, and to show it costs time: a `Sampler`
    sets `TRUNCATED` on the environment that it is given.
    """

    ENDED = "ended"
    TRUNCATED = "truncated"
