"""Vector quantisation: of a learnt codebook, the code that points most nearly where the speaker does."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heliograph.channels.base import Channel, full_bits
from heliograph.checks import check_number, check_positive
from heliograph.functional import log_softmax, straight_through
from heliograph.types import Choice, Gradient, Message, MessageForm, Tree

__all__ = ["VQ"]


class VQ(Channel):
    """Carries `length` codes of `size` numbers each, out of one codebook of `codes`: symbols with a geometry.

    Inputs and codes are directions (unit vectors), so that neither can run away from the other (Yu et al. 2021). In
    training Gaussian noise of `noise_std` in each number turns the input a little; then the nearest code travels, with
    the gradient of the input (straight through: van den Oord et al. 2017) and with its own: codes learn from what
    hearers make of them, as embeddings do. In execution there is no noise. `temperature` turns cosines into odds for
    losses that ask for these. Symbols are the numbers of the codes.

    Differences from VQ-VAE: no codebook and commitment losses, which unit vectors do not need. From VQ-VIB (Tucker et
    al. 2022): noise of a fixed size, and no penalty on information; `message_cost` and `limited` bound bits.
    """

    gradient = Gradient.PATHWISE
    is_deterministic = True
    settings_of_odds = ("temperature",)

    def __init__(
        self, *, codes: int = 16, size: int = 8, length: int = 1, noise_std: float = 0.1, temperature: float = 0.1
    ):
        for name, number in (("codes", codes), ("size", size), ("length", length)):
            check_positive(name, number)
        for name, number in (("codes", codes), ("size", size)):
            if number < 2:
                raise ValueError(f"{name}={number}: needs at least 2, or there is only one thing to say")
        check_number("noise_std", noise_std, minimum=0)
        check_number("temperature", temperature, above=0)
        super().__init__(
            input_size=length * size,
            payload_size=length * size,
            vocabulary=codes,
            length=length,
            bits_per_message=length * math.log2(codes),
        )
        self.size, self.noise_std, self.temperature = size, noise_std, temperature
        self.codes = nn.Parameter(torch.randn(codes, size))

    @property
    def directions(self) -> Tensor:
        """The codebook as unit vectors `[V, D]`."""
        return F.normalize(self.codes, dim=-1)

    def sample(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """Standard normal noise `[..., N, L, D]` (zero where the choice is greedy)."""
        shape = (*channel_input.shape[:-1], self.length, self.size)
        noise = torch.randn(shape, generator=generator, device=channel_input.device)
        return noise if choice is Choice.SAMPLED else torch.zeros_like(noise)

    def send(self, channel_input: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """The nearest codes."""
        training = form is MessageForm.TRAINING
        meant = self._direction(channel_input)
        if training and self.noise_std:
            meant = F.normalize(meant + self.noise_std * draw, dim=-1)
        symbols = (meant @ self.directions.T).argmax(-1)
        payload = self._said(symbols)
        if training:
            payload = payload + straight_through(torch.zeros_like(meant), meant)
        bits = full_bits(channel_input, self.bits_per_message)
        return Message(payload=payload.flatten(-2), symbols=symbols, bits=bits), state

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Codes drawn uniformly."""
        shape = (*like.shape[:-1], self.length)
        symbols = torch.randint(len(self.codes), shape, generator=generator, device=like.device)
        payload = self._said(symbols).detach().flatten(-2)
        return Message(payload=payload, symbols=symbols, bits=full_bits(like, self.bits_per_message))

    def symbol_log_probs(self, channel_input: Tensor) -> Tensor:
        """Softmax of the cosines over the temperature."""
        return log_softmax(self._direction(channel_input) @ self.directions.T / self.temperature)

    def expected_payload(self, channel_input: Tensor) -> Tensor:
        """The mean code under these odds."""
        return (self.symbol_log_probs(channel_input).exp() @ self.directions).flatten(-2)

    def shifted(self, payload: Tensor, shift: Tensor) -> Tensor:
        """The code so many places further on in the codebook; the gradient of the channel input passes."""
        said = payload.unflatten(-1, (self.length, self.size))
        nearest = (said @ self.directions.T).argmax(-1)
        moved = self._said((nearest + shift).remainder(len(self.codes))) - self._said(nearest)
        return (said + moved).flatten(-2)

    def _direction(self, channel_input: Tensor) -> Tensor:
        return F.normalize(channel_input.unflatten(-1, (self.length, self.size)), dim=-1)

    def _said(self, symbols: Tensor) -> Tensor:
        return F.embedding(symbols, self.directions)
