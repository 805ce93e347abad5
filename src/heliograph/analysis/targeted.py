"""Interventions on some messages alone: those of one sender, on one edge, with one symbol, or all of them late.

Each row of `targeted_table` tells how many messages were really replaced; a row in which these are too few gives no
verdict, and says so.
"""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.analysis.evaluate import Played, effect, play_run
from heliograph.analysis.interventions import Messages, OfSenders, restart
from heliograph.analysis.verdict import MIN_CHANGED, MIN_REPLACED
from heliograph.registry import UnknownNameError
from heliograph.rollouts.rollout import Keeping, Rollout
from heliograph.rollouts.sampler import EpisodeIntervention
from heliograph.storage.run_folder import Run
from heliograph.team.inbox import of_senders
from heliograph.team.state import Inbox
from heliograph.types import Arrivals, Choice, Edges, Message, TeamStep, map_tensors

__all__ = ["Heed", "Late", "OfSymbol", "OnEdge", "Target", "heeded", "targeted_table"]


class Heed(enum.StrEnum):
    """Answers to whether hearers do otherwise where these messages are replaced."""

    YES = "heeded"
    NO = "unheeded"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """Record of which messages are replaced: those that fit all that is given.

    `sender`, `hearer`: agents; with both, on that edge alone, so that others hear what was said. `symbol`: those that
    hold it, at `place` where that is given. `late`: what was said so many env steps before by the same sender takes
    their place, and where nothing was said then, they stay.
    """

    sender: str | None = None
    hearer: str | None = None
    symbol: int | None = None
    place: int | None = None
    late: int | None = None

    def __post_init__(self) -> None:
        if self.hearer is not None and self.sender is None:
            raise ValueError(f"hearer={self.hearer!r} without a sender: name both ends of the edge")
        if self.place is not None and self.symbol is None:
            raise ValueError(f"place={self.place} without a symbol: name the symbol that it holds")
        if self.late is not None and self.late < 1:
            raise ValueError(f"late={self.late}: must be at least 1 env step")

    def __str__(self) -> str:
        """In words, such as "sender=a hearer=b symbol=2"."""
        given = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        return " ".join(f"{key}={value}" for key, value in given.items()) or "all"


@dataclasses.dataclass(frozen=True)
class OfSymbol:
    """Another intervention that only messages with a symbol undergo, at one place or any."""

    inner: EpisodeIntervention
    symbol: int
    place: int | None = None

    def __call__(self, message: Message, step: TeamStep, edges: Edges, alive: Bool[Tensor, " B"]) -> Message:
        """Replace these."""
        if message.symbols is None:
            raise ValueError(f"symbol={self.symbol}: messages are vectors, which have no symbols")
        symbols = message.symbols if self.place is None else message.symbols[..., [self.place]]
        return _chosen((symbols == self.symbol).any(-1), self.inner(message, step, edges, alive), message)

    def restart(self) -> None:
        """Let the other one forget."""
        restart(self.inner)


class Late:
    """Each message is replaced by what its sender said `by` env steps before, in the same episode, if it spoke then."""

    def __init__(self, by: int, *, rounds: int):
        self._back = by * rounds
        self._said: list[tuple[Message, Tensor]] = []

    def __call__(self, message: Message, step: TeamStep, edges: Edges, alive: Bool[Tensor, " B"]) -> Message:
        """Replace them, and remember what was said."""
        self._said.append((message, step.speaking))
        if len(self._said) <= self._back:
            return message
        before, spoke = self._said[-1 - self._back]
        return _chosen(spoke & step.speaking, before, message)

    def restart(self) -> None:
        """Forget the episodes before."""
        self._said.clear()


class OnEdge:
    """Another intervention of which one hearer alone gets one sender's messages; all others hear what was said.

    Replaced messages take as long as any: `delay_env_steps` is the channel's, `rounds` the team's.
    """

    def __init__(
        self, inner: EpisodeIntervention, *, sender: int, hearer: int, delay_env_steps: int = 0, rounds: int = 1
    ):
        self.inner, self.sender, self.hearer = inner, sender, hearer
        self._back, self._rounds = delay_env_steps * rounds, rounds
        self._others: list[Tensor] = []
        self._alive: Tensor | None = None
        self._counts: list[tuple[Int[Tensor, " B"], Int[Tensor, " B"]]] = []

    def __call__(self, message: Message, step: TeamStep, edges: Edges, alive: Bool[Tensor, " B"]) -> Message:
        """Keep what would replace the sender's message, which is said as it was."""
        other = self.inner(message, step, edges, alive)
        self._others.append(other.payload[:, self.sender])
        self._alive = alive
        return message

    def received(self, inbox: Inbox, arrivals: Arrivals, edges: Edges) -> Inbox:
        """The inboxes, with the hearer's message of the sender replaced where one has arrived."""
        here = self._arrived(arrivals, edges)
        index = len(self._others) - 1 - self._back
        payload = inbox.payload
        if payload.dim() == 3:  # one for all hearers
            payload = payload.unsqueeze(1).expand(-1, here.shape[1], -1, -1)
        if index < 0:
            self._count(here & False, here)
            return Inbox(payload=payload, mask=inbox.mask)
        other = self._others[index][:, None, None, :].to(payload.dtype)
        self._count(here & (payload != other).any(-1), here)
        return Inbox(payload=torch.where(here.unsqueeze(-1), other, payload), mask=inbox.mask)

    def _arrived(self, arrivals: Arrivals, edges: Edges) -> Bool[Tensor, "B N K"]:
        """The place of the sender's message in the hearer's inbox, where one has arrived."""
        hearers = torch.arange(edges.mask.shape[-2], device=edges.mask.device) == self.hearer
        slots = torch.arange(edges.mask.shape[-1], device=edges.mask.device)
        from_sender = (slots if edges.senders is None else edges.senders) == self.sender
        return edges.mask & of_senders(arrivals.mask, edges) & from_sender & hearers.unsqueeze(-1)

    def _count(self, replaced: Bool[Tensor, "B N K"], here: Bool[Tensor, "B N K"]) -> None:
        living = torch.ones(len(here), dtype=torch.bool) if self._alive is None else self._alive
        self._counts.append(tuple(flags.flatten(1).any(1).long() * living.long() for flags in (replaced, here)))

    def restart(self) -> None:
        """Forget the episodes before."""
        self._others.clear()
        restart(self.inner)

    def taken(self, rollouts: Sequence[Rollout]) -> dict[str, int | float]:
        """Number of messages that the hearer got with another content in these rollouts, and their share.

        Forgets it afterwards.
        """
        found, number, begins = 0, 0, 0
        for rollout in rollouts:
            ends = begins + rollout.num_steps * self._rounds
            for replaced, here in self._counts[begins:ends]:
                found += int(replaced[: rollout.num_envs].sum())
                number += int(here[: rollout.num_envs].sum())
            begins = ends
        self._counts.clear()
        return {"num_replaced": found, "replaced_share": found / number if number else 0.0}


