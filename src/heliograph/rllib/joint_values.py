"""Values for Q-learning, of agents and of a whole team: what is mixed, what the team is paid, and what follows."""

import dataclasses
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heliograph import td
from heliograph.rollouts.rollout import Rollout

__all__ = ["Targets", "Values", "joint_targets", "side_by_side_values", "team_reward"]

SAME = 1e-5
"""How far apart rewards of a team are that are equal but for rounding."""


@dataclasses.dataclass(kw_only=True)
class Values:
    """Record of what a head makes of a rollout: the value of its choices, of the best ones, and where it was asked."""

    chosen: Float[Tensor, "T B N"]
    best: Float[Tensor, "T B N"]
    asked: Bool[Tensor, "T B N"]


@dataclasses.dataclass(kw_only=True)
class Targets:
    """TD targets of both heads, and where they count."""

    action: Float[Tensor, "T B N"]
    message: Float[Tensor, "T B N"] | None
    known: Bool[Tensor, "T B N"]


def side_by_side_values(
    heads: Sequence[tuple[Float[Tensor, "T B N"], Bool[Tensor, "T B N"]]],
) -> Float[Tensor, "T B M"]:
    """Values of all agents by each head, as a mixer takes them; 0 where an agent was not asked."""
    return torch.cat([torch.where(asked, values, 0.0) for values, asked in heads], -1)


def team_reward(rollout: Rollout, *, mixing: str) -> Float[Tensor, "T B"]:
    """The reward that all agents share; raises ValueError where they are paid differently."""
    rewards, valid = rollout.rewards, rollout.valid
    apart = (rewards.amax(-1) - rewards.amin(-1)) * valid
    most = float(apart.max())
    if most > SAME * max(1.0, float(rewards.abs().max())):
        step, copy = divmod(int(apart.argmax()), rollout.num_envs)
        paid = [round(x, 4) for x in rewards[step, copy].tolist()]
        raise ValueError(
            f"mixing={mixing!r}: agents were paid differently in one step ({paid}), and the value of a team is learnt "
            "from a reward that all share; choose mixing=None, or an environment with one reward for the team"
        )
    return rewards.mean(-1)


def joint_targets(
    rollout: Rollout,
    rewards: Float[Tensor, "T B"],
    *,
    best: Float[Tensor, "T B"],
    final: Float[Tensor, "T B"] | None,
    gamma: float,
) -> tuple[Float[Tensor, "T B"], Bool[Tensor, "T B"]]:
    """One-step targets of the team's value, and where they are known.

    Nothing comes after an episode that has ended by its rules; `final` after one that was cut off.
    """
    cut = rollout.episode_over & rollout.truncated.any(-1)
    found = td.td_targets(
        rewards.unsqueeze(-1),
        values=best.unsqueeze(-1),
        turns=rollout.valid.unsqueeze(-1),
        terminated=(rollout.episode_over & ~cut).unsqueeze(-1),
        truncated=cut.unsqueeze(-1),
        final_values=None if final is None else final.unsqueeze(-1),
        gamma=gamma,
    )
    return found.targets.squeeze(-1), found.known.squeeze(-1)
