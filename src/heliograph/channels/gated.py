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
        self.num_gate_logits = 2
        self.intent_size = inner.intent_size + self.num_gate_logits
        self.vocabulary = 1 + (inner.vocabulary or 1)
        self.length = inner.length if inner.vocabulary else 1
        self.can_be_silent, self.has_fixed_entropy = True, False

    @property
    def scored(self) -> bool:
        """Gates are actions."""
        return True

    def log_prob(self, intent: Tensor, draw: Tree) -> Tensor:
        """That of the gate, and of the message where it is sent and itself an action."""
        found = distributions.categorical_log_prob(intent[..., -2:], draw["gate"])
        if not self.inner.scored:
            return found
        return found + draw["gate"] * self.inner.log_prob(self._meant(intent), draw["said"])

    def entropy(self, intent: Tensor) -> Tensor:
        """That of the gate, and of the message as often as it is sent."""
        found = distributions.categorical_entropy(intent[..., -2:])
        if not self.inner.scored:
            return found
        return found + _chance(intent) * self.inner.entropy(self._meant(intent))

    def symbol_log_probs(self, intent: Tensor) -> Tensor:
        """Of silence, and of each symbol."""
        gates = log_softmax(intent[..., -2:]).unsqueeze(-2)
        closed, opened = gates.expand(*intent.shape[:-1], self.length, 2).chunk(2, -1)
        if self.inner.vocabulary is None:
            return torch.cat([closed, opened], -1)
        return torch.cat([closed, opened + self.inner.symbol_log_probs(self._meant(intent))], -1)

    def expected_payload(self, intent: Tensor) -> Tensor:
        """That of the wrapped channel, as often as it is sent."""
        return _chance(intent).unsqueeze(-1) * self.inner.expected_payload(self._meant(intent))

    def expected_bits(self, intent: Tensor) -> Tensor:
        """Those of the wrapped channel, as often as it is sent."""
        return _chance(intent) * self.inner.expected_bits(self._meant(intent))

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Noise of the wrapped channel, sent half of the time."""
        said = self.inner.babble(self._meant(like), generator=generator)
        gate = torch.randint(2, like.shape[:-1], generator=generator, device=like.device)
        return self._said(said, draw={"gate": gate})

    def _draw(self, intent: Tensor, *, generator: torch.Generator | None, choice: Choice) -> dict[str, Tree]:
        """The gates: 1 where open."""
        return {"gate": distributions.categorical(intent[..., -2:], choice=choice, generator=generator)}

    def _meant(self, intent: Tensor) -> Tensor:
        """All but the gate."""
        return intent[..., :-2]

    def _said(self, message: Message, *, draw: dict[str, Tree]) -> Message:
        """What is said where the gate is open, zeros elsewhere."""
        gate = draw["gate"]
        words = torch.ones_like(gate).unsqueeze(-1) if message.symbols is None else message.symbols + 1
        return Message(
            payload=message.payload * gate.unsqueeze(-1), symbols=words * gate.unsqueeze(-1), bits=message.bits * gate
        )


def _chance(intent: Tensor) -> Tensor:
    """How likely the gate is open."""
    return intent[..., -2:].softmax(-1)[..., 1]
