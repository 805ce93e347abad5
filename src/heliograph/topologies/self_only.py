"""Everyone hears itself alone (the self-only control)."""

import torch

from heliograph.topologies.base import Topology
from heliograph.types import Edges, TeamStep

__all__ = ["SelfOnly"]


class SelfOnly(Topology):
    """Each agent hears what it said itself, and nobody else, whatever the environment's rule of hearing.

    A control: parameters, channel and gradients through messages are those of the team that talks, so that what they
    add by themselves, as a memory or a deeper network, is no longer taken for communication.
    """

    hears_only_itself = True

    def pattern(self, step: TeamStep) -> Edges:
        """One slot a hearer: its own."""
        own = torch.arange(step.speaking.shape[1], device=step.speaking.device).view(1, -1, 1)
        return Edges(senders=own, mask=torch.ones_like(own, dtype=torch.bool))
