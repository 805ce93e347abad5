"""Speakers and listeners of words that are spelt symbol after symbol, for the hidden state of any model."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.channels.base import Channel
from heliograph.channels.spelling import HEADS, Spelling
from heliograph.models.base import Model

__all__ = ["NETWORKS", "SymbolReader", "build_listener", "build_speaker"]

LEAST_SHARE = 1e-9

Choose = Callable[[Tensor], Tensor]
"""Makes symbols `[*, V]` of their logits with the guide added."""


class Speaker(nn.Module, ABC):
    """Spells words: a symbol at a time, each given what the model has to say and the symbols before it.

    It puts out what the channel takes: the logits of all places, the guide that chose among them, and further numbers
    where wrappers of the channel ask for some.
    """

    def __init__(self, spelling: Spelling, *, num_more: int):
        super().__init__()
        self.spelling, self.num_more = spelling, num_more

    def forward(
        self, features: Float[Tensor, "*batch I"], *, guide: Float[Tensor, "*batch L V"], choose: Choose
    ) -> Float[Tensor, "*batch C"]:
        """Say a word: at each place `choose(logits + guide)`, where a word may be chosen in advance by its guide."""
        logits, more = self.spell(features, guide=guide, choose=choose)
        return torch.cat([logits.flatten(-2), guide.flatten(-2), more], -1)

    @abstractmethod
    def spell(self, features: Tensor, *, guide: Tensor, choose: Choose) -> tuple[Tensor, Tensor]:
        """Logits of all places, and the further numbers."""


@final
class SymbolReader(nn.Module):
    """A GRU or LSTM cell that reads symbols, relaxed ones too, each embedded in as many numbers as it has units.

    A symbol passes embedding and input weights in one table of the vocabulary, which is all that differs from
    `nn.GRUCell` over an embedding: with few symbols most of the work of the input side is gone.
    """

    def __init__(self, spelling: Spelling):
        super().__init__()
        self.embedding = nn.Linear(spelling.vocabulary, spelling.size, bias=False)
        self.cell = CELLS[spelling.network](spelling.size, spelling.size)
        self.has_cell_state = spelling.network == "lstm"

    def prepared(self, embedded: Float[Tensor, "*batch H"]) -> Float[Tensor, "*batch G"]:
        """The input side of all gates, of an embedded symbol."""
        return F.linear(embedded, self.cell.weight_ih, self.cell.bias_ih)

    def read(self, symbols: Float[Tensor, "*batch V"]) -> Float[Tensor, "*batch G"]:
        """The input side of all gates, of symbols."""
        return F.linear(symbols, self.cell.weight_ih @ self.embedding.weight, self.cell.bias_ih)

    def begun(self, hidden: Float[Tensor, "n H"]) -> Any:
        """The state at the beginning of a word."""
        return (hidden, torch.zeros_like(hidden)) if self.has_cell_state else hidden

    def forward(self, read: Float[Tensor, "n G"], state: Any) -> Any:
        """The state after a symbol."""
        recurrent = F.linear(_hidden(state), self.cell.weight_hh, self.cell.bias_hh)
        if self.has_cell_state:
            entry, forget, fresh, out = (read + recurrent).chunk(4, -1)
            cell = forget.sigmoid() * state[1] + entry.sigmoid() * torch.tanh(fresh)
            return out.sigmoid() * torch.tanh(cell), cell
        size = recurrent.shape[-1] // 3
        reset, keep = (read[..., : 2 * size] + recurrent[..., : 2 * size]).sigmoid().chunk(2, -1)
        fresh = torch.tanh(read[..., 2 * size :] + reset * recurrent[..., 2 * size :])
        return fresh + keep * (state - fresh)


@final
class RecurrentSpeaker(Speaker):
    """A GRU or LSTM whose first state is made of the features, and whose inputs are the symbols said so far."""

    def __init__(self, features: int, spelling: Spelling, *, num_more: int):
        super().__init__(spelling, num_more=num_more)
        self.begin = nn.Linear(features, spelling.size)
        self.first = nn.Parameter(0.01 * torch.randn(spelling.size))
        self.reader = SymbolReader(spelling)
        self.head = nn.Linear(spelling.size, spelling.vocabulary)
        self.more = nn.Linear(features, num_more) if num_more else None

    def spell(self, features: Tensor, *, guide: Tensor, choose: Choose) -> tuple[Tensor, Tensor]:
        """A symbol for each step of the network."""
        rows = features.reshape(-1, features.shape[-1])
        guides = guide.reshape(len(rows), *guide.shape[-2:]).unbind(1)
        state, logits = self.reader.begun(torch.tanh(self.begin(rows))), list[Tensor]()
        read = self.reader.prepared(self.first).expand(len(rows), -1)
        for place, of_place in enumerate(guides):
            state = self.reader(read, state)
            logits.append(self.head(_hidden(state)))
            if place + 1 < len(guides):
                read = self.reader.read(choose(logits[-1] + of_place))
        more = rows[:, :0] if self.more is None else self.more(rows)
        lead = features.shape[:-1]
        return torch.stack(logits, 1).view(*lead, *guide.shape[-2:]), more.view(*lead, self.num_more)


@final
class RecurrentListener(nn.Module):
    """A GRU or LSTM that reads a word up to its end; its last state becomes message features."""

    def __init__(self, features: int, spelling: Spelling):
        super().__init__()
        self.spelling = spelling
        self.reader = SymbolReader(spelling)
        self.out = nn.Linear(spelling.size, features)

    def forward(self, payload: Float[Tensor, "*batch P"]) -> Float[Tensor, "*batch I"]:
        """Read words; a place that is said in part moves the state in part."""
        rows, shares = _read(payload, self.spelling)
        read = self.reader.read(rows)
        state = self.reader.begun(rows.new_zeros(len(rows), self.spelling.size))
        for place in range(self.spelling.length):
            after = self.reader(read[:, place], state)
            state = _moved(state, after, shares[:, place : place + 1]) if self.spelling.ends else after
        return self.out(_hidden(state)).view(*payload.shape[:-1], -1)


@final
class TransformerSpeaker(Speaker):
    """A causal transformer of one layer over the features and the symbols said so far."""

    def __init__(self, features: int, spelling: Spelling, *, num_more: int):
        super().__init__(spelling, num_more=num_more)
        self.begin = nn.Linear(features, spelling.size)
        self.embedding = nn.Linear(spelling.vocabulary, spelling.size, bias=False)
        self.places = nn.Parameter(0.02 * torch.randn(spelling.length, spelling.size))
        self.layer = _layer(spelling.size)
        self.head = nn.Linear(spelling.size, spelling.vocabulary)
        self.more = nn.Linear(features, num_more) if num_more else None

    def spell(self, features: Tensor, *, guide: Tensor, choose: Choose) -> tuple[Tensor, Tensor]:
        """A symbol for each pass over what was said before it."""
        rows = features.reshape(-1, features.shape[-1])
        guides = guide.reshape(len(rows), *guide.shape[-2:]).unbind(1)
        tokens, logits = [self.begin(rows)], list[Tensor]()
        for place, of_place in enumerate(guides):
            sequence = torch.stack(tokens, 1) + self.places[: place + 1]
            later = torch.full((place + 1, place + 1), -torch.inf, device=rows.device).triu(1)
            logits.append(self.head(self.layer(sequence, src_mask=later)[:, -1]))
            if place + 1 < len(guides):
                tokens.append(self.embedding(choose(logits[-1] + of_place)))
        more = rows[:, :0] if self.more is None else self.more(rows)
        lead = features.shape[:-1]
        return torch.stack(logits, 1).view(*lead, *guide.shape[-2:]), more.view(*lead, self.num_more)


@final
class TransformerListener(nn.Module):
    """A transformer of one layer over a word up to its end; the mean of what it puts out becomes message features."""

    def __init__(self, features: int, spelling: Spelling):
        super().__init__()
        self.spelling = spelling
        self.embedding = nn.Linear(spelling.vocabulary, spelling.size, bias=False)
        self.places = nn.Parameter(0.02 * torch.randn(spelling.length, spelling.size))
        self.layer = _layer(spelling.size)
        self.out = nn.Linear(spelling.size, features)

    def forward(self, payload: Float[Tensor, "*batch P"]) -> Float[Tensor, "*batch I"]:
        """Read words; a place that is said in part is attended to in part."""
        rows, shares = _read(payload, self.spelling)
        length = self.spelling.length
        unsaid = shares.clamp(min=LEAST_SHARE).log().unsqueeze(1).expand(-1, length, -1)
        mask = unsaid.repeat_interleave(HEADS, 0)
        read = self.layer(self.embedding(rows) + self.places, src_mask=mask)
        mean = (read * shares.unsqueeze(-1)).sum(1) / shares.sum(1, keepdim=True).clamp(min=LEAST_SHARE)
        return self.out(mean).view(*payload.shape[:-1], -1)


@final
class GivenWords(Speaker):
    """Says the logits that a script puts out, whatever symbols come of those before."""

    def spell(self, features: Tensor, *, guide: Tensor, choose: Choose) -> tuple[Tensor, Tensor]:
        """The features as they are."""
        size = self.spelling.guide_size
        return features[..., :size].unflatten(-1, guide.shape[-2:]), features[..., size:]


CELLS: dict[str, Any] = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}
NETWORKS = (*CELLS, "transformer")
"""What may spell words."""


def build_speaker(model: Model, channel: Channel) -> nn.Module:
    """The message encoder of a policy: its model's own, or on a channel of spelt words one that spells them."""
    spelling = channel.spelling
    if spelling is None:
        return model.build_message_encoder(channel.input_size)
    num_more = channel.input_size - 2 * spelling.guide_size
    if not model.trainable:
        return GivenWords(spelling, num_more=num_more)
    made = RecurrentSpeaker if spelling.network in CELLS else TransformerSpeaker
    return made(model.message_size, spelling, num_more=num_more)


