"""Pairs: fixed teams that never meet."""

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.populations.base import Population

__all__ = ["Pairs"]


class Pairs(Population):
    """All agents of an episode have the same number: `size` teams side by side, that never play with one another.

    A control for populations in which members meet, on the same budget: each team has its share of the episodes.
    """

    def __init__(self, *, size: int = 4):
        super().__init__(size=size)

    def draw(self, num_episodes: int, *, num_agents: int, generator: torch.Generator) -> Int[Tensor, "B N"]:
        """One number for each episode, all equally likely."""
        return torch.randint(self.size, (num_episodes, 1), generator=generator).expand(-1, num_agents).clone()
