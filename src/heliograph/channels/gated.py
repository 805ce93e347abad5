"""Gated: speakers choose in each step whether they speak at all."""

import torch
from torch import Tensor

from heliograph import distributions
from heliograph.channels.base import Channel
from heliograph.functional import log_softmax
from heliograph.types import Choice, Message, MessageForm, Tree

__all__ = ["Gated"]


class Gated(Channel):
    """Wraps a channel: two more logits of each speaker decide whether its message is sent.

    The choice is an action, trained by its log-probability beside whatever gradient the wrapped channel has. A message
    that is not sent arrives as zeros and costs no bits; hearers count its speaker among those that they hear, as in
    IC3Net (Singh, Jain and Sukhbaatar 2019). Symbol 0 is silence; those of the wrapped channel come after it, or 1
    where it has none.
    """

    can_be_silent = True

    def __init__(self, inner: Channel):
        super().__init__(
            intent_size=inner.intent_size + 2,
            payload_size=inner.payload_size,
            vocabulary=1 + (inner.vocabulary or 1),
            length=inner.length if inner.vocabulary else 1,
            bits_per_message=inner.bits_per_message,
        )
        self.inner = inner
        self.gradient = inner.gradient

    @property
    def scored(self) -> bool:
        """Gates are actions."""
        return True

    def sample(self, intent: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """The wrapped channel's draw, and the gates: 1 where open."""
        said = self.inner.sample(intent[..., :-2], generator=generator, choice=choice)
        return {"said": said, "gate": distributions.categorical(intent[..., -2:], choice=choice, generator=generator)}

    def send(self, intent: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """What is said where the gate is open, zeros elsewhere."""
        said, state = self.inner.send(intent[..., :-2], draw=draw["said"], form=form, state=state)
        return self._through(said, draw["gate"]), state

    def log_prob(self, intent: Tensor, draw: Tree) -> Tensor:
        """That of the gate, and of the message where it is sent and itself an action."""
        found = distributions.categorical_log_prob(intent[..., -2:], draw["gate"])
        if not self.inner.scored:
            return found
        return found + draw["gate"] * self.inner.log_prob(intent[..., :-2], draw["said"])

    def entropy(self, intent: Tensor) -> Tensor:
        """That of the gate, and of the message as often as it is sent."""
        found = distributions.categorical_entropy(intent[..., -2:])
        if not self.inner.scored:
            return found
        return found + intent[..., -2:].softmax(-1)[..., 1] * self.inner.entropy(intent[..., :-2])

    def symbol_log_probs(self, intent: Tensor) -> Tensor:
        """Of silence, and of each symbol."""
        gates = log_softmax(intent[..., -2:]).unsqueeze(-2)
        closed, opened = gates.expand(*intent.shape[:-1], self.length, 2).chunk(2, -1)
        if self.inner.vocabulary is None:
            return torch.cat([closed, opened], -1)
        return torch.cat([closed, opened + self.inner.symbol_log_probs(intent[..., :-2])], -1)

    def expected_payload(self, intent: Tensor) -> Tensor:
        """That of the wrapped channel, as often as it is sent."""
        return intent[..., -2:].softmax(-1)[..., 1:] * self.inner.expected_payload(intent[..., :-2])

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Noise of the wrapped channel, sent half of the time."""
        said = self.inner.babble(like[..., :-2], generator=generator)
        return self._through(said, torch.randint(2, like.shape[:-1], generator=generator, device=like.device))

    def initial_state(self, num_copies: int, num_agents: int, device: torch.device) -> Tree:
        """That of the wrapped channel."""
        return self.inner.initial_state(num_copies, num_agents, device)

    def schedule(self, num_env_steps: int) -> None:
        """Pass on to the wrapped channel."""
        self.inner.schedule(num_env_steps)

    def _through(self, said: Message, gate: Tensor) -> Message:
        words = torch.ones_like(gate).unsqueeze(-1) if said.symbols is None else said.symbols + 1
        return Message(
            payload=said.payload * gate.unsqueeze(-1), symbols=words * gate.unsqueeze(-1), bits=said.bits * gate
        )
