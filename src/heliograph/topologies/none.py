"""Nobody hears anybody."""

from heliograph.topologies.base import Topology, no_edges
from heliograph.types import Edges, TeamStep

__all__ = ["NoTopology"]


class NoTopology(Topology):
    """No edges: messages may be sent but reach nobody."""

    hears_nobody = True

    def pattern(self, step: TeamStep) -> Edges:
        """No edges."""
        return no_edges(step.speaking.shape[1], step.speaking.device)
