"""Message cost: a price on every bit that is said."""

import torch
from jaxtyping import Float
from torch import Tensor

from heliograph.losses.base import AuxiliaryLoss, LossBatch

__all__ = ["MessageCost"]


class MessageCost(AuxiliaryLoss):
    """Bits said in an env step by the whole team, on average; its coefficient is the price of a bit.

    Where speakers can choose to be silent (a `gated` channel) a message counts as often as it would be sent: its bits
    times the probability that its gate is open. So the gradient is exact, where a price in the reward would have to be
    learnt from sampled gates. Where words end by themselves (`symbols` with `eos`) a message counts as it was said,
    with the gradient of what words cost on average. Elsewhere every message costs the same and the loss is a constant.
    The messages of all rounds count, and also those that were said and never arrived.
    """

    needs_silence = True

    def forward(self, batch: LossBatch) -> Float[Tensor, ""]:
        """Expected bits per env step."""
        rollout, team = batch.rollout, batch.team
        assignment = None if rollout.assignment is None else rollout.assignment[:-1]
        total = torch.zeros((), device=rollout.rewards.device)
        for r, channel_input in enumerate(batch.unrolled.channel_inputs):
            said = rollout.speaking & rollout.valid.unsqueeze(-1) & team.talking(r, assignment)
            total = total + torch.where(said, team.channel.expected_bits(channel_input), 0.0).sum()
        return total / rollout.valid.sum().clamp(min=1)
