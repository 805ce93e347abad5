"""The nearest others."""

import torch

from heliograph.checks import check_positive
from heliograph.topologies.base import Topology, distances_of
from heliograph.types import Edges, TeamStep

__all__ = ["Nearest"]


class Nearest(Topology):
    """Each agent hears the `number` others that are nearest to it in this step, by the environment's positions."""

    static = False

    def __init__(self, *, number: int = 2):
        check_positive("number", number)
        self.number = number

    def _edges(self, step: TeamStep) -> Edges:
        distances = distances_of(step, topology="nearest")
        number = min(self.number, distances.shape[-1] - 1)
        found = distances.topk(number, dim=-1, largest=False)
        return Edges(senders=found.indices, mask=torch.isfinite(found.values))
