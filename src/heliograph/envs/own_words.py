"""Words that are a task's own: said as part of an action, and heard in observations, without any channel."""

import dataclasses
import enum
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_choice

__all__ = ["HEARD", "HEARING", "OwnWords", "WordsHeard", "check_words", "heard_instead"]

WORDS = ("channel", "task")
HEARD, HEARING = "heard_words", "hearing_words"
"""Keys of `info`: the words [B, N, V] that hearers get of each agent, and who hears whom [B, N, N]."""


class WordsHeard(enum.StrEnum):
    """Choice of what hearers get of a task's own words: as said, nothing, noise, or those of another episode."""

    SAID = "said"
    NOTHING = "nothing"
    NOISE = "noise"
    RESAMPLED = "resampled"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnWords:
    """Record of how agents speak by their actions: among how many words, and how many moves go with each, by role.

    An action is move + moves x word. Roles that say nothing are left out.
    """

    vocabulary: int
    moves: Mapping[str, int]

    def said(self, actions: Mapping[str, Int[Tensor, "*batch _A"]]) -> Int[Tensor, "*batch N"]:
        """Return the word of each agent, by its action; 0 of those that say nothing."""
        return torch.cat(
            [
                action // self.moves[role] if role in self.moves else torch.zeros_like(action).long()
                for role, action in actions.items()
            ],
            -1,
        )


def check_words(words: str, heard: str) -> bool:
    """Tell whether the task's own words are part of actions and observations; refuses what is none of the choices."""
    check_choice("words", words, valid=WORDS)
    check_choice("heard", heard, valid=[choice.value for choice in WordsHeard])
    if words != "task" and heard != WordsHeard.SAID:
        raise ValueError(
            f"heard={heard!r}: is of the task's own words, words='task'; with words={words!r} leave it out"
        )
    return words == "task"


def heard_instead(
    word: Float[Tensor, "B N V"], heard: WordsHeard, *, speaking: Bool[Tensor, " N"], generator: torch.Generator
) -> Float[Tensor, "B N V"]:
    """Return what arrives of words: none, other ones, or those that the same agents say in another copy.

    Copies are taken to be in step, as episodes of fixed length are; of a single copy all arrives as said.
    """
    if heard is WordsHeard.SAID:
        return word
    if heard is WordsHeard.NOTHING:
        other = torch.zeros_like(word)
    elif heard is WordsHeard.NOISE:
        shape, words = word.shape[:2], word.shape[2]
        drawn = torch.randint(words, shape, generator=generator, device=word.device)
        other = F.one_hot(drawn, words).to(word.dtype)
    else:
        order = torch.rand(len(word), generator=generator, device=word.device).argsort()
        other = torch.empty_like(word).index_copy_(0, order, word[order.roll(1)])
    return torch.where(speaking.view(1, -1, 1), other, word)
