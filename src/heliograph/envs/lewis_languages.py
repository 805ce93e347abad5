"""Scripted senders and receivers for Lewis games, compositional, holistic or by chance, with their exact scores.

Pass what `scripted` returns as the function of the model `scripted`, on the channel `symbols`.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.discrimination import DiscriminationGame
from heliograph.envs.lewis_game import LewisGame
from heliograph.envs.lewis_naming import NamingGame
from heliograph.envs.lewis_objects import Objects
from heliograph.models.scripted import ScriptedOutput, say_symbol
from heliograph.types import Heard, Inputs, Tree

__all__ = ["LewisCode", "LewisScript", "compositional", "exact_return_of", "holistic", "random_code", "scripted"]

MAX_WORDS = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class LewisCode:
    """A word of L symbols below `vocabulary` for every object of a game, by number."""

    words: Int[Tensor, "M L"]
    vocabulary: int

    def __post_init__(self) -> None:
        if self.vocabulary ** self.words.shape[1] > MAX_WORDS:
            raise ValueError(
                f"vocabulary={self.vocabulary}, length={self.words.shape[1]}: more than {MAX_WORDS} words; take fewer "
                "symbols or shorter words"
            )

    @property
    def channel_settings(self) -> dict[str, Any]:
        """Settings of the channel `symbols` that carries these words."""
        return {"vocabulary": self.vocabulary, "length": self.words.shape[1]}

    @property
    def num_words(self) -> int:
        """Return how many different words there could be."""
        return int(self.vocabulary ** self.words.shape[1])

    def number_of(self, words: Int[Tensor, "*batch L"]) -> Int[Tensor, "*batch"]:
        """Words by number: their symbols are its digits."""
        places = self.vocabulary ** torch.arange(words.shape[-1] - 1, -1, -1, device=words.device)
        return (words * places).sum(-1)


def compositional(objects: Objects) -> LewisCode:
    """Position z of a word says attribute z."""
    return LewisCode(words=objects.attributes, vocabulary=objects.num_values)


def holistic(objects: Objects, *, seed: int = 0) -> LewisCode:
    """The words of the compositional language, dealt out at random: one for each combination, and no structure."""
    kinds, kind_of = objects.attributes.unique(dim=0, return_inverse=True)
    dealt = torch.from_numpy(np.random.RandomState(seed).permutation(len(kinds))).to(kinds.device)
    return LewisCode(words=kinds[dealt][kind_of], vocabulary=objects.num_values)


def random_code(objects: Objects, *, vocabulary: int, length: int = 1, seed: int = 0) -> LewisCode:
    """A word for each combination that is drawn from all words, so that several may share one."""
    check_positive("vocabulary", vocabulary)
    check_positive("length", length)
    kinds, kind_of = objects.attributes.unique(dim=0, return_inverse=True)
    drawn = np.random.RandomState(seed).randint(vocabulary, size=(len(kinds), length))
    return LewisCode(words=torch.from_numpy(drawn).to(kinds.device)[kind_of], vocabulary=vocabulary)


def scripted(game: LewisGame[Any], *, sender: LewisCode, receiver: LewisCode | None) -> "LewisScript":
    """A team in which senders speak one language and receivers understand one; None answers by chance.

    Raises ValueError where players see pictures as images, which scripts do not read.
    """
    if game.observation != "flat":
        raise ValueError(f"observation={game.observation!r}: scripts read flat observations; take 'flat'")
    if receiver is not None and receiver.channel_settings != sender.channel_settings:
        raise ValueError(
            f"the sender has {sender.channel_settings} and the receiver {receiver.channel_settings}: both must use the "
            "same channel"
        )
    return LewisScript(game=game, sender=sender, receiver=receiver)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LewisScript:
    """Record of what `scripted` returns: senders and receivers in one, told apart by what they see."""

    game: LewisGame[Any]
    sender: LewisCode
    receiver: LewisCode | None

    def __call__(self, inputs: Inputs, memory: Tree, heard: Heard | None) -> ScriptedOutput:
        """Say the word for the object that is seen, and answer by the word that is heard."""
        seen, size = inputs.observation, self.game.objects.flat_size
        seen = seen[..., 2:] if self.game.exchange else seen
        speaks = self.game.exchange or seen.shape[-1] == size
        answers = self.game.exchange or not speaks
        lead, length = seen.shape[:-1], self.sender.words.shape[1]
        said = seen.new_zeros(*lead, length * self.sender.vocabulary)
        if speaks:
            words = self.sender.words[self._objects_in(seen[..., :size])]
            said = say_symbol(words, self.sender.vocabulary).flatten(-2)
        act = seen.new_zeros(*lead, _num_action_inputs(self.game.answer_space) if answers else 1)
        if answers and self.receiver is not None and heard is not None:
            act = self._answer(seen[..., size:] if self.game.exchange else seen, heard.total())
        return ScriptedOutput(action_inputs=act, channel_input=said, memory=memory)

    def _objects_in(self, seen: Tensor) -> Int[Tensor, "*batch"]:
        """The number of the object that looks most like what is seen."""
        looks = self.game.objects.flat(torch.arange(self.game.objects.num_objects, device=seen.device))
        return (2 * seen @ looks.T - looks.square().sum(-1)).argmax(-1)

    def _answer(self, seen: Tensor, payload: Tensor) -> Tensor:
        assert self.receiver is not None
        symbols = payload.unflatten(-1, (-1, self.receiver.vocabulary)).argmax(-1)
        word = self.receiver.number_of(symbols)
        if isinstance(self.game, NamingGame):
            answer = _answers(self.game, self.receiver)[word]
            size = _num_action_inputs(self.game.answer_space) // answer.shape[-1]
            return say_symbol(answer, size).flatten(-2)
        offered = self._objects_in(seen.unflatten(-1, (self.game.num_offered, -1)))
        fits = self.receiver.number_of(self.receiver.words[offered]) == word[..., None]
        return say_symbol(fits.long(), 2)[..., 1]


def exact_return_of(game: LewisGame[Any], *, sender: LewisCode, receiver: LewisCode | None) -> float:
    """The mean return of such a team, exactly, over all objects of the split and all sets of candidates.

    Among candidates a receiver chooses one whose word it heard, any with equal probability, and any at all where none
    fits. Without a candidate in sight it gives the answer that is best over all objects with that word.
    """
    if receiver is None:
        return game.rounds * game.chances()[0]
    if isinstance(game, DiscriminationGame):
        return game.rounds * _mean_of_sets(game, sender, receiver)
    assert isinstance(game, NamingGame)
    drawn = game.objects.in_split
    answers = _answers(game, receiver)[receiver.number_of(sender.words[drawn])]
    return game.rounds * game.score(answers == game.answer_of(drawn)).double().mean().item()


def _num_action_inputs(space: spaces.Discrete | spaces.MultiDiscrete) -> int:
    return int(space.nvec.sum()) if isinstance(space, spaces.MultiDiscrete) else int(space.n)


def _answers(game: NamingGame, language: LewisCode) -> Int[Tensor, "W D"]:
    """The best answer to each word, over all objects that are called so; zeros for words that nothing is called."""
    word = language.number_of(language.words)
    truth = game.answer_of(torch.arange(len(word), device=word.device))
    if game.additive or truth.shape[1] == 1:
        votes = F.one_hot(truth, game.objects.num_values)
        counts = votes.new_zeros(language.num_words, *votes.shape[1:]).index_add_(0, word, votes)
        return counts.argmax(-1)
    first = word.new_full((language.num_words,), len(word))
    first.scatter_reduce_(0, word, torch.arange(len(word), device=word.device), "amin")
    return torch.where((first < len(word))[:, None], truth[first.clamp(max=len(word) - 1)], 0)


def _mean_of_sets(game: DiscriminationGame, sender: LewisCode, receiver: LewisCode) -> float:
    """The mean score over groups of candidates and their members, each of which is the object equally often."""
    groups, total = game.groups, 0.0
    example = groups.objects[groups.begin]
    called, understood = (lang.number_of(lang.words[example]) for lang in (sender, receiver))
    for members, size in zip(groups.members, groups.size.tolist(), strict=True):
        kinds = members[:size]
        fits = understood[kinds] == called[kinds][:, None]
        own = fits.diagonal()
        for is_own, number in zip(own.tolist(), (fits.sum(1) - own.long()).tolist(), strict=True):
            total += _chance(is_own, others=number, of=size - 1, drawn=game.candidates - 1)
    return total / int(groups.ends[-1])


def _chance(own: bool, *, others: int, of: int, drawn: int) -> float:
    """The probability that the object is chosen, where so many others fit the word out of which some are drawn."""
    ways = math.comb(of, drawn)
    if not own:
        return math.comb(of - others, drawn) / ways / (drawn + 1)
    fitting = range(max(0, drawn - (of - others)), min(others, drawn) + 1)
    return sum(math.comb(others, k) * math.comb(of - others, drawn - k) / (1 + k) for k in fitting) / ways
