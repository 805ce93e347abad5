"""What messages tell about what their senders know: one function for training, evaluation and reports.

It is asked of those who have something to tell: a speaker whose meaning never varies can say nothing about it, however
much it talks, and takes no part. Roles, policies and rounds may have codes of their own, and each is judged by itself.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.diagnosis import Diagnosis, diagnose
from heliograph.analysis.measures.base import entropies_within, ids_of, joined, renumbered
from heliograph.analysis.measures.permutation_baseline import permutation_baseline, shuffled_within
from heliograph.analysis.utterances import groups_of_slots, in_words
from heliograph.analysis.vector_codes import codes_within
from heliograph.rollouts.rollout import Rollout
from heliograph.team.team import Team

__all__ = [
    "Information",
    "Utterances",
    "as_keys",
    "information_in",
    "of_the_informed",
    "protocol_statistics",
    "utterances_of",
    "utterances_said",
]

MAX_MEASURED = 20_000
"""Utterances that measures are taken from, at most about so many: those of the first episodes or copies."""


NUM_SHUFFLES = 4
"""Of meanings within each group, to judge it; with more the judgement is the same and takes longer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Utterances:
    """Ids of what was said and meant, of who spoke, and of groups with codes of their own; who knows anything at all.

    A meaning that is -1 throughout is nothing.
    """

    said: Int[np.ndarray, " n"]
    meant: Int[np.ndarray, " n"]
    speaker: Int[np.ndarray, " n"]
    group: Int[np.ndarray, " n"]
    knows: Bool[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.said)

    def where(self, keep: Bool[np.ndarray, " n"]) -> "Utterances":
        """Some of them."""
        some = Utterances(**{f.name: getattr(self, f.name)[keep] for f in dataclasses.fields(self)})
        return dataclasses.replace(some, group=renumbered(some.group)) if len(some) else some

    @property
    def informed(self) -> Bool[np.ndarray, " n"]:
        """Return which are those of speakers whose meaning varies."""
        _, first = np.unique(self.speaker, return_index=True)
        one = np.zeros(int(self.speaker.max()) + 1, dtype=np.int64)
        one[self.speaker[first]] = self.meant[first]
        changes = np.bincount(self.speaker, weights=self.meant != one[self.speaker])
        varies: np.ndarray = changes[self.speaker] > 0
        return varies

    def of_the_informed(self) -> "Utterances":
        """Those of speakers whose meaning varies; all, with one meaning, where that of nobody does."""
        informed = self.informed
        return self.where(informed) if informed.any() else dataclasses.replace(self, meant=np.zeros_like(self.meant))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Information:
    """Record of what messages tell, in bits, as means within groups, and what as many messages tell by chance."""

    entropy_bits: float
    meaning_entropy_bits: float
    num_meanings: int
    mutual_information_bits: float
    chance_bits: float
    chance_95_bits: float
    p_value: float
    diagnosis: Diagnosis


def information_in(found: Utterances, *, num_permutations: int, seed: int = 0) -> Information:
    """Return what they tell; raises ValueError where there is none."""
    if not len(found):
        raise ValueError("no rows: measures need at least one utterance")
    some = found.of_the_informed()
    chance = permutation_baseline(some.said, some.meant, given=some.group, num_permutations=num_permutations, seed=seed)
    sizes = np.bincount(some.group)
    return Information(
        entropy_bits=float(np.average(entropies_within(some.group, some.said), weights=sizes)),
        meaning_entropy_bits=float(np.average(entropies_within(some.group, some.meant), weights=sizes)),
        num_meanings=int(renumbered(some.meant).max()) + 1,
        mutual_information_bits=chance.observed_bits,
        chance_bits=chance.mean_bits,
        chance_95_bits=chance.quantile_95_bits,
        p_value=chance.p_value,
        diagnosis=_diagnosis(some, seed=seed),
    )


def _diagnosis(found: Utterances, *, seed: int) -> Diagnosis:
    """INFORMATIVE where any group tells something, else what most utterances are.

    Groups are those with codes of their own; if none of these tells anything, each speaker, and the utterances of
    those alone who know something.
    """
    kinds, sizes = _judged(found.said, found.meant, found.group, seed=seed)
    if Diagnosis.INFORMATIVE in kinds:
        return Diagnosis.INFORMATIVE
    for part, group in _finer(found):
        if Diagnosis.INFORMATIVE in _judged(part.said, part.meant, group, seed=seed)[0]:
            return Diagnosis.INFORMATIVE
    return max(dict.fromkeys(kinds), key=lambda kind: sum(n for k, n in zip(kinds, sizes, strict=True) if k is kind))


def _finer(found: Utterances) -> Iterator[tuple[Utterances, Int[np.ndarray, " n"]]]:
    """Each speaker by itself, and the utterances of those alone who know something; what is no finer is left out."""
    own = joined(found.group, found.speaker)
    apart = int(own.max()) > int(found.group.max())
    if apart:
        yield found, own
    if not found.knows.all() and found.knows.any():
        knowing = found.where(found.knows)
        yield knowing, knowing.group
        if apart:
            yield knowing, renumbered(own[found.knows])


