"""Words of discrete symbols, of a fixed length or of any length up to one."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from heliograph import distributions
from heliograph.channels.base import Channel
from heliograph.channels.spelling import (
    HEADS,
    Spelling,
    forced,
    said_places,
    said_shares,
    score_of_lengths,
    without_rest,
)
from heliograph.checks import check_choice, check_number, check_positive
from heliograph.functional import log_softmax, one_hot, straight_through
from heliograph.types import Choice, Gradient, Message, MessageForm, Tree

__all__ = ["Symbols"]

ESTIMATORS = ("score", "gumbel", "straight_through")
SPELLINGS = ("apart", "gru", "lstm", "transformer")


class Symbols(Channel):
    """Carries `length` symbols of a `vocabulary`, as one-hot vectors.

    `gradient="score"`: symbols are sampled actions, trained by their log-probability. `"gumbel"`: in training a
    relaxed sample softmax((logits + g) / temperature) travels (Jang et al. 2017). `"straight_through"`: the one-hot
    of that sample travels and the relaxed gradient flows back. In execution a one-hot travels in all three.
    The temperature moves linearly from `temperature` to `final_temperature` over `anneal_env_steps` env steps.

    With `eos` words are of any length up to `length`: symbol 0 ends a word. After it nothing is said: what travels is
    zeros, which cost no bits, and count in no log-probability and no entropy. A word of n symbols and its end costs
    n + 1 symbols; one that fills all places has no end and costs `length`.

    `spelling` says how symbols are chosen: "apart" from one another by the model's own linear layer (the default
    without `eos`), or one after the other by a speaker of `spelling_size` hidden units that is told those before it:
    "gru" (the default with `eos`), "lstm" or "transformer". Each policy has such a speaker and a listener of its own,
    the gradients of "gumbel" and "straight_through" pass from symbol to symbol, and a relaxed end leaves part of the
    word unsaid. Source: the recurrent and transformer agents of EGG (Kharitonov et al. 2019). Differences: a listener
    is heard after the whole word, where EGG's relaxed game averages losses over all places a word may end at; symbols
    are embedded in as many numbers as there are hidden units.
    """

    is_deterministic = True

    def __init__(
        self,
        *,
        vocabulary: int = 4,
        length: int = 1,
        gradient: str = "score",
        temperature: float = 1.0,
        final_temperature: float | None = None,
        anneal_env_steps: int = 0,
        eos: bool = False,
        spelling: str | None = None,
        spelling_size: int = 64,
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
        chosen = ("gru" if eos else "apart") if spelling is None else spelling
        _check_spelling(chosen, eos=eos, vocabulary=vocabulary, size=spelling_size)
        spelt, size = chosen != "apart", vocabulary * length
        super().__init__(
            input_size=2 * size if spelt else size,
            payload_size=size,
            vocabulary=vocabulary,
            length=length,
            bits_per_message=length * math.log2(vocabulary),
        )
        self.ends_words = eos
        if spelt:
            self.spelling = Spelling(network=chosen, size=spelling_size, vocabulary=vocabulary, length=length, ends=eos)
        self.num_symbols = vocabulary
        self.estimator = gradient
        self.gradient = Gradient.ACTION if gradient == "score" else Gradient.PATHWISE
        self.start_temperature, self.final_temperature = temperature, final
        self.anneal_env_steps = anneal_env_steps
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    @classmethod
    def idle(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what belongs to a temperature, where there is none or it stays, or to a speaker where none spells."""
        found = {}
        if not settings["eos"] and settings["spelling"] in (None, "apart"):
            found["spelling_size"] = "symbols are chosen apart; set spelling='gru' or eos=True, or leave it out"
        why = "with gradient='score' symbols are sampled from the odds as they are; use 'gumbel', or leave it out"
        if settings["gradient"] == "score":
            return found | dict.fromkeys(("temperature", "final_temperature", "anneal_env_steps"), why)
        why = "a temperature moves where final_temperature and anneal_env_steps are both set; set the other one too"
        moves = settings["final_temperature"] is not None and settings["anneal_env_steps"]
        return found if moves else found | dict.fromkeys(("final_temperature", "anneal_env_steps"), why)

    def ahead(
        self, lead: tuple[int, ...], *, device: torch.device, generator: torch.Generator | None, choice: Choice
    ) -> Tensor:
        """Gumbel noise `[*lead, L, V]`, which chooses a symbol at each place (zero where the choice is greedy)."""
        noise = distributions.gumbel(
            torch.Size((*lead, self.length, self.num_symbols)), generator=generator, device=device
        )
        return noise if choice is Choice.SAMPLED else torch.zeros_like(noise)

    def guide(self, draw: Tree) -> Tensor:
        """The noise that was drawn, or what has the symbols that were drawn chosen again."""
        return forced(draw, self.num_symbols) if self.gradient is Gradient.ACTION else draw

    def choose(self, perturbed: Tensor, *, form: MessageForm) -> Tensor:
        """The symbol of the greatest number, one-hot or relaxed."""
        return self._relaxed(perturbed, perturbed.argmax(-1), form)

    def spelt(self, symbols: Tensor) -> Tensor:
        """One-hot symbols, and zeros after the end of a word."""
        return (self._one_hot(symbols) * self._said(symbols).unsqueeze(-1)).flatten(-2)

    def sample(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """The symbols `[..., N, L]` (score), or Gumbel noise `[..., N, L, V]` (zero where the choice is greedy).

        Of words that are spelt it is told by the channel input, whose guide has chosen them.
        """
        logits, guide = self._logits(channel_input), self._guide(channel_input)
        if self.gradient is Gradient.ACTION:
            if guide is None:
                return distributions.categorical(logits, choice=choice, generator=generator)
            return without_rest((logits + guide).argmax(-1), ends=self.ends_words)
        if guide is not None:
            return guide.detach()
        noise = distributions.gumbel(logits.shape, generator=generator, device=channel_input.device)
        return noise if choice is Choice.SAMPLED else torch.zeros_like(noise)

    def send(self, channel_input: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """One-hot symbols, relaxed in the training form of `gumbel`; zeros after the end of a word."""
        if self.gradient is Gradient.ACTION:
            symbols, payload = draw, self._one_hot(draw)
        else:
            perturbed = self._logits(channel_input) + draw
            symbols = perturbed.argmax(-1)
            payload = self._relaxed(perturbed, symbols, form)
        if self.ends_words:
            payload = payload * said_shares(payload, ends=True).unsqueeze(-1)
            symbols = without_rest(symbols, ends=True)
        return Message(payload=payload.flatten(-2), symbols=symbols, bits=self._bits(symbols)), state

    def log_prob(self, channel_input: Tensor, draw: Tree) -> Tensor:
        """Log-probability of the word (score only)."""
        if self.gradient is not Gradient.ACTION:
            return super().log_prob(channel_input, draw)
        each = distributions.categorical_log_prob(self._logits(channel_input), draw)
        return self._summed(each, draw)

    def entropy(self, channel_input: Tensor) -> Tensor:
        """Entropy of the word's distribution, in nats (score only).

        Of words that are spelt the sum of that of each place that is said, given the symbols before it: on average over
        words their entropy.
        """
        if self.gradient is not Gradient.ACTION:
            return super().entropy(channel_input)
        return self.entropy_by_place(channel_input).sum(-1)

    def entropy_by_place(self, channel_input: Tensor) -> Float[Tensor, "*batch L"]:
        """Entropy of each symbol in nats, given those before it where words are spelt; 0 where nothing is said."""
        each = distributions.categorical_entropy(self._logits(channel_input))
        return each * self._said(self._symbols(channel_input)) if self.ends_words else each

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Uniform random words: of random symbols up to the first end, where words end."""
        shape = (*like.shape[:-1], self.length)
        symbols = torch.randint(self.num_symbols, shape, generator=generator, device=like.device)
        symbols = without_rest(symbols, ends=self.ends_words)
        return Message(payload=self.spelt(symbols), symbols=symbols, bits=self._bits(symbols))

    def symbol_log_probs(self, channel_input: Tensor) -> Tensor:
        """The logits, normalised; of words that are spelt given the symbols before, as they were said."""
        return log_softmax(self._logits(channel_input))

    def expected_payload(self, channel_input: Tensor) -> Tensor:
        """Probabilities of the symbols; of words that are spelt given those before, as far as the word is said."""
        probabilities = self.symbol_log_probs(channel_input).exp()
        if self.ends_words:
            probabilities = probabilities * self._said(self._symbols(channel_input)).unsqueeze(-1)
        return probabilities.flatten(-2)

    def expected_bits(self, channel_input: Tensor) -> Tensor:
        """Bits of the word that is said, with the gradient of what words cost on average where they end.

        Where symbols are relaxed it passes through them; else by the score function, each symbol answering for those
        after it (`score_of_lengths`), without a ratio to the speaker that sampled them.
        """
        if not self.ends_words:
            return super().expected_bits(channel_input)
        perturbed, each = self._perturbed(channel_input), math.log2(self.num_symbols)
        symbols = perturbed.argmax(-1)
        if self.gradient is Gradient.PATHWISE:
            relaxed = self._relaxed(perturbed, symbols, MessageForm.TRAINING)
            return each * said_shares(relaxed, ends=True).sum(-1)
        said = without_rest(symbols, ends=True)
        log_probs = distributions.categorical_log_prob(self._logits(channel_input), said)
        return self._bits(said) + each * score_of_lengths(log_probs, self._said(said))

    def schedule(self, num_env_steps: int) -> None:
        """Anneal the temperature."""
        if self.anneal_env_steps:
            done = min(1.0, num_env_steps / self.anneal_env_steps)
            self.temperature.fill_(self.start_temperature + done * (self.final_temperature - self.start_temperature))

    def _logits(self, channel_input: Tensor) -> Tensor:
        logits = channel_input[..., : self.payload_size] if self.spelling else channel_input
        return logits.unflatten(-1, (self.length, self.num_symbols))

    def _guide(self, channel_input: Tensor) -> Tensor | None:
        if self.spelling is None:
            return None
        return channel_input[..., self.payload_size :].unflatten(-1, (self.length, self.num_symbols))

    def _perturbed(self, channel_input: Tensor) -> Tensor:
        guide = self._guide(channel_input)
        return self._logits(channel_input) + (0.0 if guide is None else guide)

    def _symbols(self, channel_input: Tensor) -> Tensor:
        return self._perturbed(channel_input).argmax(-1)

    def _said(self, symbols: Tensor) -> Tensor:
        return said_places(symbols, ends=self.ends_words)

    def _summed(self, each: Tensor, symbols: Tensor) -> Tensor:
        return torch.where(self._said(symbols), each, 0.0).sum(-1) if self.ends_words else each.sum(-1)

    def _bits(self, symbols: Tensor) -> Tensor:
        if not self.ends_words:
            return torch.full(symbols.shape[:-1], self.bits_per_message, device=symbols.device)
        return math.log2(self.num_symbols) * self._said(symbols).sum(-1).float()

    def _one_hot(self, symbols: Tensor) -> Tensor:
        return one_hot(symbols, self.num_symbols)

    def _relaxed(self, perturbed: Tensor, symbols: Tensor, form: MessageForm) -> Tensor:
        hard = self._one_hot(symbols)
        if form is MessageForm.EXECUTION or self.gradient is Gradient.ACTION:
            return hard
        soft = torch.softmax(perturbed / self.temperature, -1)
        return soft if self.estimator == "gumbel" else straight_through(hard, soft)


def _check_spelling(spelling: str, *, eos: bool, vocabulary: int, size: int) -> None:
    check_choice("spelling", spelling, valid=SPELLINGS)
    check_positive("spelling_size", size)
    if spelling == "transformer" and size % HEADS:
        raise ValueError(f"spelling_size={size}: must be a multiple of {HEADS}, the heads of a transformer")
    if eos and spelling == "apart":
        raise ValueError("eos=True, spelling='apart': words that end are spelt symbol after symbol; use 'gru'")
    if eos and vocabulary < 3:
        raise ValueError(f"vocabulary={vocabulary}: with eos=True symbol 0 ends a word, so it needs at least 3")
