"""All within reach."""

import torch

from heliograph.checks import check_number, check_positive
from heliograph.topologies.base import Topology, dense, distances_of
from heliograph.types import Edges, TeamStep

__all__ = ["Radius"]


class Radius(Topology):
    """Each agent hears the others within `radius` of it in this step, by the environment's positions (Euclidean).

    With `at_most` only so many of them, the nearest: the cost of talking then grows with the number of agents, and not
    with its square.
    """

    static = False

    def __init__(self, *, radius: float, at_most: int | None = None):
        check_number("radius", radius, above=0)
        if at_most is not None:
            check_positive("at_most", at_most)
        self.radius, self.at_most = radius, at_most

    def _edges(self, step: TeamStep) -> Edges:
        distances = distances_of(step, topology="radius")
        if self.at_most is None or self.at_most >= distances.shape[-1] - 1:
            return dense(distances <= self.radius)
        found = distances.topk(self.at_most, dim=-1, largest=False)
        return Edges(senders=found.indices, mask=torch.isfinite(found.values) & (found.values <= self.radius))
