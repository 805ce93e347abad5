"""Teaching a language by example: speakers say the words of a corpus for what they know, hearers do as its hearers did.

What iterated learning passes on, what a protocol is transferred by, and how a policy is given a language as prior
knowledge. Everything is supervised; rewards play no part.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph import distributions
from heliograph.analysis.candidate_messages import payload_of_words
from heliograph.analysis.corpus import Corpus
from heliograph.channels.spelling import forced, said_places
from heliograph.envs.base import TeamEnv
from heliograph.registry import UnknownNameError
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.team.draws import Draws, RecordedDraws
from heliograph.team.inbox import RecordedStep, StepMasks
from heliograph.team.log_probs import action_terms
from heliograph.team.participation import presence_in
from heliograph.team.parts import TeamParts
from heliograph.team.team import Team
from heliograph.team.unroll import recorded_features, replayed
from heliograph.types import Message, Tree, stack

__all__ = ["Lesson", "Lessons", "teach"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lesson:
    """One update: mean loss of speakers (nats a word) and of hearers (nats an action), NaN where nobody was taught."""

    speaking: float
    hearing: float


class Lessons:
    """The utterances of a corpus by what their speaker knew: which word to say, and what hearers then did, and when.

    Raises ValueError for a corpus of vectors, an empty one, and one whose words are not those of the channel.
    """

    def __init__(self, corpus: Corpus, team: TeamParts):
        channel = team.channel
        if not len(corpus):
            raise ValueError("the corpus has no utterance: there is nothing to learn from")
        if not corpus.discrete or corpus.vectors() is not None or channel.alphabet is None:
            raise ValueError("a corpus of vectors, or behind a gate, cannot be taught: words are, symbol by symbol")
        if channel.can_be_silent:
            raise ValueError("a team with a gate cannot be taught words: choose a channel without 'gated'")
        known = (corpus.metadata["vocabulary"], corpus.metadata["length"], corpus.eos)
        own = (channel.vocabulary, channel.length, 0 if channel.ends_words else None)
        if known != own:
            raise ValueError(
                f"the corpus has vocabulary, length and eos {known}, the channel {own}: take the settings that it was "
                "made with"
            )
        table = corpus.utterances
        self.words = torch.tensor(corpus.messages())
        self.hearers = _hearers(table)
        self.listeners = {hearer for told in self.hearers for hearer, *_ in told}
        self._rows: dict[tuple[str, tuple[int, ...]], np.ndarray] = {
            key: group.to_numpy()
            for key, group in table.index.to_series().groupby([table["role"], table["meaning"].map(tuple)], sort=False)
        }

    def drawn(
        self, meaning: Int[Tensor, "T B N Z"], spoke: Bool[Tensor, "T B N"], *, roles: Sequence[str],
        generator: np.random.Generator,
    ) -> Int[Tensor, "T B N"]:  # fmt: skip
        """For each place where somebody speaks a row with the same role and meaning; -1 where there is none."""
        found = torch.full(spoke.shape, -1)
        for (t, b, n), knows in zip(spoke.nonzero().tolist(), meaning[spoke].tolist(), strict=True):
            rows = self._rows.get((roles[n], tuple(knows)))
            if rows is not None:
                found[t, b, n] = int(rows[generator.integers(len(rows))])
        return found


def teach(
    team: Team, env: TeamEnv, corpus: Corpus, *, policies: Sequence[str] | None = None, updates: int = 200,
    lr: float = 3e-3, seed: int = 0,
) -> list[Lesson]:  # fmt: skip
    """Teach policies of a team (None: all) from a corpus of the same task, in place; returns the losses.

    In each update an episode of all copies of `env` is played, and where a speaker knows what a speaker of the corpus
    knew, it is to say that one's word: the word's cross entropy, of spelt words symbol by symbol with those before it
    given. Hearers get these words, whatever was said, and are to do what the hearers of the corpus did.

    Raises ValueError where the corpus cannot be taught (see `Lessons`), and where nobody in `updates` knew any of what
    it tells.
    """
    lessons, names = Lessons(corpus, team), list(team.layout.policies)
    for name in policies or ():
        if name not in names:
            raise UnknownNameError(what="policy to be taught", name=name, valid=names)
    taught = list(policies or names)
    weights = [p for name in taught for p in team.policies[name].parameters() if p.requires_grad]
    optimizer, draw = torch.optim.Adam(weights, lr=lr), np.random.default_rng(seed)
    sampler, found = Sampler(env, team, seed=seed), list[Lesson]()
    learners = _slots_of(team, taught)
    for _ in range(updates):
        rollout = sampler.episodes()
        loss, told = _losses(team, rollout, lessons, draw, learners=learners)
        found.append(told)
        if loss.requires_grad:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    if all(np.isnan(lesson.speaking) and np.isnan(lesson.hearing) for lesson in found):
        raise ValueError("nobody in the environment knows what a speaker of the corpus knew: is it of this task?")
    return found


def _slots_of(team: Team, policies: Sequence[str]) -> Bool[Tensor, " N"]:
    """The agents that these policies play, or may play."""
    found = torch.zeros(len(team.layout.agents), dtype=torch.bool)
    for name in policies:
        found[list(team.layout.seats[name].slots)] = True
    return found


def _losses(
    team: Team, rollout: Rollout, lessons: Lessons, draw: np.random.Generator, *, learners: Bool[Tensor, " N"]
) -> tuple[Float[Tensor, ""], Lesson]:
    roles = [role.name for role in team.layout.roles for _ in role.agents]
    spoke = rollout.speaking & rollout.valid.unsqueeze(-1) & team.talks
    rows = lessons.drawn(rollout.meaning, spoke, roles=roles, generator=draw)
    known = rows >= 0
    words = lessons.words[rows.clamp(min=0)]
    outputs = _unrolled(team, rollout, words, known)
    channel_inputs = torch.stack([output.channel_inputs[0] for output in outputs])
    speaks = known & learners
    nobody = torch.tensor(torch.nan)
    speaking = -_log_probs(team, channel_inputs, words)[speaks].mean() if bool(speaks.any()) else nobody
    hearing = _hearing_loss(team, rollout, lessons, rows, outputs, learners=learners)
    parts = [part for part in (speaking, hearing) if not bool(part.isnan())]
    total = torch.stack(parts).sum() if parts else torch.zeros(())
    return total, Lesson(speaking=float(speaking.detach()), hearing=float(hearing.detach()))


def _unrolled(team: Team, rollout: Rollout, words: Tensor, known: Tensor) -> list[Any]:
    """The steps of a rollout in which these words are said, where they are known, and travel."""
    presence = presence_in(rollout, team.layout)
    payload = payload_of_words(team.channel, words.flatten(0, -2), seed=0).unflatten(0, words.shape[:-1])
    features = recorded_features(team, rollout, presence)

    def draws_of(now: RecordedStep) -> Draws:
        lesson = _Taught(words=words[now.time], payload=payload[now.time], known=known[now.time])
        return _TaughtDraws(now.draws, now.listening, lesson=lesson)

    return [step.output for step in replayed(team, rollout, features, draws_of)]


def _log_probs(team: Team, channel_inputs: Tensor, words: Tensor) -> Float[Tensor, "T B N"]:
    """How likely these words are, in nats, up to their end."""
    channel = team.channel
    each = channel.symbol_log_probs(channel_inputs).gather(-1, words.unsqueeze(-1)).squeeze(-1)
    return torch.where(said_places(words, ends=channel.ends_words), each, 0.0).sum(-1)


def _hearing_loss(
    team: Team, rollout: Rollout, lessons: Lessons, rows: Tensor, outputs: Sequence[Any], *, learners: Tensor
) -> Float[Tensor, ""]:
    """Cross entropy of what the hearers of the corpus did, when they read; NaN where it does not tell of anybody."""
    if not bool((learners & torch.tensor([agent in lessons.listeners for agent in team.layout.agents])).any()):
        return torch.tensor(torch.nan)
    actions, told = _copied_actions(team, rollout, lessons, rows)
    told = told & learners
    if not bool(told.any()):
        return torch.tensor(torch.nan)

    def after(policy: str, steps: slice) -> Tree:
        return stack([output.after[policy] for output in outputs[steps]])

    presence = presence_in(rollout, team.layout)
    how: Any = {"after": after, "rows": lambda policy, steps: None, "presence": presence}
    scores: distributions.Score = action_terms(team, rollout, **how, done=actions)
    return -scores.log_prob[told].mean()


def _copied_actions(
    team: Team, rollout: Rollout, lessons: Lessons, rows: Tensor
) -> tuple[dict[str, Tensor], Bool[Tensor, "T B N"]]:
    """Actions by role as recorded, but for those that the corpus tells of; and which these are."""
    actions = {role: values.clone() for role, values in rollout.actions.items()}
    told = torch.zeros(rows.shape, dtype=torch.bool)
    place = {agent: slot for slot, agent in enumerate(team.layout.agents)}
    first, role_of = _first_slots(team)
    for t, b, n in (rows >= 0).nonzero().tolist():
        row = int(rows[t, b, n])
        for hearer, done, late in lessons.hearers[row]:
            slot = place[hearer]
            if done is None or late is None or t + late >= len(rows) or not bool(rollout.acting[t + late, b, slot]):
                continue
            role = role_of[slot]
            target = actions[role][t + late, b, slot - first[role]]
            target.copy_(torch.tensor(np.array(done)).reshape(target.shape).to(target.dtype))
            told[t + late, b, slot] = True
    return actions, told


def _first_slots(team: Team) -> tuple[Mapping[str, int], list[str]]:
    first, role_of = {}, list[str]()
    for role in team.layout.roles:
        first[role.name] = len(role_of)
        role_of += [role.name] * len(role.agents)
    return first, role_of


def _hearers(table: Any) -> list[list[tuple[str, Any, int | None]]]:
    """For each utterance its hearers, what each did when it read it, and how many steps later that was."""
    columns = (table[key].tolist() for key in ("step", "hearers", "actions", "read"))
    return [
        [(hearer, done, None if at is None else int(at) - step) for hearer, done, at in zip(*told, strict=True)]
        for step, *told in zip(*columns, strict=True)
    ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Taught:
    words: Int[Tensor, "B N L"]
    payload: Float[Tensor, "B N P"]
    known: Bool[Tensor, "B N"]


class _TaughtDraws(Draws):
    """Draws that were recorded, but words that are given: speakers spell these, and these travel."""

    def __init__(self, draws: Sequence[Tree], listening: tuple[dict[str, Tree], ...], *, lesson: _Taught):
        self._recorded, self._lesson = RecordedDraws(draws, listening), lesson

    def listening(self, team: TeamParts, masks: StepMasks) -> tuple[dict[str, Tree], ...]:
        """Those that were recorded."""
        return self._recorded.listening(team, masks)

    def message(self, team: TeamParts, channel_input: Tensor, *, round_index: int) -> Tree:
        """Those that were recorded: what is said by them is replaced."""
        return self._recorded.message(team, channel_input, round_index=round_index)

    def guide(self, team: TeamParts, masks: StepMasks, *, round_index: int) -> Tensor:
        """Those that have the given words spelt."""
        return forced(self._lesson.words, int(team.channel.vocabulary or 0))

    def delivered(self, message: Message, *, round_index: int) -> Message:
        """The given words, where there are any, in the first round."""
        if round_index:
            return message
        known, words = self._lesson.known.unsqueeze(-1), self._lesson.words
        return Message(
            payload=torch.where(known, self._lesson.payload, message.payload),
            symbols=None if message.symbols is None else torch.where(known, words, message.symbols),
            bits=message.bits,
        )
