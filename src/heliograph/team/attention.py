"""How much weight hearers gave to what they heard: a recorded rollout is played to its team once more, and watched."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from heliograph.rollouts.rollout import Rollout
from heliograph.team.draws import RecordedDraws
from heliograph.team.inbox import RecordedStep, StepMasks, by_step
from heliograph.team.participation import presence_in
from heliograph.team.parts import TeamParts
from heliograph.team.unroll import recorded_features, replayed

__all__ = ["attends", "attention_in", "weights_given"]

MAX_TURNS = 200_000
"""Turns of agents that are replayed at once."""
AXES = 3
"""Of weights that have no heads."""


@torch.no_grad()
def attention_in(team: TeamParts, rollout: Rollout) -> tuple[Float[Tensor, "T B N K"], ...] | None:
    """For each round the weights of each hearer [T, B, N, K], in the slots of the edges; None where no model attends.

    Means over heads; 0 for what does not arrive, NaN for hearers whose model does not attend. Weights of one's own
    message are left out, so that a row may sum to less than 1. Messages and draws are those recorded, whatever became
    of them on the way; so the weights are those of the sampled team, if its parameters are.
    """
    if not attends(team):
        return None
    size = max(1, MAX_TURNS // (rollout.num_steps * rollout.speaking.shape[-1]))
    parts = [_replayed(team, part) for part in rollout.chunks(size)]
    return tuple(torch.cat(found, 1) for found in zip(*parts, strict=True))


def weights_given(weights: Float[Tensor, "B A *heads _K"], *, num_slots: int) -> Float[Tensor, "B A K"]:
    """The weights that a model gives to the messages of others, as a mean over heads."""
    return (weights.mean(-2) if weights.dim() > AXES else weights)[..., :num_slots]


def attends(team: TeamParts) -> bool:
    """Tell whether any of its models gives weights to what it hears."""
    return any(policy.communicates and policy.model.attends for policy in team.policies.values())


def _replayed(team: TeamParts, rollout: Rollout) -> list[Tensor]:
    features, said = recorded_features(team, rollout, presence_in(rollout, team.layout)), by_step(rollout.messages)

    def draws_of(now: RecordedStep) -> RecordedDraws:
        return RecordedDraws(now.draws, now.listening, messages=said[now.time])

    steps = [
        [_combined(team, step.output.attention[r], step.recorded.masks) for r in range(team.rounds)]
        for step in replayed(team, rollout, features, draws_of)
    ]
    return [torch.stack(found) for found in zip(*steps, strict=True)]


def _combined(team: TeamParts, attention: Mapping[str, Tensor], masks: StepMasks) -> Float[Tensor, "B N K"]:
    num_envs, num_slots = len(masks.observing), masks.edges.mask.shape[-1]
    found = {}
    for name, seats in team.layout.seats.items():
        nobody = torch.full((num_envs, len(seats.slots), num_slots), torch.nan, device=masks.observing.device)
        found[name] = weights_given(attention[name], num_slots=num_slots) if name in attention else nobody
    return team.layout.combine(found, lead=1, assignment=masks.assignment)
