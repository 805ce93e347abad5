"""Interventions: messages replaced on their way, to find out whether anyone reads them.

Each is a callable `(message, step, edges, alive) -> message` with a random stream of its own, so that environment and
team draw the same numbers with and without it. Pass one to `heliograph.rollouts.sampler.play`.
"""

import dataclasses
import enum
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import EpisodeIntervention, OnEdges, Restarting
from heliograph.team.state import Inbox
from heliograph.types import Arrivals, Edges, Message, Role, TeamStep, map_tensors, stack


class Messages(enum.StrEnum):
    """Choice of what hearers get: the messages as sent, or replaced by others."""

    AS_SENT = "as-sent"
    RESAMPLED = "resampled"
    SWAPPED = "swapped"
    SHUFFLED = "shuffled"
    ZEROED = "zeroed"
    NOISE = "noise"


IN_TABLES = (Messages.AS_SENT, Messages.RESAMPLED, Messages.SWAPPED, Messages.ZEROED, Messages.NOISE)
"""The kinds that `interventions_table` plays; the others are played where they are asked for."""
SAME_ACTION = 1e-5
"""Actions that are real numbers and differ by this share or less are the same but for rounding."""
NO_SYMBOL = -1
"""The symbol recorded in the place of a message that was taken away."""


def intervention(
    kind: Messages | str, *, channel: Channel, seed: int = 0, device: str = "cpu"
) -> EpisodeIntervention | None:
    """The intervention of a name; None where messages stay as sent."""
    makers: dict[Messages, Callable[[], EpisodeIntervention | None]] = {
        Messages.AS_SENT: lambda: None,
        Messages.RESAMPLED: lambda: resampled(seed=seed, device=device),
        Messages.SWAPPED: lambda: swapped(seed=seed, device=device),
        Messages.SHUFFLED: lambda: shuffled(seed=seed, device=device),
        Messages.ZEROED: lambda: zeroed,
        Messages.NOISE: lambda: noise(channel, seed=seed, device=device),
    }
    return makers[Messages(kind)]()


def resampled(*, seed: int = 0, device: str = "cpu") -> EpisodeIntervention:
    """Each message is replaced by one of another episode: same step, same sender, same living hearers.

    This is the headline intervention: what is heard stays as frequent as ever and tells nothing about this episode.
    Where no other episode has the same hearers, it is one of the same step and sender to others. A message without any
    counterpart in another copy stays, so play many copies at once.
    """
    return _Permuted(_generator(seed, device), same_meaning=False)


def swapped(*, seed: int = 0, device: str = "cpu") -> EpisodeIntervention:
    """The control of `resampled`: the other episode's sender also has the same meaning.

    A code that carries the meaning and nothing else is not disturbed by it.
    """
    return _Permuted(_generator(seed, device), same_meaning=True)


def shuffled(*, seed: int = 0, device: str = "cpu") -> EpisodeIntervention:
    """Each message is replaced by any other of the same step, whoever said it, in whichever episode.

    What EGG calls shuffling, but by a random cycle, so that none stays where it was. Where several senders have codes
    of their own it mixes these too, which `resampled` does not.
    """
    return _Shuffled(_generator(seed, device))


def zeroed(message: Message, step: TeamStep, edges: Edges, alive: Bool[Tensor, " B"]) -> Message:
    """Each message is replaced by zeros, which cost no bits.

    Not neutral: zero is a message like any other to a hearer that learnt to read it.
    """
    symbols = None if message.symbols is None else torch.full_like(message.symbols, NO_SYMBOL)
    return Message(payload=torch.zeros_like(message.payload), symbols=symbols, bits=torch.zeros_like(message.bits))


def noise(channel: Channel, *, seed: int = 0, device: str = "cpu") -> EpisodeIntervention:
    """Each message is replaced by the channel's babble: uniform symbols, or a uniform vector."""
    generator = _generator(seed, device)

    def babble(message: Message, step: TeamStep, edges: Edges, alive: Bool[Tensor, " B"]) -> Message:
        return channel.babble(message.payload, generator=generator)

    return babble


