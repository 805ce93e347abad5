"""Edges from the nearest others."""

from heliograph.checks import check_positive
from heliograph.topologies.base import Topology
from heliograph.topologies.distances import nearest_of
from heliograph.types import Edges, TeamStep

__all__ = ["Nearest"]


class Nearest(Topology):
    """Each agent hears the `number` others that are nearest to it in this step, by the environment's positions."""

    static = False

    def __init__(self, *, number: int = 2):
        check_positive("number", number)
        self.number = number

    def pattern(self, step: TeamStep) -> Edges:
        """Edges from the nearest others."""
        return nearest_of(step, number=self.number, topology="nearest")
