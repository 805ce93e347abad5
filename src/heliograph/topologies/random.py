"""A random graph, drawn once."""

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.topologies.base import Topology
from heliograph.types import Edges, TeamStep

__all__ = ["Random"]


class Random(Topology):
    """Each agent hears `degree` others (fewer in a small team), drawn once from `seed` and the same in all episodes."""

    def __init__(self, *, degree: int = 2, seed: int = 0):
        check_positive("degree", degree)
        self.degree, self.seed = degree, seed

    def pattern(self, step: TeamStep) -> Edges:
        """Edges drawn once for each hearer."""
        num_agents, device = step.speaking.shape[1], step.speaking.device
        generator = torch.Generator().manual_seed(self.seed)
        degree = min(self.degree, num_agents - 1)
        hops = 1 + _distinct(num_agents - 1, rows=num_agents, degree=degree, generator=generator)
        senders = (torch.arange(num_agents).unsqueeze(1) + hops) % num_agents
        return Edges(senders=senders.unsqueeze(0).to(device), mask=torch.ones_like(senders, device=device).bool()[None])


def _distinct(below: int, *, rows: int, degree: int, generator: torch.Generator) -> Int[Tensor, "rows degree"]:
    """In each row so many different numbers, every choice equally likely (Floyd's: no list of all numbers is made)."""
    found = torch.empty(rows, 0, dtype=torch.long)
    for last in range(below - degree, below):
        number = torch.randint(last + 1, (rows, 1), generator=generator)
        again = (found == number).any(1, keepdim=True)
        found = torch.cat([found, torch.where(again, last, number)], 1)
    return found