@dataclasses.dataclass
class Watched:
    """Another intervention; keeps what was said, one message after the other, before that replaced it."""

    inner: EpisodeIntervention
    said: list[Message] = dataclasses.field(default_factory=list)

    def __call__(self, message: Message, step: TeamStep, edges: Edges, alive: Bool[Tensor, " B"]) -> Message:
        """Keep the message, and replace it."""
        self.said.append(message)
        return self.inner(message, step, edges, alive)

    def restart(self) -> None:
        """Let the other one forget."""
        restart(self.inner)

    def received(self, inbox: Inbox, arrivals: Arrivals, edges: Edges) -> Inbox:
        """Return what the other one makes of it."""
        return received_by(self.inner, inbox, arrivals, edges)

    def taken(self, rollouts: list[Rollout]) -> list[tuple[Message, ...]]:
        """Return what was said in these rollouts, in the form of `Rollout.messages`, and forget it."""
        found, begins = [], 0
        for rollout in rollouts:
            rounds, ends = len(rollout.messages), begins + rollout.num_steps * len(rollout.messages)
            parts = [stack(self.said[begins + r : ends : rounds]) for r in range(rounds)]
            copies = rollout.num_envs
            found.append(tuple(map_tensors(lambda x, copies=copies: x[:, :copies], part) for part in parts))
            begins = ends
        self.said.clear()
        return found


@dataclasses.dataclass(frozen=True)
class OfSenders:
    """Another intervention that only the messages of some senders undergo."""

    inner: EpisodeIntervention
    senders: Bool[Tensor, " N"]

    def __call__(self, message: Message, step: TeamStep, edges: Edges, alive: Bool[Tensor, " B"]) -> Message:
        """Replace theirs."""
        other, theirs = self.inner(message, step, edges, alive), self.senders.to(message.payload.device)

        def chosen(new: Tensor, old: Tensor) -> Tensor:
            return torch.where(theirs.view(1, -1, *[1] * (new.dim() - 2)), new, old)

        return map_tensors(chosen, other, message)

    def restart(self) -> None:
        """Let the other one forget."""
        restart(self.inner)


def restart(inner: EpisodeIntervention) -> None:
    """Let an intervention forget, where it remembers anything."""
    if isinstance(inner, Restarting):
        inner.restart()


def received_by(inner: EpisodeIntervention, inbox: Inbox, arrivals: Arrivals, edges: Edges) -> Inbox:
    """Return what an intervention makes of inboxes, where it is one of single edges."""
    return inner.received(inbox, arrivals, edges) if isinstance(inner, OnEdges) else inbox


def num_replaced(
    said: list[tuple[Message, ...]], rollouts: list[Rollout], *, talks: Bool[Tensor, " N"]
) -> tuple[int, int]:
    """Return how many messages hearers got with another content than was said, and of how many."""
    replaced = number = 0
    for before, rollout in zip(said, rollouts, strict=True):
        spoke = rollout.speaking & rollout.valid.unsqueeze(-1) & talks
        for one, other in zip(before, rollout.messages, strict=True):
            replaced += int((spoke & (one.payload != other.payload).any(-1)).sum())
            number += int(spoke.sum())
    return replaced, number


def changed_share(
    before: list[Rollout], after: list[Rollout], *, roles: Sequence[Role], among: Bool[Tensor, " N"] | None = None
) -> float:
    """The share of episodes in which somebody acts otherwise; of the same starts, with and without an intervention.

    `among` are the agents that are looked at; None: all.
    """
    looked = torch.ones(sum(len(role.agents) for role in roles), dtype=torch.bool) if among is None else among
    changed = [_changed(one, other, roles, looked) for one, other in zip(before, after, strict=True)]
    return float(torch.cat(changed).double().mean())


def _changed(before: Rollout, after: Rollout, roles: Sequence[Role], looked: Tensor) -> Bool[Tensor, " B"]:
    steps = min(before.num_steps, after.num_steps)
    both = (before.valid[:steps] & after.valid[:steps]).unsqueeze(-1) & before.acting[:steps] & after.acting[:steps]
    both = both & looked.to(both.device)
    changed, start = torch.zeros_like(both[0, :, 0]), 0
    for role in roles:
        here = both[..., start : start + len(role.agents)]
        one, other = (rollout.actions[role.name][:steps].unsqueeze(-1).flatten(3) for rollout in (before, after))
        differs = ~torch.isclose(one.double(), other.double(), rtol=SAME_ACTION, atol=0.0)
        changed |= (differs.any(-1) & here).any(-1).any(0)
        start += len(role.agents)
    return changed