def build_listener(model: Model, channel: Channel) -> nn.Module:
    """The message decoder of a policy: its model's own, or on a channel of spelt words one that reads them."""
    if channel.spelling is None or not model.trainable:
        return model.build_message_decoder(channel.payload_size)
    made = RecurrentListener if channel.spelling.network in CELLS else TransformerListener
    return made(model.message_size, channel.spelling)


def _layer(size: int) -> nn.TransformerEncoderLayer:
    """A layer that keeps off PyTorch's fast path, which reads a mask of numbers as one of yes and no.

    That path takes a ReLU by the names `nn.functional.relu` and `"relu"` alone.
    """
    settings: dict[str, Any] = {"dropout": 0.0, "batch_first": True, "norm_first": True}
    return nn.TransformerEncoderLayer(size, HEADS, 2 * size, activation=torch.relu, **settings)


def _read(payload: Tensor, spelling: Spelling) -> tuple[Float[Tensor, "n L V"], Float[Tensor, "n L"]]:
    """The symbols of words, a row each, and how much of each place is said."""
    rows = payload.reshape(-1, spelling.length, spelling.vocabulary)
    return rows, rows.sum(-1)


def _hidden(state: Any) -> Tensor:
    return state[0] if isinstance(state, tuple) else state


def _moved(before: Any, after: Any, share: Tensor) -> Any:
    if isinstance(before, tuple):
        return tuple(one + share * (other - one) for one, other in zip(before, after, strict=True))
    return before + share * (after - before)
