"""All: every combination of members in turn."""

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.populations.base import Population

__all__ = ["All"]

MOST_COMBINATIONS = 1_000_000


class All(Population):
    """Every combination of members plays once, in random order, before any plays again.

    So pairs play equally often, not only on average (EGG's full sweep, whose order is always the same). Raises
    ValueError for more than a million combinations.
    """

    def __init__(self, *, size: int = 4):
        super().__init__(size=size)
        self._deck = torch.zeros(0, dtype=torch.long)

    def draw(self, num_episodes: int, *, num_agents: int, generator: torch.Generator) -> Int[Tensor, "B N"]:
        """The next combinations of the deck, which is shuffled anew when it is used up."""
        number = self.size**num_agents
        if number > MOST_COMBINATIONS:
            raise ValueError(f"population 'all', size={self.size}: {number:,} combinations of members; use 'sampled'")
        while len(self._deck) < num_episodes:
            self._deck = torch.cat([self._deck, torch.randperm(number, generator=generator)])
        drawn, self._deck = self._deck[:num_episodes], self._deck[num_episodes:]
        places = self.size ** torch.arange(num_agents)
        return drawn.unsqueeze(1) // places % self.size

    def get_state(self) -> Tensor:
        """Return what is left of the deck."""
        return self._deck.clone()

    def set_state(self, state: Tensor) -> None:
        """Take over a deck."""
        self._deck = state.clone()
