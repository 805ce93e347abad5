"""Pure maths of Q-learning: values of what was chosen and of the best, and targets over an agent's own turns."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.distributions import MASKED_LOGIT
from heliograph.functional import Advantages, gae_over_turns

__all__ = ["best_value", "bootstrap_value", "chosen_value", "td_targets"]


def chosen_value(values: Float[Tensor, "*batch V"], choice: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The value of what was chosen."""
    return values.gather(-1, choice.unsqueeze(-1)).squeeze(-1)


def best_value(
    values: Float[Tensor, "*batch V"], *, mask: Bool[Tensor, "*batch V"] | None = None
) -> Float[Tensor, "*batch"]:
    """The highest value of what is legal."""
    return (values if mask is None else torch.where(mask, values, MASKED_LOGIT)).amax(-1)


def bootstrap_value(
    own: Float[Tensor, "*batch"],
    other: Float[Tensor, "*batch"],
    *,
    available: Bool[Tensor, "*batch"],
    other_available: Bool[Tensor, "*batch"],
    average: bool,
) -> Float[Tensor, "*batch"]:
    """What one of two heads is worth to the turn before: its own best value, or the other head's where it has none.

    `average` takes the mean of both heads where both may choose (the option `model_avg_q` of the public codes).
    """
    mixed = torch.where(other_available, (own + other) / 2, own) if average else own
    return torch.where(available, mixed, torch.where(other_available, other, 0.0))


def td_targets(
    rewards: Float[Tensor, "T B N"],
    *,
    values: Float[Tensor, "T B N"],
    turns: Bool[Tensor, "T B N"],
    terminated: Bool[Tensor, "T B N"],
    truncated: Bool[Tensor, "T B N"],
    final_values: Float[Tensor, "T B N"] | None = None,
    gamma: float,
) -> Advantages:
    """One-step targets over each agent's own turns: rewards until its next one, plus `gamma` times the value of that.

    Nothing comes after a terminated part, `final_values` after a truncated one. Rewards between turns accrue to the
    last one, undiscounted. Of the result, `targets` count where `known`: not where a rollout breaks off.
    """
    after_the_end = torch.zeros_like(rewards[:1])
    return gae_over_turns(
        rewards,
        values=torch.cat([values, after_the_end]),
        turns=torch.cat([turns, torch.zeros_like(turns[:1])]),
        terminated=terminated,
        truncated=truncated,
        final_values=final_values,
        gamma=gamma,
        lambda_=0.0,
    )