def targeted_table(
    run: Run,
    targets: Sequence[Target],
    *,
    messages: Messages | str = Messages.RESAMPLED,
    num_episodes: int = 1000,
    choice: Choice = Choice.GREEDY,
    seed: int = 0,
    num_envs: int | None = None,
) -> list[dict[str, Any]]:
    """One row for each target: the same episodes with its messages replaced (by `messages`, unless they are late).

    Keys are those of `interventions_table`, with `target`, and `heeded` with `heeded_means`: whether anybody does
    otherwise, in words. Where fewer than 30 messages got another content `heeded` is `unknown`, and its meaning says
    how few. `replaced_share` is of the messages that fit the target, as far as senders and edges go.
    """
    if Messages(messages) is Messages.AS_SENT:
        raise ValueError("messages=as-sent replaces nothing: name one of the others")
    how: Any = {"num_episodes": num_episodes, "choice": choice, "seed": seed, "num_envs": num_envs}
    as_sent = play_run(run, **how, keeping=Keeping.SAID)
    return [_row(run, as_sent, target, Messages(messages), **how) for target in targets]


def heeded(row: Mapping[str, Any]) -> tuple[Heed, str]:
    """The verdict of a row, and what it means."""
    number, changed = row["num_replaced"], row["changed_share"]
    if number < MIN_REPLACED:
        few = f"only {number} messages got another content, fewer than {MIN_REPLACED}: play more, or other ones"
        return Heed.UNKNOWN, few
    if changed >= MIN_CHANGED:
        return Heed.YES, f"somebody does otherwise in {100 * changed:.0f} % of the episodes"
    return Heed.NO, f"with {number} messages replaced nobody does otherwise"


def _row(run: Run, as_sent: Played, target: Target, kind: Messages, **how: Any) -> dict[str, Any]:
    made: list[EpisodeIntervention] = []

    def narrowed(inner: EpisodeIntervention) -> EpisodeIntervention:
        made.append(_narrowed(run, target, inner))
        return made[-1]

    played = play_run(run, **how, messages=kind, narrowed=narrowed, keeping=Keeping.SAID)
    row = effect(run, as_sent, played, kind=kind)
    sender = None if target.sender is None else _mask(run, target.sender)
    row |= played.replaced(run.team, senders=sender)
    if made and isinstance(made[0], OnEdge):
        row |= made[0].taken(played.rollouts)
    verdict, means = heeded(row)
    named = "late" if target.late is not None else kind.value
    return {"target": str(target), **row, "messages": named, "heeded": verdict.value, "heeded_means": means}


def _narrowed(run: Run, target: Target, inner: EpisodeIntervention) -> EpisodeIntervention:
    team = run.team
    found: EpisodeIntervention = inner if target.late is None else Late(target.late, rounds=team.rounds)
    if target.symbol is not None:
        found = OfSymbol(found, target.symbol, target.place)
    if target.sender is None:
        return found
    if target.hearer is None:
        return OfSenders(found, _mask(run, target.sender))
    delay = team.channel.delay_env_steps
    ends = {"sender": _slot(run, target.sender), "hearer": _slot(run, target.hearer)}
    return OnEdge(found, **ends, delay_env_steps=delay, rounds=team.rounds)


def _slot(run: Run, agent: str) -> int:
    if agent not in run.facts.agents:
        raise UnknownNameError(what="agent", name=agent, valid=list(run.facts.agents))
    return run.facts.agents.index(agent)


def _mask(run: Run, agent: str) -> Bool[Tensor, " N"]:
    return torch.arange(len(run.facts.agents)) == _slot(run, agent)


def _chosen(mask: Bool[Tensor, "B N"], other: Message, message: Message) -> Message:
    """One message where the mask holds, and the other elsewhere."""

    def take(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(mask.view(*mask.shape, *[1] * (new.dim() - 2)), new, old)

    found: Message = map_tensors(take, other, message)
    return found
