"""Everyone hears everyone else."""

import torch

from heliograph.topologies.base import Topology, dense
from heliograph.types import Edges, TeamStep

__all__ = ["Full"]


class Full(Topology):
    """All agents hear all others; where the environment has a rule of hearing, that rule decides alone."""

    yields_to_env = True

    def pattern(self, step: TeamStep) -> Edges:
        """Edges from all others."""
        num_agents = step.speaking.shape[1]
        return dense(~torch.eye(num_agents, dtype=torch.bool, device=step.speaking.device).unsqueeze(0))
