"""All within reach."""

from heliograph.checks import check_number, check_positive
from heliograph.topologies.base import Topology, dense
from heliograph.topologies.distances import distances_of, nearest_of
from heliograph.types import Edges, TeamStep

__all__ = ["Radius"]


class Radius(Topology):
    """Each agent hears the others within `radius` of it in this step, by the environment's positions (Euclidean).

    With `at_most` only so many of them, the nearest: the cost of talking then grows with the number of agents, and not
    with its square, as it does without.
    """

    static = False

    def __init__(self, *, radius: float, at_most: int | None = None):
        check_number("radius", radius, above=0)
        if at_most is not None:
            check_positive("at_most", at_most)
        self.radius, self.at_most = radius, at_most

    def pattern(self, step: TeamStep) -> Edges:
        """Edges from those within the radius."""
        if self.at_most is None or self.at_most >= step.speaking.shape[1] - 1:
            return dense(distances_of(step, topology="radius") <= self.radius)
        return nearest_of(step, number=self.at_most, within=self.radius, topology="radius")
