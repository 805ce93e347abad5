"""The contract of a channel: what happens to a message between its encoder and its decoder.

`sample` draws the randomness (recorded in the rollout), `send` is a pure function of channel input and draw. For an
ACTION channel the draw is the message itself and `log_prob` scores it; for a PATHWISE channel it is noise and the
gradient passes through `send`. What `send` returns has been said; `transit` decides which of it arrives, and when.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from heliograph.channels.spelling import Spelling
from heliograph.renamed import MEMBERS, RenamedAttribute, rename_members, renamed
from heliograph.types import Arrivals, Choice, Gradient, Message, MessageForm, Tree


class Channel(nn.Module, ABC):
    """A medium that carries `input_size` numbers in and `payload_size` numbers out for each message.

    `vocabulary` is the number of symbols at each of `length` places, None for a channel without symbols;
    `bits_per_message` is what the execution form of one message costs. Where a speaker `can_be_silent`, symbol 0 is
    silence.
    """

    gradient: Gradient
    can_be_silent = False
    ends_words = False
    """Whether symbol 0 ends a word, so that speakers say as much as they like: see `heliograph.channels.spelling`."""
    spelling: Spelling | None = None
    """How words are spelt, where each symbol is chosen when those before it are known; None where it is not so.

    A channel input then holds logits and, beside them, the guide that chose symbols by them.
    """
    is_deterministic = False
    """Whether nothing is random in greedy messages in execution form, on their way too; False where it is not known."""
    num_gate_logits = 0
    """How many of the last numbers of a channel input are logits of whether the message is sent at all."""
    has_fixed_entropy = False
    """Whether messages that are sampled as actions are as random whatever is said, so that no entropy can be learnt."""
    is_garbled = False
    """Whether what is heard is noise, whatever was said: a control."""
    delay_env_steps = 0
    """How many env steps after it was said a message arrives, if it arrives."""
    anneal_env_steps = 0
    """How many env steps of training what moves by `schedule` takes; 0 where nothing moves."""
    settings_of_odds: tuple[str, ...] = ()
    """Settings that nothing but `symbol_log_probs` and `expected_payload` read, both of which are for losses."""

    intent_size = RenamedAttribute("input_size")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        rename_members(cls, MEMBERS["Channel"])

    @renamed
    def __init__(
        self, *, input_size: int, payload_size: int, vocabulary: int | None, length: int, bits_per_message: float
    ):
        super().__init__()
        self.input_size, self.payload_size = input_size, payload_size
        self.vocabulary, self.length = vocabulary, length
        self.bits_per_message = bits_per_message

    @classmethod
    def idle(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Settings that change nothing beside the others, and why; `settings` holds them all, defaults too."""
        return {}

    @property
    def scored(self) -> bool:
        """True if something in a message is an action, which `log_prob` scores."""
        return self.gradient is Gradient.ACTION

    @property
    def word_size(self) -> int:
        """Numbers in the one-hot form of a message's symbols; 0 where it has none."""
        return (self.vocabulary or 0) * self.length

    @property
    def script_size(self) -> int:
        """Numbers that whoever says something by hand puts out: a channel input without the guide of its words."""
        return self.input_size - (0 if self.spelling is None else self.spelling.guide_size)

    @property
    def can_say_less(self) -> bool:
        """True if speakers decide how many bits their messages cost."""
        return self.can_be_silent or self.ends_words

    @property
    def alphabet(self) -> int | None:
        """Number of symbols that noise can mistake for one another at each place: all but silence.

        None without symbols.
        """
        return self.vocabulary

    @abstractmethod
    def sample(
        self, channel_input: Float[Tensor, "*batch N C"], *, generator: torch.Generator | None, choice: Choice
    ) -> Tree:
        """Draw all randomness of one round of messages; what it returns is recorded and replayed."""

    @abstractmethod
    def send(
        self, channel_input: Float[Tensor, "*batch N C"], *, draw: Tree, form: MessageForm, state: Tree = None
    ) -> tuple[Message, Tree]:
        """Carry the messages; returns them with the channel's next state (None where it has none)."""

    def ahead(
        self, lead: tuple[int, ...], *, device: torch.device, generator: torch.Generator | None, choice: Choice
    ) -> Float[Tensor, "*batch L V"]:
        """Draw a guide, by which symbols are chosen one after the other; only channels with a `spelling` have one."""
        raise NotImplementedError(f"{type(self).__name__} does not spell its words")

    def guide(self, draw: Tree) -> Float[Tensor, "*batch L V"]:
        """The guide by which a word is spelt again as it was drawn."""
        raise NotImplementedError(f"{type(self).__name__} does not spell its words")

    def choose(self, perturbed: Float[Tensor, "*batch V"], *, form: MessageForm) -> Float[Tensor, "*batch V"]:
        """The symbol that logits and guide choose together at a place, in the form in which a speaker is told it."""
        raise NotImplementedError(f"{type(self).__name__} does not spell its words")

    def spelt(self, symbols: Int[Tensor, "*batch L"]) -> Float[Tensor, "*batch P"]:
        """Return what travels of given words in execution form; only channels with a `spelling` can tell."""
        raise NotImplementedError(f"{type(self).__name__} does not spell its words")

    @abstractmethod
    def babble(self, like: Float[Tensor, "*batch N C"], *, generator: torch.Generator | None) -> Message:
        """Messages that look like any other and mean nothing: for random-message controls and noise interventions."""

    def draw_of_arrivals(self, draw: Tree) -> Tree:
        """The part of a draw that decides what arrives: all that is kept of it where messages themselves are kept."""
        return None if type(self).transit is Channel.transit else draw

    def transit(
        self, message: Message, *, speaking: Bool[Tensor, "B N"], draw: Tree, state: Tree = None, round_index: int = 0
    ) -> tuple[Arrivals, Tree]:
        """Return which messages arrive now, of those that were said now and before; by default all of those said now.

        `message` is what was said in this round, by whom `speaking` tells. Returns them with the next state. What does
        not arrive replaces nothing: an older message that was not read yet still waits for its hearer.
        """
        return Arrivals(payload=message.payload, bits=message.bits, mask=speaking), state

    def log_prob(self, channel_input: Float[Tensor, "*batch N C"], draw: Tree) -> Float[Tensor, "*batch N"]:
        """Log-probability of a sampled message in nats; only ACTION channels have one."""
        raise NotImplementedError(f"{type(self).__name__} does not sample its messages as actions")

    def entropy(self, channel_input: Float[Tensor, "*batch N C"]) -> Float[Tensor, "*batch N"]:
        """Entropy of the message distribution in nats; only ACTION channels have one."""
        raise NotImplementedError(f"{type(self).__name__} does not sample its messages as actions")

    def symbol_log_probs(self, channel_input: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch L V"]:
        """How likely each symbol is at each place, in training form; only channels with symbols can tell."""
        what = "does not say how likely its symbols are: fill in symbol_log_probs"
        raise NotImplementedError(f"{type(self).__name__} {'has no symbols' if self.vocabulary is None else what}")

    def expected_payload(self, channel_input: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch P"]:
        """Return what travels on average, for losses that need a gradient where a sampled message carries none.

        By default the probabilities of one-hot symbols; tanh of the channel input on a channel without symbols. Raises
        NotImplementedError where what travels has another size.
        """
        size = self.input_size if self.vocabulary is None else self.word_size
        if self.payload_size != size:
            raise NotImplementedError(
                f"{type(self).__name__} does not tell what travels on average: fill in expected_payload, as its "
                f"payload has {self.payload_size} numbers and not {size}"
            )
        return (
            torch.tanh(channel_input)
            if self.vocabulary is None
            else self.symbol_log_probs(channel_input).exp().flatten(-2)
        )

    def expected_bits(self, channel_input: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch"]:
        """Mean cost of a message, in bits, with a gradient where its speaker can choose to be silent."""
        return full_bits(channel_input, self.bits_per_message)

    def shifted(self, payload: Float[Tensor, "*batch P"], shift: Int[Tensor, "*batch L"]) -> Float[Tensor, "*batch P"]:
        """The payload that says at each place the symbol `shift` further on, the first after the last.

        By default that of one-hot symbols; only channels with symbols have it.
        """
        if self.vocabulary is None or self.payload_size != self.word_size:
            raise ValueError(f"{type(self).__name__} does not say its symbols as one-hot vectors: it needs `shifted`")
        places = torch.arange(self.vocabulary, device=shift.device)
        source = (places - shift.unsqueeze(-1)).remainder(self.vocabulary)
        return payload.unflatten(-1, (self.length, self.vocabulary)).gather(-1, source).flatten(-2)

    def initial_state(self, num_envs: int, num_agents: int, device: torch.device, *, rounds: int = 1) -> Tree:
        """State such as queues before the first step, all tensors [B, ...]; None where a channel has none."""
        return None

    def cut(self, state: Tree, ended: Bool[Tensor, "B N"]) -> Tree:
        """Forget what belongs to agents whose part has ended, so that nothing is carried into another episode."""
        return state

    def schedule(self, num_env_steps: int) -> None:
        """Move temperatures and the like to where they belong after so many env steps of training."""


def full_bits(channel_input: Tensor, bits: float) -> Float[Tensor, "*batch N"]:
    """The same number of bits for every message."""
    return torch.full(channel_input.shape[:-1], bits, device=channel_input.device)


__all__ = ["Channel", "full_bits"]
