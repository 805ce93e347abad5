"""What agents hear whose message decoder is linear: aggregated first, decoded afterwards."""

import functools

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from heliograph.types import Heard, Tree

__all__ = ["LinearlyHeard"]


class LinearlyHeard(Heard):
    """Messages that a linear map decodes; their sum and mean are decoded sums and means of payloads.

    Equal to what `Heard` makes of decoded messages, to rounding, with one row to decode a hearer instead of one a
    sender. Single messages are decoded when they are first asked for.
    """

    def __init__(
        self,
        *,
        payload: Float[Tensor, "*batch A_or_1 K P"],
        decoder: nn.Linear,
        mask: Bool[Tensor, "*batch A K"],
        round_index: int = 0,
        draw: Tree = None,
    ):
        self._payload, self._decoder, self.mask = payload, decoder, mask
        self.round_index, self.draw, self.attention = round_index, draw, None

    @functools.cached_property
    def messages(self) -> Float[Tensor, "*batch A_or_1 K I"]:
        """Message features, one by one."""
        return self._decoder(self._payload)

    def total(self) -> Float[Tensor, "*batch A I"]:
        """The sum of the messages that arrive."""
        return self._decoded(self._sent.total(), self.count().to(self._payload.dtype))

    def mean(self) -> Float[Tensor, "*batch A I"]:
        """The mean of the messages that arrive, zero where none does."""
        count = self.count().to(self._payload.dtype)
        return self._decoded(self._sent.total() / count.clamp(min=1), count.clamp(max=1))

    @property
    def _sent(self) -> Heard:
        return Heard(messages=self._payload, mask=self.mask)

    def _decoded(self, payload: Tensor, times: Float[Tensor, "*batch A 1"]) -> Tensor:
        """Decode a payload in which the bias counts so many times."""
        weight, bias = self._decoder.weight, self._decoder.bias
        if bias is None:
            return F.linear(payload, weight)
        return F.linear(torch.cat([payload, times], -1), torch.cat([weight, bias.unsqueeze(1)], 1))
