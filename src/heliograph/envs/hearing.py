"""Who may hear whom by the rules of an environment, before the topology has its say."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.types import Edges

__all__ = ["with_all_edges", "within_teams"]


def with_all_edges(edges: Edges, talking: Bool[Tensor, "B 1"]) -> Edges:
    """Add everyone's edges to all others in the copies that are talking; the symbolic form, as K must not change."""
    mask, num_agents = edges.mask, edges.mask.shape[1]
    if edges.senders is not None:
        reads = torch.zeros(*mask.shape[:2], num_agents, dtype=torch.long, device=mask.device)
        mask = reads.scatter_add(2, edges.senders, mask.long()) > 0
    others = ~torch.eye(num_agents, dtype=torch.bool, device=mask.device)
    return Edges(senders=None, mask=mask | (others & talking.unsqueeze(2)))


def within_teams(edges: Edges | None, team_of_agent: Int[Tensor, " N"], *, num_envs: int) -> Edges:
    """Leave out the edges between rivals; None stands for edges from all to all."""
    if edges is not None and edges.senders is not None:
        own = team_of_agent[edges.senders] == team_of_agent.unsqueeze(-1)
        return Edges(senders=edges.senders, mask=edges.mask & own)
    own = team_of_agent.unsqueeze(-1) == team_of_agent
    if edges is None:
        mates = own & ~torch.eye(len(own), dtype=torch.bool, device=own.device)
        return Edges(senders=None, mask=mates.expand(num_envs, -1, -1))
    return Edges(senders=None, mask=edges.mask & own)
