"""Sampled: each agent is played by any member."""

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.populations.base import Population, drawn_uniformly

__all__ = ["Sampled"]


class Sampled(Population):
    """Each agent of an episode is played by a member drawn by itself, all equally likely.

    Source: the uniform agent sampler of EGG's population games (Kharitonov et al. 2019; Michel et al. 2022).
    """

    def __init__(self, *, size: int = 4):
        super().__init__(size=size)

    def draw(self, num_episodes: int, *, num_agents: int, generator: torch.Generator) -> Int[Tensor, "B N"]:
        """A number for each agent."""
        return drawn_uniformly(num_episodes, num_agents=num_agents, size=self.size, generator=generator)
