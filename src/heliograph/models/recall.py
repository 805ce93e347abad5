"""What agents are shown of their own past: their last actions, and on some channels what they said last."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from heliograph import distributions
from heliograph.types import Message, Role

__all__ = ["last_actions", "last_message"]


def last_actions(
    previous: Mapping[str, Tensor],
    actions: Mapping[str, Tensor],
    *,
    roles: tuple[Role, ...],
    acting: Bool[Tensor, "*lead N"],
    observing: Bool[Tensor, "*lead N"],
) -> dict[str, Tensor]:
    """Actions as features: zero where an agent observed but was not asked to act, the earlier where it waited."""
    found, start = {}, 0
    for role in roles:
        slots = slice(start, start + len(role.agents))
        done = distributions.features(role.action_space, actions[role.name])
        now = torch.where(acting[..., slots].unsqueeze(-1), done, 0.0)
        found[role.name] = torch.where(observing[..., slots].unsqueeze(-1), now, previous[role.name])
        start = slots.stop
    return found


def last_message(
    previous: Float[Tensor, "*lead N C"] | None, said: Message | None, *, vocabulary: int | None, speaking: Tensor
) -> Float[Tensor, "*lead N C"] | None:
    """The symbols that were said, one-hot: the earlier ones where an agent was silent, zeros where there is none."""
    if previous is None or said is None or said.symbols is None or vocabulary is None:
        return None
    words = F.one_hot(said.symbols.clamp(min=0), vocabulary) * (said.symbols >= 0).unsqueeze(-1)
    return torch.where(speaking.unsqueeze(-1), words.flatten(-2).float(), previous)
