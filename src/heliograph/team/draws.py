"""Where the random draws of a step come from: a generator, or the record of a step that was played before.

Acting, replaying, intervening and watching run the same `step`; they differ only in this.
"""

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

from heliograph import distributions
from heliograph.team.inbox import StepMasks
from heliograph.team.parts import TeamParts
from heliograph.team.policy import Spell
from heliograph.team.state import Inbox
from heliograph.types import Arrivals, Choice, Edges, Message, MessageForm, TeamStep, Tree

__all__ = ["Draws", "EdgeIntervention", "FreshDraws", "HeardDraws", "Intervention", "RecordedDraws"]

Intervention = Callable[[Message, TeamStep, Edges], Message]
"""Replaces the messages of a step before they are delivered: given what was said, the step and who would hear it."""


@runtime_checkable
class EdgeIntervention(Protocol):
    """An intervention that also replaces what some hearers alone get, when messages arrive."""

    def __call__(self, message: Message, step: TeamStep, edges: Edges) -> Message:
        """Replace what was said, for all hearers."""

    def received(self, inbox: Inbox, arrivals: Arrivals, edges: Edges) -> Inbox:
        """Replace what lies in the inboxes after the messages of a round have arrived."""


class Draws(ABC):
    """The randomness of one step of a team; `form` is the form in which its messages travel."""

    form = MessageForm.TRAINING

    @abstractmethod
    def listening(self, team: TeamParts, masks: StepMasks) -> tuple[dict[str, Tree], ...]:
        """Return what the models draw to listen, by policy in each round; asked before anybody speaks."""

    @abstractmethod
    def message(self, team: TeamParts, channel_input: Tensor, *, round_index: int) -> Tree:
        """Return what the channel draws for the messages of a round, of what goes into it `[B, N, C]`."""

    def spelling(self, team: TeamParts, masks: StepMasks, *, round_index: int) -> Spell | None:
        """Return by which guides the words of a round are spelt; None on channels whose words are not spelt."""
        if team.channel.spelling is None:
            return None
        guide = self.guide(team, masks, round_index=round_index)
        return Spell(guide=guide, choose=functools.partial(team.channel.choose, form=self.form))

    @abstractmethod
    def guide(self, team: TeamParts, masks: StepMasks, *, round_index: int) -> Tensor:
        """The guides `[B, N, L, V]` by which the words of a round are spelt, on channels that have such."""

    def delivered(self, message: Message, *, round_index: int) -> Message:
        """The messages that travel, of those that were said in a round; by default these."""
        return message

    def received(self, inbox: Inbox, arrivals: Arrivals, edges: Edges) -> Inbox:
        """Return what hearers get, of what has arrived in their inboxes; by default that."""
        return inbox


@final
class FreshDraws(Draws):
    """Draws from a generator, sampled or greedy; with `epsilon` channel inputs are values, and symbols epsilon-greedy.

    An `intervention` replaces what was said before it travels.
    """

    def __init__(
        self,
        step: TeamStep,
        edges: Edges,
        *,
        generator: torch.Generator | None,
        choice: Choice,
        form: MessageForm,
        epsilon: float | None,
        intervention: Intervention | None,
    ):
        self._step, self._edges, self._intervention = step, edges, intervention
        self._generator, self._choice, self.form, self._epsilon = generator, choice, form, epsilon

    def listening(self, team: TeamParts, masks: StepMasks) -> tuple[dict[str, Tree], ...]:
        """Ask each model that listens."""
        num_envs, num_slots = len(masks.observing), masks.edges.mask.shape[-1]
        found: list[dict[str, Tree]] = [{} for _ in team.hearers]
        for r, hearers in enumerate(team.hearers):
            for p in hearers:
                shape = (num_envs, len(team.layout.seats[p].slots), num_slots)
                model = team.policies[p].model
                found[r][p] = model.draw(shape, round_index=r, choice=self._choice, generator=self._generator)
        return tuple(found)

    @torch.no_grad()
    def message(self, team: TeamParts, channel_input: Tensor, *, round_index: int) -> Tree:
        """Ask the channel."""
        if self._epsilon is not None and team.spells:
            symbols = channel_input.unflatten(-1, (team.channel.length, -1))
            channel_input = distributions.epsilon_greedy(symbols, epsilon=self._epsilon).flatten(-2)
        return team.channel.sample(channel_input, generator=self._generator, choice=self._choice)

    def guide(self, team: TeamParts, masks: StepMasks, *, round_index: int) -> Tensor:
        """Ask the channel."""
        lead, device = tuple(masks.observing.shape), masks.observing.device
        return team.channel.ahead(lead, device=device, generator=self._generator, choice=self._choice)

    def delivered(self, message: Message, *, round_index: int) -> Message:
        """Return what the intervention makes of it, where there is one; it may write into what it is given."""
        if self._intervention is None:
            return message
        own = dataclasses.replace(message, payload=message.payload.clone())
        return self._intervention(own, self._step, self._edges)

    def received(self, inbox: Inbox, arrivals: Arrivals, edges: Edges) -> Inbox:
        """Return what the intervention makes of it, where it is one of single edges."""
        replace = self._intervention
        return replace.received(inbox, arrivals, edges) if isinstance(replace, EdgeIntervention) else inbox


class DrawsOfRollout(Draws):
    """Base of draws that were recorded."""

    def __init__(self, draws: Sequence[Tree], listening: tuple[dict[str, Tree], ...]):
        self._draws, self._listening = draws, listening

    def listening(self, team: TeamParts, masks: StepMasks) -> tuple[dict[str, Tree], ...]:
        """Those that were recorded."""
        return self._listening

    def message(self, team: TeamParts, channel_input: Tensor, *, round_index: int) -> Tree:
        """Those that were recorded."""
        return self._draws[round_index]

    def guide(self, team: TeamParts, masks: StepMasks, *, round_index: int) -> Tensor:
        """Those that spell again what was recorded."""
        return team.channel.guide(self._draws[round_index])


@final
class RecordedDraws(DrawsOfRollout):
    """Draws that were recorded; with `messages`, those of each round travel in the place of what is said anew."""

    def __init__(
        self,
        draws: Sequence[Tree],
        listening: tuple[dict[str, Tree], ...],
        *,
        messages: Sequence[Message] | None = None,
    ):
        super().__init__(draws, listening)
        self._messages = messages

    def delivered(self, message: Message, *, round_index: int) -> Message:
        """Return what was recorded, where that is to be said again."""
        return message if self._messages is None else self._messages[round_index]


@final
class HeardDraws(DrawsOfRollout):
    """Draws that were recorded, with messages that are heard as they were then, whatever the weights have become.

    On pathwise channels gradients go on to those who spoke, through what they would say now.
    """

    def __init__(self, draws: Sequence[Tree], listening: tuple[dict[str, Tree], ...], *, messages: Sequence[Message]):
        super().__init__(draws, listening)
        self._messages = messages

    def delivered(self, message: Message, *, round_index: int) -> Message:
        """Return what was heard then, with the gradient of what is said now."""
        then, now = self._messages[round_index], message.payload
        return dataclasses.replace(then, payload=then.payload + (now - now.detach()))
