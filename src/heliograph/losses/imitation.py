"""Imitation: do what the environment's scripted solver would do, which may see everything."""

import torch
from jaxtyping import Float
from torch import Tensor

from heliograph.losses.base import AuxiliaryLoss, LossBatch

__all__ = ["Imitation"]


class Imitation(AuxiliaryLoss):
    """Cross-entropy of each acting agent's actions with those of the environment's `oracle`, in the states it comes to.

    The team itself plays, and the solver says in each state what it would have done (as in DAgger: Ross, Gordon and
    Bagnell 2011), so that agents learn to say what the others would need to see. With a large coefficient it is
    supervised training, as of CommNet on levers (Sukhbaatar et al. 2016, section 4.1); a team that cannot even imitate
    lacks memory, sight or channel, and not reward. Not for Q-values, which are no odds.
    """

    needs_oracle = True
    needs_action_log_probs = True

    def forward(self, batch: LossBatch) -> Float[Tensor, ""]:
        """Mean over all turns to act, in nats."""
        rollout = batch.rollout
        if rollout.oracle is None:
            raise ValueError("imitation: the rollout does not say what the solver would do: set Sampler.asks_oracle")
        found = batch.unrolled.action_terms(rollout.oracle)
        turns = rollout.acting & rollout.valid.unsqueeze(-1)
        return -torch.where(turns, found.log_prob, 0.0).sum() / turns.sum().clamp(min=1)
