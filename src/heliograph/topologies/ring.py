"""Neighbours on a ring."""

import torch

from heliograph.checks import check_positive
from heliograph.topologies.base import Topology, fixed
from heliograph.types import Edges, TeamStep

__all__ = ["Ring"]


class Ring(Topology):
    """Agents stand in a circle in the order of their slots; each hears those up to `reach` places to either side."""

    def __init__(self, *, reach: int = 1):
        check_positive("reach", reach)
        self.reach = reach

    def pattern(self, step: TeamStep) -> Edges:
        """Edges from those next to each in the circle."""
        num_agents, device = step.speaking.shape[1], step.speaking.device
        near = [h for hop in range(1, self.reach + 1) for h in (hop, -hop)]
        return fixed(torch.arange(num_agents, device=device).unsqueeze(1) + torch.tensor(near, device=device))
