"""The base of wrappers: channels that hold another one, change a little, and pass everything else on."""

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.renamed import MEMBERS, rename_members
from heliograph.types import Arrivals, Choice, Message, MessageForm, Tree

__all__ = ["Wrapper"]


class Wrapper(Channel):
    """Wraps a channel, `inner`; a subclass overrides the hooks of what it changes.

    A message passes the innermost channel first and the outermost last, both when it is said and when it arrives.
    The draw is a dict: `said` is the wrapped channel's, the rest what `draw_own` returned. The state of a wrapper that
    has one lies beside that of the wrapped channel, under `own` and `inner`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        rename_members(cls, MEMBERS["Wrapper"])

    def __init__(self, inner: Channel):
        super().__init__(
            input_size=inner.input_size,
            payload_size=inner.payload_size,
            vocabulary=inner.vocabulary,
            length=inner.length,
            bits_per_message=inner.bits_per_message,
        )
        self.inner = inner
        self.gradient, self.can_be_silent = inner.gradient, inner.can_be_silent
        self.ends_words, self.spelling = inner.ends_words, inner.spelling
        self.num_gate_logits, self.has_fixed_entropy = inner.num_gate_logits, inner.has_fixed_entropy
        self.is_garbled = type(self).is_garbled or inner.is_garbled
        self.delay_env_steps, self.anneal_env_steps = inner.delay_env_steps, inner.anneal_env_steps

    # ---- what a wrapper changes -------------------------------------------------------------------------------

    @abstractmethod
    def draw_own(
        self, channel_input: Float[Tensor, "*batch N C"], *, generator: torch.Generator | None, choice: Choice
    ) -> dict[str, Tree]:
        """All randomness of its own, recorded beside the wrapped channel's; {} where it has none."""

    def inner_input(self, channel_input: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch C2"]:
        """Return what the wrapped channel takes of a channel input; all of it, as a rule."""
        return channel_input

    def change_message(self, message: Message, *, draw: dict[str, Tree]) -> Message:
        """Return what becomes of a message when it is said."""
        return message

    def change_arrivals(
        self, arrivals: Arrivals, *, draw: dict[str, Tree], own: Tree, round_index: int
    ) -> tuple[Arrivals, Tree]:
        """Return what becomes of the messages that would arrive now; with the next state of its own."""
        return arrivals, own

    def own_state(self, num_envs: int, num_agents: int, device: torch.device, *, rounds: int) -> Tree:
        """State of its own, all tensors [B, ...]; None where it has none."""
        return None

    def cut_own(self, own: Tree, ended: Bool[Tensor, "B N"]) -> Tree:
        """State of its own without what belongs to agents whose part has ended."""
        return own

    # ---- what it passes on ------------------------------------------------------------------------------------

    @property
    def scored(self) -> bool:
        """As the wrapped channel."""
        return self.inner.scored

    @property
    def alphabet(self) -> int | None:
        """Return what the wrapped channel does."""
        return self.inner.alphabet

    def sample(
        self, channel_input: Float[Tensor, "*batch N C"], *, generator: torch.Generator | None, choice: Choice
    ) -> Tree:
        """The wrapped channel's draw, then its own."""
        said = self.inner.sample(self.inner_input(channel_input), generator=generator, choice=choice)
        return {"said": said, **self.draw_own(channel_input, generator=generator, choice=choice)}

    def ahead(
        self, lead: tuple[int, ...], *, device: torch.device, generator: torch.Generator | None, choice: Choice
    ) -> Float[Tensor, "*batch L V"]:
        """Return what the wrapped channel does."""
        return self.inner.ahead(lead, device=device, generator=generator, choice=choice)

    def guide(self, draw: Tree) -> Float[Tensor, "*batch L V"]:
        """Guide of what was said on the wrapped channel."""
        return self.inner.guide(draw["said"])

    def choose(self, perturbed: Float[Tensor, "*batch V"], *, form: MessageForm) -> Float[Tensor, "*batch V"]:
        """Return what the wrapped channel does."""
        return self.inner.choose(perturbed, form=form)

    def spelt(self, symbols: Int[Tensor, "*batch L"]) -> Float[Tensor, "*batch P"]:
        """Return what the wrapped channel does."""
        return self.inner.spelt(symbols)

    def send(
        self, channel_input: Float[Tensor, "*batch N C"], *, draw: Tree, form: MessageForm, state: Tree = None
    ) -> tuple[Message, Tree]:
        """Return what the wrapped channel says, changed."""
        inner, own = _parts(state)
        message, inner = self.inner.send(self.inner_input(channel_input), draw=draw["said"], form=form, state=inner)
        return self.change_message(message, draw=draw), _joined(inner, own)

    def draw_of_arrivals(self, draw: Tree) -> Tree:
        """Its own draw, and that part of the wrapped channel's."""
        return {**draw, "said": self.inner.draw_of_arrivals(draw["said"])}

    def transit(
        self, message: Message, *, speaking: Bool[Tensor, "B N"], draw: Tree, state: Tree = None, round_index: int = 0
    ) -> tuple[Arrivals, Tree]:
        """Return what arrives through the wrapped channel, changed."""
        inner, own = _parts(state)
        arrivals, inner = self.inner.transit(
            message, speaking=speaking, draw=draw["said"], state=inner, round_index=round_index
        )
        arrivals, own = self.change_arrivals(arrivals, draw=draw, own=own, round_index=round_index)
        return arrivals, _joined(inner, own)

    def babble(self, like: Float[Tensor, "*batch N C"], *, generator: torch.Generator | None) -> Message:
        """Return what the wrapped channel does."""
        return self.inner.babble(like, generator=generator)

    def log_prob(self, channel_input: Float[Tensor, "*batch N C"], draw: Tree) -> Float[Tensor, "*batch N"]:
        """Return the log-probability of what was said."""
        return self.inner.log_prob(self.inner_input(channel_input), draw["said"])

    def entropy(self, channel_input: Float[Tensor, "*batch N C"]) -> Float[Tensor, "*batch N"]:
        """Return what the wrapped channel does."""
        return self.inner.entropy(self.inner_input(channel_input))

    def symbol_log_probs(self, channel_input: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch L V"]:
        """Log-probabilities of what is said on the wrapped channel."""
        return self.inner.symbol_log_probs(self.inner_input(channel_input))

    def expected_payload(self, channel_input: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch P"]:
        """Return what the wrapped channel does."""
        return self.inner.expected_payload(self.inner_input(channel_input))

    def expected_bits(self, channel_input: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch"]:
        """Return what the wrapped channel does."""
        return self.inner.expected_bits(self.inner_input(channel_input))

    def shifted(self, payload: Float[Tensor, "*batch P"], shift: Int[Tensor, "*batch L"]) -> Float[Tensor, "*batch P"]:
        """Return what the wrapped channel does."""
        return self.inner.shifted(payload, shift)

    def initial_state(self, num_envs: int, num_agents: int, device: torch.device, *, rounds: int = 1) -> Tree:
        """The wrapped channel's, and its own."""
        own = self.own_state(num_envs, num_agents, device, rounds=rounds)
        return _joined(self.inner.initial_state(num_envs, num_agents, device, rounds=rounds), own)

    def cut(self, state: Tree, ended: Bool[Tensor, "B N"]) -> Tree:
        """The wrapped channel's state and its own, without what belongs to agents whose part has ended."""
        inner, own = _parts(state)
        return _joined(self.inner.cut(inner, ended), self.cut_own(own, ended))

    def schedule(self, num_env_steps: int) -> None:
        """Pass on to the wrapped channel."""
        self.inner.schedule(num_env_steps)


rename_members(Wrapper, MEMBERS["Wrapper"])


def _parts(state: Tree) -> tuple[Tree, Tree]:
    return (None, None) if state is None else (state["inner"], state["own"])


def _joined(inner: Tree, own: Tree) -> Tree:
    return None if inner is None and own is None else {"inner": inner, "own": own}
