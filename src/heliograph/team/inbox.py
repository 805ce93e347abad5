"""Delivery of messages to inboxes: masks of one step, edges, and steps of recorded rollouts."""

import dataclasses
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.rollouts.rollout import Rollout
from heliograph.team.participation import all_observe
from heliograph.team.state import Inbox
from heliograph.types import Arrivals, Edges, Tree, map_tensors, tensors_of


@dataclasses.dataclass(kw_only=True)
class StepMasks:
    """The masks that decide one step: who takes part and who hears whom; `everyone` where it is known that all do."""

    observing: Bool[Tensor, "B N"]
    speaking: Bool[Tensor, "B N"]
    edges: Edges
    assignment: Tensor | None
    everyone: bool = False


@dataclasses.dataclass(kw_only=True)
class RecordedStep:
    """One step of a rollout, to be recomputed: its masks, whose part ended after it, and what was drawn."""

    time: int
    masks: StepMasks
    ended: Bool[Tensor, "B N"]
    draws: tuple[Tree, ...]
    listening: tuple[dict[str, Tree], ...]


def recorded_steps(rollout: Rollout) -> list[RecordedStep]:
    """All steps of a rollout."""
    edges = rollout.static_edges if rollout.edges is None else rollout.edges
    if edges is None:
        raise ValueError("the rollout has neither edges nor static_edges")
    assignment = None if rollout.assignment is None else rollout.assignment[:-1]
    taking_part = (rollout.observing[:-1], rollout.speaking, rollout.terminated | rollout.truncated)
    drawn = (rollout.draws, rollout.listening)
    steps, everyone = by_step((*taking_part, assignment, rollout.edges, *drawn)), all_observe(rollout.observing[:-1])
    found = []
    for t, (observing, speaking, ended, seats, of_step, draws, listening) in enumerate(steps):
        masks = StepMasks(
            observing=observing, speaking=speaking, edges=of_step or edges, assignment=seats, everyone=everyone[t]
        )
        found.append(RecordedStep(time=t, masks=masks, ended=ended, draws=draws, listening=listening))
    return found


def by_step(tree: Tree) -> list[Tree]:
    """All steps of time-major structures; one backward pass goes through all of them."""
    steps = zip(*(leaf.unbind(0) for leaf in tensors_of(tree)), strict=True)
    return [_filled(tree, iter(leaves)) for leaves in steps]


def _filled(tree: Tree, leaves: Iterator[Tensor]) -> Tree:
    return map_tensors(lambda _: next(leaves), tree)


def of_senders(flags: Bool[Tensor, "B N"], edges: Edges) -> Bool[Tensor, "B N_or_1 K"]:
    """A flag of each sender, at the slots through which it is heard."""
    if edges.senders is None:
        return flags.unsqueeze(1)
    senders = edges.senders.expand(flags.shape[0], -1, -1)
    return flags.gather(1, senders.flatten(1)).view(senders.shape)


def empty_inbox(num_envs: int, num_agents: int, *, slots: int, size: int, shared: bool, device: torch.device) -> Inbox:
    """Nothing to read, through so many slots a hearer; one payload a sender where all hearers share them."""
    offered = (num_agents,) if shared else (num_agents, slots)
    return Inbox(
        payload=torch.zeros(num_envs, *offered, size, device=device),
        mask=torch.zeros(num_envs, num_agents, slots, dtype=torch.bool, device=device),
    )


def deliver(
    inbox: Inbox,
    arrivals: Arrivals,
    edges: Edges,
    *,
    team_of_agent: Int[Tensor, " N"] | None = None,
) -> Inbox:
    """Put messages that arrive into the inboxes; an unread one from the same slot is replaced.

    Where teams compete (`team_of_agent`), no gradient flows from a hearer to a rival.
    """
    fresh = edges.mask & of_senders(arrivals.mask, edges)
    if inbox.payload.dim() == 3:
        latest = torch.where(arrivals.mask.unsqueeze(-1), arrivals.payload, inbox.payload)
        return Inbox(payload=latest, mask=inbox.mask | fresh)
    arrived = _by_hearer(arrivals.payload, edges)
    if team_of_agent is not None:
        arrived = detach_rivals(arrived, edges=edges, team_of_agent=team_of_agent)
    return Inbox(payload=torch.where(fresh.unsqueeze(-1), arrived, inbox.payload), mask=inbox.mask | fresh)


def _by_hearer(payload: Tensor, edges: Edges) -> Float[Tensor, "B N_or_1 K P"]:
    if edges.senders is None:
        return payload.unsqueeze(1)
    senders = edges.senders.expand(payload.shape[0], -1, -1)
    index = senders.flatten(1).unsqueeze(-1).expand(-1, -1, payload.shape[-1])
    return payload.gather(1, index).view(*senders.shape, payload.shape[-1])


def detach_rivals(
    arrived: Float[Tensor, "B N_or_1 K P"], *, edges: Edges, team_of_agent: Int[Tensor, " N"]
) -> Float[Tensor, "B N K P"]:
    """The same messages, without the gradient of those that come from another team than their hearer's."""
    senders = team_of_agent if edges.senders is None else team_of_agent[edges.senders]
    friends = (senders == team_of_agent.unsqueeze(-1)).unsqueeze(-1)
    return torch.where(friends, arrived, arrived.detach())
