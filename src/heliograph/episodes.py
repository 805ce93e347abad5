"""Finished episodes: what each agent earned, how long they took, and whether they succeeded."""

import dataclasses
from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.rollout import Rollout
from heliograph.types import map_tensors

__all__ = ["Episodes", "episodes_of"]


@dataclasses.dataclass(kw_only=True)
class Episodes:
    """Finished episodes: returns of each agent [E, N], lengths in env steps [E], success [E] (NaN where unknown)."""

    agent_returns: Float[Tensor, "E N"]
    lengths: Int[Tensor, " E"]
    success: Float[Tensor, " E"]

    @property
    def returns(self) -> Float[Tensor, " E"]:
        """The mean over agents of each agent's return."""
        return self.agent_returns.mean(1)

    def __len__(self) -> int:
        return len(self.lengths)


def episodes_of(rollouts: Iterable[Rollout]) -> Episodes:
    """Returns, lengths and success of rollouts of whole episodes, in the order of their copies."""
    first, *others = map(_episodes_in, rollouts)
    return map_tensors(lambda *leaves: torch.cat(leaves), first, *others)


def _episodes_in(rollout: Rollout) -> Episodes:
    lengths = rollout.valid.sum(0)
    success = torch.full_like(lengths, float("nan"), dtype=torch.float)
    if "success" in rollout.info:
        success = (rollout.info["success"].float() * (rollout.episode_over & rollout.valid)).sum(0)
    returns = (rollout.rewards * rollout.valid.unsqueeze(-1)).sum(0)
    return Episodes(agent_returns=returns, lengths=lengths, success=success)
