"""How far agents are apart, and who is nearest to whom."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from heliograph.types import Edges, TeamStep

__all__ = ["MANY_AGENTS", "distances_of", "nearest_of"]

MANY_AGENTS = 128
"""From so many agents on the nearest are found by a tree, and not among all distances."""


def distances_of(step: TeamStep, *, topology: str) -> Float[Tensor, "B N N"]:
    """Distances between agents; infinite to oneself, and to those who do not speak.

    Raises ValueError where the environment gives no positions.
    """
    places = _places(step, topology)
    apart = torch.cdist(places, places)
    hidden = torch.eye(apart.shape[-1], dtype=torch.bool, device=apart.device) | ~step.speaking.unsqueeze(1)
    return apart.masked_fill(hidden, torch.inf)


def nearest_of(step: TeamStep, *, number: int, within: float = float("inf"), topology: str) -> Edges:
    """Each agent hears the `number` nearest of the others who speak, if they are at most `within` away.

    In time N log N and memory N. Which of several that are equally far is heard depends on their order alone.
    Raises ValueError where the environment gives no positions.
    """
    number = min(number, step.speaking.shape[1] - 1)
    if step.speaking.shape[1] >= MANY_AGENTS:
        return _by_tree(_places(step, topology), step.speaking, number=number, within=within)
    found = distances_of(step, topology=topology).topk(number, dim=-1, largest=False)
    return Edges(senders=found.indices, mask=torch.isfinite(found.values) & (found.values <= within))


def _places(step: TeamStep, topology: str) -> Float[Tensor, "B N D"]:
    if step.positions is None:
        raise ValueError(f"topology {topology!r}: the environment gives no positions; choose another topology")
    return step.positions.float()


def _by_tree(places: Tensor, speaking: Tensor, *, number: int, within: float) -> Edges:
    """One tree over the speakers of all copies, which lie so far apart that nobody is near those of another."""
    from scipy.spatial import KDTree

    num_envs, num_agents, _ = places.shape
    copy = np.arange(num_envs).repeat(num_agents)
    points = places.flatten(0, 1).double().cpu().numpy()
    gap = 2 * float(np.ptp(points, axis=0).sum()) + 1
    points = np.column_stack([points, gap * copy])
    speakers = np.flatnonzero(speaking.flatten().cpu().numpy())
    apart, index = KDTree(points[speakers]).query(points, k=np.arange(1, number + 2))
    senders = np.append(speakers, 0)[index]
    good = (apart <= within) & np.isfinite(apart)
    good &= (copy[senders] == copy[:, None]) & (senders != np.arange(len(points))[:, None])
    order = np.argsort(~good, axis=1, kind="stable")[:, :number]
    found = [np.take_along_axis(x, order, 1).reshape(num_envs, num_agents, number) for x in (senders, good)]
    return Edges(
        senders=torch.from_numpy(found[0] % num_agents).to(places.device),
        mask=torch.from_numpy(found[1]).to(places.device),
    )
