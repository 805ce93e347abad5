"""Finished episodes: what each agent earned, how long they took, and whether they succeeded."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.rollouts.rollout import Rollout
from heliograph.types import map_tensors

__all__ = ["OF_AGENT", "OF_INFO", "OF_ROLE", "OF_TEAM", "Episodes", "episodes_of", "info_at_end"]

OF_TEAM, OF_ROLE, OF_AGENT = "team_return_mean/", "role_return_mean/", "agent_return_mean/"
"""How the name of a metric begins that tells the mean return of a team, role or agent, whose name follows."""
OF_INFO = "info_"
"""How the name of a metric begins that an environment tells in `info`."""
SUCCESS = "success"


@dataclasses.dataclass(kw_only=True)
class Episodes:
    """Finished episodes: returns of each agent [E, N], lengths in env steps [E], success [E] (NaN where unknown).

    `present` [E, N]: whose returns count. An agent that is absent, without a turn and without pay, has none. `info`:
    what the environment said beside success in the step that ended each episode, [E] by key.
    """

    agent_returns: Float[Tensor, "E N"]
    present: Bool[Tensor, "E N"]
    lengths: Int[Tensor, " E"]
    success: Float[Tensor, " E"]
    info: dict[str, Float[Tensor, " E"]] = dataclasses.field(default_factory=dict)

    @property
    def returns(self) -> Float[Tensor, " E"]:
        """The mean over the agents that were present of each one's return."""
        among = (self.agent_returns * self.present).sum(1) / self.present.sum(1).clamp(min=1)
        return torch.where(self.present.all(1), self.agent_returns.mean(1), among)

    def of_agent(self, slot: int) -> Float[Tensor, " e"]:
        """Returns of an agent in the episodes in which it was present."""
        return self.agent_returns[self.present[:, slot], slot]

    def of_team(self, members: Bool[Tensor, " N"]) -> Float[Tensor, " E"]:
        """The same mean over the agents of a team; NaN in episodes in which none of them was present."""
        here = self.present & members.to(self.present.device)
        return (self.agent_returns * here).sum(1) / here.sum(1)

    def team_returns(
        self, teams: Sequence[str], team_of_agent: Int[Tensor, " N"] | Sequence[int]
    ) -> dict[str, Float[Tensor, " E"]]:
        """Those of each of several teams; empty where there is only one, which `returns` tells of."""
        numbers = torch.as_tensor(team_of_agent)
        return {} if len(teams) == 1 else {name: self.of_team(numbers == n) for n, name in enumerate(teams)}

    def info_means(self) -> dict[str, float]:
        """The mean of each entry of `info` over the episodes in which it is a number."""
        known = {key: values[values.isfinite()] for key, values in self.info.items()}
        return {key: float(values.mean()) for key, values in known.items() if len(values)}

    def __len__(self) -> int:
        return len(self.lengths)


def episodes_of(rollouts: Iterable[Rollout], *, counts_absent: bool = True) -> Episodes:
    """Returns, lengths and success of rollouts of whole episodes, in the order of their copies.

    `counts_absent`: whether agents count that had neither a turn nor pay; see `TeamEnv.counts_absent`.
    """
    first, *others = (_episodes_in(rollout, counts_absent) for rollout in rollouts)
    return map_tensors(lambda *leaves: torch.cat(leaves), first, *others)


def _episodes_in(rollout: Rollout, counts_absent: bool) -> Episodes:
    lengths = rollout.valid.sum(0)
    success = torch.full_like(lengths, float("nan"), dtype=torch.float)
    if "success" in rollout.info:
        success = (rollout.info["success"].float() * (rollout.episode_over & rollout.valid)).sum(0)
    ended = rollout.episode_over & rollout.valid
    info = {key: torch.where(ended, value, 0).sum(0) for key, value in info_at_end(rollout.info, lead=2).items()}
    returns = (rollout.rewards * rollout.valid.unsqueeze(-1)).sum(0)
    came = (rollout.observing[:-1] | (rollout.rewards != 0)) & rollout.valid.unsqueeze(-1)
    present = came.any(0) | counts_absent
    return Episodes(agent_returns=returns, present=present, lengths=lengths, success=success, info=info)


def info_at_end(info: Mapping[str, Tensor], *, lead: int) -> dict[str, Float[Tensor, "*lead"]]:
    """The entries of `info` with one number a copy, beside success, after `lead` axes; the others are no metrics."""
    return {key: value.float() for key, value in info.items() if key != SUCCESS and value.dim() == lead}
