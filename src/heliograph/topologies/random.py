"""A random graph, drawn once."""

import torch

from heliograph.checks import check_positive
from heliograph.topologies.base import Topology
from heliograph.types import Edges, TeamStep

__all__ = ["Random"]


class Random(Topology):
    """Each agent hears `degree` others (fewer in a small team), drawn once from `seed` and the same in all episodes."""

    def __init__(self, *, degree: int = 2, seed: int = 0):
        check_positive("degree", degree)
        self.degree, self.seed = degree, seed

    def _edges(self, step: TeamStep) -> Edges:
        num_agents, device = step.speaking.shape[1], step.speaking.device
        generator = torch.Generator().manual_seed(self.seed)
        degree = min(self.degree, num_agents - 1)
        hops = [1 + torch.randperm(num_agents - 1, generator=generator)[:degree] for _ in range(num_agents)]
        senders = (torch.arange(num_agents).unsqueeze(1) + torch.stack(hops)) % num_agents
        return Edges(senders=senders.unsqueeze(0).to(device), mask=torch.ones_like(senders, device=device).bool()[None])
