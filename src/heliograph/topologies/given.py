"""Hearing as given: by the environment, or by a mask."""

from typing import Any

import torch
from torch import Tensor

from heliograph.topologies.base import Topology, dense
from heliograph.types import Edges, TeamStep

__all__ = ["Given"]


class Given(Topology):
    """A topology that is given: by `mask[hearer][sender]`, else by the environment's rule of hearing or its graph."""

    def __init__(self, *, mask: list[list[bool]] | None = None):
        self.mask = None if mask is None else _table(mask)
        if self.mask is not None and (self.mask.dim() != 2 or self.mask.shape[0] != self.mask.shape[1]):
            raise ValueError(f"mask has shape {tuple(self.mask.shape)}: must be square, mask[hearer][sender]")
        self.static = self.mask is not None
        self.yields_to_env = self.needs_hearing = self.mask is None

    def pattern(self, step: TeamStep) -> Edges:
        """Edges of the given mask, or of the environment's graph."""
        if self.mask is None:
            if step.adjacency is None:
                raise ValueError("topology 'given': the environment gives neither hearing nor adjacency; set mask=")
            return step.adjacency
        num_agents = step.speaking.shape[1]
        if self.mask.shape[0] != num_agents:
            raise ValueError(f"mask is {tuple(self.mask.shape)}: this team has {num_agents} agents")
        return dense(self.mask.to(step.speaking.device).unsqueeze(0))


def _table(mask: Any) -> Tensor:
    try:
        return torch.as_tensor(mask, dtype=torch.bool)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"topology 'given': mask={mask!r} is no table mask[hearer][sender]: {error}") from error
