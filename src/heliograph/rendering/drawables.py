"""What the agents of a copy know, say and do in one step, as plain data: what a picture shows beside them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from heliograph.analysis.utterances import edges_of, in_words
from heliograph.channels.spelling import up_to_the_end
from heliograph.checks import Number
from heliograph.envs.wording import Reading
from heliograph.protocols.env_wording import reading_of
from heliograph.protocols.labels import vector_label
from heliograph.protocols.replay_text import role_of, senders_of
from heliograph.rollouts.rollout import Rollout
from heliograph.storage.run_folder import Run
from heliograph.texts import NOTHING
from heliograph.types import Message

__all__ = ["Said", "Speech", "StepDescriber"]

Utterance = tuple["Said", ...]
TYPICAL = 0.98
"""The share of the entries of vectors that lie within the scale on which they are drawn."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """Record of what an agent says in one round: symbols of a vocabulary, or a vector of real numbers."""

    symbols: tuple[int, ...] = ()
    vector: tuple[Number, ...] = ()
    vocabulary: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speech:
    """One step of a copy; tuples have an entry for each agent, in the order of slots, or none at all.

    `said` holds rounds (none for an agent that says nothing), `hears` pairs of speaker and hearer, `before` what was
    last said in an earlier step. Vectors are shown on a scale from minus to plus `scale`.
    """

    said: tuple[Utterance, ...] = ()
    hears: tuple[tuple[int, int], ...] = ()
    knows: tuple[str, ...] = ()
    does: tuple[str, ...] = ()
    before: Utterance = ()
    scale: Number = 1.0


class StepDescriber:
    """Tells the steps of a recorded rollout of a run, copy by copy; actions in the environment's own words, if any."""

    def __init__(self, run: Run, rollout: Rollout):
        self.run, self.rollout = run, rollout
        self.reading: Reading = reading_of(run.env.env, agents=run.facts.agents, roles=run.facts.roles)
        self.in_words = in_words(run.team.channel)
        self.can_be_silent = run.team.channel.can_be_silent
        self.scale = 1.0 if self.in_words else _scale_of(rollout)

    def speech(self, *, time: int, copy: int, before: Utterance = ()) -> Speech:
        """Return what happened in a step; `before` is handed on."""
        said = tuple(self._said(time, copy, slot) for slot in range(len(self.run.facts.agents)))
        return Speech(
            said=said,
            hears=tuple(pair for pair in self._hears(time, copy) if said[pair[0]]),
            knows=tuple(_known(meaning) for meaning in self.rollout.meaning[time, copy].tolist()),
            does=tuple(self._does(time, copy, slot) for slot in range(len(said))),
            before=before,
            scale=self.scale,
        )

    def _said(self, time: int, copy: int, slot: int) -> Utterance:
        speaks = bool(self.rollout.speaking[time, copy, slot]) and bool(self.run.team.talks[slot])
        if not speaks:
            return ()
        rounds = [m for m in self.rollout.messages if not self._silent(m, (time, copy, slot))]
        return tuple(self._in_round(message, (time, copy, slot)) for message in rounds)

    def _silent(self, message: Message, at: tuple[int, int, int]) -> bool:
        return self.can_be_silent and float(message.bits[at]) == 0

    def _in_round(self, message: Message, at: tuple[int, int, int]) -> Said:
        if self.in_words and message.symbols is not None:
            channel = self.run.team.channel
            word = up_to_the_end(message.symbols[at].tolist(), ends=channel.ends_words)
            return Said(symbols=tuple(word), vocabulary=channel.vocabulary)
        return Said(vector=tuple(message.payload[at].double().tolist()))

    def _hears(self, time: int, copy: int) -> list[tuple[int, int]]:
        """Pairs of speaker and hearer, those who hear themselves left out."""
        edges = edges_of(self.rollout)
        mask = edges.mask.expand(*self.rollout.valid.shape, -1, -1)[time, copy]
        hearer, place = mask.nonzero(as_tuple=True)
        sender = senders_of(edges, self.rollout)[time, copy][hearer, place]
        return sorted({(s, h) for s, h in zip(sender.tolist(), hearer.tolist(), strict=True) if s != h})

    def _does(self, time: int, copy: int, slot: int) -> str:
        if not bool(self.rollout.acting[time, copy, slot]):
            return ""
        role, place = role_of(self.run.facts.roles, slot)
        return self.reading.done(vector_label(self.rollout.actions[role.name][time, copy, place]), role=role.name)


def _known(meaning: list[int]) -> str:
    return "" if all(z < 0 for z in meaning) else ",".join(NOTHING if z < 0 else str(z) for z in meaning)


def _scale_of(rollout: Rollout) -> float:
    """Return what all but the largest entries of what was said stay within; 1 where there is nothing."""
    said = [m.payload[rollout.speaking & rollout.valid.unsqueeze(-1)].abs().flatten() for m in rollout.messages]
    values = np.concatenate([x.double().numpy(force=True) for x in said]) if said else np.zeros(0)
    return float(np.quantile(values, TYPICAL)) or 1.0 if len(values) else 1.0


def last_said(speeches: Sequence[Speech]) -> Utterance:
    """Return what was said last in some steps, by the last in the order of slots; nothing where nobody spoke."""
    return next((said for speech in reversed(speeches) for said in reversed(speech.said) if said), ())
