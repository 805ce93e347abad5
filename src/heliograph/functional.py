"""Pure maths of learning: advantages over turns, losses, straight-through, masked means. No state, no modules."""

import dataclasses
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SHORT_ROW = 16


@dataclasses.dataclass(kw_only=True)
class Advantages:
    """Advantages and value targets of every turn whose outcome is `known` (zero elsewhere)."""

    advantages: Float[Tensor, "T B N"]
    targets: Float[Tensor, "T B N"]
    known: Bool[Tensor, "T B N"]


def gae_over_turns(
    rewards: Float[Tensor, "T B N"],
    *,
    values: Float[Tensor, "T1 B N"],
    turns: Bool[Tensor, "T1 B N"],
    terminated: Bool[Tensor, "T B N"],
    truncated: Bool[Tensor, "T B N"],
    final_values: Float[Tensor, "T B N"] | None = None,
    gamma: float,
    lambda_: float,
) -> Advantages:
    """Generalised advantage estimation over each agent's own turns (Schulman et al. 2016, equation 16).

    A turn is a step in which the agent observed; rewards between its turns accrue to its last one and are not
    discounted within it. A truncated part bootstraps from `final_values`, a terminated one from 0. Where the rollout
    ends between two turns of an agent, the outcome of the earlier one is not known: it is left out.
    """
    final = values[1:] if final_values is None else final_values
    next_value, next_advantage = values[-1], torch.zeros_like(values[-1])
    pending, known_next = torch.zeros_like(next_value), turns[-1]
    advantages, targets = torch.zeros_like(rewards), torch.zeros_like(rewards)
    known = torch.zeros_like(turns[:-1])
    for t in reversed(range(rewards.shape[0])):
        ended = terminated[t] | truncated[t]
        after = torch.where(truncated[t] & ~terminated[t], final[t], 0.0)
        next_value = torch.where(ended, after, next_value)
        next_advantage = torch.where(ended, 0.0, next_advantage)
        pending = rewards[t] + torch.where(ended, 0.0, pending)
        known_next = known_next | ended
        advantage = pending + gamma * next_value - values[t] + gamma * lambda_ * next_advantage
        known[t] = turns[t] & known_next
        advantages[t] = torch.where(known[t], advantage, 0.0)
        targets[t] = torch.where(known[t], advantage + values[t], 0.0)
        next_value = torch.where(turns[t], values[t], next_value)
        next_advantage = torch.where(turns[t], advantages[t], next_advantage)
        pending = torch.where(turns[t], 0.0, pending)
        known_next = known_next | turns[t]
    return Advantages(advantages=advantages, targets=targets, known=known)


def masked_mean(values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean over what the mask keeps; 0 where it keeps nothing."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)


def normalise_advantages(
    advantages: Float[Tensor, "T B N"], mask: Bool[Tensor, "T B N"]
) -> Float[Tensor, "T B N"]:
    """Zero mean and unit variance over what the mask keeps."""
    mean = masked_mean(advantages, mask)
    variance = masked_mean((advantages - mean).square(), mask)
    return (advantages - mean) * torch.rsqrt(variance + 1e-8)


def clipped_policy_loss(
    log_ratio: Float[Tensor, "*shape"], advantages: Float[Tensor, "*shape"], *, clip: float
) -> Float[Tensor, "*shape"]:
    """PPO's clipped surrogate, to be minimised (Schulman et al. 2017, equation 7)."""
    ratio = log_ratio.exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def log_softmax(logits: Float[Tensor, "*batch V"]) -> Float[Tensor, "*batch V"]:
    """Normalised logits. Few of them a row are laid across rows, since torch is slow along short last axes on CPUs."""
    if logits.is_cuda or logits.shape[-1] >= SHORT_ROW:
        return logits.log_softmax(-1)
    return logits.movedim(-1, 0).contiguous().log_softmax(0).movedim(0, -1)


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = (2 * x).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.ops.aten.tanh_backward(gradient, *ctx.saved_tensors)


def tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The hyperbolic tangent, on CPUs as 2 sigmoid(2x) - 1 (within 2e-7).

    torch takes a contiguous tanh from MKL's vector library, which is four times slower than its own sigmoid on
    processors of other makers than Intel.
    """
    return torch.tanh(x) if x.is_cuda else _Tanh.apply(x)


def straight_through(hard: Float[Tensor, "*shape"], soft: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The value of `hard` with the gradient of `soft`."""
    return hard + soft - soft.detach()


def explained_variance(
    targets: Float[Tensor, "*shape"], predictions: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]
) -> float:
    """1 - Var(targets - predictions) / Var(targets) over what the mask keeps; 0 where targets do not vary."""
    kept, error = targets[mask], (targets - predictions)[mask]
    if kept.numel() < 2 or float(kept.var()) == 0.0:
        return 0.0
    return float(1 - error.var() / kept.var())
