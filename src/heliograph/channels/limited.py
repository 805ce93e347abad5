"""Limited: only so many messages, or bits, get through in a step."""

import dataclasses

import torch
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.channels.wrapper import Wrapper
from heliograph.checks import check_number, check_positive
from heliograph.types import Arrivals, Choice, Tree

__all__ = ["Limited"]

ROUNDING = 1e-4


class Limited(Wrapper):
    """Wraps a channel: at most `max_messages` messages and `max_bits` bits get through in a step, of all speakers.

    Either limit may be left out. Who goes first is drawn anew in every round, all orders being equally likely; from the
    first message that does not fit on, none arrives: hearers do not count its speaker, and an older message of it still
    waits for them. Silence costs nothing and always gets through. All speakers of a copy share the limit, those of
    rival teams too, and so do all rounds of a step, the first round first. Speakers are not told, `symbols` and `bits`
    are those that were said; the loss `message_cost` puts a price on bits instead, or beside it.
    """

    def __init__(self, inner: Channel, *, max_messages: int | None = None, max_bits: float | None = None):
        super().__init__(inner)
        if max_messages is None and max_bits is None:
            raise ValueError("max_messages=None, max_bits=None: channel 'limited' needs one of them, or both")
        if max_messages is not None:
            check_positive("max_messages", max_messages)
        if max_bits is not None:
            check_number("max_bits", max_bits, above=0)
            if max_bits < inner.bits_per_message - ROUNDING:
                cost = f"a single message costs {inner.bits_per_message:g} bits"
                raise ValueError(f"max_bits={max_bits!r}: nothing would get through, for {cost}")
        self.max_messages, self.max_bits = max_messages, max_bits

    def draw_own(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> dict[str, Tree]:
        """A number for each speaker: the smallest goes first."""
        return {"turn": torch.rand(channel_input.shape[:-1], generator=generator, device=channel_input.device)}

    def own_state(self, num_envs: int, num_agents: int, device: torch.device, *, rounds: int) -> Tree:
        """Messages and bits `[B, 2]` that got through in this step so far; None where there is one round."""
        return torch.zeros(num_envs, 2, device=device) if rounds > 1 else None

    def change_arrivals(
        self, arrivals: Arrivals, *, draw: dict[str, Tree], own: Tree, round_index: int
    ) -> tuple[Arrivals, Tree]:
        """Those that fit, in the order that was drawn."""
        costs_bits = arrivals.bits > 0
        waiting = arrivals.mask & costs_bits
        cost = torch.stack([waiting.float(), arrivals.bits * waiting], -1)
        spent = torch.zeros_like(cost[:, 0]) if own is None or round_index == 0 else own
        order = torch.where(waiting, draw["turn"], torch.inf).argsort(-1)
        total = cost.gather(1, order.unsqueeze(-1).expand_as(cost)).cumsum(1) + spent.unsqueeze(1)
        in_order = (total <= self._limits(total)).all(-1)
        through = waiting & torch.zeros_like(waiting).scatter(1, order, in_order)
        if own is not None:
            own = spent + (cost * through.unsqueeze(-1)).sum(1)
        return dataclasses.replace(arrivals, mask=through | (arrivals.mask & ~costs_bits)), own

    def _limits(self, like: Tensor) -> Tensor:
        found = [torch.inf if limit is None else limit + ROUNDING for limit in (self.max_messages, self.max_bits)]
        return torch.tensor(found, device=like.device)
