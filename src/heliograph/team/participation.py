"""In which steps of a rollout the agents of a policy take part, so that no network runs where nobody does."""

import dataclasses

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from heliograph.functional import may_read
from heliograph.rollouts.rollout import Rollout
from heliograph.team.assignment import Layout

__all__ = ["Participation", "all_observe", "presence_in", "present_now", "taking_part"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Participation:
    """Answer to whether any agent of a policy observes in each step: T of them and one to bootstrap from."""

    steps: tuple[bool, ...]

    @property
    def span(self) -> slice:
        """From the first such step to the last."""
        first = self.steps.index(True) if any(self.steps) else 0
        last = max((t for t, here in enumerate(self.steps) if here), default=-1)
        return slice(first, last + 1)

    def padded(self, values: Tensor, *, num_steps: int) -> Tensor:
        """Values of the span, with zeros before and after it."""
        before, after = self.span.start, num_steps - self.span.stop
        if not before and not after:
            return values
        return F.pad(values, [0, 0] * (values.dim() - 1) + [before, after])


def presence_in(rollout: Rollout, layout: Layout) -> dict[str, Participation]:
    """The presence of each policy; the last step counts only for agents whose part goes on in it."""
    ended = rollout.terminated[-1] | rollout.truncated[-1]
    going_on = rollout.observing[-1] & ~ended & rollout.valid[-1].unsqueeze(-1)
    observing = torch.cat([rollout.observing[:-1], going_on.unsqueeze(0)])
    here: list[list[bool]] = observing.any(1).tolist()
    return {
        policy: Participation(steps=tuple(any(step[slot] for slot in seats.slots) for step in here))
        for policy, seats in layout.seats.items()
    }


def taking_part(rollout: Rollout) -> Bool[Tensor, "T1 B N"]:
    """Mask of the agents that observe, in each of T steps and one to bootstrap from.

    In copies whose episode has not ended.
    """
    valid = torch.cat([rollout.valid, rollout.valid[-1:]])
    return rollout.observing & valid.unsqueeze(-1)


def all_observe(observing: Bool[Tensor, "*T B N"]) -> list[bool]:
    """Tell whether every agent of every copy observes, in each step or in one.

    On a GPU, where asking costs more, False.
    """
    steps = observing.reshape(-1, *observing.shape[-2:])
    return steps.all(-1).all(-1).tolist() if may_read(observing) else [False] * len(steps)


def present_now(observing: Tensor, layout: Layout) -> dict[str, bool]:
    """Tell whether any agent of each policy observes in a step [B, N]; always on a GPU, where asking costs more."""
    if not observing.is_cpu:
        return dict.fromkeys(layout.policies, True)
    here: list[bool] = observing.any(0).tolist()
    return {p: any(here[i] for i in seats.slots) for p, seats in layout.seats.items()}
