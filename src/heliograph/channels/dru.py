"""DRU: the discretise/regularise unit of DIAL."""

import torch
from torch import Tensor

from heliograph.channels.base import Channel, full_bits
from heliograph.envs.base import check_positive
from heliograph.types import Choice, Gradient, Message, MessageForm, Tree

__all__ = ["DRU"]


class DRU(Channel):
    """Noise and a sigmoid in training, one hard bit per unit in execution; the gradient passes through.

    Training: logistic(m + sigma * noise). Execution: 1 where m > `threshold`. Source: Foerster et al. 2016, equation
    of section 5.2 (threshold 0; both public codes use 0.5: set `threshold=0.5` for theirs). Symbols are the bits.
    Difference: intents are bounded to +-`limit` times sigma (smoothly; None: not at all, as published). Without such a
    limit of power the noise limits nothing: a unit learns a third level between two far ones, which no bit can carry.
    """

    gradient = Gradient.PATHWISE

    def __init__(self, *, bits: int = 2, sigma: float = 2.0, threshold: float = 0.0, limit: float | None = 2.5):
        check_positive("bits", bits)
        if sigma < 0:
            raise ValueError(f"sigma={sigma}: the noise's standard deviation must be 0 or more")
        super().__init__(intent_size=bits, payload_size=bits, vocabulary=2, length=bits, bits_per_message=float(bits))
        if limit is not None and limit <= 0:
            raise ValueError(f"limit={limit}: must be positive (in units of sigma), or None for no limit")
        self.sigma, self.threshold = sigma, threshold
        self.bound = None if limit is None or sigma == 0 else limit * sigma

    def sample(self, intent: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """Standard normal noise, one number a bit."""
        return torch.randn(intent.shape, generator=generator, device=intent.device)

    def send(self, intent: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """Soft bits in training form, hard bits in execution form."""
        hard = intent > self.threshold
        payload = torch.sigmoid(self._bounded(intent) + self.sigma * draw) if form is MessageForm.TRAINING else hard.float()
        return Message(payload=payload, symbols=hard.long(), bits=full_bits(intent, self.bits_per_message)), state

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Fair random bits."""
        bits = torch.randint(2, (*like.shape[:-1], self.length), generator=generator, device=like.device)
        return Message(payload=bits.float(), symbols=bits, bits=full_bits(like, self.bits_per_message))

    def _bounded(self, intent: Tensor) -> Tensor:
        return intent if self.bound is None else self.bound * torch.tanh(intent / self.bound)
