"""Who plays whom in new episodes, as policies of a team: by the rule of a population, or always the same."""

from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.populations.base import Population

__all__ = ["Fixed", "Meetings"]


@final
class Meetings:
    """Draws members of a population for `B` new episodes, as policy indices [B, N]; its stream can be saved.

    Policies of a team stand role by role, as many for each as the population has members.
    """

    def __init__(self, population: Population, *, role_of_agent: tuple[int, ...], seed: int):
        self.population, self._generator = population, torch.Generator().manual_seed(seed)
        self._first = population.size * torch.tensor(role_of_agent)

    def __call__(self, num_episodes: int) -> Int[Tensor, "B N"]:
        """Policy indices of each episode and slot."""
        drawn = self.population.draw(num_episodes, num_agents=len(self._first), generator=self._generator)
        return self._first + drawn

    def get_state(self) -> dict[str, Any]:
        """The generator, and what the rule itself remembers."""
        return {"generator": self._generator.get_state(), "population": self.population.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue where `get_state` was called."""
        self._generator.set_state(state["generator"])
        self.population.set_state(state["population"])


@final
class Fixed:
    """The same policies [B, N] whenever episodes start."""

    def __init__(self, assignment: Int[Tensor, "B N"]):
        self.assignment = assignment

    def __call__(self, num_episodes: int) -> Int[Tensor, "B N"]:
        """Those of the first copies."""
        return self.assignment[:num_episodes]
