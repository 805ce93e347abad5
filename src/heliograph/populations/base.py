"""The contract of a population: who plays whom, of several policies for each role, drawn for each episode."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.checks import check_positive

__all__ = ["Population", "drawn_uniformly"]


class Population(ABC):
    """A rule by which `size` policies of each role meet; fills in `draw`.

    Policies of a role are its members, numbered from 0 and called `sender_0`, `sender_1`, ...; they have equal spaces
    and weights of their own. Rules with a state of their own save it by `get_state`.
    """

    renews_every = 0
    """Updates after which the next member begins anew, with fresh weights; 0: none ever does."""
    renews_role: str | None = None
    """The role whose members are renewed; None: the members of all roles with the same number."""

    def __init__(self, *, size: int):
        check_positive("size", size)
        if size < 2:
            raise ValueError(f"size={size}: a population has at least 2 members; leave it out for a single team")
        self.size = size

    @abstractmethod
    def draw(self, num_episodes: int, *, num_agents: int, generator: torch.Generator) -> Int[Tensor, "B N"]:
        """The number of the member that plays each agent of new episodes."""

    def get_state(self) -> Any:
        """Return what decides the next draws, beside the generator; None where nothing does."""
        return None

    def set_state(self, state: Any) -> None:
        """Continue where `get_state` was called."""


def drawn_uniformly(num_episodes: int, *, num_agents: int, size: int, generator: torch.Generator) -> Int[Tensor, "B N"]:
    """Members drawn for each agent by itself, all equally likely."""
    return torch.randint(size, (num_episodes, num_agents), generator=generator)
