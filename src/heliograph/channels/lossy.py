"""Lossy: some messages never arrive."""

import dataclasses

import torch
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.channels.wrapper import Wrapper
from heliograph.checks import check_number
from heliograph.types import Arrivals, Choice, Tree

__all__ = ["Lossy"]


class Lossy(Wrapper):
    """Wraps a channel: each message is lost with probability `drop`, for all hearers at once, in every form.

    An erasure channel (Elias 1955): a lost message does not arrive as zeros. It is masked out, so that its speaker is
    not counted among those who are heard, and an older message of the same speaker still waits for its hearer. Losses
    are independent of one another and of what is said; speakers are not told. `symbols` and `bits` are those that were
    said.
    """

    def __init__(self, inner: Channel, *, drop: float = 0.1):
        super().__init__(inner)
        check_number("drop", drop, minimum=0, maximum=1)
        self.drop = drop

    def draw_own(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> dict[str, Tree]:
        """Return which messages are lost."""
        return {
            "lost": torch.rand(channel_input.shape[:-1], generator=generator, device=channel_input.device) < self.drop
        }

    def change_arrivals(
        self, arrivals: Arrivals, *, draw: dict[str, Tree], own: Tree, round_index: int
    ) -> tuple[Arrivals, Tree]:
        """All but those that are lost."""
        return dataclasses.replace(arrivals, mask=arrivals.mask & ~draw["lost"]), own
