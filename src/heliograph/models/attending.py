"""How much weight hearers gave to what they heard: a recorded rollout is played to its team once more, and watched."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from heliograph.models.delivery import Recorded, by_step, recorded
from heliograph.models.presence import presence_in
from heliograph.rollout import Rollout
from heliograph.types import Heard, Message, Tree

if TYPE_CHECKING:
    from heliograph.models.team import Team

__all__ = ["attends", "attention_in", "weights_given"]

MAX_TURNS = 200_000
"""Turns of agents that are replayed at once."""


@torch.no_grad()
def attention_in(team: "Team", rollout: Rollout) -> tuple[Float[Tensor, "T B N K"], ...] | None:
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


def weights_given(heard: Heard) -> Float[Tensor, "B A K"] | None:
    """The weights [B, A, K] that a model has left with what it heard: of the others alone, as a mean over heads."""
    weights = heard.attention
    if weights is None:
        return None
    weights = weights.mean(-2) if weights.dim() > heard.mask.dim() else weights
    return weights[..., : heard.mask.shape[-1]]


def attends(team: "Team") -> bool:
    """Whether any of its models gives weights to what it hears."""
    return bool(_attending(team))


def _attending(team: "Team") -> list[str]:
    return [name for name, policy in team.policies.items() if policy.communicates and policy.model.attends]


def _replayed(team: "Team", rollout: Rollout) -> list[Tensor]:
    features = team._recorded_features(rollout, presence_in(rollout, team.layout))
    state, steps = dataclasses.replace(rollout.initial), []
    with _watched(team) as heard:
        for t, (now, said) in enumerate(zip(recorded(rollout), by_step(rollout.messages), strict=True)):
            state.assignment = now.frame.assignment
            out = team._advance(features[t], state, now.frame, _repeating(now, said), now.listening)
            state = team.cut(out.state, now.ended, now.frame.edges)
            steps.append([_combined(team, heard, now, round_index=r) for r in range(team.rounds)])
            heard.clear()
    return [torch.stack(found) for found in zip(*steps, strict=True)]


@contextlib.contextmanager
def _watched(team: "Team") -> Iterator[dict[tuple[str, int], Heard]]:
    """What the attending policies hear while this lasts, by policy and round."""
    heard: dict[tuple[str, int], Heard] = {}
    names = _attending(team)
    try:
        for name in names:
            team.policies[name].witness = _note(heard, name)
        yield heard
    finally:
        for name in names:
            team.policies[name].witness = None


def _note(heard: dict[tuple[str, int], Heard], name: str) -> Callable[[Heard], None]:
    return lambda now: heard.update({(name, now.round_index): now})


def _repeating(now: Recorded, said: tuple[Message, ...]) -> Callable[[Tensor, int, Tree], tuple[Tree, Message, Tree]]:
    """Say what was said, with the draws that were drawn."""
    return lambda intent, round_index, memory: (now.draws[round_index], said[round_index], memory)


def _combined(
    team: "Team", heard: dict[tuple[str, int], Heard], now: Recorded, *, round_index: int
) -> Float[Tensor, "B N K"]:
    num_copies, num_slots = len(now.frame.observing), now.frame.edges.mask.shape[-1]
    found = {}
    for name, seats in team.layout.seats.items():
        listened = heard.get((name, round_index))
        weights = None if listened is None else weights_given(listened)
        nobody = torch.full((num_copies, len(seats.slots), num_slots), torch.nan, device=now.frame.observing.device)
        found[name] = nobody if weights is None else weights
    return team.layout.combine(found, lead=1, assignment=now.frame.assignment)
