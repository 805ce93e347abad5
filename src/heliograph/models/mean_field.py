"""Mean field: a recurrent agent that hears the mean of what its neighbours say."""

import torch
from torch import Tensor, nn

from heliograph.checks import check_positive
from heliograph.functional import tanh
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, orthogonal_, small_head
from heliograph.types import Heard, Inputs, Timing

__all__ = ["MeanField"]


class MeanField(Model):
    """A GRU over what it sees and the mean of the messages of the step before, whoever they are from.

    The cost of listening is one sum an agent, however many neighbours it has. After Yang et al. 2018 (mean field
    reinforcement learning), where the mean is of the neighbours' last actions and enters a Q-function; here it is of
    what they choose to say, and any algorithm trains it.
    """

    timing = Timing.NEXT_STEP
    row_by_row = True

    def __init__(self, spec: ModelSpec, *, size: int = 128):
        super().__init__(spec)
        check_positive("size", size)
        self.hidden_size = self.message_size = self.memory_size = size
        self.torso = InputTorso(spec, size, agent=False)
        self.cell = orthogonal_(nn.GRUCell(2 * size, size))
        self.head = small_head(size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tensor:
        """Embedded observation and last action."""
        return tanh(self.torso(inputs))

    def perceive(self, features: Tensor, memory: Tensor, inbox: Heard | None) -> Perceived:
        """Step the GRU over features and the mean message."""
        heard = torch.zeros_like(features) if inbox is None else inbox.mean()
        x = torch.cat([features, heard], -1)
        state = self.cell(x.flatten(0, 1), memory.flatten(0, 1)).view_as(memory)
        return Perceived(hidden=state, memory=state)

    def act(self, hidden: Tensor) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(hidden)
