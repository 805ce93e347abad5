"""Pure maths of learning: advantages over turns, losses, straight-through, masked means. No state, no modules."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.hardware import is_intel

SHORT_ROW = 16
IS_INTEL = is_intel()


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


def gae_of_teams(
    rewards: Float[Tensor, "T B N"],
    *,
    mean_ratio: float,
    team_of_agent: Int[Tensor, " N"],
    episode_over: Bool[Tensor, "T B"],
    terminated: Bool[Tensor, "T B N"],
    truncated: Bool[Tensor, "T B N"],
    **settings: Any,
) -> Advantages:
    """`gae_over_turns` of a return that is by `mean_ratio` the mean of an agent's team, and else its own.

    One's own return ends where one's part does, that of the team with the episode. With lambda_ = 1 and whole episodes
    the targets are the Monte Carlo returns of Singh et al. 2019 (`mean_ratio` of its code).
    """
    parts: list[tuple[float, Advantages]] = []
    if mean_ratio < 1:
        own = gae_over_turns(rewards, terminated=terminated, truncated=truncated, **settings)
        parts.append((1 - mean_ratio, own))
    if mean_ratio > 0:
        over = episode_over.unsqueeze(-1).expand_as(terminated)
        cut = over & (truncated & over).any(-1, keepdim=True)
        shared = mean_over_teams(rewards, team_of_agent)
        parts.append((mean_ratio, gae_over_turns(shared, terminated=over & ~cut, truncated=cut, **settings)))
    return _mixed(parts) if len(parts) > 1 else parts[0][1]


def _mixed(parts: list[tuple[float, Advantages]]) -> Advantages:
    known = torch.stack([part.known for _, part in parts]).all(0)
    advantages = sum(share * part.advantages for share, part in parts) * known
    targets = sum(share * part.targets for share, part in parts) * known
    return Advantages(advantages=advantages, targets=targets, known=known)


def mean_over_teams(values: Float[Tensor, "*shape N"], team_of_agent: Int[Tensor, " N"]) -> Float[Tensor, "*shape N"]:
    """For each agent the mean over the agents of its team."""
    found = torch.empty_like(values)
    for team in team_of_agent.unique().tolist():
        mine = team_of_agent == team
        found[..., mine] = values[..., mine].mean(-1, keepdim=True)
    return found


def counted_losses(
    trained: Bool[Tensor, "*shape N"], *, talks: Bool[Tensor, "*shape N"], team_of_agent: Int[Tensor, " N"]
) -> Bool[Tensor, "*shape N"]:
    """Select the agents whose policy losses count where messages carry gradients.

    These are the agents that learn, and those that are frozen and have a team-mate who learns and talks: what a frozen
    agent does is then what the speaker is taught by. The loss of a frozen rival counts never, as no gradient crosses
    teams, and that of an agent without ears neither. All shapes have the agents as their last axis.
    """
    teams = one_hot(team_of_agent, int(team_of_agent.max()) + 1)
    teachers = (trained & talks).float()
    heard = (teachers @ teams)[..., team_of_agent] - teachers
    return trained | (talks & (heard > 0))


def surely_none(mask: Bool[Tensor, "*shape"]) -> bool:
    """Tell whether a mask is known to keep nothing, where it may be asked."""
    return may_read(mask) and not bool(mask.any())


_READING = [True]


def may_read(mask: Tensor) -> bool:
    """Tell whether Python may look at numbers to do less: not on a GPU, where that stops everything, nor in graphs."""
    return mask.is_cpu and _READING[0]


@contextlib.contextmanager
def nothing_read() -> Iterator[None]:
    """Within the block Python looks at no numbers, so that what is computed is the same whatever they are."""
    before, _READING[0] = _READING[0], False
    try:
        yield
    finally:
        _READING[0] = before


def masked_mean(values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean over what the mask keeps; 0 where it keeps nothing."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)


def normalise_advantages(advantages: Float[Tensor, "T B N"], mask: Bool[Tensor, "T B N"]) -> Float[Tensor, "T B N"]:
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
    if not logits.is_cpu or logits.shape[-1] >= SHORT_ROW:
        return logits.log_softmax(-1)
    return logits.movedim(-1, 0).contiguous().log_softmax(0).movedim(0, -1)


def one_hot(indices: Int[Tensor, "*shape"], size: int) -> Float[Tensor, "*shape V"]:
    """Indices as float vectors of that size; torch's own reads all of them on the host, to see whether they fit."""
    zeros = torch.zeros(*indices.shape, size, device=indices.device)
    return zeros.scatter_(-1, indices.unsqueeze(-1), 1.0)


MINUS_ONE = torch.tensor(-1.0)


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = (2 * x).sigmoid_()
        torch.add(MINUS_ONE, y, alpha=2.0, out=y)  # in place: a second large block would go back to the system
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.ops.aten.tanh_backward(gradient, *ctx.saved_tensors)


def tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The hyperbolic tangent, on CPUs of other makers than Intel as 2 sigmoid(2x) - 1 (within 2e-7).

    torch takes a contiguous tanh from MKL's vector library, which is four times slower than its own sigmoid on those,
    and twice as fast on Intel's.
    """
    return torch.tanh(x) if IS_INTEL or not may_read(x) else _Tanh.apply(x)


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
