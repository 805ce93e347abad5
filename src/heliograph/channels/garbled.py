"""Garbled: every message is replaced by noise of its own kind (the random-message control)."""

import dataclasses

import torch
from torch import Tensor

from heliograph.channels.wrapper import Wrapper
from heliograph.types import Choice, Message, Tree

__all__ = ["Garbled"]


class Garbled(Wrapper):
    """Wraps a channel: speakers speak and are read as ever, but hearers get noise that carries no meaning.

    Trained on the budget of the real team it is the control for everything that a channel adds beside meaning:
    parameters, randomness, gradients. `symbols` and `bits` of its messages are those that were said.
    """

    is_garbled = True

    def draw_own(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> dict[str, Tree]:
        """The noise that is heard."""
        return {"heard": self.inner.babble(channel_input, generator=generator).payload}

    def change_message(self, message: Message, *, draw: dict[str, Tree]) -> Message:
        """Return what was said, with the payload replaced."""
        return dataclasses.replace(message, payload=draw["heard"])
