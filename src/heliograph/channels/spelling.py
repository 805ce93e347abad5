"""Words that are spelt symbol after symbol: where they end, and what is counted of them.

Symbol 0 ends a word. It is said, and costs what a symbol costs; after it nothing is said. Symbols after the end are 0
in tensors, and left out of corpora together with the end itself.
"""

import dataclasses

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.functional import one_hot

__all__ = [
    "END_OF_WORD",
    "HEADS",
    "Spelling",
    "forced",
    "said_places",
    "said_shares",
    "score_of_lengths",
    "up_to_the_end",
    "without_rest",
]

END_OF_WORD = 0
"""The symbol that ends a word, where words end."""
HEADS = 4
"""Of a transformer that spells or reads."""
FORCED = 1e4
"""What a logit gains that is to be the greatest whatever a network puts out."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spelling:
    """How words are spelt: `length` places of a `vocabulary`, the `network` of speaker and listener and its `size`.

    With `ends` a word is over with its first symbol 0.
    """

    network: str
    size: int
    vocabulary: int
    length: int
    ends: bool

    @property
    def guide_size(self) -> int:
        """Numbers in what chooses the symbols of a word, beside their logits."""
        return self.vocabulary * self.length


def said_places(symbols: Int[Tensor, "*batch L"], *, ends: bool) -> Bool[Tensor, "*batch L"]:
    """Return which places of a word are said: up to its first symbol 0, that one included, or all if no word ends."""
    if not ends:
        return torch.ones_like(symbols, dtype=torch.bool)
    over = (symbols == END_OF_WORD).long()
    return over.cumsum(-1) - over == 0


def said_shares(chosen: Float[Tensor, "*batch L V"], *, ends: bool) -> Float[Tensor, "*batch L"]:
    """How much of each place is said, where symbols may be relaxed: the product of what earlier ones leave of the word.

    Of one-hot symbols it is `said_places`; the gradient passes.
    """
    shares = torch.ones_like(chosen[..., 0])
    if not ends:
        return shares
    left = (1 - chosen[..., :-1, END_OF_WORD]).cumprod(-1)
    return torch.cat([shares[..., :1], left], -1)


def without_rest(symbols: Int[Tensor, "*batch L"], *, ends: bool) -> Int[Tensor, "*batch L"]:
    """The same words with symbol 0 at all places after the end."""
    return torch.where(said_places(symbols, ends=ends), symbols, END_OF_WORD)


def up_to_the_end(word: list[int], *, ends: bool) -> list[int]:
    """Return what was said of a word before its end, as it is shown and recorded."""
    return word[: word.index(END_OF_WORD)] if ends and END_OF_WORD in word else word


def forced(symbols: Int[Tensor, "*batch L"], vocabulary: int) -> Float[Tensor, "*batch L V"]:
    """The guide by which these symbols are chosen, whatever their logits."""
    return FORCED * one_hot(symbols, vocabulary)


def score_of_lengths(log_probs: Float[Tensor, "*batch L"], said: Bool[Tensor, "*batch L"]) -> Float[Tensor, "*batch"]:
    """A term of value 0 whose gradient is that of the expected number of symbols in a word (score function).

    Each symbol answers for those that come after it, less a baseline of its place: what comes on average after it in
    the other words that reach it (Williams 1992; leave-one-out, so that no word is its own baseline).
    """
    places = said.float()
    later = places.flip(-1).cumsum(-1).flip(-1) - places
    rows, weight = later.reshape(-1, later.shape[-1]), places.reshape(-1, places.shape[-1])
    total, number = (rows * weight).sum(0), weight.sum(0)
    others = (total - rows) / (number - 1).clamp(min=1)
    advantage = torch.where(number > 1, rows - others, 0.0).view_as(later)
    score = (log_probs * advantage.detach() * places).sum(-1)
    return score - score.detach()
