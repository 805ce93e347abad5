"""Garbled: every message is replaced by noise of its own kind (the garbled twin)."""

import torch
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.types import Choice, Message, MessageForm, Tree

__all__ = ["Garbled"]


class Garbled(Channel):
    """Wraps a channel: speakers speak and are read as ever, but hearers get noise that carries no meaning.

    Trained on the budget of the real team it is the control for everything that a channel adds beside meaning:
    parameters, randomness, gradients. `symbols` and `bits` of its messages are those that were said.
    """

    def __init__(self, inner: Channel):
        super().__init__(
            intent_size=inner.intent_size,
            payload_size=inner.payload_size,
            vocabulary=inner.vocabulary,
            length=inner.length,
            bits_per_message=inner.bits_per_message,
        )
        self.inner = inner
        self.gradient = inner.gradient
        self.can_be_silent = inner.can_be_silent

    @property
    def scored(self) -> bool:
        """As the wrapped channel."""
        return self.inner.scored

    def sample(self, intent: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """The wrapped channel's draw, and the noise that is heard."""
        said = self.inner.sample(intent, generator=generator, choice=choice)
        return {"said": said, "heard": self.inner.babble(intent, generator=generator).payload}

    def send(self, intent: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """What was said, with the payload replaced."""
        said, state = self.inner.send(intent, draw=draw["said"], form=form, state=state)
        return Message(payload=draw["heard"], symbols=said.symbols, bits=said.bits), state

    def log_prob(self, intent: Tensor, draw: Tree) -> Tensor:
        """That of what was said."""
        return self.inner.log_prob(intent, draw["said"])

    def entropy(self, intent: Tensor) -> Tensor:
        """That of the wrapped channel."""
        return self.inner.entropy(intent)

    def symbol_log_probs(self, intent: Tensor) -> Tensor:
        """That of the wrapped channel."""
        return self.inner.symbol_log_probs(intent)

    def expected_payload(self, intent: Tensor) -> Tensor:
        """That of the wrapped channel."""
        return self.inner.expected_payload(intent)

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """That of the wrapped channel."""
        return self.inner.babble(like, generator=generator)

    def initial_state(self, num_copies: int, num_agents: int, device: torch.device) -> Tree:
        """That of the wrapped channel."""
        return self.inner.initial_state(num_copies, num_agents, device)

    def schedule(self, num_env_steps: int) -> None:
        """Pass on to the wrapped channel."""
        self.inner.schedule(num_env_steps)
