"""In which steps of a rollout the agents of a policy take part, so that no network runs where nobody does."""

import torch
from jaxtyping import Bool
from torch import Tensor

from heliograph.models.layout import Layout
from heliograph.rollout import Rollout
from heliograph.unrolled import Presence

__all__ = ["all_observe", "presence_in", "present_now"]


def presence_in(rollout: Rollout, layout: Layout) -> dict[str, Presence]:
    """The presence of each policy; the last step counts only for agents whose part goes on in it."""
    ended = rollout.terminated[-1] | rollout.truncated[-1]
    going_on = rollout.observing[-1] & ~ended & rollout.valid[-1].unsqueeze(-1)
    observing = torch.cat([rollout.observing[:-1], going_on.unsqueeze(0)])
    here: list[list[bool]] = observing.any(1).tolist()
    return {
        policy: Presence(steps=tuple(any(step[slot] for slot in seats.slots) for step in here))
        for policy, seats in layout.seats.items()
    }


def all_observe(observing: Bool[Tensor, "*T B N"]) -> list[bool]:
    """Whether every agent of every copy observes, in each step or in one; on a GPU, where asking costs more, False."""
    steps = observing.reshape(-1, *observing.shape[-2:])
    return steps.all(-1).all(-1).tolist() if observing.is_cpu else [False] * len(steps)


def present_now(observing: Tensor, layout: Layout) -> dict[str, bool]:
    """Whether any agent of each policy observes in a step [B, N]; always on a GPU, where asking costs more."""
    if not observing.is_cpu:
        return dict.fromkeys(layout.policies, True)
    here: list[bool] = observing.any(0).tolist()
    return {p: any(here[i] for i in seats.slots) for p, seats in layout.seats.items()}
