"""Noisy: what is heard is not quite what was said."""

import dataclasses

import torch
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.channels.wrapper import Wrapper
from heliograph.checks import check_number
from heliograph.types import Choice, Message, Tree

__all__ = ["Noisy"]

FLIP, SIGMA = 0.05, 0.1


class Noisy(Wrapper):
    """Wraps a channel: symbols are mistaken for others, or Gaussian noise is added to vectors, however they travel.

    On a channel with symbols each becomes, with probability `flip` (default 0.05), another one, all others being
    equally likely: a q-ary symmetric channel (for bits the binary one of Shannon 1948). A relaxed symbol is mistaken as
    a whole, so gradients pass where they passed before. On other channels each number of the payload gets noise of
    standard deviation `heard_sigma` (default 0.1), in units of the payload. Silence stays silence. Training and
    execution are equally noisy, whether messages are sampled or greedy; `symbols` are those that were said.
    """

    def __init__(self, inner: Channel, *, flip: float | None = None, heard_sigma: float | None = None):
        super().__init__(inner)
        if self.alphabet is None and flip is not None:
            raise ValueError(f"flip={flip!r}: this channel carries vectors, whose noise is set by heard_sigma")
        if self.alphabet is not None and heard_sigma is not None:
            raise ValueError(f"heard_sigma={heard_sigma!r}: this channel carries symbols, whose noise is set by flip")
        if self.alphabet is not None:
            _check_shifts(inner)
        self.flip = FLIP if flip is None else flip
        self.heard_sigma = SIGMA if heard_sigma is None else heard_sigma
        check_number("flip", self.flip, minimum=0, maximum=1)
        check_number("heard_sigma", self.heard_sigma, minimum=0)

    def expected_payload(self, channel_input: Tensor) -> Tensor:
        """The average over what each symbol may be mistaken for."""
        said = self.inner.expected_payload(channel_input)
        if self.alphabet is None:
            return said
        place = torch.ones(*said.shape[:-1], self.length, dtype=torch.long, device=said.device)
        others = sum(self.inner.shifted(said, k * place) for k in range(1, self.alphabet))
        return (1 - self.flip) * said + self.flip / (self.alphabet - 1) * others

    def draw_own(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> dict[str, Tree]:
        """Return how many symbols further each one is heard; or standard normal noise."""
        lead, device = channel_input.shape[:-1], channel_input.device
        if self.alphabet is None:
            return {"noise": torch.randn((*lead, self.payload_size), generator=generator, device=device)}
        shape = (*lead, self.length)
        flipped = torch.rand(shape, generator=generator, device=device) < self.flip
        return {"shift": flipped * torch.randint(1, self.alphabet, shape, generator=generator, device=device)}

    def change_message(self, message: Message, *, draw: dict[str, Tree]) -> Message:
        """Return what was said, with noise."""
        if self.alphabet is None:
            heard = message.payload + self.heard_sigma * draw["noise"]
        else:
            heard = self.inner.shifted(message.payload, draw["shift"])
        if self.can_be_silent and message.symbols is not None:
            heard = torch.where(message.symbols[..., :1] > 0, heard, message.payload)
        return dataclasses.replace(message, payload=heard)


def _check_shifts(inner: Channel) -> None:
    """Refuse a channel that cannot tell how another symbol would travel, before anything is trained."""
    inner.shifted(torch.zeros(1, inner.payload_size), torch.zeros(1, inner.length, dtype=torch.long))
