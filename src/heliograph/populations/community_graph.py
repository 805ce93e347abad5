"""Community graph: members mostly meet those of their own community."""

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.checks import check_number, check_positive
from heliograph.populations.base import Population

__all__ = ["CommunityGraph"]


class CommunityGraph(Population):
    """Members live in `communities` of equal size on a ring, and meet others of their own but for a share `between`.

    The first agent of an episode is any member. Each other one is of the same community, or with probability `between`
    of the next or the one before, whoever it is. Members whose numbers are equal modulo `communities` live together. So
    dialects can be seen to part, and who bridges them. Source: Harding Graesser, Cho and Kiela 2019, "Emergent
    linguistic phenomena in multi-agent communication games" (communities in a line and in contact).
    """

    def __init__(self, *, size: int = 4, communities: int = 2, between: float = 0.1):
        super().__init__(size=size)
        check_positive("communities", communities)
        check_number("between", between, minimum=0, maximum=1)
        if not 2 <= communities <= size or size % communities:
            raise ValueError(
                f"communities={communities}: must divide size={size} into at least 2 communities of equal size"
            )
        self.communities, self.between = communities, between

    def draw(self, num_episodes: int, *, num_agents: int, generator: torch.Generator) -> Int[Tensor, "B N"]:
        """Somebody, and partners of the same community or of one beside it."""
        shape, inside = (num_episodes, num_agents - 1), self.size // self.communities
        first = torch.randint(self.size, (num_episodes, 1), generator=generator)
        away = torch.rand(shape, generator=generator) < self.between
        step = 2 * torch.randint(2, shape, generator=generator) - 1
        home = (first % self.communities + away * step) % self.communities
        others = home + self.communities * torch.randint(inside, shape, generator=generator)
        return torch.cat([first, others], 1)
