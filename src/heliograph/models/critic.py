"""The critic: values that only learning needs, never acting."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.models.blocks import RunningMoments, mlp

VIEWS = ("hidden", "state", "observation")


class Critic(nn.Module):
    """One value per agent, from what it had perceived before anyone spoke in this step.

    `view` is "hidden" (the policy's hidden features, gradient included), "observation" (a network of its own, `size`
    twice, over the encoded observation) or "state" (the same over all that the environment knows: a centralised
    critic). It never sees a message sent in its own step, so it is a lawful baseline of that message. Values are
    learnt in normalised units; `moments` hold those of the targets. With size 0 values are linear in what is seen.
    """

    def __init__(self, *, view: str, input_size: int, num_agents: int, size: int = 64):
        super().__init__()
        if view not in VIEWS:
            raise ValueError(f"critic={view!r}: must be one of {', '.join(map(repr, VIEWS))}")
        self.view = view
        extra = num_agents if view == "state" and num_agents > 1 else 0
        inner = [size] * (1 if view == "hidden" else 2) if size else []
        self.net = mlp([input_size + extra, *inner, 1])
        self.num_agents, self.extra = num_agents, extra
        self.moments = RunningMoments(1, num_batches=20)

    def forward(self, features: Tensor) -> Float[Tensor, "*batch A"]:
        """Normalised values from features `[..., A, F]`; from the state `[..., S]` where `view` is "state".

        What all agents share is computed once, so that the cost grows with their number, and not with its square.
        """
        if self.view != "state":
            return self.net(features).squeeze(-1)
        if not self.extra:
            return self.net(features).expand(*features.shape[:-1], self.num_agents)
        first: nn.Linear = self.net[0]
        of_state, of_agent = first.weight.split([features.shape[-1], self.extra], 1)
        mixed = F.linear(features, of_state, first.bias).unsqueeze(-2) + of_agent.T
        return self.net[1:](mixed).squeeze(-1)
