"""State estimation: what an agent knows after listening should let a decoder rebuild the state of the environment."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.checks import check_positive
from heliograph.losses.base import AuxiliaryLoss, LossBatch
from heliograph.models.blocks import mlp
from heliograph.models.structure import side_by_side, total_size
from heliograph.team.team import Team

__all__ = ["StateEstimation"]


class StateEstimation(AuxiliaryLoss):
    """Mean squared error of an MLP that decodes the environment's state from hidden features, after listening.

    The best estimate is the mean of the state given all that an agent has seen and heard, so agents learn to remember,
    and through a PATHWISE channel to say, what tells the others most. Only learning needs the state. Every agent that
    observes counts, with one decoder for each policy that is trained.

    Source: the global state rebuilt from aggregated messages in Guan et al. 2022 (MASIA, NeurIPS). Differences: hidden
    features of any model are decoded, memory included, in place of an encoder of messages; no prediction of the future.
    """

    def __init__(self, team: Team, *, size: int = 64):
        super().__init__(team)
        check_positive("size", size)
        if not any(policy.model.spec.state_size for policy in team.policies.values()):
            raise ValueError("loss 'state_estimation': this environment's state is empty; give its views a state")
        models = {name: policy.model for name, policy in team.policies.items() if policy.model.trainable}
        self.decoders = nn.ModuleDict(
            {name: mlp([total_size(model.hidden_size), size, model.spec.state_size]) for name, model in models.items()}
        )

    def forward(self, batch: LossBatch) -> Float[Tensor, ""]:
        """The error per number of the state, averaged over agents that observe."""
        rollout = batch.rollout
        state = rollout.state[:-1].unsqueeze(-2)
        observing = rollout.observing[:-1] & rollout.valid.unsqueeze(-1)
        total = count = torch.zeros((), device=state.device)
        for policy, decoder in self.decoders.items():
            here = observing[:, :, batch.team.layout.slots(policy)]
            after = side_by_side(batch.unrolled.after[policy], batch.team.policies[policy].model.hidden_size)
            error = (decoder(after) - state).square().mean(-1)
            total, count = total + torch.where(here, error, 0.0).sum(), count + here.sum()
        return total / count.clamp(min=1)
