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
    """Everything that a loss may use.

    It holds what happened, what the present weights make of it (with gradients), and the team.
    """

    rollout: Rollout
    unrolled: Unrolled
    team: Team


class AuxiliaryLoss(nn.Module, ABC):
    """A scalar loss with, where it needs them, networks of its own (trained and saved, never used to act).

    What a loss needs it declares on its class (a function: as an attribute of itself), and combinations that lack it
    are refused before training. On a channel that carries nothing every loss is legal; one of messages must be 0 there.
    """

    needs_oracle = False
    """Whether it learns from `rollout.oracle`, what the environment's scripted solver would have done."""
    needs_action_log_probs = False
    """Whether it reads how likely actions are, which no algorithm tells that learns values of actions."""
    needs_symbol_log_probs = False
    """Whether it asks the channel how likely symbols are: only channels with symbols can tell."""
    needs_silence = False
    """Whether it means something only where speakers can choose to be silent."""

    def __init__(self, team: Team):
        super().__init__()

    @abstractmethod
    def forward(self, batch: LossBatch) -> Float[Tensor, ""]:
        """The loss, to be minimised, averaged over what it speaks of."""


__all__ = ["AuxiliaryLoss", "LossBatch"]
