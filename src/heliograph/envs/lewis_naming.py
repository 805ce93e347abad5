"""Lewis games whose receivers see nothing and name what the sender saw; all their episodes can be enumerated."""

from abc import ABC

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.envs.lewis_game import LewisGame, LewisState

__all__ = ["NamingGame"]


class NamingGame(LewisGame[LewisState], ABC):
    """Base of the games in which an episode is its objects and who sends first, all equally likely."""

    def start(self) -> LewisState:
        """New objects, each uniform among those of the split."""
        shape = (self.num_envs, self.rounds)
        drawn = torch.randint(len(self.objects.in_split), shape, generator=self.start_generator, device=self.device)
        return LewisState(**self.beginning(self.objects.in_split[drawn], self.draw_first()))

    @property
    def num_starts(self) -> int:
        """How many episodes there are, all equally likely: an object for each round, and a first sender."""
        return int(len(self.objects.in_split) ** self.rounds * (self.num_agents if self.exchange else 1))

    def fix_starts(self, numbers: Int[Tensor, " B"]) -> None:
        """Set the next episode of every copy by its number: the first sender, then the object of each round."""
        number = len(self.objects.in_split)
        places = number ** torch.arange(self.rounds - 1, -1, -1, device=numbers.device)
        objects = self.objects.in_split[numbers[:, None] // places % number]
        self.plan_start(LewisState(**self.beginning(objects, numbers // number**self.rounds)))
