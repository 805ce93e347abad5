"""Neighbours on a grid."""

import torch

from heliograph.checks import check_positive
from heliograph.topologies.base import Topology
from heliograph.types import Edges, TeamStep

__all__ = ["Grid"]

SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0))


class Grid(Topology):
    """Agents fill rows of `columns` in the order of their slots; each hears those beside, above and below it.

    `wrap` closes rows and columns to circles; the last row must be full then.
    """

    def __init__(self, *, columns: int, wrap: bool = False):
        check_positive("columns", columns)
        self.columns, self.wrap = columns, wrap

    def pattern(self, step: TeamStep) -> Edges:
        """Edges from those beside, above and below."""
        num_agents, device = step.speaking.shape[1], step.speaking.device
        rows = -(-num_agents // self.columns)
        if self.wrap and rows * self.columns != num_agents:
            raise ValueError(f"columns={self.columns}: {num_agents} agents fill no whole rows, as wrap=True needs")
        slots = torch.arange(num_agents, device=device).unsqueeze(1)
        down, right = torch.tensor(SIDES, device=device).unbind(1)
        row, column = slots // self.columns + down, slots % self.columns + right
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < self.columns)
        senders = row % rows * self.columns + column % self.columns
        there = (inside | self.wrap) & (senders < num_agents) & (senders != slots)
        return Edges(senders=senders.clamp(max=num_agents - 1).unsqueeze(0), mask=_once(senders, there).unsqueeze(0))


def _once(senders: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Drop a neighbour that stands on two sides, where a small grid wraps: it is heard once."""
    same = (senders.unsqueeze(-1) == senders.unsqueeze(-2)) & there.unsqueeze(-2)
    return there & ~same.tril(-1).any(-1)
