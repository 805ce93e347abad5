"""The contract of a topology: who can hear whom."""

from abc import ABC, abstractmethod
from typing import Any, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.renamed import MEMBERS, rename_members
from heliograph.types import Edges, TeamStep


class Topology(ABC):
    """A hearing pattern; fills in `pattern`, and says whether it looks at the step at all (`static`)."""

    static = True
    yields_to_env = False
    """True where the pattern allows everything, so that the environment's own rule of hearing decides alone."""
    needs_hearing = False
    """True where it has no pattern of its own, so that the environment must give its rule of hearing or its graph."""
    hears_nobody = False
    """True where no message ever reaches anyone: a control."""
    hears_only_itself = False
    """True where messages reach their senders alone, whatever the environment's rule of hearing: a control."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        rename_members(cls, MEMBERS["Topology"])

    @abstractmethod
    def pattern(self, step: TeamStep) -> Edges:
        """The pattern for this step, `[1 or B, N, K]`."""

    @final
    def edges(self, step: TeamStep) -> Edges:
        """Edges along which is heard what is said in this step.

        They are the pattern's, intersected with the environment's rule of hearing.
        """
        if step.hearing is None or self.hears_only_itself:
            return self._known_pattern(step)
        return step.hearing if self.yields_to_env else intersect(self._known_pattern(step), step.hearing)

    def _known_pattern(self, step: TeamStep) -> Edges:
        """The pattern; one that does not look at the step is made once for each team size and device."""
        if not self.static:
            return self.pattern(step)
        key, known = (step.speaking.shape[1], step.speaking.device), self.__dict__.setdefault("_known", {})
        if key not in known:
            known[key] = self.pattern(step)
        return known[key]


def intersect(first: Edges, second: Edges) -> Edges:
    """The edges that both allow, in the sparser form of the two."""
    if second.senders is None:
        first, second = second, first
    if second.senders is None:
        return Edges(senders=None, mask=first.mask & second.mask)
    if first.senders is None:
        rows = torch.broadcast_shapes(first.mask.shape[:-1], second.mask.shape[:-1])
        senders = second.senders.expand(*rows, -1)
        return Edges(senders=senders, mask=second.mask & first.mask.expand(*rows, -1).gather(-1, senders))
    match = (second.senders.unsqueeze(-1) == first.senders.unsqueeze(-2)) & first.mask.unsqueeze(-2)
    return Edges(senders=second.senders, mask=second.mask & match.any(-1))


def dense(mask: Bool[Tensor, "*batch N N"]) -> Edges:
    """Edges in symbolic form from a mask: hearer `n` hears agent `k` where `mask[..., n, k]`."""
    return Edges(senders=None, mask=mask)


def fixed(senders: Int[Tensor, "N K"]) -> Edges:
    """Edges from places counted in a circle; those to oneself, and further ones to the same sender, are left out."""
    num_agents = senders.shape[0]
    senders = senders % num_agents
    own = torch.arange(num_agents, device=senders.device).unsqueeze(1)
    again = (senders.unsqueeze(-1) == senders.unsqueeze(-2)).tril(-1).any(-1)
    return Edges(senders=senders.unsqueeze(0), mask=((senders != own) & ~again).unsqueeze(0))


def no_edges(num_agents: int, device: torch.device) -> Edges:
    """Nobody hears anybody: no slots at all."""
    empty = torch.zeros(1, num_agents, 0, dtype=torch.bool, device=device)
    return Edges(senders=empty.long(), mask=empty)


__all__ = ["Topology", "dense", "fixed", "intersect", "no_edges"]
