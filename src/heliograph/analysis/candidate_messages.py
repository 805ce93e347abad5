"""Messages that could have been said in the place of one that was: every word of a channel, or some of its vectors."""

import dataclasses
import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.channels.spelling import END_OF_WORD
from heliograph.rollouts.rollout import Rollout
from heliograph.types import Message

__all__ = ["MOST_WORDS", "Candidates", "candidates_of", "payload_of_words", "words_of_channel"]

MOST_WORDS = 64
"""Words that are asked about at most, unless they are named; of vectors, those that are drawn from what was said."""
MOST_DRAWS = 100


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Messages by what travels (`payload`) and by their symbols; `words` is None where messages are vectors."""

    payload: Float[Tensor, "W P"]
    words: Int[Tensor, "W L"] | None

    def __len__(self) -> int:
        return len(self.payload)

    def index_of(self, message: Message, sender: int) -> Int[Tensor, "*batch"]:
        """Return which of them a sender's messages [..., N, *] are; -1 for none."""
        table, said = self.payload, message.payload[..., sender, :]
        if self.words is not None and message.symbols is not None:
            table, said = self.words, message.symbols[..., sender, :]
        same = (said.unsqueeze(-2) == table).all(-1)
        return torch.where(same.any(-1), same.double().argmax(-1), -1)


def candidates_of(
    channel: Channel, rollouts: Sequence[Rollout], *, sender: int, words: Sequence[Sequence[int]] | None, seed: int,
    round_index: int,
) -> Candidates:  # fmt: skip
    """Every word of a channel (or `words`); of a channel of vectors some that this sender said, drawn from `seed`.

    Raises ValueError where there are more than `MOST_WORDS` words and none are named, for words that the channel cannot
    carry, where what is heard is noise whatever was said, and where nothing was said.
    """
    if channel.is_garbled:
        raise ValueError("the channel is garbled: hearers get noise whatever is said, so no message has an effect")
    if channel.alphabet is None:
        if words is not None:
            raise ValueError("messages are vectors: they have no words, so leave words= out")
        return Candidates(
            payload=_vectors_said(rollouts, sender=sender, seed=seed, round_index=round_index), words=None
        )
    named = words_of_channel(channel) if words is None else _checked(channel, words)
    return Candidates(payload=payload_of_words(channel, named, seed=seed), words=named)


def words_of_channel(channel: Channel) -> Int[Tensor, "W L"]:
    """All words of a channel of symbols, silence first where its speakers can be silent."""
    size, first = int(channel.alphabet or 0), int(channel.can_be_silent)
    number = _number_ending(channel) if channel.ends_words else size**channel.length + first
    if number > MOST_WORDS:
        raise ValueError(
            f"the channel has {number} words, more than {MOST_WORDS}: name some, as in words=[[0, 1], [2, 3]]"
        )
    if channel.ends_words:
        return torch.tensor(_ending_words(channel))
    symbols = range(first, first + size)
    silence = [(0,) * channel.length] if first else []
    return torch.tensor([*silence, *itertools.product(symbols, repeat=channel.length)])


def _number_ending(channel: Channel) -> int:
    """Number of words of up to `length` symbols, the end not counted."""
    return sum((int(channel.vocabulary or 0) - 1) ** number for number in range(channel.length + 1))


def _ending_words(channel: Channel) -> list[tuple[int, ...]]:
    """All of them, the shortest first, with symbol 0 at the places after their end."""
    symbols = range(1, int(channel.vocabulary or 0))
    return [
        (*word, *[END_OF_WORD] * (channel.length - number))
        for number in range(channel.length + 1)
        for word in itertools.product(symbols, repeat=number)
    ]


def _checked(channel: Channel, words: Sequence[Sequence[int]]) -> Int[Tensor, "W L"]:
    first, top = int(channel.can_be_silent), int(channel.alphabet or 0) + int(channel.can_be_silent)
    for word in words:
        silent = bool(first) and not any(word)
        if len(word) != channel.length or not (silent or all(first <= symbol < top for symbol in word)):
            raise ValueError(f"words holds {list(word)}: must be {channel.length} symbols from {first} to {top - 1}")
        if channel.ends_words and any(word[list(word).index(0) :] if 0 in word else ()):
            raise ValueError(f"words holds {list(word)}: symbol 0 ends a word, so only 0 may follow it")
    if not len(words):
        raise ValueError("words=[]: name at least one")
    return torch.tensor([list(word) for word in words])


def payload_of_words(channel: Channel, words: Int[Tensor, "W L"], *, seed: int) -> Float[Tensor, "W P"]:
    """Return what travels for each word: that of some word that the channel makes up, moved on to this one."""
    device = next((buffer.device for buffer in channel.buffers()), torch.device("cpu"))
    if channel.spelling is not None:
        return channel.spelt(words.to(device))
    generator, words = torch.Generator(device=device).manual_seed(seed), words.to(device)
    like = torch.zeros(1, 1, channel.input_size, device=device)
    made = _made_up(channel, like, generator)
    assert made.symbols is not None
    shift = (words - made.symbols[0]).remainder(int(channel.alphabet or 1))
    moved = channel.shifted(made.payload[0].expand(len(words), -1), shift)
    silent = (words == 0).all(-1, keepdim=True) & bool(channel.can_be_silent)
    return torch.where(silent, 0.0, moved)


def _made_up(channel: Channel, like: Float[Tensor, "1 1 C"], generator: torch.Generator) -> Message:
    """Some message with symbols that is not silence."""
    for _ in range(MOST_DRAWS):
        made = channel.babble(like, generator=generator)
        if made.symbols is not None and (not channel.can_be_silent or bool((made.symbols > 0).all())):
            return made
    raise ValueError(f"{type(channel).__name__} makes up no message with symbols: its words cannot be told apart")


def _vectors_said(
    rollouts: Sequence[Rollout], *, sender: int, seed: int, round_index: int
) -> Float[Tensor, "W P"]:  # fmt: skip
    said = [
        rollout.messages[round_index].payload[..., sender, :][rollout.speaking[..., sender] & rollout.valid]
        for rollout in rollouts
    ]
    vectors = torch.cat(said).unique(dim=0)
    if not len(vectors):
        raise ValueError("the sender said nothing in these episodes: play more, or ask about another")
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))
    return vectors[order[:MOST_WORDS].to(vectors.device)]
