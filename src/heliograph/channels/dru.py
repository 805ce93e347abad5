"""DRU: the discretise/regularise unit of DIAL."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from heliograph.channels.base import Channel, full_bits
from heliograph.checks import check_number, check_positive
from heliograph.types import Choice, Gradient, Message, MessageForm, Tree

__all__ = ["DRU"]


class DRU(Channel):
    """Noise and a sigmoid in training, one hard bit per unit in execution; the gradient passes through.

    Training: logistic(m + sigma * noise). Execution: 1 where m > `threshold`. Source: Foerster et al. 2016, equation
    of section 5.2 (threshold 0; both public codes use 0.5: set `threshold=0.5` for theirs). Symbols are the bits.
    Difference: inputs are bounded to +-`limit` times sigma (smoothly; None: not at all, as published). Without such a
    limit of power the noise limits nothing: a unit learns a third level between two far ones, which no bit can carry.
    The limit moves linearly from `start_limit` to `limit` over `anneal_env_steps` env steps: a wide start lets many
    meanings part before each must be said in bits.
    """

    gradient = Gradient.PATHWISE
    is_deterministic = True

    def __init__(
        self,
        *,
        bits: int = 2,
        sigma: float = 2.0,
        threshold: float = 0.0,
        limit: float | None = 2.5,
        start_limit: float | None = None,
        anneal_env_steps: int = 0,
    ):
        check_positive("bits", bits)
        check_number("sigma", sigma, minimum=0)
        check_number("threshold", threshold)
        check_number("anneal_env_steps", anneal_env_steps, minimum=0)
        for name, value in (("limit", limit), ("start_limit", start_limit)):
            if value is not None:
                check_number(name, value, above=0)
        if start_limit is not None and (limit is None or anneal_env_steps < 1):
            raise ValueError(f"start_limit={start_limit}: needs a limit to move to, and anneal_env_steps")
        super().__init__(input_size=bits, payload_size=bits, vocabulary=2, length=bits, bits_per_message=float(bits))
        self.sigma, self.threshold, self.limit = sigma, threshold, limit
        self.start_limit, self.anneal_env_steps = start_limit, anneal_env_steps
        self.bounded = limit is not None and sigma > 0
        self.register_buffer("bound", torch.tensor(self._limit_after(0) * sigma))

    @classmethod
    def idle(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what belongs to a limit that there is not, or that stays."""
        found = {}
        if settings["start_limit"] is None:
            found["anneal_env_steps"] = "only a limit that moves takes time; set start_limit too, or leave it out"
        if settings["sigma"] == 0 and settings["limit"] is not None:
            why = "with sigma=0.0 there is no noise, and no limit of power beside it; set limit=None, or leave it out"
            found |= dict.fromkeys(("limit", "start_limit"), why)
        return found

    def sample(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """Standard normal noise, one number a bit."""
        return torch.randn(channel_input.shape, generator=generator, device=channel_input.device)

    def send(self, channel_input: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """Soft bits in training form, hard bits in execution form."""
        hard = channel_input > self.threshold
        payload = hard.float()
        if form is MessageForm.TRAINING:
            payload = torch.sigmoid(self._bounded(channel_input) + self.sigma * draw)
        return Message(
            payload=payload, symbols=hard.long(), bits=full_bits(channel_input, self.bits_per_message)
        ), state

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Fair random bits."""
        bits = torch.randint(2, (*like.shape[:-1], self.length), generator=generator, device=like.device)
        return Message(payload=bits.float(), symbols=bits, bits=full_bits(like, self.bits_per_message))

    def symbol_log_probs(self, channel_input: Tensor) -> Tensor:
        """Log-probabilities of the noisy channel input being above the threshold, or not."""
        distance = (self._bounded(channel_input) - self.threshold) / max(self.sigma, 1e-6)
        return torch.stack([torch.special.log_ndtr(-distance), torch.special.log_ndtr(distance)], -1)

    def expected_payload(self, channel_input: Tensor) -> Tensor:
        """How likely each bit is 1."""
        return self.symbol_log_probs(channel_input)[..., 1].exp()

    def shifted(self, payload: Tensor, shift: Tensor) -> Tensor:
        """Flipped bits: one minus the payload, soft or hard."""
        return torch.where(shift % 2 == 1, 1 - payload, payload)

    def schedule(self, num_env_steps: int) -> None:
        """Tighten the limit."""
        self.bound.fill_(self._limit_after(num_env_steps) * self.sigma)

    def _limit_after(self, num_env_steps: int) -> float:
        if self.limit is None or self.start_limit is None:
            return self.limit or 0.0
        done = min(1.0, num_env_steps / self.anneal_env_steps)
        return self.start_limit + done * (self.limit - self.start_limit)

    def _bounded(self, channel_input: Tensor) -> Tensor:
        return self.bound * torch.tanh(channel_input / self.bound) if self.bounded else channel_input