def _judged(
    said: Int[np.ndarray, " n"], meant: Int[np.ndarray, " n"], group: Int[np.ndarray, " n"], *, seed: int
) -> tuple[list[Diagnosis], list[int]]:
    """The diagnosis of each group, and how many utterances it has."""
    rng, sizes = np.random.default_rng(seed), np.bincount(group)
    of_said, of_meant = entropies_within(group, said), entropies_within(group, meant)

    def told(other: Int[np.ndarray, " n"]) -> Float[np.ndarray, " groups"]:
        return of_said + of_meant - entropies_within(group, said * (int(other.max()) + 1) + other)

    bits = told(meant)
    by_chance = np.mean([told(shuffled_within(meant, group, rng)) for _ in range(NUM_SHUFFLES)], axis=0)
    kinds = [
        diagnose(
            float(of_said[g]), float(bits[g]), baseline_bits=max(0.0, float(by_chance[g])),
            meaning_entropy_bits=float(of_meant[g]), num_utterances=int(sizes[g]), num_groups=len(sizes),
        )
        for g in range(len(sizes))
    ]  # fmt: skip
    return kinds, sizes.tolist()


def utterances_of(corpus: Corpus) -> Utterances:
    """Those of a corpus."""
    meanings = corpus.meanings()
    return Utterances(
        said=ids_of(corpus.codes()),
        meant=ids_of(meanings),
        speaker=pd.factorize(corpus.utterances["sender"])[0],
        group=corpus.groups(),
        knows=np.any(meanings >= 0, axis=1),
    )


def of_the_informed(corpus: Corpus) -> Corpus:
    """The utterances of a corpus whose speakers' meanings vary; all where none does."""
    informed = utterances_of(corpus).informed if len(corpus) else np.zeros(0, dtype=bool)
    return corpus.where(informed) if informed.any() else corpus


def protocol_statistics(team: Team, rollout: Rollout) -> tuple[dict[str, int | float], Diagnosis]:
    """Return what the messages of any rollout of a team tell, and what kind of protocol that is.

    Keys: `num_utterances`, `num_meanings`, and where anything was said `entropy_bits`, `mutual_information_bits`,
    `mutual_information_chance_bits` (with meanings shuffled once): those of `evaluate`, by the same function, of the
    first copies, as many as have some 20,000 utterances.
    """
    number = int((rollout.speaking & rollout.valid.unsqueeze(-1) & team.talks).sum()) * len(rollout.messages)
    if not number or not team.channel.payload_size:
        return {"num_utterances": 0, "num_meanings": 0}, Diagnosis.SILENT
    copies = max(1, round(rollout.num_envs * MAX_MEASURED / number))
    found = information_in(utterances_said(team, rollout.first(copies)), num_permutations=1)
    return {
        "num_utterances": number,
        "num_meanings": found.num_meanings,
        "entropy_bits": found.entropy_bits,
        "mutual_information_bits": found.mutual_information_bits,
        "mutual_information_chance_bits": found.chance_bits,
    }, found.diagnosis


def utterances_said(team: Team, rollout: Rollout) -> Utterances:
    """Those of a rollout, as they were said in it."""
    spoke = rollout.speaking & rollout.valid.unsqueeze(-1) & team.talks
    slots = torch.arange(spoke.shape[-1], device=spoke.device).expand(spoke.shape)[spoke].numpy(force=True)
    group = _groups(team, rollout)[spoke].numpy(force=True)
    meanings = rollout.meaning[spoke].numpy(force=True)
    said, num_rounds = [], len(rollout.messages)
    for message in rollout.messages:
        if in_words(team.channel) and message.symbols is not None:
            said.append(ids_of(message.symbols[spoke]))
        else:
            said.append(codes_within(message.payload[spoke].numpy(force=True), group))
    rounds = np.repeat(np.arange(num_rounds), len(slots))
    return Utterances(
        said=np.concatenate(said),
        meant=np.tile(ids_of(meanings), num_rounds),
        speaker=np.tile(slots, num_rounds),
        group=joined(rounds, np.tile(group, num_rounds)),
        knows=np.tile((meanings >= 0).any(1), num_rounds),
    )


def _groups(team: Team, rollout: Rollout) -> Int[Tensor, "T B N"]:
    """A number for the role and the policy of every agent in every step."""
    if rollout.assignment is None:
        return torch.tensor(ids_of(groups_of_slots(team))).to(rollout.valid.device).expand(rollout.speaking.shape)
    roles = [index for index, role in enumerate(team.layout.roles) for _ in role.agents]
    policies = rollout.assignment[: rollout.num_steps]
    return torch.tensor(roles).to(policies.device) * len(team.layout.policies) + policies


def as_keys(found: Information) -> dict[str, Any]:
    """The numbers of an evaluation, by the names that they have in it."""
    return {
        "entropy_bits": found.entropy_bits,
        "meaning_entropy_bits": found.meaning_entropy_bits,
        "num_meanings": found.num_meanings,
        "mutual_information_bits": found.mutual_information_bits,
        "mutual_information_baseline_bits": found.chance_bits,
        "mutual_information_baseline_95_bits": found.chance_95_bits,
        "mutual_information_p_value": found.p_value,
    }
