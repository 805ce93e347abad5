"""The contract of a channel: what happens to a message between mouth and ear.

`sample` draws the randomness (recorded in the rollout), `send` is a pure function of intent and draw. For an ACTION
channel the draw is the message itself and `log_prob` scores it; for a PATHWISE channel it is noise and the gradient
passes through `send`.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.types import Choice, Gradient, Message, MessageForm, Tree


class Channel(nn.Module, ABC):
    """A medium that carries `intent_size` numbers in and `payload_size` numbers out for each message.

    `vocabulary` is the number of symbols at each of `length` places, None for a channel without symbols;
    `bits_per_message` is what the execution form of one message costs. Where a speaker `can_be_silent`, symbol 0 is
    silence.
    """

    gradient: Gradient
    can_be_silent = False

    def __init__(
        self, *, intent_size: int, payload_size: int, vocabulary: int | None, length: int, bits_per_message: float
    ):
        super().__init__()
        self.intent_size, self.payload_size = intent_size, payload_size
        self.vocabulary, self.length = vocabulary, length
        self.bits_per_message = bits_per_message

    @property
    def scored(self) -> bool:
        """Whether something in a message is an action, which `log_prob` scores."""
        return self.gradient is Gradient.ACTION

    @property
    def word_size(self) -> int:
        """Numbers in the one-hot form of a message's symbols; 0 where it has none."""
        return (self.vocabulary or 0) * self.length

    @abstractmethod
    def sample(self, intent: Float[Tensor, "*batch N C"], *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """Draw all randomness of one round of messages; what it returns is recorded and replayed."""

    @abstractmethod
    def send(
        self, intent: Float[Tensor, "*batch N C"], *, draw: Tree, form: MessageForm, state: Tree = None
    ) -> tuple[Message, Tree]:
        """Carry the messages; returns them with the channel's next state (None where it has none)."""

    @abstractmethod
    def babble(self, like: Float[Tensor, "*batch N C"], *, generator: torch.Generator | None) -> Message:
        """Messages that look like any other and mean nothing: for garbled twins and noise interventions."""

    def log_prob(self, intent: Float[Tensor, "*batch N C"], draw: Tree) -> Float[Tensor, "*batch N"]:
        """Log-probability of a sampled message in nats; only ACTION channels have one."""
        raise NotImplementedError(f"{type(self).__name__} does not sample its messages as actions")

    def entropy(self, intent: Float[Tensor, "*batch N C"]) -> Float[Tensor, "*batch N"]:
        """Entropy of the message distribution in nats; only ACTION channels have one."""
        raise NotImplementedError(f"{type(self).__name__} does not sample its messages as actions")

    def symbol_log_probs(self, intent: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch L V"]:
        """How likely each symbol is at each place, in training form; only channels with symbols can tell."""
        raise NotImplementedError(f"{type(self).__name__} has no symbols")

    def expected_payload(self, intent: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch P"]:
        """What travels on average, for losses that need a gradient where a sampled message carries none.

        By default the probabilities of one-hot symbols; tanh of the intent on a channel without symbols.
        """
        if self.vocabulary is None:
            return torch.tanh(intent)
        return self.symbol_log_probs(intent).exp().flatten(-2)

    def initial_state(self, num_copies: int, num_agents: int, device: torch.device) -> Tree:
        """State such as queues at the start of an episode; None where a channel has none."""
        return None

    def schedule(self, num_env_steps: int) -> None:
        """Move temperatures and the like to where they belong after so many env steps of training."""


def full_bits(intent: Tensor, bits: float) -> Float[Tensor, "*batch N"]:
    """The same number of bits for every message."""
    return torch.full(intent.shape[:-1], bits, device=intent.device)


__all__ = ["Channel", "full_bits"]
