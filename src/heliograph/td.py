"""Pure maths of Q-values: of what was chosen, of the best, of a policy, and targets over an agent's own turns."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.distributions import MASKED_LOGIT
from heliograph.functional import Advantages

__all__ = ["best_value", "bootstrap_value", "chosen_value", "counterfactual_advantage", "soft_value", "td_targets"]


def chosen_value(values: Float[Tensor, "*batch V"], choice: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The value of what was chosen."""
    return values.gather(-1, choice.unsqueeze(-1)).squeeze(-1)


def best_value(
    values: Float[Tensor, "*batch V"], *, mask: Bool[Tensor, "*batch V"] | None = None
) -> Float[Tensor, "*batch"]:
    """The highest value of what is legal."""
    return (values if mask is None else torch.where(mask, values, MASKED_LOGIT)).amax(-1)


def soft_value(
    values: Float[Tensor, "*batch V"], log_probs: Float[Tensor, "*batch V"], *, entropy_coeff: float
) -> Float[Tensor, "*batch"]:
    """Worth of a policy: the mean of its values, plus `entropy_coeff` times its entropy in nats."""
    return (log_probs.exp() * (values - entropy_coeff * log_probs)).sum(-1)


def counterfactual_advantage(
    values: Float[Tensor, "*batch V"], log_probs: Float[Tensor, "*batch V"], choice: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """How much better a choice is than what the policy would choose in its place, all others doing what they did.

    Source: Foerster et al. 2018, equation 4; Iqbal and Sha 2019, equation 9.
    """
    return chosen_value(values, choice) - (log_probs.exp() * values).sum(-1)


def bootstrap_value(
    own: Float[Tensor, "*batch"],
    other: Float[Tensor, "*batch"],
    *,
    available: Bool[Tensor, "*batch"],
    other_available: Bool[Tensor, "*batch"],
    average: bool,
) -> Float[Tensor, "*batch"]:
    """Worth of one of two heads to the turn before: its own best value, or the other head's where it has none.

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
    num_steps, ended, nothing = len(rewards), terminated | truncated, torch.zeros_like(rewards[:1])
    ahead = torch.cat([values, nothing])
    until = torch.minimum(_next_true(turns, at_least=1), _next_true(ended, at_least=0) + 1)
    known = turns & (until <= num_steps)
    until = until.clamp(max=num_steps)
    so_far = torch.cat([nothing, rewards.cumsum(0)])
    earned = so_far.gather(0, until) - so_far[:-1]
    after_cut = torch.where(truncated & ~terminated, ahead[1:] if final_values is None else final_values, 0.0)
    last = (until - 1).clamp(min=0)
    follows = torch.where(ended.gather(0, last), after_cut.gather(0, last), ahead.gather(0, until))
    targets = torch.where(known, earned + gamma * follows, 0.0)
    return Advantages(advantages=torch.where(known, targets - values, 0.0), targets=targets, known=known)


def _next_true(flags: Bool[Tensor, "T B N"], *, at_least: int) -> Int[Tensor, "T B N"]:
    """The first step, at least so many later, at which a flag is set; T + 1 where there is none."""
    never = len(flags) + 1
    steps = torch.arange(len(flags), device=flags.device).view(-1, 1, 1)
    found = torch.where(flags, steps, never).flip(0).cummin(0).values.flip(0)
    return torch.cat([found[at_least:], torch.full_like(found[:at_least], never)])
