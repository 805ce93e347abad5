"""Which of the messages of a rollout arrived, and when: a channel may lose, delay or refuse them."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.rollouts.rollout import Rollout
from heliograph.team.inbox import by_step, recorded_steps
from heliograph.team.team import Team

__all__ = ["arrived", "times_of_arrival"]


def arrived(team: Team, rollout: Rollout) -> list[Bool[Tensor, "T B N"]]:
    """For each round whose messages arrived in each step, found by letting the channel carry them once more."""
    state, found = rollout.initial.channel, []
    for now, messages in zip(recorded_steps(rollout), by_step(rollout.messages), strict=True):
        masks = []
        for r, (message, draw) in enumerate(zip(messages, now.draws, strict=True)):
            said = now.masks.speaking & team.talking(r, now.masks.assignment)
            arrivals, state = team.channel.transit(message, speaking=said, draw=draw, state=state, round_index=r)
            masks.append(arrivals.mask)
        found.append(masks)
        state = team.channel.cut(state, now.ended)
    return [torch.stack(masks) for masks in zip(*found, strict=True)]


def times_of_arrival(mask: Bool[Tensor, "T B N"], *, delay_env_steps: int) -> Int[Tensor, "T B N"]:
    """The step in which what was said in each step arrived, -1 where it never did, given `arrived` of its round."""
    steps = torch.arange(len(mask), device=mask.device).view(-1, 1, 1).expand(mask.shape)
    times = torch.full_like(steps, -1)
    times[: max(len(mask) - delay_env_steps, 0)] = torch.where(mask, steps, -1)[delay_env_steps:]
    return times
