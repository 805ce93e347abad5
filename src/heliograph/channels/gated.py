"""Gated: speakers choose in each step whether they speak at all."""

import torch
from torch import Tensor

from heliograph import distributions
from heliograph.channels.base import Channel
from heliograph.channels.wrapper import Wrapper
from heliograph.functional import log_softmax
from heliograph.types import Choice, Message, Tree

__all__ = ["Gated"]


class Gated(Wrapper):
    """Wraps a channel: two more logits of each speaker decide whether its message is sent.

    The choice is an action, trained by its log-probability beside whatever gradient the wrapped channel has. A message
    that is not sent arrives as zeros and costs no bits; hearers count its speaker among those that they hear, as in
    IC3Net (Singh, Jain and Sukhbaatar 2019). Symbol 0 is silence; those of the wrapped channel come after it, or 1
    where it has none.
    """

    def __init__(self, inner: Channel):
        super().__init__(inner)
        if inner.ends_words:
            raise ValueError("eos=True: an empty word says nothing already, so no gate is needed; leave 'gated' out")
        self.num_gate_logits, self.is_deterministic = 2, inner.is_deterministic
        self.input_size = inner.input_size + self.num_gate_logits
        self.vocabulary = 1 + (inner.vocabulary or 1)
        self.length = inner.length if inner.vocabulary else 1
        self.can_be_silent, self.has_fixed_entropy = True, False

    @property
    def scored(self) -> bool:
        """Gates are actions."""
        return True

    def log_prob(self, channel_input: Tensor, draw: Tree) -> Tensor:
        """Add the log-probability of the gate and that of the message where it is sent and itself an action."""
        found = distributions.categorical_log_prob(channel_input[..., -2:], draw["gate"])
        if not self.inner.scored:
            return found
        return found + draw["gate"] * self.inner.log_prob(self.inner_input(channel_input), draw["said"])

    def entropy(self, channel_input: Tensor) -> Tensor:
        """Add the entropy of the gate and that of the message as often as it is sent."""
        found = distributions.categorical_entropy(channel_input[..., -2:])
        if not self.inner.scored:
            return found
        return found + _chance(channel_input) * self.inner.entropy(self.inner_input(channel_input))

    def symbol_log_probs(self, channel_input: Tensor) -> Tensor:
        """Log-probabilities of silence, and of each symbol."""
        gates = log_softmax(channel_input[..., -2:]).unsqueeze(-2)
        closed, opened = gates.expand(*channel_input.shape[:-1], self.length, 2).chunk(2, -1)
        if self.inner.vocabulary is None:
            return torch.cat([closed, opened], -1)
        return torch.cat([closed, opened + self.inner.symbol_log_probs(self.inner_input(channel_input))], -1)

    def expected_payload(self, channel_input: Tensor) -> Tensor:
        """Return what the wrapped channel expects, as often as it is sent."""
        return _chance(channel_input).unsqueeze(-1) * self.inner.expected_payload(self.inner_input(channel_input))

    def expected_bits(self, channel_input: Tensor) -> Tensor:
        """Those of the wrapped channel, as often as it is sent."""
        return _chance(channel_input) * self.inner.expected_bits(self.inner_input(channel_input))

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Noise of the wrapped channel, sent half of the time."""
        said = self.inner.babble(self.inner_input(like), generator=generator)
        gate = torch.randint(2, like.shape[:-1], generator=generator, device=like.device)
        return self.change_message(said, draw={"gate": gate})

    def draw_own(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> dict[str, Tree]:
        """The gates: 1 where open."""
        return {"gate": distributions.categorical(channel_input[..., -2:], choice=choice, generator=generator)}

    def spelt(self, symbols: Tensor) -> Tensor:
        """Return what the wrapped channel does, of symbols that come after silence; zeros of silence."""
        said = symbols > 0
        return self.inner.spelt((symbols - 1).clamp(min=0)) * said.any(-1, keepdim=True)

    def inner_input(self, channel_input: Tensor) -> Tensor:
        """All but the gate."""
        return channel_input[..., :-2]

    def change_message(self, message: Message, *, draw: dict[str, Tree]) -> Message:
        """Return what is said where the gate is open, zeros elsewhere."""
        gate = draw["gate"]
        words = torch.ones_like(gate).unsqueeze(-1) if message.symbols is None else message.symbols + 1
        return Message(
            payload=message.payload * gate.unsqueeze(-1), symbols=words * gate.unsqueeze(-1), bits=message.bits * gate
        )


def _chance(channel_input: Tensor) -> Tensor:
    """How likely the gate is open."""
    return channel_input[..., -2:].softmax(-1)[..., 1]
