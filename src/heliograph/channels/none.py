"""No channel: nobody hears anything (the no-communication control)."""

import torch
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.types import Choice, Gradient, Message, MessageForm, Tree

__all__ = ["NoChannel"]


class NoChannel(Channel):
    """Carries nothing: the same model on the same budget, without a channel, is the no-communication control."""

    gradient = Gradient.NONE

    def __init__(self) -> None:
        super().__init__(input_size=0, payload_size=0, vocabulary=None, length=0, bits_per_message=0.0)

    def sample(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """Nothing to draw."""
        return None

    def send(self, channel_input: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """Empty messages of 0 bits."""
        return self.babble(channel_input, generator=None), state

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Empty messages."""
        bits = torch.zeros(like.shape[:-1], device=like.device)
        return Message(payload=like.new_zeros(*like.shape[:-1], 0), symbols=None, bits=bits)