@dataclasses.dataclass
class _Permuted:
    """Moves messages between copies, within groups; a random cycle through each group leaves none where it was."""

    generator: torch.Generator
    same_meaning: bool

    def __call__(self, message: Message, step: TeamStep, edges: Edges, alive: Bool[Tensor, " B"]) -> Message:
        counts = (step.speaking & alive.unsqueeze(1)).flatten()
        # drawn for all, so that the stream does not depend on how many are left
        chance = torch.rand(counts.shape, generator=self.generator, device=counts.device)
        source = torch.arange(len(counts), device=counts.device)
        for same_hearers in (True, False):  # then those that found none with the same hearers
            group = _groups(step, edges if same_hearers else None, same_meaning=self.same_meaning)
            where = (counts & (source == torch.arange(len(counts), device=counts.device))).nonzero().squeeze(1)
            source[where] = where[cycle_within(group[where], chance[where])]
        return _taken(message, source)


@dataclasses.dataclass
class _Shuffled:
    """Moves messages between all that speak in living copies, by one random cycle."""

    generator: torch.Generator

    def __call__(self, message: Message, step: TeamStep, edges: Edges, alive: Bool[Tensor, " B"]) -> Message:
        counts = (step.speaking & alive.unsqueeze(1)).flatten()
        chance = torch.rand(counts.shape, generator=self.generator, device=counts.device)
        source, where = torch.arange(len(counts), device=counts.device), counts.nonzero().squeeze(1)
        source[where] = where[cycle_within(torch.zeros_like(where), chance[where])]
        return _taken(message, source)


def cycle_within(group: Int[Tensor, " n"], chance: Tensor) -> Int[Tensor, " n"]:
    """For each entry another of the same group: the next in a random cycle through the group, set by `chance` [n]."""
    by_chance = chance.argsort()
    order = by_chance[group[by_chance].argsort(stable=True)]
    in_order = group[order]
    starts = torch.ones_like(in_order, dtype=torch.bool)
    starts[1:] = in_order[1:] != in_order[:-1]
    position = torch.arange(len(order), device=group.device)
    first = torch.where(starts, position, 0).cummax(0).values
    ends = torch.cat([starts[1:], starts.new_ones(1)])[: len(order)]
    following = torch.where(ends, first, position + 1)
    source = torch.empty_like(order)
    source[order] = order[following]
    return source


def _groups(step: TeamStep, edges: Edges | None, *, same_meaning: bool) -> Int[Tensor, " BN"]:
    """A number for the sender, for its hearers where edges are given, and for its meaning where that counts."""
    num_envs, num_agents = step.speaking.shape
    sender = torch.arange(num_agents, device=step.speaking.device).expand(num_envs, -1)
    columns = [sender.unsqueeze(-1)]
    if edges is not None:
        columns.append(_hearer_sets(edges, num_envs, num_agents).unsqueeze(-1))
    if same_meaning:
        columns.append(step.meaning)
    return torch.cat(columns, -1).flatten(0, 1).unique(dim=0, return_inverse=True)[1]


def _hearer_sets(edges: Edges, num_envs: int, num_agents: int) -> Int[Tensor, "B N"]:
    """A number for the set of agents that can hear each sender: the sum of random keys, never a matrix of pairs."""
    mask = edges.mask.expand(num_envs, -1, -1)
    keys = torch.randint(2**62, (num_agents,), generator=torch.Generator().manual_seed(0)).to(mask.device)
    heard = mask.long() * keys[None, :, None]
    if edges.senders is None:
        return heard.sum(1)
    sets = torch.zeros(num_envs, num_agents, dtype=torch.long, device=mask.device)
    return sets.scatter_add(1, edges.senders.expand(num_envs, -1, -1).flatten(1), heard.flatten(1))


def _taken(message: Message, source: Int[Tensor, " BN"]) -> Message:
    def take(values: Tensor) -> Tensor:
        return values.flatten(0, 1)[source].view(values.shape)

    symbols = None if message.symbols is None else take(message.symbols)
    return Message(payload=take(message.payload), symbols=symbols, bits=take(message.bits))


def _generator(seed: int, device: str) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(seed)
