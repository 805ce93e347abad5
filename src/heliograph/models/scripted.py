"""Scripted: a user's function in the place of a network, for hand-coded protocols and heuristic partners."""

import dataclasses
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.structure import Sizes
from heliograph.renamed import renamed
from heliograph.types import Heard, Inputs, Timing, Tree, map_tensors

__all__ = ["Scripted", "ScriptedOutput", "say_bits", "say_symbol"]

SURE = 20.0


@dataclasses.dataclass(kw_only=True)
class ScriptedOutput:
    """Decisions of a script: action inputs `[B, A, D]`, what goes into the channel `[B, A, C]`, and memory."""

    action_inputs: Float[Tensor, "B A D"]
    channel_input: Float[Tensor, "B A C"]
    memory: Tree


ScriptedOutput.__init__ = renamed(ScriptedOutput.__init__)  # type: ignore[method-assign]


class Scripted(Model):
    """Runs `function(inputs, memory, heard) -> ScriptedOutput`; it has no weights and is always frozen.

    `function` is a callable, or "package.module:name". Inputs are those of a network (`Inputs`), `heard` holds the raw
    payloads, and the channel input goes to the channel as it is: see `say_symbol` and `say_bits`.
    """

    trainable = False
    timing = Timing.NEXT_STEP

    def __init__(self, spec: ModelSpec, *, function: Callable[..., ScriptedOutput], memory_size: Sizes = 0):
        super().__init__(spec)
        self.function = function
        self.memory_size = memory_size
        self.message_size = spec.payload_size
        self.num_channel_inputs = spec.channel_input_size
        self.hidden_size = {"action_inputs": spec.action_inputs, "channel_input": spec.channel_input_size}

    def encode(self, inputs: Inputs) -> Inputs:
        """The inputs as they are: scripts see them whole."""
        return inputs

    def perceive(self, features: Inputs, memory: Tree, inbox: Heard | None) -> Perceived:
        """Call the function; hidden holds what it decided."""
        out = self.function(features, memory, inbox)
        hidden = {"action_inputs": out.action_inputs.detach(), "channel_input": out.channel_input.detach()}
        return Perceived(hidden=hidden, memory=map_tensors(Tensor.detach, out.memory))

    def speak(self, hidden: Tree, *, round_index: int = 0) -> Tensor:
        """The channel input that was decided."""
        return hidden["channel_input"]

    def act(self, hidden: Tree) -> Tensor:
        """The action inputs that were decided."""
        return hidden["action_inputs"]

    def build_message_encoder(self, input_size: int) -> nn.Module:
        """None: the script speaks the channel's language."""
        return nn.Identity()

    def build_message_decoder(self, payload_size: int) -> nn.Module:
        """None: the script hears raw payloads."""
        return nn.Identity()


def say_symbol(symbol: Tensor, vocabulary: int) -> Float[Tensor, "*batch V"]:
    """The input that says one symbol on the channel `symbols` (and the action inputs that choose one action)."""
    return SURE * torch.nn.functional.one_hot(symbol, vocabulary).float()


def say_bits(bits: Tensor) -> Float[Tensor, "*batch n"]:
    """The input that says these bits on the channel `dru`."""
    return SURE * (2 * bits.float() - 1)
