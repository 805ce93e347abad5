"""Positive signalling: messages should depend on what their speaker saw."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from heliograph.checks import check_number, check_positive
from heliograph.losses.base import AuxiliaryLoss, LossBatch
from heliograph.team.team import Team

__all__ = ["PositiveSignalling"]

MAX_MESSAGES = 4096


class PositiveSignalling(AuxiliaryLoss):
    """Rewards a varied language whose single messages are certain: -marginal * H(M) + (H(M|X) - target)^2, in nats.

    H(M) is the entropy of the average message distribution of a policy's speakers in the batch, H(M|X) the average
    entropy of a message; both over whole messages, on channels of at most `max_messages` of them; 0 on channels without
    symbols, where neither is defined. `target_nats` above 0 keeps speakers from being certain too soon. Source: Eccles
    et al. 2019, equation 1 (sign and place of the weight as most often quoted; ports differ). Uses round 0.
    """

    needs_symbol_log_probs = True

    def __init__(
        self, team: Team, *, marginal: float = 1.0, target_nats: float = 0.0, max_messages: int = MAX_MESSAGES
    ):
        super().__init__(team)
        check_positive("max_messages", max_messages)
        check_number("marginal", marginal, minimum=0)
        check_number("target_nats", target_nats, minimum=0)
        channel = team.channel
        if channel.spelling is not None and channel.length > 1:
            raise ValueError(
                "loss 'positive_signalling' counts words whose symbols are chosen apart from one another: choose "
                "spelling='apart' without eos, or length=1"
            )
        if channel.vocabulary is not None and channel.vocabulary**channel.length > max_messages:
            size = f"{channel.vocabulary}^{channel.length}"
            raise ValueError(f"positive_signalling: {size} possible messages are more than max_messages={max_messages}")
        self.marginal, self.target_nats = marginal, target_nats
        self.has_symbols = channel.vocabulary is not None

    def forward(self, batch: LossBatch) -> Float[Tensor, ""]:
        """The loss, averaged over the policies that speak."""
        losses = []
        for policy in batch.team.layout.policies if self.has_symbols and batch.unrolled.channel_inputs else ():
            if not batch.team.policies[policy].communicates:
                continue
            slots = batch.team.layout.slots(policy)
            spoken = (batch.rollout.speaking & batch.rollout.valid.unsqueeze(-1))[:, :, slots]
            if bool(spoken.any()):
                channel_input = batch.unrolled.channel_inputs[0][:, :, slots][spoken]
                losses.append(self._of(batch.team.channel.symbol_log_probs(channel_input)))
        return torch.stack(losses).mean() if losses else torch.zeros((), device=batch.rollout.rewards.device)

    def _of(self, log_probs: Float[Tensor, "M L V"]) -> Float[Tensor, ""]:
        joint = whole_messages(log_probs)
        average = torch.logsumexp(joint, 0) - math.log(joint.shape[0])
        each = -(joint.exp() * joint).sum(-1).mean()
        return self.marginal * (average.exp() * average).sum() + (each - self.target_nats).square()


def whole_messages(log_probs: Float[Tensor, "M L V"]) -> Float[Tensor, "M words"]:
    """Log-probabilities of all V^L messages whose places are independent."""
    joint = log_probs[:, 0]
    for place in range(1, log_probs.shape[1]):
        joint = (joint.unsqueeze(-1) + log_probs[:, place].unsqueeze(-2)).flatten(-2)
    return joint
