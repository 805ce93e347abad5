"""Words of discrete symbols."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from heliograph import distributions
from heliograph.channels.base import Channel, full_bits
from heliograph.checks import check_number, check_positive
from heliograph.functional import log_softmax, one_hot, straight_through
from heliograph.types import Choice, Gradient, Message, MessageForm, Tree

__all__ = ["Symbols"]

ESTIMATORS = ("score", "gumbel", "straight_through")


class Symbols(Channel):
    """Carries `length` symbols of a `vocabulary`, as one-hot vectors.

    `gradient="score"`: symbols are sampled actions, trained by their log-probability. `"gumbel"`: in training a
    relaxed sample softmax((logits + g) / temperature) travels (Jang et al. 2017). `"straight_through"`: the one-hot
    of that sample travels and the relaxed gradient flows back. In execution a one-hot travels in all three.
    The temperature moves linearly from `temperature` to `final_temperature` over `anneal_env_steps` env steps.
    """

    def __init__(
        self,
        *,
        vocabulary: int = 4,
        length: int = 1,
        gradient: str = "score",
        temperature: float = 1.0,
        final_temperature: float | None = None,
        anneal_env_steps: int = 0,
    ):
        check_positive("vocabulary", vocabulary)
        check_positive("length", length)
        if vocabulary < 2:
            raise ValueError(f"vocabulary={vocabulary}: needs at least 2 symbols, or there is nothing to say")
        if gradient not in ESTIMATORS:
            raise ValueError(f"gradient={gradient!r}: the channel 'symbols' has {', '.join(map(repr, ESTIMATORS))}")
        final = temperature if final_temperature is None else final_temperature
        check_number("temperature", temperature, above=0)
        check_number("final_temperature", final, above=0)
        check_number("anneal_env_steps", anneal_env_steps, minimum=0)
        size = vocabulary * length
        bits = length * math.log2(vocabulary)
        super().__init__(
            input_size=size, payload_size=size, vocabulary=vocabulary, length=length, bits_per_message=bits
        )
        self.num_symbols = vocabulary
        self.estimator = gradient
        self.gradient = Gradient.ACTION if gradient == "score" else Gradient.PATHWISE
        self.start_temperature, self.final_temperature = temperature, final
        self.anneal_env_steps = anneal_env_steps
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    @classmethod
    def idle(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what belongs to the temperature, where there is none or it stays."""
        why = "with gradient='score' symbols are sampled from the odds as they are; use 'gumbel', or leave it out"
        if settings["gradient"] == "score":
            return dict.fromkeys(("temperature", "final_temperature", "anneal_env_steps"), why)
        why = "a temperature moves where final_temperature and anneal_env_steps are both set; set the other one too"
        moves = settings["final_temperature"] is not None and settings["anneal_env_steps"]
        return {} if moves else dict.fromkeys(("final_temperature", "anneal_env_steps"), why)

    def sample(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """The symbols `[..., N, L]` (score), or Gumbel noise `[..., N, L, V]` (zero where the choice is greedy)."""
        logits = self._logits(channel_input)
        if self.gradient is Gradient.ACTION:
            return distributions.categorical(logits, choice=choice, generator=generator)
        noise = distributions.gumbel(logits.shape, generator=generator, device=channel_input.device)
        return noise if choice is Choice.SAMPLED else torch.zeros_like(noise)

    def send(self, channel_input: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """One-hot symbols, relaxed in the training form of `gumbel`."""
        if self.gradient is Gradient.ACTION:
            symbols, payload = draw, self._one_hot(draw)
        else:
            perturbed = self._logits(channel_input) + draw
            symbols = perturbed.argmax(-1)
            payload = self._relaxed(perturbed, symbols, form)
        bits = full_bits(channel_input, self.bits_per_message)
        return Message(payload=payload.flatten(-2), symbols=symbols, bits=bits), state

    def log_prob(self, channel_input: Tensor, draw: Tree) -> Tensor:
        """Log-probability of the word (score only)."""
        if self.gradient is not Gradient.ACTION:
            return super().log_prob(channel_input, draw)
        return distributions.categorical_log_prob(self._logits(channel_input), draw).sum(-1)

    def entropy(self, channel_input: Tensor) -> Tensor:
        """Entropy of the word's distribution, in nats (score only)."""
        if self.gradient is not Gradient.ACTION:
            return super().entropy(channel_input)
        return distributions.categorical_entropy(self._logits(channel_input)).sum(-1)

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Uniform random words."""
        shape = (*like.shape[:-1], self.length)
        symbols = torch.randint(self.num_symbols, shape, generator=generator, device=like.device)
        payload = self._one_hot(symbols).flatten(-2)
        return Message(payload=payload, symbols=symbols, bits=full_bits(like, self.bits_per_message))

    def symbol_log_probs(self, channel_input: Tensor) -> Tensor:
        """The logits, normalised."""
        return log_softmax(self._logits(channel_input))

    def schedule(self, num_env_steps: int) -> None:
        """Anneal the temperature."""
        if self.anneal_env_steps:
            done = min(1.0, num_env_steps / self.anneal_env_steps)
            self.temperature.fill_(self.start_temperature + done * (self.final_temperature - self.start_temperature))

    def _logits(self, channel_input: Tensor) -> Tensor:
        return channel_input.unflatten(-1, (self.length, self.num_symbols))

    def _one_hot(self, symbols: Tensor) -> Tensor:
        return one_hot(symbols, self.num_symbols)

    def _relaxed(self, perturbed: Tensor, symbols: Tensor, form: MessageForm) -> Tensor:
        hard = self._one_hot(symbols)
        if form is MessageForm.EXECUTION:
            return hard
        soft = torch.softmax(perturbed / self.temperature, -1)
        return soft if self.estimator == "gumbel" else straight_through(hard, soft)
