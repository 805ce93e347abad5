"""The contract of an auxiliary loss: a term beside the algorithm's own that favours communication."""

import dataclasses
from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from heliograph.rollouts.rollout import Rollout
from heliograph.team.team import Team
from heliograph.team.unroll import Unrolled


@dataclasses.dataclass(kw_only=True)
class LossBatch:
    """What a loss may use: what happened, what the present weights make of it (with gradients), and the team."""

    rollout: Rollout
    unrolled: Unrolled
    team: Team


class AuxiliaryLoss(nn.Module, ABC):
    """A scalar loss with, where it needs them, networks of its own (trained and saved, never used to act).

    One with `needs_oracle` finds in `rollout.oracle` what the environment's scripted solver would have done.
    """

    needs_oracle = False
    reads_odds = False
    """Whether it asks the channel how likely symbols are."""

    def __init__(self, team: Team):
        super().__init__()

    @abstractmethod
    def forward(self, batch: LossBatch) -> Float[Tensor, ""]:
        """The loss, to be minimised, averaged over what it speaks of."""


__all__ = ["AuxiliaryLoss", "LossBatch"]
