"""Reconstruction: a message should let a decoder rebuild what its speaker saw."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.checks import check_positive
from heliograph.envs.base import flat_observation, flat_size
from heliograph.losses.base import AuxiliaryLoss, LossBatch
from heliograph.models.blocks import mlp
from heliograph.team.team import Team
from heliograph.types import Gradient

__all__ = ["Reconstruction"]


class Reconstruction(AuxiliaryLoss):
    """Mean squared error of an MLP that decodes the speaker's flat observation from its message, where it spoke.

    On a PATHWISE channel the gradient reaches the speaker through the message. On an ACTION channel a sampled message
    carries none, so what travels on average (for symbols: their probabilities) is decoded in its place. Uses round 0.
    """

    def __init__(self, team: Team, *, size: int = 64):
        super().__init__(team)
        check_positive("size", size)
        channel = team.channel
        self.sampled = channel.gradient is Gradient.ACTION
        speakers = [p for p in team.layout.policies if team.policies[p].communicates]
        self.decoders = nn.ModuleDict(
            {p: mlp([channel.payload_size, size, flat_size(team.layout.seats[p].observation_space)]) for p in speakers}
        )

    def forward(self, batch: LossBatch) -> Float[Tensor, ""]:
        """The error per observation feature, averaged over all messages."""
        if not batch.unrolled.messages:
            return torch.zeros((), device=batch.rollout.rewards.device)
        total = count = 0.0
        spoken = batch.rollout.speaking & batch.rollout.valid.unsqueeze(-1)
        carried = self._carried(batch)
        for policy, decoder in self.decoders.items():
            slots, space = batch.team.layout.slots(policy), batch.team.layout.seats[policy].observation_space
            seen = batch.team.layout.gather(policy, batch.rollout.observations, lead=2)
            target = flat_observation(space, seen)[:-1]
            error = (decoder(carried[:, :, slots]) - target).square().mean(-1)
            total = total + (error * spoken[:, :, slots]).sum()
            count = count + spoken[:, :, slots].sum()
        return total / torch.as_tensor(count).clamp(min=1)

    def _carried(self, batch: LossBatch) -> Tensor:
        if not self.sampled:
            return batch.unrolled.messages[0].payload
        return batch.team.channel.expected_payload(batch.unrolled.channel_inputs[0])
