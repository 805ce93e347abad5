"""Lewis games whose receivers see nothing and name what the sender saw; all their episodes can be enumerated."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.envs.lewis_game import LewisGame, LewisState

__all__ = ["NamingGame"]


class NamingGame(LewisGame[LewisState], ABC):
    """Base of the games in which an episode is its objects and who sends first, all equally likely."""

    additive = True
    """Whether an answer is worth the share of its numbers that are right; else 1 where all are."""

    @abstractmethod
    def answer_of(self, objects: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch D"]:
        """The right answer for objects, by number."""

    def best(self, state: LewisState) -> Int[Tensor, "B N D"]:
        """The right answer for the object of the round."""
        return self.answer_of(self.shown(state))[:, None].expand(-1, self.num_agents, -1)

    def score(self, right: Bool[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
        """The share of numbers that are right, or 1 where all are."""
        return right.float().mean(-1) if self.additive else super().score(right)

    def start(self) -> LewisState:
        """New objects, each uniform among those of the split."""
        shape = (self.num_envs, self.rounds)
        drawn = torch.randint(len(self.objects.in_split), shape, generator=self.start_generator, device=self.device)
        return LewisState(**self.beginning(self.objects.in_split[drawn], self.draw_first()))

    @property
    def num_starts(self) -> int:
        """Return how many episodes there are, all equally likely: an object for each round, and a first sender."""
        return int(len(self.objects.in_split) ** self.rounds * (self.num_agents if self.exchange else 1))

    def fix_starts(self, numbers: Int[Tensor, " B"]) -> None:
        """Set the next episode of every copy by its number: the first sender, then the object of each round."""
        number = len(self.objects.in_split)
        places = number ** torch.arange(self.rounds - 1, -1, -1, device=numbers.device)
        objects = self.objects.in_split[numbers[:, None] // places % number]
        self.plan_start(LewisState(**self.beginning(objects, numbers // number**self.rounds)))
