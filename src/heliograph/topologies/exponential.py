"""Peers at doubling distances."""

import torch

from heliograph.topologies.base import Topology, fixed
from heliograph.types import Edges, TeamStep

__all__ = ["Exponential"]


class Exponential(Topology):
    """Each agent hears those 1, 2, 4, 8, ... places ahead in the circle of slots: about log2 N of them.

    What anyone says can reach everyone in about log2 N steps. Source: the static exponential graph of Ying et al. 2021
    (Exponential graph is provably efficient for decentralized deep training), as used by ExpoComm.
    """

    def pattern(self, step: TeamStep) -> Edges:
        """Edges from those 1, 2, 4, ... places ahead."""
        num_agents, device = step.speaking.shape[1], step.speaking.device
        hops = [2**k for k in range(max(1, (num_agents - 1).bit_length()))]
        return fixed(torch.arange(num_agents, device=device).unsqueeze(1) + torch.tensor(hops, device=device))
